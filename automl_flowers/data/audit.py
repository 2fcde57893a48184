"""The leak audit: all copies within and across data sets, and what they mean.

Copies are looked for within and across three sets: what our data train on, what scores are taken
on, and external data. What a pair means follows from where its two images stand. Nothing is
trained or dropped here.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from automl_flowers.data.copies import Copies, OnProgress, find_copies_among
from automl_flowers.data.copies.fingerprints import (
    Fingerprints,
    digest_of_pixels,
    join,
    load_fingerprints,
)
from automl_flowers.data.findings import KINDS, Kind, Leak, Pair, Picture, Role, by_certainty
from automl_flowers.data.label_mapping import LabelMap, map_for, propose
from automl_flowers.data.leaks import EVALUATION_SPLITS
from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem
from automl_flowers.data.sources.images import decode_whole, read_image_bytes
from automl_flowers.data.splits import shares_for
from automl_flowers.errors import DataError

_MIN_AGREEMENT_OF_EQUAL_PIXELS = 0.99
_WHOLE_SIZE = 1_000_000  # no JPEG is decoded at less than its size


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
    def leaks(self) -> tuple[Leak, ...]:
        """Images that bring others of our data into training, in the order of `rows`."""
        found: dict[Picture, list[Pair]] = {}
        for pair in self.pairs:
            if pair.leaking:
                found.setdefault(pair.leaking, []).append(pair)
        return tuple(
            Leak(picture, tuple(sorted(pairs, key=by_certainty)))
            for picture, pairs in sorted(found.items(), key=lambda item: item[0].row)
        )

    def of_kind(self, name: str) -> list[Pair]:
        """Return pairs by what they mean.

        Args:
            name: `conflicts` (two classes), `within` (one split of one data set),
                `between_evaluation` (two evaluation splits) or `repeated` (two external data sets).
        """
        return [pair for pair in self.pairs if KINDS[name](pair)]


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
    undivided = shares_for(set(ours.rows["split"]))
    prints: list[Fingerprints] = []
    rows: list[pd.DataFrame] = []
    for manifest, names in _with_class_names(ours, external, label_map or {}):
        what = f"taking fingerprints of {manifest.rows['source'].iloc[0]}"
        made = load_fingerprints(manifest.rows, cache, functools.partial(on_progress, what))
        known = manifest.rows[manifest.rows["id"].isin(made.ids)]
        roles = [_role_of(split, undivided[0] if undivided else None) for split in known["split"]]
        labels = [names[label] for label in known["label"].tolist()]
        rows.append(known.assign(role=roles, class_name=pd.Series(labels, known.index, object)))
        prints.append(made)
    problems = [p for m in (ours, *external) for p in m.problems]
    problems += [p for made in prints for p in made.problems]
    table, parts = _by_role(pd.concat(rows, ignore_index=True), join(prints))
    copies = find_copies_among(parts, on_progress)
    return Audit(table, tuple(_pairs(table, copies, on_progress)), tuple(problems))


def _role_of(split: str, undivided: str | None) -> Role:
    if split == "external":
        return "external"
    if split == undivided == "train":
        return "undivided"
    return "evaluation" if split in EVALUATION_SPLITS else "training"


def _by_role(
    table: pd.DataFrame, prints: Fingerprints
) -> tuple[pd.DataFrame, tuple[Fingerprints, ...]]:
    """Return rows and fingerprints of what is trained on, of evaluation and of external data."""
    is_external, is_evaluation = table["role"] == "external", table["role"] == "evaluation"
    chosen = [
        np.flatnonzero(part) for part in (~is_external & ~is_evaluation, is_evaluation, is_external)
    ]
    ordered = table.iloc[np.concatenate(chosen)].reset_index(drop=True)
    return ordered, tuple(prints.take(part) for part in chosen)


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


def _pairs(rows: pd.DataFrame, copies: Copies, on_progress: OnProgress) -> Iterator[Pair]:
    columns = [rows[name].tolist() for name in ("id", "source", "split", "role", "class_name")]
    pictures = [Picture(*facts) for facts in zip(*columns, range(len(rows)), strict=True)]
    pixels = _PixelDigests(rows)
    for number in range(len(copies)):
        left, right = int(copies.left[number]), int(copies.right[number])
        agreement = round(float(copies.agreement[number]), 4)
        mirrored = bool(copies.is_mirrored[number])
        kind: Kind = "near"
        if copies.has_equal_bytes[number]:
            kind = "exact bytes"
        elif agreement >= _MIN_AGREEMENT_OF_EQUAL_PIXELS and not mirrored:
            kind = "exact pixels" if pixels.are_equal(left, right) else "near"
        yield Pair(pictures[left], pictures[right], agreement, kind, mirrored)
        on_progress("looking at pairs", number + 1, len(copies))


class _PixelDigests:
    """Digests of whole pictures, decoded when they are asked for and once only.

    Args:
        rows: Manifest rows.
    """

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._known: dict[int, str | None] = {}

    def are_equal(self, left: int, right: int) -> bool:
        """Return whether two pictures have the same size and the same pixels."""
        return self._of(left) is not None and self._of(left) == self._of(right)

    def _of(self, row: int) -> str | None:
        if row not in self._known:
            try:
                data = read_image_bytes(self._rows.iloc[row])
                self._known[row] = digest_of_pixels(decode_whole(data, _WHOLE_SIZE))
            except (DataError, OSError):  # gone since its fingerprint was taken
                self._known[row] = None
        return self._known[row]
