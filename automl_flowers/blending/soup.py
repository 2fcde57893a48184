"""A model soup: the fits of a member that differ in their seed, as one model of averaged weights.

Fits that start from the same weights and head mostly end in one basin of the loss, where the mean
of their weights is better than each of them, and often as good as the mean of what they predict,
for the price of one model (Wortsman et al., "Model soups", ICML 2022,
https://arxiv.org/abs/2203.05482). Whether these fits do is seen on images that they were not
trained on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from automl_flowers.blending.fits import (
    Fit,
    load_weights,
    read_record,
    remove_weights,
    save_fit,
)
from automl_flowers.blending.material import Material
from automl_flowers.blending.predict_members import decided_on, predict_member, scores_of
from automl_flowers.blending.retrain import Member
from automl_flowers.blending.soup_records import (
    Ingredients,
    TriedSoup,
    is_made,
    note_tried,
    read_tried,
)
from automl_flowers.tuning.checkpoints import State
from automl_flowers.tuning.trainer import Trainer


def try_soup(
    trainer: Trainer, member: Member, material: Material, members_folder: Path, folder: Path
) -> Member:
    """Return a member whose fits of each part are one model, if its log loss is not higher.

    Final fits become one model, too, where those that are scored do.

    Args:
        trainer: On the run's data.
        member: Retrained.
        material: What it was made of.
        members_folder: Where weights lie, and where those of the soups are written.
        folder: Where predictions are written.
    """
    if all(len(fits) == 1 for fits in member.fits):
        return member
    parts = [ingredients_of(fits) for fits in member.fits]
    before = read_tried(members_folder, parts)
    soups = tuple((make_soup(fits, members_folder),) for fits in member.fits)
    one_model = replace(member, fits=soups, final_fits=tuple(itertools.chain.from_iterable(soups)))
    tried = before or _compare(trainer, member, one_model, material, members_folder, folder)
    if not tried.is_kept:
        return replace(member, tried_soup=tried)
    if material.everything is not None:
        one_model = replace(one_model, final_fits=(make_soup(member.final_fits, members_folder),))
    note_tried(members_folder, parts, tried)
    return replace(one_model, tried_soup=tried)


def remove_spent(members: Sequence[Member], folder: Path, before: Sequence[Member] = ()) -> None:
    """Remove the weights that members were made of or tried with, but for those that they are.

    For when nothing that was written before speaks of these any longer.

    Args:
        members: As they predict.
        folder: Where weights lie.
        before: Members of a first ensemble, which predict nothing any longer.
    """
    used = {fit.name for member in members for fit in (*member.all_fits, *member.final_fits)}
    for member in (*members, *before):
        for name in _spent(member, folder):
            if name not in used:
                remove_weights(folder, name)


def _spent(member: Member, folder: Path) -> Iterator[str]:
    """Yield the names of what went into a member, and of what was tried and not kept."""
    for fit in (*member.all_fits, *member.final_fits):
        yield from _ingredients(fit.name, folder)
    if member.tried_recipes is not None:
        for name in member.tried_recipes.left_over:
            yield name
            yield from _ingredients(name, folder)
    if member.tried_soup is not None and not member.tried_soup.is_kept:
        for fits in member.fits:
            yield ingredients_of(fits).soup_name


def _ingredients(name: str, folder: Path) -> Iterator[str]:
    """Yield the names of what a fit is the mean of, and of what that is the mean of."""
    for ingredient in (read_record(folder, name) or {}).get("made_of", ()):
        yield ingredient
        yield from _ingredients(ingredient, folder)


def _compare(
    trainer: Trainer,
    member: Member,
    one_model: Member,
    material: Material,
    members_folder: Path,
    folder: Path,
) -> TriedSoup:
    split = decided_on(member, material)
    by_probabilities, by_weights = (
        scores_of(predict_member(trainer, each, material, split, members_folder, folder))
        for each in (member, one_model)
    )
    return TriedSoup(split, probabilities=by_probabilities, weights=by_weights)


def make_soup(
    fits: Sequence[Fit],
    folder: Path,
    *,
    kind: str = "soup",
    prepare: Callable[[State], State] = lambda state: state,
) -> Fit:
    """Return the fit whose weights are the mean of some fits', written beside theirs.

    One that is there already is not made again: their weights may be gone.

    Args:
        fits: On the same images, the first one's name is that of the soup.
        folder: Where their weights lie.
        kind: What they differ in (`Ingredients.kind`).
        prepare: Makes each of their states one of a common architecture.
    """
    of = ingredients_of(fits, kind)
    soup = replace(fits[0], name=of.soup_name, trained_on=of.soup_origin)
    if not is_made(folder, of):
        mean = mean_state(prepare(load_weights(folder, fit.name)) for fit in fits)
        save_fit(folder, soup, mean, made_of=[fit.name for fit in fits])
    return soup


def ingredients_of(fits: Sequence[Fit], kind: str = "soup") -> Ingredients:
    """Return what a soup of some fits is made of."""
    return Ingredients(fits[0].name, tuple(fit.trained_on for fit in fits), kind)


def mean_state(states: Iterable[State]) -> State:
    """Return the mean of states; of what is not a fraction, such as a seed, the first one's.

    Args:
        states: Of one architecture, at least one; only two are held in memory at once.
    """
    total: State = {}
    number = 0
    for number, state in enumerate(states, 1):
        for name, value in state.items():
            if number == 1:
                total[name] = value.astype(np.float64) if _is_fraction(value) else value
            elif _is_fraction(value):
                total[name] += value
    return {
        name: (value / number).astype(np.float32) if _is_fraction(value) else value
        for name, value in total.items()
    }


def _is_fraction(value: np.ndarray) -> bool:
    return np.issubdtype(value.dtype, np.floating)
