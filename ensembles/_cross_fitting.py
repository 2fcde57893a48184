"""Every example predicted by blends that were fitted without it, and the choice among them.

The examples are dealt to folds several times. Each time and for each fold, every way to
blend is fitted on the other folds and predicts the fold. The choice among them is made from these
predictions, and is itself judged fold by fold: made from the other folds, it picks whose
predictions of this fold count. So an example takes part neither in the weights that it is a
test of, nor with its own predictions in the choice. What is not repeated for each fold is the
fitting behind those other predictions, which has seen the fold's labels: that would cost four
times as much. `benchmarks/blending.py --honesty` measures what is left of the flattery.

Reference:
    Nested: Varma & Simon, "Bias in Error Estimation When Using Cross-Validation for Model
    Selection", BMC Bioinformatics 7, 2006, https://doi.org/10.1186/1471-2105-7-91
    One standard error: Breiman, Friedman, Olshen & Stone, "Classification and Regression
    Trees", 1984, section 3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ensembles._members import Members
from ensembles._ways import Way, fit_ways
from ensembles.blend import Blend
from ensembles.intervals import ClassCounts, count_classes
from ensembles.validation import stratified_folds


@dataclass(frozen=True, eq=False)
class CrossFit:
    """What ways to blend predict of examples that they were not fitted on.

    Attributes:
        ways: Compared, the one that learns least first.
        labels: True class indices, shape `(num_examples,)`.
        num_classes: Classes that are distinguished.
        folds: Of each example, shape `(num_repeats, num_examples)`.
        predicted: Classes, shape `(num_ways, num_repeats, num_examples)`.
        blends: The blend of each way, repeat and fold.
    """

    ways: tuple[Way, ...]
    labels: np.ndarray
    num_classes: int
    folds: np.ndarray
    predicted: np.ndarray
    blends: dict[tuple[Way, int, int], Blend]

    def counts(self, way: Way) -> ClassCounts:
        """Return what the predictions of a way count, on average over repeats."""
        predicted = self.predicted[self.ways.index(way)]
        return count_classes(self.labels, predicted, self.num_classes)

    def nested_counts(self) -> ClassCounts:
        """Return the counts of the choice, made for each fold without it."""
        return count_classes(self.labels, self._nested_predictions(), self.num_classes)

    def _nested_predictions(self) -> np.ndarray:
        predicted = np.empty_like(self.folds)
        for repeat, folds in enumerate(self.folds):
            for fold in np.unique(folds):
                held_out = folds == fold
                others = self.predicted[:, repeat : repeat + 1, ~held_out]
                verdict = judge(self.ways, self.labels[~held_out], others, self.num_classes)
                chosen = self.ways.index(verdict.chosen)
                predicted[repeat, held_out] = self.predicted[chosen, repeat, held_out]
        return predicted


@dataclass(frozen=True)
class Verdict:
    """The outcome of a comparison.

    Attributes:
        chosen: The way to blend by.
        best: The one with the highest score, the first of equals.
        standard_error: Of the difference between their scores.
        scores: Macro F1 of each way, in their order.
    """

    chosen: Way
    best: Way
    standard_error: float
    scores: tuple[float, ...]


def cross_fit(
    ways: Sequence[Way],
    members: Members,
    *,
    num_repeats: int,
    num_folds: int,
    seed: int,
) -> CrossFit:
    """Fit ways to blend on all but one fold, for each fold and repeat."""
    labels = members.labels
    folds = np.stack(
        [stratified_folds(labels, num_folds=num_folds, seed=seed + r) for r in range(num_repeats)]
    )
    predicted = np.empty((len(ways), *folds.shape), dtype=np.int64)
    blends = {}
    for repeat, dealt in enumerate(folds):
        for fold in np.unique(dealt):
            held_out = dealt == fold
            fits = fit_ways(ways, members, np.flatnonzero(~held_out))
            for way, blend, classes in fits:
                place = list(ways).index(way)
                predicted[place, repeat, held_out] = classes[held_out]
                blends[way, repeat, int(fold)] = blend
    return CrossFit(tuple(ways), labels, members.num_classes, folds, predicted, blends)


def judge(
    ways: Sequence[Way], labels: np.ndarray, predicted: np.ndarray, num_classes: int
) -> Verdict:
    """Choose by the rule of one standard error.

    Of the ways whose score is within one standard error of the best one's, and no lower
    than that of the rule `single`, it is the one that learns least. The standard error is
    that of the difference, which for blends of the same members is much smaller than that of
    either score.

    Args:
        ways: The one that learns least first.
        labels: True class indices, shape `(num_examples,)`.
        predicted: Shape `(num_ways, num_repeats, num_examples)`.
        num_classes: Classes that are distinguished.
    """
    counts = [count_classes(labels, each, num_classes) for each in predicted]
    scores = np.array([each.macro_f1 for each in counts]).round(12)
    influences = [
        _influence(labels, each, count) for each, count in zip(predicted, counts, strict=True)
    ]
    best = int(scores.argmax())
    errors = [float(np.sqrt(np.sum((each - influences[best]) ** 2))) for each in influences]
    singles = [s for s, way in zip(scores, ways, strict=True) if way.rule == "single"]
    floor = max(singles, default=0.0)
    chosen = next(
        k for k, score in enumerate(scores) if score >= scores[best] - errors[k] and score >= floor
    )
    return Verdict(
        ways[chosen],
        ways[best],
        errors[chosen],
        tuple(float(score) for score in scores),
    )


def _influence(labels: np.ndarray, predicted: np.ndarray, counts: ClassCounts) -> np.ndarray:
    """Return how far each example moves macro F1, to first order; they sum to 0.

    Args:
        labels: True class indices, shape `(num_examples,)`.
        predicted: Shape `(num_repeats, num_examples)`; the mean over repeats is returned.
        counts: Of both.
    """
    present = counts.actual > 0
    sizes = np.where(present, counts.actual + counts.claimed, 1.0)
    f1 = 2.0 * counts.hits / sizes
    of_actual = np.where(present, f1 / sizes, 0.0)
    hit = np.where(predicted == labels, 2.0 / sizes[labels], 0.0)
    influence = (hit - of_actual[labels] - of_actual[predicted]).mean(axis=0)
    return np.asarray(influence / present.sum())
