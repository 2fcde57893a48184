"""Folds to hold out: every class spread evenly, however rare.

Reference:
    Stratified cross-validation: Kohavi, "A Study of Cross-Validation and Bootstrap for Accuracy
    Estimation and Model Selection", IJCAI 1995.
"""

from __future__ import annotations

import numpy as np


def stratified_folds(labels: np.ndarray, *, num_folds: int = 5, seed: int = 0) -> np.ndarray:
    """Deal the examples, class by class, to folds.

    The deal goes on where the last class ended. So folds differ by one example at most, in
    total and within each class, however rare a class is.

    Args:
        labels: True class indices, non-negative, integer, shape `(num_examples,)`.
        num_folds: How many folds, at least 2. With fewer examples than that, every example is
            a fold of its own.
        seed: Decides which examples of a class share a fold.

    Returns:
        Fold of each example in [0, num_folds), int64, shape `(num_examples,)`.

    Raises:
        ValueError: If there are fewer than two examples or folds.

    Example:
        >>> folds = stratified_folds(np.array([0, 0, 0, 0, 1, 2]), num_folds=2)
        >>> np.bincount(folds), np.bincount(folds[:4])
        (array([3, 3]), array([2, 2]))
    """
    if num_folds < 2 or len(labels) < 2:
        raise ValueError(
            "Cross-fitting must have at least 2 folds and 2 examples, got "
            f"num_folds={num_folds} and {len(labels)} examples."
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    folds = np.empty(len(labels), dtype=np.int64)
    folds[order] = np.arange(len(labels)) % num_folds
    return folds
