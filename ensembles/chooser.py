"""Which blend to use, and what it will score on new images.

A blend that is fitted and scored on the same images flatters itself, and so does the best of
several blends that were all scored honestly. `choose_blend` fits every way to blend without the
images that it is scored on, several times, takes the one that learns least among those that are
as good as the best, and scores this choice, too, on images that had no part in it.

The ways, by how much they learn from the labelled images: the plain mean learns nothing, the
best single member which it is, the geometric mean a temperature of each member, greedy
selection and fitted weights how much each counts as well; the last three also with a shift
between frequent and rare classes. See `docs/decisions` for why in this order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ensembles._checks import as_labels, as_stack
from ensembles._cross_fitting import CrossFit, Verdict, cross_fit, judge
from ensembles._gains import classes_without_each
from ensembles._members import Members
from ensembles._ways import RULES, Way, fit_ways, ways_of
from ensembles.averaging import uniform_weights
from ensembles.blend import Blend, apply_blend, plain_blend
from ensembles.calibration import fit_temperature
from ensembles.diversity import Diversity, diversity_of_votes
from ensembles.intervals import ClassCounts, Interval, count_classes, predict_macro_f1

DEFAULT_RULES = ("uniform", "single", "geometric", "greedy", "weighted")

_FEWEST_IMAGES_PER_CLASS = 10

_UNKNOWN = -1


@dataclass(frozen=True)
class WayScore:
    """How one way to blend did.

    Attributes:
        rule: As `Choice.rule`.
        with_prior: Whether decisions were shifted between frequent and rare classes.
        macro_f1: On images that it was not fitted on.
    """

    rule: str
    with_prior: bool
    macro_f1: float


@dataclass(frozen=True)
class Choice:
    """A blend, where it comes from and what is known about it.

    Scores are macro F1 in [0, 1]; None without labelled images.

    Attributes:
        blend: To apply with `ensembles.blend.apply_blend`.
        rule: `"uniform"`, `"comparable"`, `"single"`, `"geometric"`, `"greedy"`, `"weighted"` or
            `"cma"`.
        is_fitted: Whether anything was learnt from the labelled images.
        reason: Why this rule, one or two sentences for people.
        naive: On the images that the blend was fitted on, too good if anything was; with the
            90% confidence interval that it would have if it were honest.
        nested: On images that the blend was not fitted on, chosen by what was predicted of the
            others, with its 90% confidence interval. Blends that predicted those others had seen
            the labels of these images, which may flatter it a little.
        expected: On the new images asked about, with a 90% prediction interval.
        num_new: How many those are; None for very many.
        ways: What was compared, in order; empty where nothing was.
        without_members: For each member, the score of the blend without it, on images that the
            blend was not fitted on; compare it with `with_members`. Empty with one member.
        with_members: The same score of the whole blend.
        diversity: How differently the members err.
    """

    blend: Blend
    rule: str
    is_fitted: bool
    reason: str
    naive: Interval | None
    nested: Interval | None
    expected: Interval | None
    num_new: int | None
    ways: tuple[WayScore, ...]
    without_members: tuple[float, ...]
    with_members: float | None
    diversity: Diversity | None

    @property
    def is_calibrated(self) -> bool:
        """Whether the blend's temperature was fitted on the labelled images.

        The log loss of the blend on these images is too good then.
        """
        return self.blend.global_temperature != 1.0


def choose_blend(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    num_new: int | None = None,
    min_images_per_class: int = _FEWEST_IMAGES_PER_CLASS,
    rules: Sequence[str] = DEFAULT_RULES,
    num_repeats: int = 3,
    num_folds: int = 5,
    seed: int = 0,
) -> Choice:
    """Return the blend to use, with honest scores.

    Every rule is fitted on four folds out of five and scored on the fifth, for each of the five
    and three times over. Of the rules within one standard error of the best, and no worse than
    `"single"`, the one that learns least is taken and fitted on all images. `"single"` is judged
    like the others, its member chosen anew for each fold; the member that turns out best on all
    images may score a little higher than the blend.

    Where there are fewer labelled images than ten a class, the members count equally; but one that
    is worse than the best of them beyond chance is left out (`"comparable"`). What is left may
    score below the best single member, by less than chance accounts for. A class
    without images is said to be rare by the prior and left out of macro F1.

    Memory is less than three times the input as float32, the input included. 50 members, 12,753
    images and 104 classes take about a minute.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`; examples of unknown
            label (-1) are ignored. Images that trained no member.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        num_new: For how many new images to predict the score; None for very many.
        min_images_per_class: Labelled examples to a class, on average over `num_classes`,
            below which no more is fitted; at least 2.
        rules: What to compare; beside the default there are `"comparable"` and `"cma"`. Without
            `"single"` the blend may be worse than taking the best member.
        num_repeats: How often the examples are dealt to folds, at least 1.
        num_folds: Folds, at least 2.
        seed: Of the folds.

    Returns:
        The choice.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [-1, num_classes), a row of `probabilities` is no distribution, a rule is unknown or
            a number is too small.
        ImportError: If `rules` has `"cma"` and that library is not installed.

    Example:
        >>> labels = np.array([0, 1, -1])
        >>> members = np.stack([np.eye(2)[[0, 1, 1]], np.eye(2)[[1, 1, 1]]])
        >>> choice = choose_blend(labels, members)
        >>> choice.rule, choice.blend.weights
        ('uniform', (0.5, 0.5))
    """
    _check_options(rules, min_images_per_class, num_repeats, num_folds, num_new)
    labels, probabilities = _labelled(labels, probabilities)
    num_models, num_images, num_classes = probabilities.shape
    if num_images == 0:
        return _without_labels(num_models, num_new)
    members = Members(labels, probabilities.astype(np.float32, copy=False))
    is_enough = num_images >= min_images_per_class * num_classes
    if num_models == 1:
        reason = "There is one member, so there is nothing to weigh."
        return _unfitted(members, "single", reason, num_new, calibrate=is_enough)
    if not is_enough:
        reason = (
            f"{num_images:,} labelled images over {num_classes} classes are "
            f"{num_images / num_classes:.1f} a class, fewer than the {min_images_per_class} that "
            f"fitting a blend takes, so the {num_models} members count equally"
        )
        rules = ("comparable",)
        if len(set(_fit_to_all(Way("comparable"), members).weights)) == 1:
            return _unfitted(members, "uniform", f"{reason}.", num_new)
    ways = ways_of(rules)
    crossed = cross_fit(ways, members, num_repeats=num_repeats, num_folds=num_folds, seed=seed)
    if not is_enough:
        return _comparable(members, crossed, reason, num_new)
    verdict = judge(ways, labels, crossed.predicted, num_classes)
    return _fitted(members, crossed, verdict, num_new)


def uniform_choice(
    labels: np.ndarray, probabilities: np.ndarray, reason: str, *, num_new: int | None = None
) -> Choice:
    """Return the plain mean, for a reason of the caller's, with its scores.

    From ten labelled images a class a temperature makes its probabilities mean what they say.

    Args:
        labels: As for `choose_blend`.
        probabilities: As for `choose_blend`.
        reason: A sentence for people.
        num_new: As for `choose_blend`.

    Raises:
        ValueError: As `choose_blend`.
    """
    labels, probabilities = _labelled(labels, probabilities)
    if not len(labels):
        return replace(_without_labels(len(probabilities), num_new), reason=reason)
    members = Members(labels, probabilities.astype(np.float32, copy=False))
    rule = "uniform" if len(members) > 1 else "single"
    is_enough = len(labels) >= _FEWEST_IMAGES_PER_CLASS * members.num_classes
    return _unfitted(members, rule, reason, num_new, calibrate=is_enough)


def _check_options(
    rules: Sequence[str],
    min_images_per_class: int,
    num_repeats: int,
    num_folds: int,
    num_new: int | None,
) -> None:
    unknown = sorted(set(rules) - set(RULES))
    if unknown or not rules:
        raise ValueError(
            f"`rules` must be some of {', '.join(RULES)}, got {', '.join(unknown) or 'none'}."
        )
    if min_images_per_class < 2:
        raise ValueError(
            "`min_images_per_class` must be at least 2, so that one image of a class can be "
            f"held out from the fitting, got {min_images_per_class}."
        )
    if num_repeats < 1 or num_folds < 2:
        raise ValueError(
            "`num_repeats` must be at least 1 and `num_folds` at least 2, got "
            f"{num_repeats} and {num_folds}."
        )
    if num_new is not None and num_new < 1:
        raise ValueError(f"`num_new` must be at least 1, or None for very many, got {num_new}.")


def _labelled(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    probabilities = as_stack(probabilities)
    known = np.asarray(labels) != _UNKNOWN
    labels = as_labels(np.where(known, labels, 0), *probabilities.shape[1:])
    if known.all():
        return labels, probabilities
    return labels[known], probabilities[:, known]


def _without_labels(num_models: int, num_new: int | None) -> Choice:
    if num_models == 1:
        rule, reason = "single", "There is one member, so there is nothing to weigh."
    else:
        rule, reason = (
            "uniform",
            f"No image has a label, so the {num_models} members count equally.",
        )
    blend = plain_blend(uniform_weights(num_models))
    return Choice(blend, rule, False, reason, None, None, None, num_new, (), (), None, None)


def _unfitted(
    members: Members, rule: str, reason: str, num_new: int | None, *, calibrate: bool = False
) -> Choice:
    blend = plain_blend(uniform_weights(len(members)))
    predicted = apply_blend(blend, members.probabilities)
    counts = count_classes(members.labels, predicted.argmax(axis=-1), members.num_classes)
    if calibrate:
        blend = replace(blend, global_temperature=fit_temperature(members.labels, predicted))
    return Choice(
        blend=blend,
        rule=rule,
        is_fitted=False,
        reason=reason,
        naive=_with_confidence(counts),
        nested=_with_confidence(counts),
        expected=predict_macro_f1(counts, num_new=num_new),
        num_new=num_new,
        ways=(),
        without_members=_scores_without(members, blend),
        with_members=counts.macro_f1,
        diversity=diversity_of_votes(members.labels, members.votes),
    )


def _fitted(members: Members, crossed: CrossFit, verdict: Verdict, num_new: int | None) -> Choice:
    labels, chosen = members.labels, verdict.chosen
    blend = _fit_to_all(chosen, members)
    predicted = apply_blend(blend, members.probabilities)
    naive = count_classes(labels, predicted.argmax(axis=-1), members.num_classes)
    nested = crossed.nested_counts()
    return Choice(
        blend=replace(blend, global_temperature=fit_temperature(labels, predicted)),
        rule=chosen.rule,
        is_fitted=chosen.rule != "uniform",
        reason=_reason(crossed, verdict),
        naive=_with_confidence(naive),
        nested=_with_confidence(nested),
        expected=predict_macro_f1(nested, num_new=num_new),
        num_new=num_new,
        ways=tuple(
            WayScore(way.rule, way.with_prior, score)
            for way, score in zip(crossed.ways, verdict.scores, strict=True)
        ),
        without_members=_crossed_scores_without(members, crossed, chosen),
        with_members=crossed.counts(chosen).macro_f1,
        diversity=diversity_of_votes(labels, members.votes),
    )


def _fit_to_all(way: Way, members: Members) -> Blend:
    everything = np.arange(len(members.labels))
    fits = fit_ways([way], members, everything)
    return next(blend for fitted, blend, _ in fits if fitted == way)


def _comparable(members: Members, crossed: CrossFit, reason: str, num_new: int | None) -> Choice:
    """Return the mean of comparable members, of which there are fewer than members."""
    verdict = judge(crossed.ways, members.labels, crossed.predicted, members.num_classes)
    choice = _fitted(members, crossed, verdict, num_new)
    blend = replace(choice.blend, global_temperature=1.0)
    scores = [
        count_classes(members.labels, votes, members.num_classes).macro_f1
        for votes in members.votes
    ]
    left_out = [m for m, weight in enumerate(blend.weights) if weight == 0.0]
    listed = " and ".join(f"member {m + 1} ({scores[m]:.4f})" for m in left_out)
    return replace(
        choice,
        blend=blend,
        reason=f"{reason}, without {listed}: macro F1 of the best is {max(scores):.4f}, and the "
        "difference is beyond chance, more than two standard errors.",
        ways=(),
    )


def _with_confidence(counts: ClassCounts) -> Interval:
    """Return the score as it was measured, with its confidence interval."""
    return replace(predict_macro_f1(counts), score=counts.macro_f1)


def _scores_without(members: Members, blend: Blend) -> tuple[float, ...]:
    if len(members) == 1:
        return ()
    without = classes_without_each(blend, members.probabilities)
    return tuple(
        count_classes(members.labels, each, members.num_classes).macro_f1 for each in without
    )


def _crossed_scores_without(members: Members, crossed: CrossFit, chosen: Way) -> tuple[float, ...]:
    without = np.empty((len(members), *crossed.folds.shape), dtype=np.int64)
    for repeat, folds in enumerate(crossed.folds):
        for fold in np.unique(folds):
            held_out = folds == fold
            blend = crossed.blends[chosen, repeat, int(fold)]
            without[:, repeat, held_out] = classes_without_each(
                blend, members.probabilities[:, held_out]
            )
    return tuple(
        count_classes(members.labels, each, members.num_classes).macro_f1 for each in without
    )


def _reason(crossed: CrossFit, verdict: Verdict) -> str:
    scores = dict(zip(crossed.ways, verdict.scores, strict=True))
    chosen, best = verdict.chosen, verdict.best
    own = f"{_capitalised(chosen.title)} scores macro F1 {scores[chosen]:.4f} on held-out images"
    if chosen == best:
        return f"{own}, the most of the {len(scores)} ways to blend that were compared."
    return (
        f"{own}. {_capitalised(best.title)} scores {scores[best]:.4f}, but the difference is "
        f"within one standard error ({verdict.standard_error:.4f}), so what learns less is taken."
    )


def _capitalised(title: str) -> str:
    return title[0].upper() + title[1:]
