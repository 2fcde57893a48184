"""The leak audit: all copies within and across data sets, and what a policy would drop.

Our data and external data are one set here, in which copies are looked for once; what a pair means
follows from where its two images stand. Nothing is trained or dropped.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from automl_flowers.data.copies import Copies, OnProgress, find_copies_within
from automl_flowers.data.copies.fingerprints import Fingerprints, join, load_fingerprints
from automl_flowers.data.label_mapping import LabelMap, map_for, propose
from automl_flowers.data.leaks import EVALUATION_SPLITS
from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem
from automl_flowers.data.sources.images import decode_whole, read_image_bytes
from automl_flowers.errors import DataError

Kind = Literal["exact bytes", "exact pixels", "near"]

_MIN_AGREEMENT_OF_EQUAL_PIXELS = 0.99
_WHOLE_SIZE = 1_000_000  # no JPEG is decoded at less than its size


@dataclass(frozen=True)
class Picture:
    """An image in a pair.

    Attributes:
        file: Its id.
        source: Short name of its data set.
        split: `train`, `val`, `blend`, `test` or `external`.
        label: Our name of its class; None if it has none, or none of ours.
        row: Its position in `Audit.rows`.
    """

    file: str
    source: str
    split: str
    label: str | None
    row: int

    @property
    def is_held_out(self) -> bool:
        """Whether scores are taken on it."""
        return self.split in EVALUATION_SPLITS

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {k: v for k, v in asdict(self).items() if k != "row"}


@dataclass(frozen=True)
class Pair:
    """Two images that are copies of one another.

    Attributes:
        first: The one.
        second: The other.
        agreement: How well details agree, in [0, 1]; 1 for equal bytes.
        kind: How equal they are.
        mirrored: Whether one is the mirror image of the other.
    """

    first: Picture
    second: Picture
    agreement: float
    kind: Kind
    mirrored: bool

    @property
    def is_leak(self) -> bool:
        """Whether one is trained on and scores are taken on the other."""
        return self.first.is_held_out != self.second.is_held_out

    @property
    def is_conflict(self) -> bool:
        """Whether their classes are known and differ."""
        return None not in (self.first.label, self.second.label) and (
            self.first.label != self.second.label
        )

    @property
    def is_within(self) -> bool:
        """Whether both are in one split of one data set."""
        return (self.first.source, self.first.split) == (self.second.source, self.second.split)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "files": [self.first.to_dict(), self.second.to_dict()],
            **{name: getattr(self, name) for name in ("agreement", "kind", "mirrored")},
        }


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        rows: Manifest rows of all images that were compared.
        pairs: All copies, in the order of the images.
        problems: Images that could not be read.
    """

    rows: pd.DataFrame
    pairs: tuple[Pair, ...]
    problems: tuple[Problem, ...]

    @property
    def leaks(self) -> dict[Picture, list[Pair]]:
        """Images that must not be trained on, each with its pairs, the surest first."""
        found: dict[Picture, list[Pair]] = {}
        for pair in self.pairs:
            if pair.is_leak:
                trained = pair.second if pair.first.is_held_out else pair.first
                found.setdefault(trained, []).append(pair)
        return {
            picture: sorted(pairs, key=_by_certainty)
            for picture, pairs in sorted(found.items(), key=lambda item: item[0].row)
        }

    def of_kind(self, name: str) -> list[Pair]:
        """Return pairs by what they mean.

        Args:
            name: `conflicts` (two classes), `within` (one split of one data set),
                `between_evaluation` (two evaluation splits) or `repeated` (twice in what is
                trained on, across data sets).
        """
        return [pair for pair in self.pairs if _KINDS[name](pair)]


_KINDS: Mapping[str, Callable[[Pair], bool]] = {
    "conflicts": lambda pair: pair.is_conflict,
    "within": lambda pair: pair.is_within,
    "between_evaluation": lambda pair: (
        pair.first.is_held_out and pair.second.is_held_out and not pair.is_within
    ),
    "repeated": lambda pair: not (pair.is_leak or pair.is_within or pair.first.is_held_out),
}


def audit(
    ours: Manifest,
    external: Sequence[Manifest],
    cache: Path,
    *,
    label_map: LabelMap | None = None,
    on_progress: OnProgress,
) -> Audit:
    """Find all copies within and across data sets.

    Args:
        ours: Our data, divided or not.
        external: More data to train on.
        cache: Folder of fingerprints.
        label_map: A person's word on external class names.
        on_progress: Hears of taking fingerprints and of comparing.
    """
    prints: list[Fingerprints] = []
    rows: list[pd.DataFrame] = []
    labels: list[str | None] = []
    for manifest, names in _with_class_names(ours, external, label_map or {}):
        what = f"taking fingerprints of {manifest.rows['source'].iloc[0]}"
        made = load_fingerprints(manifest.rows, cache, functools.partial(on_progress, what))
        known = manifest.rows[manifest.rows["id"].isin(made.ids)]
        rows.append(known)
        labels += [names[label] for label in known["label"].tolist()]
        prints.append(made)
    table = pd.concat(rows, ignore_index=True)
    copies = find_copies_within(join(prints), on_progress)
    problems = [p for m in (ours, *external) for p in m.problems]
    problems += [p for made in prints for p in made.problems]
    return Audit(table, tuple(_pairs(table, labels, copies, on_progress)), tuple(problems))


def _with_class_names(
    ours: Manifest, external: Sequence[Manifest], label_map: LabelMap
) -> Iterator[tuple[Manifest, dict[int, str | None]]]:
    """Yield the data sets with our name of each of their labels, external ones marked as such."""
    yield ours, {UNKNOWN: None, **dict(enumerate(ours.class_names))}
    for manifest in external:
        given = map_for(label_map, str(manifest.rows["source"].iloc[0]))
        mapped = {**propose(manifest.class_names, ours.class_names), **given}
        names = {label: mapped.get(name) for label, name in enumerate(manifest.class_names)}
        marked = manifest.rows.assign(split="external")
        yield manifest.replace_rows(marked), {UNKNOWN: None, **names}


def _pairs(
    rows: pd.DataFrame, labels: Sequence[str | None], copies: Copies, on_progress: OnProgress
) -> Iterator[Pair]:
    ids, sources, splits = (rows[name].tolist() for name in ("id", "source", "split"))

    def picture(row: int) -> Picture:
        return Picture(ids[row], sources[row], splits[row], labels[row], row)

    for number in range(len(copies)):
        left, right = int(copies.left[number]), int(copies.right[number])
        first, second = picture(left), picture(right)
        agreement = round(float(copies.agreement[number]), 4)
        mirrored = bool(copies.is_mirrored[number])
        kind: Kind = "near"
        if copies.has_equal_bytes[number]:
            kind = "exact bytes"
        elif agreement >= _MIN_AGREEMENT_OF_EQUAL_PIXELS and not mirrored:
            kind = "exact pixels" if _show_equal_pixels(rows, left, right) else "near"
        yield Pair(first, second, agreement, kind, mirrored)
        on_progress("looking at pairs", number + 1, len(copies))


def _show_equal_pixels(rows: pd.DataFrame, left: int, right: int) -> bool:
    try:
        first, second = (
            decode_whole(read_image_bytes(rows.iloc[row]), _WHOLE_SIZE) for row in (left, right)
        )
    except (DataError, OSError):  # gone since its fingerprint was taken
        return False
    return first.size == second.size and bool(np.array_equal(np.array(first), np.array(second)))


def _by_certainty(pair: Pair) -> tuple[int, float, int, int]:
    kinds = ("exact bytes", "exact pixels", "near")
    return kinds.index(pair.kind), -pair.agreement, pair.first.row, pair.second.row


def summary_of(audit: Audit) -> dict[str, Any]:
    """Return what `data check --json` prints, as plain data."""
    pairs = {name: [p.to_dict() for p in audit.of_kind(name)] for name in _KINDS}
    leaks = [_leak_entry(picture, pairs) for picture, pairs in audit.leaks.items()]
    dropped = [leak for leak in leaks if leak["used"]]
    return {
        "images": dict(sorted(Counter(audit.rows["source"] + " " + audit.rows["split"]).items())),
        "counts": {
            "leaks": len(leaks),
            "would_be_dropped": len(dropped),
            **{name: len(found) for name, found in pairs.items()},
            "skipped": len(audit.problems),
        },
        "leaks": leaks,
        **pairs,
        "skipped": [vars(problem) for problem in audit.problems],
    }


def _leak_entry(picture: Picture, pairs: Sequence[Pair]) -> dict[str, Any]:
    surest = pairs[0]
    return {
        **picture.to_dict(),
        "kind": surest.kind,
        "mirrored": surest.mirrored,
        "used": picture.split != "external" or picture.label is not None,
        "matches": [
            {
                **(pair.second if pair.first == picture else pair.first).to_dict(),
                "agreement": pair.agreement,
                "kind": pair.kind,
                "mirrored": pair.mirrored,
            }
            for pair in pairs
        ],
    }


SENTENCES = {
    "leaks": "images to train on are copies of images that scores are taken on",
    "would_be_dropped": "of them would be dropped; the others belong to classes that are not used",
    "conflicts": "pairs of copies have two different classes",
    "within": "pairs of copies are in one split",
    "between_evaluation": "pairs of copies are in two evaluation splits",
    "repeated": "pairs of copies are trained on twice, from two data sets",
    "skipped": "images cannot be read",
}
"""What each count means, after its number."""

_MOST_SHOWN = 10


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    images = ", ".join(f"{count} {name}" for name, count in facts["images"].items())
    width = max(len(str(count)) for count in facts["counts"].values())
    shown = [f"images: {images}"]
    shown += [f"{facts['counts'][name]:>{width}} {text}" for name, text in SENTENCES.items()]
    for leak in facts["leaks"][:_MOST_SHOWN]:
        match = leak["matches"][0]
        how = f"{leak['kind']}{', mirrored' if leak['mirrored'] else ''}"
        shown.append(
            f"  {leak['source']} {leak['file']}: {how}, {match['split']} {match['file']} "
            f"({match['agreement']:.2f})"
        )
    if len(facts["leaks"]) > _MOST_SHOWN:
        shown.append(f"  and {len(facts['leaks']) - _MOST_SHOWN} more")
    return [*shown, *(f"look at  {facts[name]}" for name in ("page",) if name in facts)]
