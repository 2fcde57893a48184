"""Means of members' probabilities: arithmetic and geometric, with weights.

The arithmetic mean asks how many members hold a class to be likely, the geometric mean which
class no member holds to be unlikely: it multiplies, so one member's small number counts.

Every element is computed by the same operations in the same order, member by member. A matrix
product would be free to round neighbouring columns differently, and classes that tie would
then be told apart by noise. Members come one at a time, so a generator of them does.

Reference:
    Both as pools of opinions: Genest & Zidek, "Combining Probability Distributions",
    Statistical Science 1(1), 1986, https://doi.org/10.1214/ss/1177013825
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ensembles._checks import as_stack, as_weights
from ensembles.metrics import LOG_LOSS_FLOOR


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
    return weighted_sum(probabilities, as_weights(weights, len(probabilities)))


def geometric_mean(probabilities: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the weighted geometric mean of the members' probabilities, summing to 1 again.

    Computed as the mean of logarithms. Probabilities below `ensembles.metrics.LOG_LOSS_FLOOR`,
    about 1.2e-7, count as that much, so a member's zero is no veto.

    Args:
        probabilities: As for `average`.
        weights: As for `average`.

    Returns:
        Probabilities, float64, shape `(num_examples, num_classes)`; each row sums to 1.

    Raises:
        ValueError: As `average`.

    Example:
        >>> members = np.array([[[0.5, 0.5]], [[0.9, 0.1]]])
        >>> geometric_mean(members)
        array([[0.75, 0.25]])
    """
    probabilities = as_stack(probabilities)
    if weights is None:
        weights = uniform_weights(len(probabilities))
    return softmax(log_sum(probabilities, as_weights(weights, len(probabilities))))


def uniform_weights(num_models: int) -> np.ndarray:
    """Return equal shares, float64, shape `(num_models,)`."""
    return np.full(num_models, 1.0 / num_models)


def weighted_sum(members: Iterable[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return what `average` returns, without its checks; at least one weight is above 0.

    Args:
        members: Probabilities of one member each, float, shape `(num_examples, num_classes)`.
        weights: As for `average`.
    """
    return _sum(
        weight * member.astype(np.float64, copy=False)
        for member, weight in zip(members, weights, strict=True)
        if weight != 0.0
    )


def log_sum(members: Iterable[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Return the weighted sum of the members' log probabilities: `weighted_sum` of logarithms.

    Args:
        members: As for `weighted_sum`.
        weights: As for `average`.

    Returns:
        Logarithms, up to a constant of each example, float64, shape
        `(num_examples, num_classes)`.
    """
    return _sum(
        weight * np.log(np.maximum(member.astype(np.float64, copy=False), LOG_LOSS_FLOOR))
        for member, weight in zip(members, weights, strict=True)
        if weight != 0.0
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities that belong to unnormalised logarithms, along the last axis."""
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=-1, keepdims=True))


def _sum(terms: Iterable[np.ndarray]) -> np.ndarray:
    total: np.ndarray | None = None
    for term in terms:
        total = term if total is None else np.add(total, term, out=total)
    if total is None:
        raise ValueError("A weighted sum must have a member whose weight is above 0, got none.")
    return total
