"""Retraining a picked recipe for its full horizon: which fits make a member.

No checkpoint is picked: the last epoch is the member, so its score on `val` is that of the
recipe, not that of its luckiest moment. What the search has trained of a recipe is not trained
again: its state is taken over, and equals that of a new training. What a callback ended before its
time is taken over as it was scored.

External images stay in only where they do not lower that score, and both scores are kept; a
training with them that diverges or does not fit into memory leaves the member without them.

So do test images that a first ensemble has labelled, which are asked for by themselves. Where our
images are dealt into folds, each fold has labels of its own.

Several fits that differ in their seed count as one member: the mean of their weights
(`automl_flowers.blending.soup`) or of their probabilities. Where our images are dealt into folds, a
member has fits of its own on each; what joins them is decided on the first. A final fit goes on
from one of them on all images, the evaluation images among them: it predicts new images, and the
scores are those of the fits before it, which have not seen what they are scored on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from automl_flowers.blending.fits import (
    Fit,
    ImageSet,
    OnEpoch,
    Progress,
    TrainingSet,
    fit,
    fit_further,
    fit_name,
    origin_of_fit,
    origin_of_further_fit,
)
from automl_flowers.blending.material import Material, Part
from automl_flowers.blending.soup_records import (
    Ingredients,
    TriedSoup,
    digits,
    is_made,
    read_tried,
)
from automl_flowers.tuning.search import DivergedError, InfeasibleError
from automl_flowers.tuning.trainer import Trainer
from search_spaces.recipe import Recipe

EXTERNAL = "+external"
"""What the name of a member says where external images stayed in."""

FAILURES = (DivergedError, InfeasibleError)
"""What a training may end with without being anyone's mistake."""


@dataclass(frozen=True)
class TriedViews:
    """What several views of each image do to the scores of a member.

    Attributes:
        num_views: That were tried.
        split: Whose images were predicted.
        without: Macro F1 and log loss with the image alone.
        with_views: The same with the views.
    """

    num_views: int
    split: str
    without: dict[str, float]
    with_views: dict[str, float]


@dataclass(frozen=True)
class TriedRecipes:
    """What other recipes do to a member whose weights theirs are averaged with.

    Attributes:
        split: Whose images were predicted.
        alone: Macro F1 and log loss of the member without them.
        together: The same of the one model that it became, or of the member if none stayed in.
        left_over: Names of fits that stayed out.
    """

    split: str
    alone: dict[str, float]
    together: dict[str, float]
    left_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class Member:
    """A retrained model: one or more fits whose probabilities are averaged.

    Attributes:
        name: Of the recipe; `EXTERNAL` is added where external images stayed in.
        recipe: What was trained.
        score_without_external: Macro F1 on `val` without external images.
        score_with_external: Macro F1 on `val` with them; None if there were none, or if training
            with them failed.
        external_failure: Why training with them failed, or None.
        score_with_pseudo_labels: Macro F1 on `val` with test images that an ensemble has labelled;
            None if there were none, or if training with them failed.
        size: Layers and parameters.
        fits: Those that the scores are measured on, for each part of the material.
        final_fits: Those that predict new images.
        num_views: What every fit is shown of an image (`automl_flowers.data.views`).
        tried_views: What came of trying more; None if none were asked for.
        tried_soup: What came of averaging the weights of several fits; None where there is one.
        others: Recipes whose weights are in those of the member, beside its own.
        form: Recipe whose architecture the weights have; None for that of `recipe`.
        tried_recipes: What came of others; None if none were asked for.
        fit_without_external: That on our images alone, where external ones stayed in and the member
            is one fit that differs from it in nothing else.
    """

    name: str
    recipe: Recipe
    score_without_external: float
    score_with_external: float | None
    external_failure: str | None
    score_with_pseudo_labels: float | None
    size: dict[str, int]
    fits: tuple[tuple[Fit, ...], ...]
    final_fits: tuple[Fit, ...]
    num_views: int = 1
    tried_views: TriedViews | None = None
    tried_soup: TriedSoup | None = None
    others: tuple[Recipe, ...] = ()
    form: Recipe | None = None
    tried_recipes: TriedRecipes | None = None
    fit_without_external: Fit | None = None

    @property
    def uses_external(self) -> bool:
        """Whether external images stayed in."""
        return EXTERNAL in self.name

    @property
    def predicts_as(self) -> Recipe:
        """The recipe whose architecture the weights have."""
        return self.form or self.recipe

    @property
    def all_fits(self) -> tuple[Fit, ...]:
        """Those that the scores are measured on, of all parts."""
        return tuple(itertools.chain.from_iterable(self.fits))


def digits_of(fits: tuple[Fit, ...]) -> str:
    """Return eight hexadecimal digits of what some fits were trained on."""
    return digits("|".join(one.trained_on for one in fits))


def retrain(
    trainer: Trainer,
    recipe: Recipe,
    folder: Path,
    material: Material,
    on_epoch: OnEpoch = lambda name, record: None,
    *,
    num_seeds: int = 1,
    progress: Progress | None = None,
) -> Member:
    """Retrain a recipe and keep the better of with and without external images.

    Args:
        trainer: Of the run.
        recipe: What to train.
        folder: Where models are written, two files each.
        material: Which images there are.
        on_epoch: Hears of every epoch.
        num_seeds: Fits that are averaged.
        progress: What the search has trained of it, on `train`.

    Raises:
        DivergedError: If the recipe diverges without external images.
        InfeasibleError: If the recipe does not fit into memory without external images.
    """
    first_part, *others = material.parts
    fitter = _Fitter(trainer, recipe, folder, on_epoch, material, num_seeds)
    plain = _training_set(first_part)
    without = fitter.fit(plain, None if others else progress)  # folds divide otherwise
    best, added, failure = _Judged(plain, without), None, None
    if material.external is not None and material.external.count:
        joined = replace(plain, external=material.external, suffix=EXTERNAL)
        best, added, failure = _judge(best, joined, fitter.fit)
    labelled = None
    if first_part.pseudo is not None:
        suffix = f"{best.training_set.suffix}+pseudo"
        joined = replace(best.training_set, pseudo=first_part.pseudo, suffix=suffix)
        best, labelled, _ = _judge(best, joined, fitter.fit)
    chosen, first = best.training_set, best.fit
    fits = fitter.fit_all(chosen)
    final_fits = tuple(itertools.chain.from_iterable(fits))
    if material.everything is not None:
        final_fits = fitter.fit_finally(_finally(chosen, material.everything), fits[0])
    return Member(
        name=f"{recipe.name}{chosen.suffix}",
        recipe=recipe,
        score_without_external=without.macro_f1,
        score_with_external=added,
        external_failure=failure,
        score_with_pseudo_labels=labelled,
        size=first.size,
        fits=fits,
        final_fits=final_fits,
        fit_without_external=without if _differs_in_external(chosen, fits) else None,
    )


def _differs_in_external(chosen: TrainingSet, fits: tuple[tuple[Fit, ...], ...]) -> bool:
    is_one_fit = len(tuple(itertools.chain.from_iterable(fits))) == 1
    return is_one_fit and chosen.external is not None and chosen.pseudo is None


@dataclass(frozen=True)
class _Fitter:
    """Trains the fits of one recipe.

    Attributes:
        trainer: Of the run.
        recipe: What to train.
        folder: Where fits are written.
        on_epoch: Hears of every epoch.
        material: Which images there are.
        num_seeds: Fits that differ in their seed, which may have become one model.
    """

    trainer: Trainer
    recipe: Recipe
    folder: Path
    on_epoch: OnEpoch
    material: Material
    num_seeds: int

    def fit(self, training_set: TrainingSet, progress: Progress | None = None) -> Fit:
        """Return the fit on a training set of the first part, with the first seed."""
        return self._fit(training_set, 0, self._is_spent(training_set), progress)

    def fit_all(self, chosen: TrainingSet) -> tuple[tuple[Fit, ...], ...]:
        """Return the fits of each part with all seeds, on what joins one training set."""
        is_spent = self._is_spent(chosen)
        return tuple(
            tuple(self._fit(part, number, is_spent) for number in range(self.num_seeds))
            for part in _each_part(self.material, chosen)
        )

    def fit_finally(self, final: TrainingSet, starts: tuple[Fit, ...]) -> tuple[Fit, ...]:
        """Return what fits with all seeds become on all of our images."""
        is_spent = is_made(self.folder, self._further(final, [one.trained_on for one in starts]))
        return tuple(
            fit_further(
                *(self.trainer, self.recipe, final, start, self.folder, self.on_epoch),
                seed_number=number,
                is_spent=is_spent,
            )
            for number, start in enumerate(starts)
        )

    def _fit(
        self,
        training_set: TrainingSet,
        number: int,
        is_spent: bool,
        progress: Progress | None = None,
    ) -> Fit:
        return fit(
            *(self.trainer, self.recipe, training_set, self.folder, self.on_epoch),
            seed_number=number,
            is_spent=is_spent,
            progress=progress,
        )

    def _is_spent(self, training_set: TrainingSet) -> bool:
        """Return whether soups took the place of all fits on what joins a training set."""
        if self.num_seeds == 1:
            return False
        parts = [self._scored(each) for each in _each_part(self.material, training_set)]
        if read_tried(self.folder, parts) is None:
            return False
        if self.material.everything is None:
            return True
        final = _finally(training_set, self.material.everything)
        return is_made(self.folder, self._further(final, parts[0].origins))

    def _scored(self, training_set: TrainingSet) -> Ingredients:
        origins = (
            origin_of_fit(self.trainer, self.recipe, training_set, number)
            for number in range(self.num_seeds)
        )
        return Ingredients(fit_name(self.recipe, training_set), tuple(origins))

    def _further(self, final: TrainingSet, starts: Sequence[str]) -> Ingredients:
        origins = (origin_of_further_fit(self.trainer, final, start) for start in starts)
        return Ingredients(fit_name(self.recipe, final), tuple(origins))


def _each_part(material: Material, like: TrainingSet) -> list[TrainingSet]:
    """Return what is trained on for each part, with what joins one training set.

    Test images join each part with the labels of its own fits.
    """
    plain = [_training_set(part) for part in material.parts]
    return [
        replace(
            each,
            external=like.external,
            pseudo=part.pseudo if like.pseudo else None,
            suffix=like.suffix,
        )
        for each, part in zip(plain, material.parts, strict=True)
    ]


def _finally(chosen: TrainingSet, everything: ImageSet) -> TrainingSet:
    suffix = f"{chosen.suffix}+evaluation"
    return TrainingSet(everything, None, chosen.external, chosen.pseudo, suffix)


def _training_set(part: Part) -> TrainingSet:
    return TrainingSet(part.train, part.val, part=part.suffix, heads=part.heads)


@dataclass(frozen=True)
class _Judged:
    training_set: TrainingSet
    fit: Fit


def _judge(
    best: _Judged, joined: TrainingSet, train: Callable[[TrainingSet], Fit]
) -> tuple[_Judged, float | None, str | None]:
    """Train with more images; they stay in where that does not lower the score.

    Returns:
        The better of both, the score with them, and why training with them failed.
    """
    try:
        tried = train(joined)
    except FAILURES as error:
        return best, None, str(error)
    kept = _Judged(joined, tried) if tried.macro_f1 >= best.fit.macro_f1 else best
    return kept, tried.macro_f1, None
