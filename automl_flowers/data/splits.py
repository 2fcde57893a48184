"""Dividing labelled images into splits: stratified, near copies together, the same every time.

The order in which images are dealt out is a hash of (seed, id). It depends on no other image,
so adding pictures to a data set moves few of the others, and folders and TFRecords of the same
pictures are divided alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

NO_SPLITS = {"train": 0.7, "val": 0.1, "blend": 0.1, "test": 0.1}
"""For data that comes undivided."""

NO_VAL = {"train": 0.8, "val": 0.1, "blend": 0.1}
"""For the training images of data that comes with a test split only."""

HALVES = {"val": 0.5, "blend": 0.5}
"""For a `val` split: one half steers the search, the other is read only by `ensemble`."""


def deal(
    rows: pd.DataFrame,
    groups: npt.NDArray[np.int64],
    shares: Mapping[str, float],
    *,
    seed: int,
) -> npt.NDArray[np.str_]:
    """Return a split for each row.

    Within a class, groups are dealt in the order of their hash, each to the split that lacks
    most of its share, so every split has its share of every class to within one group.

    Args:
        rows: Manifest rows with `id` and `label`.
        groups: For each row, its group of near copies, which stay together.
        shares: Fraction of each split; they add up to 1.
        seed: Of the run.

    Returns:
        Names of splits, `(num_rows,)`.
    """
    labels = rows["label"].to_numpy()
    order = sorted(range(len(rows)), key=lambda i: _rank(seed, rows["id"].iloc[i]))
    members: dict[int, list[int]] = {}
    for position in order:
        members.setdefault(int(groups[position]), []).append(position)
    wanted = {
        label: {name: share * count for name, share in shares.items()}
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
    }
    result = np.empty(len(rows), dtype=object)
    for positions in members.values():
        lacking = wanted[labels[positions[0]]]
        split = max(lacking, key=lambda name: lacking[name])
        result[positions] = split
        lacking[split] -= len(positions)
    return result.astype(str)


def _rank(seed: int, identity: str) -> bytes:
    return hashlib.sha256(f"{seed}:{identity}".encode()).digest()


def shares_for(splits: set[str]) -> tuple[str, Mapping[str, float]] | None:
    """Say which split has to be divided, and how, for a run.

    Args:
        splits: Names of the splits that the data comes with.

    Returns:
        The split to divide and the shares, or None if `blend` exists already.
    """
    if "blend" in splits:
        return None
    if "val" in splits:
        return "val", HALVES
    return ("train", NO_VAL) if "test" in splits else ("train", NO_SPLITS)
