"""Greedy ensemble selection: members are added one at a time, each the one that helps most.

A member may be added again, which is how it gets a larger weight. Of the blends met on the way
the best is kept (the shortest of equals), so adding too many does no harm. Because a single
run still fits the noise of its examples, several are made on random halves of them and their
weights averaged.

This departs from the literature in two places. Caruana et al. bag members: each selection sees a
random part of a library of thousands. Of the few members that there are here, a part would often
lack the best ones, so what is drawn is examples, and every bag sees all members. And they begin
with the `N` best members (sorted initialisation) instead of none, so that the first picks, which
weigh most, do not fit noise. Here the first pick is the best member, log loss decides between equal
scores, and the mean over bags evens out what the first picks owe to their half; `N` would be one
number more to choose.

What makes it quick: adding a member to a mean of `t` members moves each probability by so
little that the predicted class stays, unless the member votes for another class by more than
the mean's lead. Those examples are few, and only they are looked at. Nothing is approximated
by that.

Reference:
    Caruana et al., "Ensemble Selection from Libraries of Models", ICML 2004,
    https://doi.org/10.1145/1015330.1015432
    Calibrated members, and many small ensembles averaged: Caruana, Munson & Niculescu-Mizil,
    "Getting the Most Out of Ensemble Selection", ICDM 2006,
    https://doi.org/10.1109/ICDM.2006.76
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from ensembles._checks import as_labels, as_stack
from ensembles.metrics import LOG_LOSS_FLOOR, Metric, accuracy, macro_f1

NUM_PICKS = 40
"""More bring next to nothing and fit noise, as AutoGluon found over hundreds of data sets."""

_PAIRS_AT_ONCE = 8192
_SCORE_DECIMALS = 12
_LOG_LIKELIHOOD_DECIMALS = 6

ScoreOfCounts = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
"""Called as `score(hits, claimed, actual)`, counts along the last axis, one a class."""


def select_greedily(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    metric: Metric = macro_f1,
    num_picks: int = NUM_PICKS,
    num_bags: int = 1,
    seed: int = 0,
) -> np.ndarray:
    """Return blending weights found by greedy selection with replacement.

    Use it on held-out predictions only: on training predictions it rewards whichever member has
    overfitted most. Members of different confidence are better calibrated first
    (`ensembles.calibration`).

    Equal scores are told apart by log loss, then by which member was picked more often so far,
    then by which is listed first. With one pick and one bag the best single member gets all.

    Cost is about a pass over the input for each bag, and then `num_picks` times a few numbers
    for each member and example. 50 members, 12,753 examples and 104 classes take about a second
    a bag. Memory is the input and, while it runs, a fraction of it.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`. Float32 is not copied.
        metric: `macro_f1` or `accuracy`, of `ensembles.metrics`.
        num_picks: How many members to add, counting repeats, at least 1.
        num_bags: How many selections to average, at least 1. With more than one, each is made
            on a random half of every class.
        seed: Decides the halves.

    Returns:
        Weights, float64, shape `(num_models,)`, non-negative, summing to 1. With one bag,
        multiples of one over the number of picks that were kept.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes), a row of `probabilities` is no distribution, `metric` is another
            or a number is below 1.

    Example:
        >>> labels = np.array([0, 1, 1])
        >>> good, poor = np.eye(2)[labels], np.eye(2)[1 - labels]
        >>> select_greedily(labels, np.stack([poor, good]))
        array([0., 1.])
    """
    probabilities = as_stack(probabilities).astype(np.float32, copy=False)
    labels = as_labels(labels, *probabilities.shape[1:])
    if metric not in _SCORES:
        raise ValueError(
            f"`metric` must be one of {', '.join(m.__name__ for m in _SCORES)} of "
            f"`ensembles.metrics`, got {metric!r}. `ensembles.optimize.fit_weights` takes any."
        )
    if num_picks < 1 or num_bags < 1:
        raise ValueError(
            f"`num_picks` and `num_bags` must be at least 1, got {num_picks} and {num_bags}."
        )
    everything = np.arange(len(labels))
    bags = halves(labels, everything, num_bags, seed) if num_bags > 1 else [everything]
    votes = votes_of(probabilities)
    score = _SCORES[metric]
    weights = [select(labels, probabilities, votes, rows, score, num_picks) for rows in bags]
    return np.asarray(np.mean(weights, axis=0))


def votes_of(probabilities: np.ndarray) -> np.ndarray:
    """Return each member's predicted classes, int64, shape `(num_models, num_examples)`."""
    return np.stack([member.argmax(axis=-1) for member in probabilities])


def halves(labels: np.ndarray, rows: np.ndarray, num_bags: int, seed: int) -> list[np.ndarray]:
    """Return random halves of `rows`, every class halved; of odd ones the larger part."""
    rng = np.random.default_rng(seed)
    bags = []
    for _ in range(num_bags):
        order = rng.permutation(len(rows))
        order = order[np.argsort(labels[rows[order]], kind="stable")]
        _, first, sizes = np.unique(labels[rows[order]], return_index=True, return_counts=True)
        place = np.arange(len(rows)) - np.repeat(first, sizes)
        bags.append(np.sort(rows[order[2 * place < np.repeat(sizes, sizes)]]))
    return bags


def select(
    labels: np.ndarray,
    probabilities: np.ndarray,
    votes: np.ndarray,
    rows: np.ndarray,
    score: ScoreOfCounts,
    num_picks: int = NUM_PICKS,
) -> np.ndarray:
    """Return the weights of one greedy selection on some examples. Nothing is checked.

    Args:
        labels: As for `select_greedily`.
        probabilities: As for `select_greedily`, float32.
        votes: What `votes_of` returns, of them or of what they were tempered from.
        rows: Examples to select on, indices.
        score: What to maximise.
        num_picks: As for `select_greedily`.
    """
    mean = _GrowingMean(labels, probabilities, votes, rows)
    counts = np.zeros(len(probabilities), dtype=np.int64)
    best, best_rank = counts, (-np.inf, -np.inf)
    for _ in range(num_picks):
        scores = score(*mean.counts_with_each()).round(_SCORE_DECIMALS)
        likelihoods = mean.log_likelihood_with_each().round(_LOG_LIKELIHOOD_DECIMALS)
        pick = int(np.lexsort((-counts, -likelihoods, -scores))[0])
        mean.add(pick)
        counts[pick] += 1
        rank = (float(scores[pick]), float(likelihoods[pick]))
        if rank > best_rank:
            best, best_rank = counts.copy(), rank
    return np.asarray(best / best.sum())


class _GrowingMean:
    """The mean of the members picked so far, and what each further one would change in it.

    Attributes:
        actual: Examples of each class, shape `(num_classes,)`.
    """

    def __init__(
        self, labels: np.ndarray, probabilities: np.ndarray, votes: np.ndarray, rows: np.ndarray
    ) -> None:
        self._stack, self._rows, self._labels = probabilities, rows, labels[rows]
        self._num_classes = probabilities.shape[2]
        self._votes = votes[:, rows]
        members = np.arange(len(probabilities))[:, np.newaxis]
        self._tops = probabilities[members, rows, self._votes]
        self._true = probabilities[:, rows, self._labels]
        self.actual = np.bincount(self._labels, minlength=self._num_classes)
        self._num_picked = 0
        self._total = np.zeros((len(rows), self._num_classes), dtype=np.float32)
        self._true_total = np.zeros(len(rows), dtype=np.float32)

    def counts_with_each(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return hits and claimed examples, shape `(num_models, num_classes)`, and `actual`."""
        if not self._num_picked:
            members, examples = np.indices(self._votes.shape).reshape(2, -1)
            hits, claimed = self._count(members, examples, self._votes.ravel())
            return hits, claimed, self.actual
        members, examples = np.nonzero(self._is_open())
        decided = self._decide(members, examples)
        changed = decided != self._predicted[examples]
        members, examples, decided = members[changed], examples[changed], decided[changed]
        gained, gained_claims = self._count(members, examples, decided)
        lost, lost_claims = self._count(members, examples, self._predicted[examples])
        hits = self._hits + gained - lost
        return hits, self._claimed + gained_claims - lost_claims, self.actual

    def log_likelihood_with_each(self) -> np.ndarray:
        """Return the mean log probability of the true classes, shape `(num_models,)`."""
        with_each = (self._true + self._true_total) / np.float32(self._num_picked + 1)
        np.maximum(with_each, LOG_LOSS_FLOOR, out=with_each)
        return np.asarray(np.log(with_each, out=with_each).mean(axis=1, dtype=np.float64))

    def add(self, member: int) -> None:
        """Pick a member."""
        self._num_picked += 1
        self._total += self._stack[member, self._rows]
        self._true_total += self._true[member]
        predicted = self._total.argmax(axis=-1)
        if self._num_picked == 1:
            self._predicted = predicted
            self._at_predicted = self._stack[:, self._rows, predicted]
        else:
            moved = np.flatnonzero(predicted != self._predicted)
            self._predicted = predicted
            self._at_predicted[:, moved] = self._stack[:, self._rows[moved], predicted[moved]]
        everything = np.arange(len(predicted))
        lead = self._total[everything, predicted]
        others = self._total.copy()
        others[everything, predicted] = -1.0
        self._lead = lead - others.max(axis=-1)
        num_classes = self._num_classes
        self._claimed = np.bincount(predicted, minlength=num_classes)
        self._hits = np.bincount(self._labels[predicted == self._labels], minlength=num_classes)

    def _is_open(self) -> np.ndarray:
        """Return where a member could change the predicted class, and no more than rounding."""
        slack = np.float32(1e-6 * (self._num_picked + 1))
        overtakes = self._tops - self._at_predicted >= self._lead - slack
        return np.asarray((self._votes != self._predicted) & overtakes)

    def _decide(self, members: np.ndarray, examples: np.ndarray) -> np.ndarray:
        decided = np.empty(len(members), dtype=np.int64)
        for start in range(0, len(members), _PAIRS_AT_ONCE):
            some = slice(start, start + _PAIRS_AT_ONCE)
            means = self._stack[members[some], self._rows[examples[some]]]
            means += self._total[examples[some]]
            decided[some] = means.argmax(axis=-1)
        return decided

    def _count(
        self, members: np.ndarray, examples: np.ndarray, classes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return hits and claimed examples of each member and class."""
        shape = len(self._stack), self._num_classes
        cells = members * self._num_classes + classes
        right = classes == self._labels[examples]
        hits, claimed = (
            np.bincount(some, minlength=shape[0] * shape[1]).reshape(shape)
            for some in (cells[right], cells)
        )
        return hits, claimed


def macro_f1_of_counts(hits: np.ndarray, claimed: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return macro F1 over the last axis, of classes that `actual` has."""
    present = actual > 0
    f1 = 2.0 * hits[..., present] / (claimed[..., present] + actual[present])
    return np.asarray(f1.mean(axis=-1))


def accuracy_of_counts(hits: np.ndarray, claimed: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Return accuracy over the last axis."""
    return np.asarray(hits.sum(axis=-1) / actual.sum())


_SCORES: Mapping[Metric, ScoreOfCounts] = MappingProxyType(
    {macro_f1: macro_f1_of_counts, accuracy: accuracy_of_counts}
)
