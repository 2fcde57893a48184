"""Dividing labelled images into splits: stratified, copies together, the same every time.

The images of a class stand in a line, in the order of a hash of (seed, id), which is cut into
the splits. A place in the line depends on no other image, so a picture more or less moves the
cuts, and at most one image across each of them; and folders and TFRecords of the same pictures
are divided alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.errors import DataError

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

    Within a class, the line of groups is cut where the shares end, so every split has its share
    of every class to within one group. The train share comes first in the line, so the smallest
    class trains; the others take turns behind it from class to class, so that many small
    classes together have all of the splits.

    Args:
        rows: Manifest rows with `id` and `label`.
        groups: For each row, its group of copies, which stay together. A group of several
            classes counts as one of the class of its first image in the line.
        shares: Fraction of each split; they add up to 1.
        seed: Of the run.

    Returns:
        Names of splits, `(num_rows,)`.
    """
    if not len(rows):
        return np.empty(0, dtype=str)
    order = _line_up(rows["id"], seed)
    _, first, group, sizes = np.unique(
        groups[order], return_index=True, return_inverse=True, return_counts=True
    )
    labels = rows["label"].to_numpy()[order][first]
    names = np.empty(len(first), dtype=f"<U{max(map(len, shares))}")
    lines = np.lexsort((first, labels))
    for line in np.split(lines, np.flatnonzero(np.diff(labels[lines])) + 1):
        names[line] = _cut(sizes[line], _turned(shares, int(labels[line[0]])))
    result = np.empty(len(rows), dtype=names.dtype)
    result[order] = names[group]
    return result


def deal_folds(
    rows: pd.DataFrame, groups: npt.NDArray[np.int64], num_folds: int, *, seed: int
) -> npt.NDArray[np.int64]:
    """Return a fold for each row, as `deal` does with equal shares.

    Every class has its share of every fold to within one group, and without copies to within one
    image. A class of fewer groups than folds is absent from some folds, other ones from class to
    class.

    Args:
        rows: Manifest rows with `id` and `label`.
        groups: For each row, its group of copies, which stay together, as for `deal`.
        num_folds: At least 2.
        seed: Of the run.

    Returns:
        Folds, 0 to `num_folds - 1`, int64, `(num_rows,)`; every fold has a row.

    Raises:
        ValueError: If `num_folds` is below 2.
        DataError: If there are too few images, or groups of copies, for so many folds.
    """
    if num_folds < 2:
        raise ValueError(f"`num_folds` must be at least 2, got {num_folds}.")
    shares = {str(fold): 1 / num_folds for fold in range(num_folds)}
    folds = deal(rows, groups, shares, seed=seed).astype(np.int64)
    num_filled = len(np.unique(folds))
    if num_filled < num_folds:
        raise DataError(
            f"{len(rows)} images in {len(np.unique(groups))} groups of copies, which stay "
            f"together, fill {num_filled} folds, not {num_folds}.",
            hint=f"ask for {max(num_filled, 2)} folds or fewer, or give more images",
        )
    return folds


def _cut(sizes: npt.NDArray[np.int64], shares: Mapping[str, float]) -> npt.NDArray[np.str_]:
    """Return the split in whose part of the line each group has its middle."""
    ends = np.cumsum(sizes)
    middles = (ends - sizes / 2) / ends[-1]
    cuts = np.cumsum(list(shares.values()))[:-1]
    parts = np.searchsorted(cuts, middles, side="right")
    return np.asarray(np.array(list(shares))[parts], dtype=str)


def _turned(shares: Mapping[str, float], turns: int) -> dict[str, float]:
    """Return the same shares, all but `train` moved round by some places."""
    others = [name for name in shares if name != "train"]
    first = turns % len(others)
    names = [*(["train"] if "train" in shares else []), *others[first:], *others[:first]]
    return {name: shares[name] for name in names}


def _line_up(ids: pd.Series, seed: int) -> npt.NDArray[np.int64]:
    """Return the positions of ids in the order of their hashes."""
    hashed = (hashlib.sha256(f"{seed}:{identity}".encode()).digest() for identity in ids)
    words = np.fromiter(hashed, "S32", count=len(ids)).view(">u8").reshape(-1, 4)
    return np.lexsort(words.T[::-1])


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
