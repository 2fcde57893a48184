"""Honest scores for blends, and the rule that decides whether fitted weights are used.

A score on the examples that chose the weights is naive: the search kept whatever noise helped.
Cross-fitting holds out each fold in turn, fits the weights on the others, blends the fold with
them, and scores all held-out blends together. It says what the fitting is worth, not how good
one set of weights is. `bootstrap_interval` adds how far a score could move with other
photographs.

Reference:
    Cross-fitting: Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions",
    JRSS B 36(2), 1974, https://doi.org/10.1111/j.2517-6161.1974.tb00994.x
    Percentile bootstrap: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ensembles._checks import as_blend, as_labels, as_stack
from ensembles.averaging import average, uniform_weights, weighted_sum
from ensembles.metrics import Metric, macro_f1, of_classes, unchecked
from ensembles.optimize import fit_weights

Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Called as `fit(labels, probabilities)`, returns weights, as `fit_weights` does."""

_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class WeightChoice:
    """Blend weights, the rule they come from and what they score.

    Attributes:
        weights: Float64, shape `(num_models,)`, non-negative, summing to 1.
        rule: `"single"`, `"uniform"` or `"optimized"`.
        reason: Why this rule, one sentence for people.
        naive_score: Macro F1 of the weights on the labelled examples that may have chosen
            them; None without labels.
        cross_fitted_score: Macro F1 of the rule on examples held out from the fitting. Equal
            to `naive_score` where nothing was fitted; None without labels.
    """

    weights: np.ndarray
    rule: Literal["uniform", "optimized", "single"]
    reason: str
    naive_score: float | None
    cross_fitted_score: float | None


def choose_weights(
    labels: np.ndarray, probabilities: np.ndarray, *, min_images_per_class: int = 10
) -> WeightChoice:
    """Return the weights to blend with: optimised only where that can be trusted.

    One member gets everything. Several count equally unless there are enough labelled
    examples and weights optimised for macro F1 hold up, cross-fitted, against the uniform
    mean. The better of two scores is kept, so the one reported is very slightly favourable.
    Cost is six times that of `ensembles.optimize.fit_weights`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`; examples of unknown
            label (-1) are ignored.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        min_images_per_class: Labelled examples to a class, on average over `num_classes`,
            below which nothing is fitted; at least 2.

    Returns:
        The weights with rule, reason and scores.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [-1, num_classes), a row of `probabilities` is no distribution or
            `min_images_per_class` is below 2.

    Example:
        >>> labels = np.array([0, 1, -1])
        >>> members = np.stack([np.eye(2)[[0, 1, 1]], np.eye(2)[[1, 1, 1]]])
        >>> choice = choose_weights(labels, members)
        >>> choice.rule, choice.weights
        ('uniform', array([0.5, 0.5]))
    """
    if min_images_per_class < 2:
        raise ValueError(
            "`min_images_per_class` must be at least 2, so that one image of a class can be "
            f"held out from the fitting, got {min_images_per_class}."
        )
    labels, probabilities = _labelled(labels, probabilities)
    num_models, num_images, num_classes = probabilities.shape
    if num_models == 1:
        reason = "There is one member, so there is nothing to weigh."
        return _unfitted("single", reason, labels, probabilities)
    if num_images == 0:
        reason = f"No image has a label, so the {num_models} members count equally."
        return _unfitted("uniform", reason, labels, probabilities)
    if num_images < min_images_per_class * num_classes:
        reason = (
            f"{num_images:,} labelled images over {num_classes} classes are "
            f"{num_images / num_classes:.1f} a class, fewer than the {min_images_per_class} that "
            f"fitting weights takes, so the {num_models} members count equally."
        )
        return _unfitted("uniform", reason, labels, probabilities)
    return _optimized_unless_worse(labels, probabilities)


def cross_fitted_predictions(
    labels: np.ndarray,
    probabilities: np.ndarray,
    fit: Fit,
    *,
    num_folds: int = 5,
    seed: int = 0,
) -> np.ndarray:
    """Blend every example with weights that were fitted without it.

    Cost is `num_folds` calls of `fit`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        fit: Called as `fit(labels, probabilities)` on the other folds' examples; returns
            weights that `ensembles.averaging.average` accepts.
        num_folds: As for `stratified_folds`.
        seed: As for `stratified_folds`.

    Returns:
        Blended probabilities, float64, shape `(num_examples, num_classes)`.

    Raises:
        ValueError: If shapes disagree, there are fewer than two examples or folds, a label is
            outside [0, num_classes), a row of `probabilities` is no distribution or `fit`
            returns something else than weights.

    Example:
        >>> labels = np.array([0, 1, 0, 1])
        >>> good, poor = np.eye(2)[labels], np.eye(2)[1 - labels]
        >>> blended = cross_fitted_predictions(labels, np.stack([good, poor]), fit_weights)
        >>> blended.argmax(axis=-1)
        array([0, 1, 0, 1])
    """
    probabilities = as_stack(probabilities)
    labels = as_labels(labels, *probabilities.shape[1:])
    folds = stratified_folds(labels, num_folds=num_folds, seed=seed)
    blended = np.empty(probabilities.shape[1:])
    for fold in np.unique(folds):
        held_out = folds == fold
        weights = fit(labels[~held_out], probabilities[:, ~held_out])
        blended[held_out] = average(probabilities[:, held_out], weights)
    return blended


def cross_fitted_score(
    labels: np.ndarray,
    probabilities: np.ndarray,
    fit: Fit,
    *,
    metric: Metric,
    num_folds: int = 5,
    seed: int = 0,
) -> float:
    """Return the score of `fit`: `metric` of the pooled `cross_fitted_predictions`.

    Pooled, because macro F1 within a fold would be taken over the few classes found there.

    Args:
        labels: As for `cross_fitted_predictions`.
        probabilities: As for `cross_fitted_predictions`.
        fit: As for `cross_fitted_predictions`.
        metric: Called once, as `metric(labels, blended_probabilities)`.
        num_folds: As for `stratified_folds`.
        seed: As for `stratified_folds`.

    Returns:
        Whatever `metric` returns.

    Raises:
        ValueError: As `cross_fitted_predictions`.

    Example:
        >>> labels = np.array([0, 1, 0, 1])
        >>> good, poor = np.eye(2)[labels], np.eye(2)[1 - labels]
        >>> cross_fitted_score(labels, np.stack([good, poor]), fit_weights, metric=macro_f1)
        1.0
    """
    blended = cross_fitted_predictions(labels, probabilities, fit, num_folds=num_folds, seed=seed)
    return metric(labels, blended)


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


def bootstrap_interval(
    labels: np.ndarray,
    probabilities: np.ndarray,
    metric: Metric,
    *,
    level: float = 0.9,
    num_resamples: int = 1000,
    seed: int = 0,
) -> tuple[float, float]:
    """Return where the score of one blend would lie with other photographs of the same kind.

    Percentiles of the score over examples drawn with replacement. It does not cover the choice
    of weights: give it cross-fitted predictions. In simulations of data like the competition's
    (104 uneven classes, 1,850 and 3,700 examples, 150 draws each) 90% intervals for macro F1
    held the true value 86 to 90% of the time. Drawing within each class, which keeps rare
    classes but loses the variation in how many there are, managed 81 to 89%.

    Cost is `num_resamples` evaluations: with 2,000 examples and 104 classes about 0.1 s in all
    for macro F1 or accuracy, and twice that or more for a metric that needs the probabilities.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: One blend's probabilities, float, shape `(num_examples, num_classes)`.
        metric: Called as `metric(labels, probabilities)` on resampled examples.
        level: Share of resampled scores inside the interval, in (0, 1).
        num_resamples: How often to draw, at least 1.
        seed: Decides what is drawn.

    Returns:
        Lower and upper end, equally many resampled scores beyond each.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes), a probability is not finite, `level` is outside (0, 1) or
            `num_resamples` is below 1.

    Example:
        >>> labels = np.array([0, 1, 0, 1])
        >>> bootstrap_interval(labels, np.eye(2)[labels], macro_f1)
        (1.0, 1.0)
    """
    probabilities = as_blend(probabilities)
    labels = as_labels(labels, *probabilities.shape)
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie between 0 and 1, got {level}. Pass 0.9 for 90%.")
    if num_resamples < 1:
        raise ValueError(f"`num_resamples` must be at least 1, got {num_resamples}.")
    score_rows = _row_scorer(labels, probabilities, metric)
    rng = np.random.default_rng(seed)
    draws = (rng.integers(len(labels), size=len(labels)) for _ in range(num_resamples))
    scores = [score_rows(rows) for rows in draws]
    low, high = np.quantile(scores, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def _row_scorer(
    labels: np.ndarray, probabilities: np.ndarray, metric: Metric
) -> Callable[[np.ndarray], float]:
    class_metric = of_classes(metric)
    if class_metric is None:
        evaluate = unchecked(metric)
        return lambda rows: evaluate(labels[rows], probabilities[rows])
    predicted, num_classes = probabilities.argmax(axis=-1), probabilities.shape[1]
    return lambda rows: class_metric(labels[rows], predicted[rows], num_classes)


def _labelled(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = as_stack(probabilities)
    known = np.asarray(labels) != _UNKNOWN
    labels = as_labels(np.where(known, labels, 0), *probabilities.shape[1:])
    return labels[known], probabilities[:, known]


def _unfitted(
    rule: Literal["uniform", "single"],
    reason: str,
    labels: np.ndarray,
    probabilities: np.ndarray,
) -> WeightChoice:
    weights = uniform_weights(len(probabilities))
    score = macro_f1(labels, weighted_sum(probabilities, weights)) if len(labels) else None
    return WeightChoice(weights, rule, reason, score, score)


def _optimized_unless_worse(labels: np.ndarray, probabilities: np.ndarray) -> WeightChoice:
    uniform_score = macro_f1(labels, average(probabilities))
    cross_fitted = cross_fitted_score(labels, probabilities, fit_weights, metric=macro_f1)
    if cross_fitted < uniform_score:
        reason = (
            f"Optimised weights score macro F1 {cross_fitted:.4f} when cross-fitted, below the "
            f"{uniform_score:.4f} of the uniform mean, so the {len(probabilities)} members count "
            "equally."
        )
        return _unfitted("uniform", reason, labels, probabilities)
    weights = fit_weights(labels, probabilities)
    naive = macro_f1(labels, average(probabilities, weights))
    reason = (
        f"Optimised weights score macro F1 {cross_fitted:.4f} when cross-fitted, no less than "
        f"the {uniform_score:.4f} of the uniform mean."
    )
    return WeightChoice(weights, "optimized", reason, naive, cross_fitted)
