"""Looking at a data set: classes, counts, imbalance, problems."""

from __future__ import annotations

from collections import Counter
from typing import Any

from automl_flowers.data.sources import open_data

_MOST_SHOWN = 20


def describe(address: str) -> dict[str, Any]:
    """Return what a data set holds, without decoding it.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.

    Returns:
        Plain data: `classes`, `images` by split, `per_class` counts of labelled images by class
        name and split, `imbalance` (largest class over smallest), `problems`.
    """
    manifest = open_data(address)
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
        "problems": [vars(problem) for problem in manifest.problems],
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    images = ", ".join(f"{count} {split}" for split, count in facts["images"].items())
    shown = [f"{facts['classes']} classes; images: {images}"]
    if facts["imbalance"] is not None:
        shown.append(f"largest class / smallest: {facts['imbalance']}")
    width = max(len(name) for name in facts["per_class"])
    for name, counts in facts["per_class"].items():
        shown.append(f"  {name:<{width}}  " + ", ".join(f"{n} {s}" for s, n in counts.items()))
    problems = facts["problems"]
    if problems:
        shown.append(f"problems: {len(problems)}")
        shown += [f"  {p['path']}: {p['reason']}" for p in problems[:_MOST_SHOWN]]
    return shown
