"""Blend weights that maximise a score: an exact grid for two members, a search for more.

Macro F1 and accuracy are step functions of the weights: flat almost everywhere, without a
useful gradient, with many small maxima. So the weights live on a grid of whole units, one
hundred to a member, and blends are compared by score, then log loss, then closeness to
uniform. Two members are compared at every hundredth. More are searched from several starts by
moving units from one member to another, always taking the best move, with shrinking steps
(compass search, one direction for each ordered pair of members). No randomness anywhere.

Two facts make it quick. Members that predict the same class of an example settle it for every
blend, so only the contested examples are blended. And log loss needs only the probability of
the true class. Copies of a member are one member during the search and share its weight.

A score that was maximised is too good to be true: see `ensembles.validation` for the honest
one and for when to leave the weights uniform.

Reference:
    Kolda, Lewis & Torczon, "Optimization by Direct Search", SIAM Review 45(3), 2003,
    https://doi.org/10.1137/S003614450242889
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from ensembles._checks import as_labels, as_stack
from ensembles.averaging import weighted_sum
from ensembles.metrics import (
    ClassMetric,
    Metric,
    log_loss,
    macro_f1,
    mean_log_likelihood,
    of_classes,
    unchecked,
)

_UNITS_PER_MODEL = 100
_STEP_PERCENTS = (20, 5, 1)
_PAIR_PERCENTS = range(0, 101, 10)
_LOG_LIKELIHOOD_DECIMALS = 10

Units = tuple[int, ...]
"""Whole units of weight for each group of identical members."""

Rank = Callable[[Units], tuple[float, float, float]]


def fit_weights(
    labels: np.ndarray, probabilities: np.ndarray, *, metric: Metric = macro_f1
) -> np.ndarray:
    """Return the blend weights that maximise `metric` on held-out predictions.

    On training predictions it rewards whichever member has overfitted most. The weights score
    no worse than equal weights and than any single member on the data given, because the
    search starts there. Blends with equal scores are told apart by log loss (to ten decimals),
    then by closeness to uniform. Members with identical predictions get equal weights.
    Permuting the members permutes the weights, unless two blends tie in all three.

    Cost is evaluations, each a blend of the contested examples, or of all of them for a metric
    other than macro F1 and accuracy: 101 for two members, for more about `4 * num_models**3`.
    With 2,000 examples and 104 classes, three members take a tenth of a second and ten take
    three seconds.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        metric: Called as `metric(labels, blended_probabilities)`; higher is better. A score
            that is not finite counts as worst.

    Returns:
        Weights, float64, shape `(num_models,)`, non-negative, summing to 1. With two members
        they are hundredths.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes), a row of `probabilities` is no distribution, or `metric` is
            `log_loss`, of which less is better.

    Example:
        >>> labels = np.array([0, 1, 1])
        >>> good, poor = np.eye(2)[labels], np.eye(2)[1 - labels]
        >>> fit_weights(labels, np.stack([poor, good]))
        array([0., 1.])
    """
    probabilities = as_stack(probabilities)
    labels = as_labels(labels, *probabilities.shape[1:])
    groups = _groups_of_copies(probabilities)
    rank = _make_rank(labels, probabilities, groups, metric)
    best = max(_candidates([len(group) for group in groups], rank), key=rank)
    return _weights(best, groups)


def _groups_of_copies(probabilities: np.ndarray) -> list[list[int]]:
    groups: dict[bytes, list[int]] = {}
    for index, member in enumerate(probabilities):
        groups.setdefault(member.tobytes(), []).append(index)
    return list(groups.values())


def _weights(units: Units, groups: Sequence[Sequence[int]]) -> np.ndarray:
    num_models = sum(len(group) for group in groups)
    weights = np.zeros(num_models)
    for group_units, group in zip(units, groups, strict=True):
        weights[list(group)] = group_units / (_UNITS_PER_MODEL * num_models * len(group))
    return weights


def _make_rank(
    labels: np.ndarray,
    probabilities: np.ndarray,
    groups: Sequence[Sequence[int]],
    metric: Metric,
) -> Rank:
    score = make_score(labels, probabilities, metric)
    true_class = probabilities[:, np.arange(len(labels)), labels].astype(np.float64, copy=False)

    @functools.cache
    def rank(units: Units) -> tuple[float, float, float]:
        weights = _weights(units, groups)
        value = score(weights)
        likelihood = mean_log_likelihood(weights @ true_class)
        distance = float(np.sum((weights - 1.0 / len(weights)) ** 2))
        return (
            value if np.isfinite(value) else -np.inf,
            round(likelihood, _LOG_LIKELIHOOD_DECIMALS),
            -distance,
        )

    return rank


def make_score(
    labels: np.ndarray, probabilities: np.ndarray, metric: Metric
) -> Callable[[np.ndarray], float]:
    """Return a function from weights to the score of the arithmetic mean. Nothing is checked.

    With macro F1 and accuracy, a call blends the contested examples only.

    Args:
        labels: As for `fit_weights`.
        probabilities: As for `fit_weights`.
        metric: As for `fit_weights`.

    Raises:
        ValueError: If `metric` is `log_loss`, of which less is better.
    """
    if metric is log_loss:
        raise ValueError(
            "`metric` must be a score of which more is better, got `log_loss`. Pass "
            "`ensembles.metrics.negative_log_loss`."
        )
    class_metric = of_classes(metric)
    if class_metric is not None:
        return _make_class_score(labels, probabilities, class_metric)
    evaluate = unchecked(metric)
    return lambda weights: evaluate(labels, weighted_sum(probabilities, weights))


def _make_class_score(
    labels: np.ndarray, probabilities: np.ndarray, metric: ClassMetric
) -> Callable[[np.ndarray], float]:
    votes = probabilities.argmax(axis=-1)
    contested = np.flatnonzero((votes != votes[0]).any(axis=0))
    contested_probabilities = probabilities[:, contested].astype(np.float64, copy=False)
    predicted = votes[0].copy()

    def score(weights: np.ndarray) -> float:
        predicted[contested] = weighted_sum(contested_probabilities, weights).argmax(axis=-1)
        return metric(labels, predicted, probabilities.shape[2])

    return score


def _candidates(group_sizes: Sequence[int], rank: Rank) -> list[Units]:
    num_groups = len(group_sizes)
    total = _UNITS_PER_MODEL * sum(group_sizes)
    uniform = tuple(_UNITS_PER_MODEL * size for size in group_sizes)
    if num_groups <= 2:
        return [uniform, *_pair_blends(num_groups, total, range(101))]
    singles = [
        tuple(total * (k == index) for k in range(num_groups)) for index in range(num_groups)
    ]
    best_pair = max(_pair_blends(num_groups, total, _PAIR_PERCENTS), key=rank)
    return [_climb(start, total, rank) for start in (uniform, *singles, best_pair)]


def _pair_blends(num_groups: int, total: int, percents: range) -> Iterator[Units]:
    for first, second in itertools.combinations(range(num_groups), 2):
        for percent in percents:
            units = [0] * num_groups
            units[first] = total * percent // 100
            units[second] = total - units[first]
            yield tuple(units)


def _climb(start: Units, total: int, rank: Rank) -> Units:
    best = start
    for percent in _STEP_PERCENTS:
        while True:
            neighbour = max(_neighbours(best, total * percent // 100), key=rank)
            if rank(neighbour) <= rank(best):
                break
            best = neighbour
    return best


def _neighbours(units: Units, step: int) -> Iterator[Units]:
    for giver, taker in itertools.permutations(range(len(units)), 2):
        moved = min(step, units[giver])
        if moved:
            neighbour = list(units)
            neighbour[giver] -= moved
            neighbour[taker] += moved
            yield tuple(neighbour)
