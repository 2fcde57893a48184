"""Whether probabilities mean what they say, and one number that mends most of it.

A network trained to the end says 0.99 where it is right nine times in ten; one trained with
label smoothing says 0.8 where it is always right. A mean of two such members is mostly a vote
of the louder one. So each is divided by its temperature before they are blended, and the blend
by one of its own afterwards, since a mean of calibrated members is too cautious.

A temperature never changes which class of an example is the most probable.

Reference:
    Temperature and calibration error: Guo et al., "On Calibration of Modern Neural Networks",
    ICML 2017, https://arxiv.org/abs/1706.04599
    After averaging, too: Rahaman & Thiery, "Uncertainty Quantification and Deep Ensembles",
    NeurIPS 2021, https://arxiv.org/abs/2007.08792
    One example more: Platt, "Probabilistic Outputs for Support Vector Machines", Advances in
    Large Margin Classifiers, 1999.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import minimize_scalar

from ensembles._checks import as_blend, as_labels, complaint_about_rows
from ensembles.metrics import mean_log_likelihood

TEMPERATURE_RANGE = (0.1, 10.0)
"""Temperatures that are fitted; a perfect or a worthless member would want 0 or infinity."""


def temper(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return `probabilities` made flatter (temperature above 1) or sharper (below 1).

    The same as dividing logits by the temperature before softmax: `p ** (1 / temperature)`,
    normalised. A zero stays zero. With temperature 1 the array itself comes back. Nothing is
    checked.

    Args:
        probabilities: Distributions along the last axis, float32 or float64.
        temperature: Above 0.

    Returns:
        Probabilities of the same shape and dtype.

    Example:
        >>> temper(np.array([0.8, 0.2]), 2.0).round(3)
        array([0.667, 0.333])
    """
    if temperature == 1.0:
        return probabilities
    relative = probabilities / probabilities.max(axis=-1, keepdims=True)
    powers = np.power(relative, 1.0 / temperature, out=relative)
    powers /= powers.sum(axis=-1, keepdims=True)
    return np.asarray(powers)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the temperature that makes log loss least.

    One more example is supposed whose class is anything: a model that is right on a few examples
    is not made certain by that, as Platt has it for sigmoids. Cost is about 20 evaluations, each a
    pass over `probabilities`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape `(num_examples, num_classes)`.

    Returns:
        A temperature inside `TEMPERATURE_RANGE`.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes) or a row of `probabilities` is no distribution.

    Example:
        A model that is right three times in four and always says 0.9:

        >>> says = np.tile([0.9, 0.1], (4000, 1))
        >>> temperature = fit_temperature(np.arange(4000) % 4 // 3, says)
        >>> temper(says[0], temperature).round(3)
        array([0.75, 0.25])
    """
    labels, probabilities = _checked(labels, probabilities)
    examples = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        tempered = temper(probabilities, math.exp(log_temperature))
        anything = mean_log_likelihood(tempered)
        return -mean_log_likelihood(tempered[examples, labels]) - anything / len(labels)

    low, high = TEMPERATURE_RANGE
    found = minimize_scalar(loss, bounds=(math.log(low), math.log(high)), method="bounded")
    return math.exp(found.x)


def calibration_error(
    labels: np.ndarray, probabilities: np.ndarray, *, num_bins: int = 15
) -> float:
    """Return the expected calibration error: how far confidence is from accuracy.

    Examples are sorted by the probability of their predicted class and dealt into bins of
    equal size; the error is the mean over examples of the distance between a bin's mean
    confidence and its accuracy. Equal sizes, because with bins of equal width nearly all
    examples of a good model share the last one. See `chance_calibration_error` for what to
    hold it against.

    Args:
        labels: As for `fit_temperature`.
        probabilities: As for `fit_temperature`.
        num_bins: At least 1; with fewer examples, each is a bin.

    Returns:
        Error in [0, 1], lower is better.

    Raises:
        ValueError: As `fit_temperature`, and if `num_bins` is below 1.

    Example:
        >>> says = np.tile([0.9, 0.1], (4, 1))
        >>> round(calibration_error(np.array([0, 0, 0, 1]), says, num_bins=1), 3)
        0.15
    """
    labels, probabilities = _checked(labels, probabilities)
    if num_bins < 1:
        raise ValueError(f"`num_bins` must be at least 1, got {num_bins}. Pass 15, as usual.")
    confidence = probabilities.max(axis=-1)
    excess = confidence - (probabilities.argmax(axis=-1) == labels)
    order = np.argsort(confidence, kind="stable")
    bins = np.array_split(excess[order], min(num_bins, len(labels)))
    return float(sum(abs(each.sum()) for each in bins) / len(labels))


def chance_calibration_error(accuracy: float, num_examples: int, num_bins: int = 15) -> float:
    """Return about what `calibration_error` says of perfectly calibrated probabilities.

    A bin of few examples is off by chance: `0.8 * sqrt(num_bins * accuracy * (1 - accuracy) /
    num_examples)`, the mean distance of a normal variable from its mean. With a few examples a
    bin it is too high: by half with one each.

    Args:
        accuracy: Share of the examples that are right, in [0, 1].
        num_examples: How many, at least 1.
        num_bins: As for `calibration_error`.

    Example:
        >>> round(chance_calibration_error(0.95, 136), 3)
        0.058
    """
    num_bins = min(num_bins, num_examples)
    return 0.8 * math.sqrt(num_bins * accuracy * (1.0 - accuracy) / num_examples)


def _checked(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = as_blend(probabilities).astype(np.float64, copy=False)
    complaint = complaint_about_rows(probabilities)
    if complaint:
        raise ValueError(f"`probabilities` {complaint}")
    return as_labels(labels, *probabilities.shape), probabilities
