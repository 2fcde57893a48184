"""How good predicted probabilities are: macro F1, accuracy, log loss, and where they err.

Macro F1 is the mean of F1 over the classes that are present in the labels. A class without
examples has no F1 and is left out, but an example predicted as such a class still counts as
missed for its true class. Report `absent_classes` beside the score.

The predicted class is the most probable one; among equals the lowest index, as
`numpy.argmax` decides. Public functions check their input. A search that evaluates thousands
of blends of checked input takes `unchecked(metric)` or, if all that matters is the predicted
class, `of_classes(metric)`: counting, without a look at what came in.

Reference:
    F1: van Rijsbergen, "Information Retrieval", 1979. Its macro mean over F1 per class, not F1
    of mean precision and recall: Opitz & Burst, "Macro F1 and Macro F1", 2019,
    https://arxiv.org/abs/1911.03347
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ensembles._checks import as_blend, as_labels, complaint_about_rows

Metric = Callable[[np.ndarray, np.ndarray], float]
"""Called as `metric(labels, probabilities)`, shapes `(num_examples,)` and
`(num_examples, num_classes)`. Higher is better, but for `log_loss`."""

ClassMetric = Callable[[np.ndarray, np.ndarray, int], float]
"""Called as `metric(labels, predicted_classes, num_classes)`, nothing checked."""

LOG_LOSS_FLOOR = float(np.finfo(np.float32).eps)
"""Least probability that log loss sees. Predictions are float32, where 0 is a rounding."""


def macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean F1 over the classes present in `labels`.

    Equal to `sklearn.metrics.f1_score(labels, probabilities.argmax(axis=-1),
    labels=np.unique(labels), average="macro")`. Cost is one pass over `probabilities`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Any scores of which the highest decides, finite, float, shape
            `(num_examples, num_classes)`.

    Returns:
        Score in [0, 1], higher is better.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes) or a probability is not finite.

    Example:
        Class 2 is absent, yet predicting it costs class 1 an example:

        >>> labels = np.array([0, 0, 1, 1])
        >>> probabilities = np.eye(3)[[0, 0, 1, 2]]
        >>> round(macro_f1(labels, probabilities), 4)
        0.8333
    """
    return macro_f1_of_classes(*_decided(labels, probabilities))


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the fraction of examples whose most probable class is the true one.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Any scores of which the highest decides, finite, float, shape
            `(num_examples, num_classes)`.

    Returns:
        Score in [0, 1], higher is better.

    Raises:
        ValueError: As `macro_f1`.

    Example:
        >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.5, 0.5]]))
        0.5
    """
    return accuracy_of_classes(*_decided(labels, probabilities))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative log probability of the true class: lower is better.

    Probabilities are clipped to at least `LOG_LOSS_FLOOR`, about 1.2e-7, so one example costs
    16 nats at most. To maximise it, take `negative_log_loss`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape `(num_examples, num_classes)`.

    Returns:
        Loss in nats, in [0, 16].

    Raises:
        ValueError: As `macro_f1`, and if a row is negative somewhere or does not sum to 1
            within 1e-3.

    Example:
        >>> round(log_loss(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]])), 4)
        0.6931
    """
    return -negative_log_loss(labels, probabilities)


def negative_log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return `-log_loss`, a score for what can only maximise: higher is better.

    Args:
        labels: As for `log_loss`.
        probabilities: As for `log_loss`.

    Returns:
        Score in nats, in [-16, 0].

    Raises:
        ValueError: As `log_loss`.
    """
    probabilities = as_blend(probabilities)
    complaint = complaint_about_rows(probabilities)
    if complaint:
        raise ValueError(f"`probabilities` {complaint}")
    return _negative_log_loss(as_labels(labels, *probabilities.shape), probabilities)


def f1_per_class(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return F1 of every class, `2 TP / (2 TP + FP + FN)`; NaN where a class is absent.

    Args:
        labels: As for `macro_f1`.
        probabilities: As for `macro_f1`.

    Returns:
        F1 in [0, 1] or NaN, float64, shape `(num_classes,)`.

    Raises:
        ValueError: As `macro_f1`.

    Example:
        >>> f1_per_class(np.array([0, 0]), np.eye(2)[[0, 0]])
        array([ 1., nan])
    """
    return _f1_of_classes(*_decided(labels, probabilities))


def confusion_matrix(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count examples by true class (row) and predicted class (column).

    Args:
        labels: As for `macro_f1`.
        probabilities: As for `macro_f1`.

    Returns:
        Counts, int64, shape `(num_classes, num_classes)`, summing to `num_examples`.

    Raises:
        ValueError: As `macro_f1`.

    Example:
        >>> confusion_matrix(np.array([0, 1, 1]), np.eye(2)[[0, 0, 1]])
        array([[1, 0],
               [1, 1]])
    """
    labels, predicted, num_classes = _decided(labels, probabilities)
    cells = np.bincount(labels * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes)


def absent_classes(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the classes that no label names, which macro F1 therefore leaves out.

    Args:
        labels: True class indices in [0, num_classes), integer, shape `(num_examples,)`.
        num_classes: Classes that a model distinguishes.

    Returns:
        Class indices in rising order, int64.

    Raises:
        ValueError: If there are no labels or one is outside [0, num_classes).

    Example:
        >>> absent_classes(np.array([0, 2, 2]), 4)
        array([1, 3])
    """
    labels = as_labels(labels, len(labels), num_classes)
    return np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)


def macro_f1_of_classes(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    """Return macro F1 of predicted classes. Nothing is checked."""
    f1 = _f1_of_classes(labels, predicted, num_classes)
    return float(f1[~np.isnan(f1)].mean())


def accuracy_of_classes(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> float:
    """Return the accuracy of predicted classes. Nothing is checked."""
    return float(np.count_nonzero(labels == predicted) / len(labels))


def mean_log_likelihood(true_class_probabilities: np.ndarray) -> float:
    """Return the mean log of the probabilities given to the true classes. Nothing is checked."""
    return float(np.log(np.maximum(true_class_probabilities, LOG_LOSS_FLOOR)).mean())


def unchecked(metric: Metric) -> Metric:
    """Return `metric` without its checks, for input that has been checked already.

    Metrics of this module have such a form; any other is returned as it is.
    """
    return _UNCHECKED.get(metric, metric)


def of_classes(metric: Metric) -> ClassMetric | None:
    """Return the form of `metric` that takes predicted classes; None if it has none.

    It spares a search the argmax of examples whose predicted class is known.
    """
    return _OF_CLASSES.get(metric)


def _decided(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    probabilities = as_blend(probabilities)
    labels = as_labels(labels, *probabilities.shape)
    return labels, probabilities.argmax(axis=-1), probabilities.shape[1]


def _f1_of_classes(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> np.ndarray:
    hits = np.bincount(labels[labels == predicted], minlength=num_classes)
    actual = np.bincount(labels, minlength=num_classes)
    claimed = np.bincount(predicted, minlength=num_classes)
    f1 = np.full(num_classes, np.nan)
    np.divide(2 * hits, actual + claimed, out=f1, where=actual > 0)
    return f1


def _macro_f1(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return macro_f1_of_classes(labels, probabilities.argmax(axis=-1), probabilities.shape[1])


def _accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return accuracy_of_classes(labels, probabilities.argmax(axis=-1), probabilities.shape[1])


def _negative_log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return mean_log_likelihood(probabilities[np.arange(len(labels)), labels])


def _log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    return -_negative_log_loss(labels, probabilities)


_UNCHECKED: Mapping[Metric, Metric] = MappingProxyType(
    {
        macro_f1: _macro_f1,
        accuracy: _accuracy,
        log_loss: _log_loss,
        negative_log_loss: _negative_log_loss,
    }
)
_OF_CLASSES: Mapping[Metric, ClassMetric] = MappingProxyType(
    {macro_f1: macro_f1_of_classes, accuracy: accuracy_of_classes}
)
