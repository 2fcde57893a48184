"""Looking at a data set: classes, counts, imbalance, problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures

_MOST_SHOWN = 20
_MOST_NAMED = 5


def describe(address: str, features: RecordFeatures = USUAL_FEATURES) -> dict[str, Any]:
    """Return what a data set holds, without decoding it.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        features: As there.

    Returns:
        Plain data: `classes`, `images` by split, `per_class` counts of labelled images by class
        name and split, `absent` (for each split, the classes of which it has no image),
        `imbalance` (largest class over smallest), `problems`.
    """
    manifest = open_data(address, features=features)
    rows = manifest.rows[manifest.rows["label"] >= 0]
    per_class: dict[str, dict[str, int]] = {name: {} for name in manifest.class_names}
    counts = Counter(zip(rows["label"], rows["split"], strict=True))
    for (label, split), count in sorted(counts.items()):
        per_class[manifest.class_names[label]][split] = count
    totals = [sum(splits.values()) for splits in per_class.values()]
    smallest = min(total for total in totals if total) if any(totals) else 0
    return {
        "address": address,
        "classes": manifest.num_classes,
        "images": manifest.count_images(),
        "unlabelled": int((manifest.rows["label"] < 0).sum()),
        "imbalance": round(max(totals) / smallest, 2) if smallest else None,
        "per_class": per_class,
        "absent": {
            split: names
            for split in manifest.count_images()
            if (names := manifest.absent_classes(split))
        },
        "problems": [vars(problem) for problem in manifest.problems],
    }


def absent_line(split: str, num_classes: int, names: Sequence[str]) -> str:
    """Return what a split lacks: a score that is taken on it is a mean over the other classes."""
    listed = ", ".join(names[:_MOST_NAMED]) + (", ..." if len(names) > _MOST_NAMED else "")
    return f"{split} has no image of {len(names)} of the {num_classes} classes: {listed}"


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    images = ", ".join(f"{count} {split}" for split, count in facts["images"].items())
    shown = [f"{facts['classes']} classes; images: {images}"]
    if facts["imbalance"] is not None:
        shown.append(f"largest class / smallest: {facts['imbalance']}")
    width = max(len(name) for name in facts["per_class"])
    for name, counts in facts["per_class"].items():
        shown.append(f"  {name:<{width}}  " + ", ".join(f"{n} {s}" for s, n in counts.items()))
    shown += [
        absent_line(split, facts["classes"], names) for split, names in facts["absent"].items()
    ]
    problems = facts["problems"]
    if problems:
        shown.append(f"problems: {len(problems)}")
        shown += [f"  {p['path']}: {p['reason']}" for p in problems[:_MOST_SHOWN]]
    return shown
