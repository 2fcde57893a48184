"""Weighted means of members' probabilities.

Every element is computed by the same operations in the same order, member by member. A matrix
product would be free to round neighbouring columns differently, and classes that tie would
then be told apart by noise.
"""

from __future__ import annotations

import numpy as np

from ensembles._checks import as_stack

_SUM_TOLERANCE = 1e-6


def average(probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the weighted arithmetic mean of the members' probabilities.

    Cost is `num_models` passes over `num_examples * num_classes` numbers.

    Args:
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        weights: Share of each member, non-negative, summing to 1 within 1e-6, shape
            `(num_models,)`. None for equal shares.

    Returns:
        Probabilities, float64, shape `(num_examples, num_classes)`.

    Raises:
        ValueError: If a shape disagrees, a row of `probabilities` is no distribution, or the
            weights are negative or do not sum to 1.

    Example:
        >>> members = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> average(members, np.array([0.25, 0.75]))
        array([[0.25, 0.75]])
    """
    probabilities = as_stack(probabilities)
    if weights is None:
        weights = uniform_weights(len(probabilities))
    return weighted_sum(probabilities, _as_weights(weights, len(probabilities)))


def uniform_weights(num_models: int) -> np.ndarray:
    """Return equal shares, float64, shape `(num_models,)`."""
    return np.full(num_models, 1.0 / num_models)


def weighted_sum(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return what `average` returns, without its checks."""
    total = np.zeros(probabilities.shape[1:])
    for member, weight in zip(probabilities, weights, strict=True):
        if weight != 0.0:
            total += weight * member
    return total


def _as_weights(weights: np.ndarray, num_models: int) -> np.ndarray:
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (num_models,):
        raise ValueError(
            f"`weights` must have one entry per model, shape ({num_models},), got shape "
            f"{weights.shape}."
        )
    if not (np.all(weights >= 0.0) and abs(weights.sum() - 1.0) <= _SUM_TOLERANCE):
        raise ValueError(
            "`weights` must be non-negative and sum to 1, got "
            f"{weights.tolist()} with sum {weights.sum():.6g}. Divide them by their sum."
        )
    return weights
