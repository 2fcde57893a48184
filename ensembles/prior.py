"""One number that shifts decisions between frequent and rare classes, for macro F1.

Macro F1 gives a class of twenty images as much say as one of a thousand, while a member trained
on both leans to the thousand. Multiplying every class by its frequency to the power of minus
the exponent takes some of that back, or gives some. A single number is fitted, because a number
for each class fits noise: with a hundred classes, by points of macro F1 that new images do not
confirm.

Reference:
    Adjusting to other priors: Saerens, Latinne & Decaestecker, "Adjusting the Outputs of a
    Classifier to New a Priori Probabilities", Neural Computation 14(1), 2002,
    https://doi.org/10.1162/089976602753284446
"""

from __future__ import annotations

import numpy as np

from ensembles._checks import as_blend, as_labels
from ensembles.metrics import macro_f1_of_classes

EXPONENTS = tuple(tenths / 10 for tenths in range(-10, 11))
"""Exponents that are compared."""


def class_frequencies(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the share of each class, as if there were one image more of each.

    So a class that the labels lack is rare, not impossible.

    Args:
        labels: True class indices in [0, num_classes), integer, shape `(num_examples,)`.
        num_classes: At least 1.

    Returns:
        Shares above 0, float64, shape `(num_classes,)`, summing to 1.

    Example:
        >>> class_frequencies(np.array([0, 0, 1]), 3)
        array([0.5       , 0.33333333, 0.16666667])
    """
    counts = np.bincount(labels, minlength=num_classes) + 1.0
    return np.asarray(counts / counts.sum())


def fit_prior_exponent(labels: np.ndarray, probabilities: np.ndarray, prior: np.ndarray) -> float:
    """Return the exponent of `EXPONENTS` with the highest macro F1; of equals the nearest to 0.

    Cost is 21 passes over `probabilities`.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Of a blend, float, shape `(num_examples, num_classes)`.
        prior: Share of each class, above 0, shape `(num_classes,)`.

    Returns:
        Above 0 if favouring rare classes helps, below 0 if favouring frequent ones does.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes), a probability is not finite or a share is not above 0.

    Example:
        A model that leans to class 0, three times as frequent:

        >>> labels = np.array([0, 0, 0, 1])
        >>> says = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.6, 0.4]])
        >>> fit_prior_exponent(labels, says, class_frequencies(labels, 2))
        0.6
    """
    probabilities = as_blend(probabilities)
    labels = as_labels(labels, *probabilities.shape)
    prior = np.asarray(prior, dtype=np.float64)
    if prior.shape != probabilities.shape[1:] or not np.all(prior > 0.0):
        raise ValueError(
            f"`prior` must hold a share above 0 for each of {probabilities.shape[1]} classes, got "
            f"{prior.tolist()}. Pass `class_frequencies(labels, num_classes)`."
        )
    scores = {
        exponent: macro_f1_of_classes(
            labels, (probabilities * prior**-exponent).argmax(axis=-1), len(prior)
        )
        for exponent in EXPONENTS
    }
    return max(EXPONENTS, key=lambda exponent: (round(scores[exponent], 12), -abs(exponent)))
