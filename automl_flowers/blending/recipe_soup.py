"""Several recipes as one model: the mean of the weights that their trainings ended with.

Trainings of one backbone begin with the same weights and the same head. What they end with lies
in one basin of the loss, whichever learning rate, regularisation, augmentation or number of
trained layers they had, so the mean of it is a model, too, and less of a lucky winner: the best of
many recipes on a few hundred images is partly chosen by chance.
The recipes are added one by one, best first, and one stays in where log loss on images that they
were not trained on does not rise (the greedy soup of Wortsman et al., "Model soups", ICML 2022,
https://arxiv.org/abs/2203.05482). What the search has trained costs nothing more than predictions.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.blending.fits import (
    Fit,
    OnEpoch,
    load_weights,
    read_known,
)
from automl_flowers.blending.material import Material
from automl_flowers.blending.member_plan import Start
from automl_flowers.blending.predict_members import decided_on, predict_member, scores, scores_of
from automl_flowers.blending.retrain import FAILURES, Member, TriedRecipes, retrain
from automl_flowers.blending.soup import make_soup, mean_state, try_soup
from automl_flowers.blending.soup_records import TriedSoup, digits
from automl_flowers.files import read_json, write_json
from automl_flowers.tuning.further import RATE as FURTHER_RATE
from automl_flowers.tuning.trainer import Trainer
from search_spaces.recipe import Recipe

KIND = "recipes"

_PLAIN = (
    "name",
    "size",
    "score_without_external",
    "score_with_external",
    "external_failure",
    "score_with_pseudo_labels",
)
"""Attributes of a member that JSON holds as they are."""


def scores_together(maker: MemberMaker, members: Sequence[Member], split: str) -> dict[str, float]:
    """Return the scores of the mean of some members' weights, which is not written.

    Args:
        maker: Of the members.
        members: Each one model, on every part of the material.
        split: Whose images are predicted.
    """
    form = _form(members)
    labels, probabilities = [], []
    for number, part in enumerate(maker.material.parts):
        if split not in part.held_out:
            continue
        mean = mean_state(
            maker.trainer.widen(load_weights(maker.members, one.fits[number][0].name), form)
            for one in members
        )
        shown = part.held_out[split].at(form.image_size)
        labels.append(shown.labels)
        probabilities.append(maker.trainer.predict(form, mean, shown))
    return scores(np.concatenate(labels), np.concatenate(probabilities))


@dataclass(frozen=True)
class MemberMaker:
    """Makes members.

    Attributes:
        trainer: Of the run.
        material: Which images there are.
        members: Folder of weights.
        predictions: Folder of predictions.
        num_seeds: Fits of each recipe that differ in their seed.
        on_epoch: Hears of every epoch of a training.
        score: Says what the mean of some members' weights does on a split.
    """

    trainer: Trainer
    material: Material
    members: Path
    predictions: Path
    num_seeds: int = 1
    on_epoch: OnEpoch = lambda name, record: None
    score: Callable[[MemberMaker, Sequence[Member], str], dict[str, float]] = scores_together

    def make(self, start: Start, material: Material | None = None) -> Member:
        """Return the member that a recipe alone makes, as one model where that is as good.

        Args:
            start: The recipe.
            material: Which images there are, instead of the maker's.

        Raises:
            DivergedError: If the recipe diverges.
            InfeasibleError: If the recipe does not fit into memory.
        """
        material = material or self.material
        member = retrain(
            *(self.trainer, start.recipe, self.members, material, self.on_epoch),
            num_seeds=self.num_seeds,
            progress=start.progress,
        )
        return try_soup(self.trainer, member, material, self.members, self.predictions)


def make_member(maker: MemberMaker, start: Start, others: Sequence[Start], most: int) -> Member:
    """Retrain a recipe, and average its weights with those of other recipes where that helps.

    What was made before of just these is not made again: the weights that went into it may be gone.

    Args:
        maker: Makes what it is the mean of.
        start: The recipe.
        others: Recipes with its backbone and image size, best first.
        most: Recipes in the member, its own among them.

    Raises:
        DivergedError: If the recipe diverges.
        InfeasibleError: If the recipe does not fit into memory.
    """
    if most == 1 or not others:
        return maker.make(start)
    key = _key(maker, [one.recipe for one in (start, *others)], most)
    note = maker.members / f"{start.recipe.name}.member-{key}.json"
    if before := _read(note, start.recipe, maker.members):
        return before
    member = maker.make(start)
    if not _is_one_model(member):
        return member
    chosen, tried = _choose(maker, member, others, most)
    made = replace(_join(maker, [member, *chosen]) if chosen else member, tried_recipes=tried)
    _write(note, made)
    return made


def _choose(
    maker: MemberMaker, member: Member, others: Sequence[Start], most: int
) -> tuple[list[Member], TriedRecipes]:
    """Return what stays in, and what was seen.

    A final fit is made of a recipe once it is known to stay in; where it fails, it does not.
    """
    scored = replace(maker.material, everything=None)
    split = decided_on(member, scored)
    folders = maker.members, maker.predictions
    alone = scores_of(predict_member(maker.trainer, member, scored, split, *folders))
    members, best, left_over = [member], alone, list[str]()
    for start in others:
        if len(members) == most:
            break
        other = _make_if_possible(maker, start, scored)
        if other is None:
            continue
        found = _scores_with(maker, members, other, split)
        joins = found["log_loss"] <= best["log_loss"]
        if joins and (whole := _make_if_possible(maker, start)):
            members, best = [*members, whole], found
        else:
            left_over += [fit.name for fit in other.all_fits]
    return members[1:], TriedRecipes(split, alone, best, tuple(left_over))


def _make_if_possible(
    maker: MemberMaker, start: Start, material: Material | None = None
) -> Member | None:
    """Return the member that a recipe alone makes, or None where its training fails."""
    try:
        return maker.make(start, material)
    except FAILURES:
        return None


def _scores_with(
    maker: MemberMaker, members: Sequence[Member], other: Member, split: str
) -> dict[str, float]:
    """Return the scores with one more member, endlessly bad where it cannot join.

    What joins is one model, trained on the images that the others were.
    """
    if _added(other) == _added(members[0]) and _is_one_model(other):
        return maker.score(maker, [*members, other], split)
    return {"log_loss": math.inf}


def _added(member: Member) -> str:
    """Return what a member's name says of images that joined."""
    return member.name.removeprefix(member.recipe.name)


def _is_one_model(member: Member) -> bool:
    return all(len(fits) == 1 for fits in member.fits)


def _form(members: Sequence[Member]) -> Recipe:
    """Return a recipe that trains as many blocks as any of the members."""
    blocks = max(member.recipe.trainable_blocks for member in members)
    return replace(members[0].recipe, trainable_blocks=blocks)


def _join(maker: MemberMaker, members: Sequence[Member]) -> Member:
    """Return the member whose weights are the mean of several members'."""
    first, form = members[0], _form(members)

    def mean(fits: Sequence[Fit]) -> Fit:
        widen = functools.partial(maker.trainer.widen, form=form)
        return make_soup(fits, maker.members, kind=KIND, prepare=widen)

    fits = tuple(
        (mean([member.fits[part][0] for member in members]),) for part in range(len(first.fits))
    )
    final_fits = tuple(itertools.chain.from_iterable(fits))
    if maker.material.everything is not None:
        final_fits = (mean([member.final_fits[0] for member in members]),)
    return replace(
        first,
        fits=fits,
        final_fits=final_fits,
        others=tuple(member.recipe for member in members[1:]),
        form=form,
        fit_without_external=None,
    )


def _key(maker: MemberMaker, recipes: Sequence[Recipe], most: int) -> str:
    """Return digits of all that a member of several recipes depends on."""
    trainer, material = maker.trainer, maker.material
    images = [material.external, material.everything]
    for part in material.parts:
        images += [part.train, part.val, part.pseudo, *part.held_out.values()]
    facts: list[object] = [
        *(recipe.identity for recipe in recipes),
        *(trainer.seed_of(recipe) for recipe in recipes),
        trainer.starting_point(recipes[0]),
        *(trainer.num_epochs, trainer.num_further_epochs, FURTHER_RATE, trainer.ema),
        *(most, maker.num_seeds),
        *(each.content if each else None for each in images),
    ]
    return digits("|".join(map(str, facts)))


def _write(note: Path, made: Member) -> None:
    """Note a member, for when the weights that went into it are gone."""
    fits = [*made.all_fits, *made.final_fits]
    fits += [made.fit_without_external] if made.fit_without_external else []
    content = {
        **{name: getattr(made, name) for name in _PLAIN},
        "trained_on": {fit.name: fit.trained_on for fit in fits},
        "fits": [[fit.name for fit in some] for some in made.fits],
        "final_fits": [fit.name for fit in made.final_fits],
        "fit_without_external": made.fit_without_external and made.fit_without_external.name,
        "others": [other.to_dict() for other in made.others],
        "form": made.form.to_dict() if made.form else None,
        "tried_recipes": asdict(made.tried_recipes) if made.tried_recipes else None,
        "tried_soup": asdict(made.tried_soup) if made.tried_soup else None,
    }
    write_json(note, content)


def _read(note: Path, recipe: Recipe, folder: Path) -> Member | None:
    """Return the member of a recipe that was noted, if all weights that it speaks of are there."""
    if not note.exists():
        return None
    noted: dict[str, Any] = read_json(note)
    fits: dict[str, Fit] = {}
    for name, trained_on in noted["trained_on"].items():
        fit = read_known(folder, name, trained_on)
        if fit is None:
            return None
        fits[name] = fit
    tried, soup = noted["tried_recipes"], noted["tried_soup"]
    return Member(
        recipe=recipe,
        **{name: noted[name] for name in _PLAIN},
        fits=tuple(tuple(fits[name] for name in names) for names in noted["fits"]),
        final_fits=tuple(fits[name] for name in noted["final_fits"]),
        fit_without_external=fits.get(noted.get("fit_without_external", "")),
        others=tuple(Recipe.from_dict(other) for other in noted["others"]),
        form=Recipe.from_dict(noted["form"]) if noted["form"] else None,
        tried_recipes=TriedRecipes(**{**tried, "left_over": tuple(tried["left_over"])}),
        tried_soup=TriedSoup(**soup) if soup else None,
    )
