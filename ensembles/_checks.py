"""What is said about wrong input, once for the whole package.

Each function takes what a caller passed and returns it in a dtype the package computes with.
Public functions call these; inner functions, which run thousands of times, do not.
"""

from __future__ import annotations

import numpy as np

ROW_SUM_TOLERANCE = 1e-3
"""How far the probabilities of one example may sum from 1 (float16 softmax stays below)."""

WEIGHT_SUM_TOLERANCE = 1e-6
"""How far the weights of a blend may sum from 1."""


def as_labels(labels: np.ndarray, num_examples: int, num_classes: int) -> np.ndarray:
    """Return `labels` as int64 class indices, shape `(num_examples,)`.

    Raises:
        ValueError: If they are not one-dimensional integers, are not `num_examples` many, are
            none at all, or lie outside [0, num_classes).
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            "`labels` must be integer class indices of shape (num_examples,), got "
            f"{labels.dtype} of shape {labels.shape}. For one-hot labels, pass "
            "`labels.argmax(axis=-1)`."
        )
    if len(labels) != num_examples or not num_examples:
        raise ValueError(
            "`labels` and `probabilities` must describe the same examples, at least one, got "
            f"{len(labels)} labels and {num_examples} rows of probabilities."
        )
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        raise ValueError(
            f"`labels` must lie in [0, {num_classes}), got {outside.sum()} of {num_examples} "
            f"outside, the first {labels[outside][0]}. Leave out examples whose label is "
            "unknown (-1)."
        )
    return labels.astype(np.int64, copy=False)


def as_blend(probabilities: np.ndarray) -> np.ndarray:
    """Return one model's or blend's `probabilities` as an array `(num_examples, num_classes)`.

    Raises:
        ValueError: If they are not two-dimensional, hold no class or are not all finite.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.ndim != 2 or not probabilities.shape[1]:
        raise ValueError(
            "`probabilities` must have shape (num_examples, num_classes) with at least one "
            f"class, got shape {probabilities.shape}. For several models, pass their `average`."
        )
    num_broken = np.count_nonzero(~np.isfinite(probabilities).all(axis=-1))
    if num_broken:
        raise ValueError(
            f"`probabilities` must be finite, got NaN or infinity in {num_broken} of "
            f"{len(probabilities)} rows. Predict them again."
        )
    return probabilities


def as_stack(probabilities: np.ndarray) -> np.ndarray:
    """Return members' `probabilities`, shape `(num_models, num_examples, num_classes)`.

    Float32 stays float32, so that a large stack is not copied; anything else becomes float64.

    Raises:
        ValueError: If they are not three-dimensional, hold no model or no class, or a row of
            them is no distribution.
    """
    probabilities = np.asarray(probabilities)
    if probabilities.dtype != np.float32:
        probabilities = probabilities.astype(np.float64, copy=False)
    if probabilities.ndim != 3 or not len(probabilities) or not probabilities.shape[2]:
        raise ValueError(
            "`probabilities` must have shape (num_models, num_examples, num_classes) with at "
            f"least one model and class, got shape {probabilities.shape}. For a single model, pass "
            "`probabilities[np.newaxis]`."
        )
    complaint = complaint_about_rows(probabilities)
    if complaint:
        raise ValueError(f"`probabilities` {complaint}")
    return probabilities


def complaint_about_rows(probabilities: np.ndarray) -> str | None:
    """Say what keeps the rows, along the last axis, from being distributions.

    Returns:
        The end of a sentence that begins with what was looked at, or None if every row is
        finite, non-negative and sums to 1 within `ROW_SUM_TOLERANCE`.
    """
    sums = probabilities.sum(axis=-1, dtype=np.float64)
    good = np.isfinite(sums) & (abs(sums - 1.0) <= ROW_SUM_TOLERANCE)
    good &= (probabilities >= 0.0).all(axis=-1)
    if good.all():
        return None
    row = probabilities[~good][0]
    return (
        f"must be non-negative and sum to 1 within {ROW_SUM_TOLERANCE} in every row, got "
        f"{np.count_nonzero(~good)} of {good.size} rows that do not; the first sums to "
        f"{row.sum(dtype=np.float64):.6g} with a minimum of {row.min():.6g}. If these are "
        "logits, pass them through softmax first; if they hold NaN, predict them again."
    )


def as_weights(weights: np.ndarray, num_models: int) -> np.ndarray:
    """Return `weights` as float64, shape `(num_models,)`.

    Raises:
        ValueError: If they are not `num_models` many, are negative or do not sum to 1.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (num_models,):
        raise ValueError(
            f"`weights` must have one entry per model, shape ({num_models},), got shape "
            f"{weights.shape}."
        )
    if not (np.all(weights >= 0.0) and abs(weights.sum() - 1.0) <= WEIGHT_SUM_TOLERANCE):
        raise ValueError(
            "`weights` must be non-negative and sum to 1, got "
            f"{weights.tolist()} with sum {weights.sum():.6g}. Divide them by their sum."
        )
    return weights
