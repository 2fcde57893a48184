"""Which recipes of a search become members of the ensemble."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from automl_flowers.errors import RunError
from automl_flowers.ledger import TrialRecord
from search_spaces.recipe import Recipe

MAX_DISTANCE = {"macro_f1": 0.03, "accuracy": 0.03, "log_loss": 0.15}
"""How far below the best a further backbone may be and still come before a second recipe of a
backbone that is in already. Different backbones err differently, which is what a blend needs."""


MOST_IN_SOUP = 5
"""Recipes that one model may be made of; of so many the search keeps the weights."""


def is_maximised(objective: str) -> bool:
    """Return whether a higher objective is better."""
    return objective != "log_loss"


@dataclass(frozen=True)
class Candidate:
    """A distinct recipe and the best evidence for it.

    Attributes:
        recipe: What was trained.
        score: The objective of its longest trial.
        epochs: Epochs behind that score.
        trial_id: That trial.
        planned: Epochs after which it was to end; a callback may have ended it before.
    """

    recipe: Recipe
    score: float
    epochs: int
    trial_id: str
    planned: int


def candidate_of(trial: TrialRecord) -> Candidate | None:
    """Return what a trial says of its recipe, or None if it has not completed."""
    if trial.status != "completed" or trial.score is None:
        return None
    recipe = Recipe.from_dict(trial.recipe)
    return Candidate(recipe, trial.score, trial.epochs_trained, trial.trial_id, trial.last_epoch)


def candidates(trials: Sequence[TrialRecord], *, maximise: bool) -> list[Candidate]:
    """Return the distinct recipes that completed a trial, best first.

    A promoted trial and its ancestors are one recipe; the trial with most epochs speaks for it.
    """
    longest: dict[str, Candidate] = {}
    for trial in trials:
        candidate, known = candidate_of(trial), longest.get(trial.identity)
        if candidate is not None and (known is None or candidate.epochs > known.epochs):
            longest[trial.identity] = candidate
    sign = -1 if maximise else 1
    return sorted(longest.values(), key=lambda c: (sign * c.score, c.trial_id))


def pick_members(trials: Sequence[TrialRecord], top: int, objective: str) -> list[Candidate]:
    """Return the `top` recipes to blend, or as many as finished.

    Raises:
        RunError: If no recipe finished, or a single one where more were asked for.
    """
    ranked = in_order_of_picking(trials, objective)
    if not ranked:
        raise RunError(
            "Cannot make an ensemble: no recipe has finished.",
            hint="run `automl-flowers search` first, or again to go on with it",
        )
    if len(ranked) == 1 < top:
        raise RunError(
            f"Cannot blend the top {top} recipes: only one finished.",
            hint="`--top 1` retrains it alone; `search --extend 30m` looks for more",
        )
    return ranked[:top]


def in_order_of_picking(trials: Sequence[TrialRecord], objective: str) -> list[Candidate]:
    """Return the distinct finished recipes, those first that an ensemble takes first.

    The best recipe of every backbone that is within `MAX_DISTANCE` of the best, then the best of
    the rest.
    """
    ranked = candidates(trials, maximise=is_maximised(objective))
    first_of_backbone: list[Candidate] = []
    for candidate in ranked:
        is_near = abs(candidate.score - ranked[0].score) <= MAX_DISTANCE[objective]
        is_new = all(c.recipe.backbone != candidate.recipe.backbone for c in first_of_backbone)
        if is_near and is_new:
            first_of_backbone.append(candidate)
    others = [c for c in ranked if c not in first_of_backbone]
    return first_of_backbone + others


def others_of(
    trials: Sequence[TrialRecord], picked: Sequence[Candidate], objective: str
) -> list[list[Candidate]]:
    """Return for each picked recipe others that its weights may be averaged with, best first.

    They have its backbone and image size, were to be trained for as long as any recipe, are among
    the best `MOST_IN_SOUP` of their kind, and are not picked themselves. Each is given once, to the
    best recipe of its kind.
    """
    ranked = candidates(trials, maximise=is_maximised(objective))
    kinds: dict[tuple[str, int, int], list[Candidate]] = {}
    longest = max((candidate.planned for candidate in ranked), default=0)
    for candidate in (one for one in ranked if one.planned == longest):
        kinds.setdefault(_kind(candidate), []).append(candidate)
    return [
        [other for other in kinds.pop(_kind(one), [])[:MOST_IN_SOUP] if other not in picked]
        for one in picked
    ]


def worth_keeping(trials: Sequence[TrialRecord], top: int, objective: str) -> set[str]:
    """Return the trials whose weights an ensemble of some members would use."""
    picked = in_order_of_picking(trials, objective)[:top]
    others = itertools.chain.from_iterable(others_of(trials, picked, objective))
    return {candidate.trial_id for candidate in (*picked, *others)}


def _kind(candidate: Candidate) -> tuple[str, int, int]:
    return candidate.recipe.backbone, candidate.recipe.image_size, candidate.planned
