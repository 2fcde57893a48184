"""Looking at a data set: classes, counts, sizes, imbalance, and what is wrong or unusual in it.

Every image is decoded once, small, so what is said here of bad images is what a search will say.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import median
from typing import Any

import numpy as np

from automl_flowers.data.bad_images import HANDFUL, MOST_BAD, most_bad
from automl_flowers.data.copies import OnProgress
from automl_flowers.data.losses import Loss, losses_among
from automl_flowers.data.manifest import SPLITS, Manifest
from automl_flowers.data.sources.images import EXTENSIONS_OF, Nature, examine, read_image_bytes
from automl_flowers.errors import DataError
from search_spaces.regularisation import class_weights

CHANGES = {
    "misnamed": "called one kind of image, but of another; read as what they are",
    "grey": "grey; made RGB",
    "palette": "with a palette; made RGB",
    "cmyk": "CMYK, for printing; made RGB",
    "deep": "with 16 bits a channel; the upper 8 are kept",
    "transparent": "transparent in parts, which become white",
    "animated": "animated; the first frame counts",
    "turned": "stored sideways or mirrored; turned upright, as its EXIF data say",
    "tiny": "smaller than 32 pixels; scaled up",
}
"""What is unusual about images that are used, and what becomes of them."""

_TINY = 32
_CHUNK = 64
_MOST_SHOWN = 20
_MOST_NAMED = 5


@dataclass(frozen=True)
class Description:
    """What was seen.

    Attributes:
        address: Of the data set.
        manifest: Of the images that can be used; its problems are all that was skipped.
        sizes: How many images have which width and height, in pixels.
        formats: How many are JPEG, PNG and so on.
        changes: How many are unusual in which way, by the names in `CHANGES`.
    """

    address: str
    manifest: Manifest
    sizes: Counter[tuple[int, int]]
    formats: Counter[str]
    changes: Counter[str]


def describe(address: str, manifest: Manifest, on_progress: OnProgress) -> Description:
    """Look at every image of a data set.

    Args:
        address: Of the data set, as a person calls it.
        manifest: Its images.
        on_progress: Hears of looking at them.
    """
    sizes: Counter[tuple[int, int]] = Counter()
    formats: Counter[str] = Counter()
    changes: Counter[str] = Counter()
    usable: list[bool] = []
    lost: list[Loss] = []
    for row, seen in _look_at_all(manifest, on_progress):
        usable.append(isinstance(seen, Nature))
        if isinstance(seen, Nature):
            sizes[seen.width, seen.height] += 1
            formats[seen.format] += 1
            changes.update((*seen.changes, *_unusual(row, seen)))
        else:
            lost.append(seen)
    rows = manifest.rows[np.array(usable, bool)].reset_index(drop=True)
    left = Manifest(rows, manifest.class_names, (*manifest.problems, *lost))
    return Description(address, left, sizes, formats, changes)


def _look_at_all(
    manifest: Manifest, on_progress: OnProgress
) -> Iterator[tuple[Any, Nature | Loss]]:
    rows = list(manifest.rows.itertuples(index=False))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            yield from zip(chunk, pool.map(_look_at, chunk), strict=True)
            on_progress("looking at the images", start + len(chunk), len(rows))


def _look_at(row: Any) -> Nature | Loss:
    try:
        return examine(read_image_bytes(row))
    except (DataError, OSError) as error:
        return Loss(str(row.id), str(error))


def _unusual(row: Any, seen: Nature) -> Iterator[str]:
    suffix = PurePosixPath(row.path).suffix.casefold()
    usual = EXTENSIONS_OF.get(seen.format, (f".{seen.format.casefold()}",))
    if row.offset < 0 and suffix not in usual:
        yield "misnamed"
    if min(seen.width, seen.height) < _TINY:
        yield "tiny"


def summary_of(seen: Description) -> dict[str, Any]:
    """Return what `data describe --json` prints, as plain data.

    Returns:
        `address`; `classes`; `images` by split; `unlabelled`; `imbalance` (largest class over
        smallest); `per_class`, counts of labelled images by class name and split;
        `class_weights`, of the training images; `absent`, for each split the classes of which it
        has no image; `sizes` in pixels; `formats`; `changes` (see `CHANGES`); `lost`, the images
        that cannot be used, and `may_be_lost`, how many a search skips; `problems`.
    """
    manifest = seen.manifest
    rows = manifest.rows[manifest.rows["label"] >= 0]
    per_class: dict[str, dict[str, int]] = {name: {} for name in manifest.class_names}
    counts = Counter(zip(rows["label"], rows["split"], strict=True))
    for (label, split), count in sorted(counts.items(), key=lambda i: SPLITS.index(i[0][1])):
        per_class[manifest.class_names[label]][split] = count
    totals = [total for splits in per_class.values() if (total := sum(splits.values()))]
    lost = sum(loss.images for loss in losses_among(manifest.problems))
    return {
        "address": seen.address,
        "classes": manifest.num_classes,
        "images": manifest.count_images(),
        "unlabelled": int((manifest.rows["label"] < 0).sum()),
        "imbalance": round(max(totals) / min(totals), 2) if totals else None,
        "per_class": per_class,
        "class_weights": _class_weights(per_class),
        "absent": {
            split: names
            for split in manifest.count_images()
            if (names := manifest.absent_classes(split))
        },
        "sizes": _sizes(seen.sizes),
        "formats": dict(seen.formats.most_common()),
        "changes": {name: seen.changes[name] for name in CHANGES if seen.changes[name]},
        "lost": lost,
        "may_be_lost": most_bad("skip", len(manifest.rows) + lost),
        "problems": [vars(problem) for problem in manifest.problems],
    }


def _class_weights(per_class: dict[str, dict[str, int]]) -> dict[str, dict[str, float]]:
    """Return the weight of each class in the loss, if a recipe weights classes."""
    counts = np.array([splits.get("train", 0) for splits in per_class.values()], np.int64)
    if not counts.any():
        return {}
    balanced, root = (class_weights(counts, how) for how in ("balanced", "square_root"))
    return {
        name: {"balanced": round(float(b), 3), "square_root": round(float(r), 3)}
        for name, b, r in zip(per_class, balanced, root, strict=True)
    }


def _sizes(sizes: Counter[tuple[int, int]]) -> dict[str, dict[str, int]]:
    if not sizes:
        return {}
    widths, heights = zip(*sizes.elements(), strict=True)
    return {
        name: {"least": min(values), "median": int(median(values)), "most": max(values)}
        for name, values in (("width", widths), ("height", heights))
    }


def absent_line(split: str, num_classes: int, names: Sequence[str]) -> str:
    """Return what a split lacks: a score that is taken on it is a mean over the other classes."""
    listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return f"{split} has no image of {len(names)} of the {num_classes} classes: {listed}"


def size_line(sizes: dict[str, dict[str, int]]) -> str:
    """Return sizes in words."""
    width, height = sizes["width"], sizes["height"]
    if width["least"] == width["most"] and height["least"] == height["most"]:
        return f"all {width['most']} x {height['most']} pixels"
    least, middle, most = (
        f"{width[which]} x {height[which]}" for which in ("least", "median", "most")
    )
    return f"width x height from {least} to {most}, median {middle} pixels"


def lost_line(facts: dict[str, Any]) -> str:
    """Return how many images cannot be used, and what a search makes of that."""
    verdict = f"a search skips {'it' if facts['lost'] == 1 else 'them'}"
    if facts["lost"] > facts["may_be_lost"]:
        verdict = (
            f"more than {MOST_BAD:.0%} (or {HANDFUL} of a small data set), so a search stops; "
            "`--bad-images` allows more"
        )
    noun = "image" if facts["lost"] == 1 else "images"
    return f"{facts['lost']} {noun} cannot be used: {verdict}"


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    images = ", ".join(f"{count} {split}" for split, count in facts["images"].items())
    shown = [f"{facts['classes']} classes; images: {images or 'none'}"]
    if facts["sizes"]:
        kinds = ", ".join(f"{count} {name}" for name, count in facts["formats"].items())
        shown.append(f"{size_line(facts['sizes'])}; {kinds}")
    if facts["imbalance"] is not None:
        shown.append(f"largest class / smallest: {facts['imbalance']}")
    width = max(len(name) for name in facts["per_class"])
    for name, counts in facts["per_class"].items():
        shown.append(f"  {name:<{width}}  " + ", ".join(f"{n} {s}" for s, n in counts.items()))
    shown += [
        absent_line(split, facts["classes"], names) for split, names in facts["absent"].items()
    ]
    shown += [f"{count} {CHANGES[name]}" for name, count in facts["changes"].items()]
    shown += [lost_line(facts)] if facts["lost"] else []
    return [*shown, *_problem_lines(facts["problems"]), *_places(facts)]


def _problem_lines(problems: Sequence[dict[str, Any]]) -> Iterable[str]:
    if problems:
        yield f"problems: {len(problems)}"
    for problem in problems[:_MOST_SHOWN]:
        yield f"  {problem['path']}: {problem['reason']}"
    if len(problems) > _MOST_SHOWN:
        yield f"  and {len(problems) - _MOST_SHOWN} more; `--json` lists all"


def _places(facts: dict[str, Any]) -> Iterable[str]:
    if "page" in facts:
        yield f"look at  {facts['page']}"
