"""The leaderboard: one standing for each distinct recipe, with all the trials that trained it.

A promoted trial and its ancestors are one recipe, trained in rounds. The trial with most epochs
speaks for it, as it does when an ensemble picks its members; recipes that completed no trial
stand behind the ranked ones, with the reason.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from automl_flowers.blending.pick import candidates
from automl_flowers.ledger import EpochRecord, TrialRecord
from search_spaces.recipe import flatten

METRICS = ("macro_f1", "accuracy", "log_loss")


@dataclass(frozen=True)
class Standing:
    """A distinct recipe and how it did.

    Attributes:
        rank: From 1; None if no trial of it has completed.
        name: Backbone and six digits of the identity, as recorded.
        recipe: Its plain data without nesting.
        trial: The trial that speaks for it.
        others: Its other trials, the latest first: those it continues, and promotions that
            failed or still run.
        curve: Its epochs over all its trials, in order.
    """

    rank: int | None
    name: str
    recipe: dict[str, Any]
    trial: TrialRecord
    others: tuple[TrialRecord, ...]
    curve: tuple[EpochRecord, ...]

    @property
    def score(self) -> float | None:
        """The objective after the last epoch of the trial that speaks for it."""
        return self.trial.score

    @property
    def epochs(self) -> int:
        """Epochs behind the score, or trained so far if there is none."""
        return len(self.curve) if self.rank is None else self.trial.epochs_trained

    @property
    def seconds(self) -> float:
        """Training and evaluation of all its epochs."""
        return sum(record.seconds for record in self.curve if math.isfinite(record.seconds))

    @property
    def scores(self) -> dict[str, float | None]:
        """What was measured on `val` after the epoch that the score is of."""
        last = self.trial.epochs[-1] if self.trial.epochs and self.rank is not None else None
        return {name: finite(getattr(last, name, None)) for name in METRICS}


def finite(value: float | None) -> float | None:
    """Return a number, or None for what is none, so that it can be written as JSON."""
    return value if value is not None and math.isfinite(value) else None


def rank_recipes(trials: Sequence[TrialRecord], *, maximise: bool) -> tuple[Standing, ...]:
    """Return a standing for each distinct recipe: the ranked ones, best first, then the others.

    Args:
        trials: In the order in which they started.
        maximise: Whether a higher score is better.
    """
    by_id = {trial.trial_id: trial for trial in trials}
    ranked = [by_id[c.trial_id] for c in candidates(trials, maximise=maximise)]
    groups: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        groups.setdefault(trial.identity, []).append(trial)
    standings = [
        _standing(rank, trial, groups.pop(trial.identity)) for rank, trial in enumerate(ranked, 1)
    ]
    return (*standings, *(_standing(None, group[-1], group) for group in groups.values()))


def _standing(rank: int | None, trial: TrialRecord, group: Sequence[TrialRecord]) -> Standing:
    curve = {record.epoch: record for member in group for record in member.epochs}
    return Standing(
        rank=rank,
        name=f"{trial.recipe['backbone']}-{trial.identity[:6]}",
        recipe=flatten(trial.recipe),
        trial=trial,
        others=tuple(other for other in reversed(group) if other is not trial),
        curve=tuple(curve[epoch] for epoch in sorted(curve)),
    )


def ranked(standings: Iterable[Standing]) -> list[Standing]:
    """Return the standings that have a score, best first."""
    return [standing for standing in standings if standing.rank is not None]


def varying(standings: Sequence[Standing]) -> list[str]:
    """Return the hyperparameters that differ between recipes that have them, in their order."""
    names = dict.fromkeys(name for standing in standings for name in standing.recipe)
    return [
        name
        for name in names
        if len({standing.recipe[name] for standing in standings if name in standing.recipe}) > 1
    ]


def constant(standings: Sequence[Standing]) -> dict[str, Any]:
    """Return the hyperparameters that all recipes have in common, with their value."""
    differing = set(varying(standings))
    return {
        name: value
        for name, value in (standings[0].recipe if standings else {}).items()
        if name not in differing and all(name in standing.recipe for standing in standings)
    }


@dataclass(frozen=True)
class BackboneSummary:
    """What the recipes of one backbone reached and took.

    Attributes:
        name: Of the backbone.
        num_recipes: Ranked recipes.
        best: Their best standing.
        median_score: Of those that trained for as many epochs as the best.
        seconds_an_epoch: Median over all epochs.
    """

    name: str
    num_recipes: int
    best: Standing
    median_score: float
    seconds_an_epoch: float


def by_backbone(standings: Sequence[Standing]) -> list[BackboneSummary]:
    """Summarise ranked standings by backbone, the one of the best recipe first."""
    names = dict.fromkeys(standing.recipe["backbone"] for standing in standings)
    return [
        _summarise(name, [one for one in standings if one.recipe["backbone"] == name])
        for name in names
    ]


def _summarise(name: str, standings: Sequence[Standing]) -> BackboneSummary:
    best = standings[0]
    alike = [one.score for one in standings if one.epochs == best.epochs and one.score is not None]
    seconds = [record.seconds for standing in standings for record in standing.curve]
    return BackboneSummary(
        name=name,
        num_recipes=len(standings),
        best=best,
        median_score=statistics.median(alike),
        seconds_an_epoch=statistics.median(seconds),
    )
