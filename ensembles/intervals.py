"""What a score on some images says about the score on others.

Three things keep a measured macro F1 from the one that new images will show. The images that
were measured are a sample; the new ones are another; and macro F1 of few images is biased, since
F1 of a class is a ratio of counts. All three are simulated: each class has an error rate, each
class draws a share of the errors, and both samples are drawn from these, class by class. So no
class vanishes from a sample that had it, as it would from a bootstrap of the images, which for
that reason says too much of macro F1.

Rates come from the counts, drawn a little towards the mean of all classes: four images without
an error do not make a class without errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

_PRIOR_IMAGES = 1.0
"""Images of average difficulty that each class is given beside its own."""

_UNSEEN_ERRORS = 0.5
"""What all classes together are given, so that no error seen does not mean none to come."""

_PRIOR_CLAIMS = 0.1
"""Errors that each class draws, on average, beside those that were seen."""


@dataclass(frozen=True, eq=False)
class ClassCounts:
    """Images counted by class, which is all that macro F1 depends on.

    Attributes:
        actual: Images of each class, integer, shape `(num_classes,)`.
        hits: Those of them that were recognised, float, shape `(num_classes,)`; a mean over
            several predictions of an image need not be whole.
        claimed: Images that were said to be of each class, float, shape `(num_classes,)`.
    """

    actual: np.ndarray
    hits: np.ndarray
    claimed: np.ndarray

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes that have images."""
        return float(_macro_f1(self.actual, self.hits, self.claimed))


@dataclass(frozen=True)
class Interval:
    """A score and how far off it may be.

    Attributes:
        score: The most credible value, in [0, 1].
        low: Lower end, in [0, 1].
        high: Upper end, in [0, 1].
    """

    score: float
    low: float
    high: float


def count_classes(labels: np.ndarray, predicted: np.ndarray, num_classes: int) -> ClassCounts:
    """Count images by class. Nothing is checked.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        predicted: Predicted class indices, integer, shape `(num_examples,)`, or
            `(num_predictions, num_examples)`, of which the mean counts are taken.
        num_classes: Classes that are distinguished.

    Example:
        >>> counts = count_classes(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
        >>> counts.hits, counts.claimed
        (array([1., 1.]), array([1., 2.]))
    """
    predicted = np.atleast_2d(predicted)
    right = predicted[predicted == labels]
    return ClassCounts(
        actual=np.bincount(labels, minlength=num_classes),
        hits=np.bincount(right, minlength=num_classes) / len(predicted),
        claimed=np.bincount(predicted.ravel(), minlength=num_classes) / len(predicted),
    )


def predict_macro_f1(
    counts: ClassCounts,
    *,
    num_new: int | None = None,
    level: float = 0.9,
    num_draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Return the macro F1 to expect on new images of the same kind, and a prediction interval.

    The counts must come from images that chose nothing. New images have the same shares of
    classes; a class that the counts lack is left out.

    Cost is a few hundredths of a second with a hundred classes.

    Args:
        counts: Of the images that were measured; at least one.
        num_new: How many new images there will be, at least 1. None for very many, which makes
            it a confidence interval.
        level: Share of such predictions that hold, in (0, 1).
        num_draws: How often both samples are drawn.
        seed: Decides what is drawn.

    Returns:
        The score to expect, corrected for the bias of few images, and the interval.

    Raises:
        ValueError: If there are no images, `num_new` is below 1 or `level` is outside (0, 1).

    Example:
        >>> counts = ClassCounts(np.array([50, 50]), np.array([45, 50]), np.array([45, 55]))
        >>> interval = predict_macro_f1(counts, num_new=1000)
        >>> round(interval.score, 2), round(interval.low, 2), round(interval.high, 2)
        (0.95, 0.91, 0.99)
    """
    if not counts.actual.sum():
        raise ValueError("A score of no images predicts nothing. Count at least one image.")
    if num_new is not None and num_new < 1:
        raise ValueError(f"`num_new` must be at least 1, or None for very many, got {num_new}.")
    if not 0.0 < level < 1.0:
        raise ValueError(f"`level` must lie between 0 and 1, got {level}. Pass 0.9 for 90%.")
    rng = np.random.default_rng(seed)
    model = _ErrorModel(counts)
    measured = model.scores_of_sample(np.tile(counts.actual, (num_draws, 1)), rng)
    if num_new is None:
        new = np.full(num_draws, model.score_of_very_many())
    else:
        new = model.scores_of_sample(rng.multinomial(num_new, model.shares, size=num_draws), rng)
    bias = float((new - measured).mean())
    # What is not known of the rates is skewed as the measured sample is: few errors seen may be
    # many that did not show, while there are not fewer than none.
    spread = (new - new.mean() + measured - measured.mean()) * _small_sample_factor(counts.actual)
    low, high = np.quantile(spread, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    centre = counts.macro_f1 + bias
    score, low, high = np.clip([centre, centre + low, centre + high], 0.0, 1.0)
    return Interval(float(score), float(low), float(high))


class _ErrorModel:
    """Error rate of each class, and the share of all errors that each class draws."""

    def __init__(self, counts: ClassCounts) -> None:
        self.shares = counts.actual / counts.actual.sum()
        misses = (counts.actual - counts.hits).clip(min=0.0)
        mean_rate = (misses[counts.actual > 0] / counts.actual[counts.actual > 0]).mean()
        misses = misses + _PRIOR_IMAGES * mean_rate + _UNSEEN_ERRORS * self.shares
        images = counts.actual + _PRIOR_IMAGES + 2.0 * _UNSEEN_ERRORS * self.shares
        self._rates = misses / images
        draws = (counts.claimed - counts.hits).clip(min=0.0)
        draws = draws + _PRIOR_CLAIMS * len(draws) * self.shares
        self._draws = draws / draws.sum()

    def scores_of_sample(self, actual: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return macro F1 of samples, of which `actual`, shape `(num_samples, -1)`, has counts."""
        misses = rng.binomial(actual, self._rates)
        hits = actual - misses
        return _macro_f1(actual, hits, hits + rng.multinomial(misses.sum(axis=1), self._draws))

    def score_of_very_many(self) -> float:
        """Return macro F1 of images without number."""
        hits = self.shares * (1.0 - self._rates)
        claimed = hits + self._draws * (1.0 - hits.sum())
        return float(_macro_f1(self.shares, hits, claimed))


def _small_sample_factor(actual: np.ndarray) -> float:
    """Return by how much rates of few images understate the spread, as Bessel's correction.

    The harmonic mean of the class sizes stands for them, because the spread goes by `1 / size`.
    """
    size = 1.0 / float(np.mean(1.0 / actual[actual > 0]))
    return math.sqrt(max(size, 2.0) / (max(size, 2.0) - 1.0))


def _macro_f1(actual: np.ndarray, hits: np.ndarray, claimed: np.ndarray) -> np.ndarray:
    present = actual > 0
    f1 = 2.0 * hits / np.where(present, actual + claimed, 1.0)
    return np.asarray(np.where(present, f1, 0.0).sum(axis=-1) / present.sum(axis=-1))
