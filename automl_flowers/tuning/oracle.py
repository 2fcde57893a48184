"""Keras Tuner's oracles, driven without a Tuner and without files.

What runs next is decided by pure functions (`hyperband.py`, `pasha.py`); the classes here are
the shell that makes them `keras_tuner` oracles: they draw recipes, and hand out and score Keras
Tuner trials. New recipes come from a list first, then, for Hyperband and PASHA, in turn from
anywhere in the space and from near the best so far.

They keep no state on disk. The ledger records what every trial did, and because an oracle is a
function of its seed and of the scores, a search that is started again replays the recorded
trials and arrives where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from automl_flowers.tuning import hyperband, pasha
from automl_flowers.tuning.hyperband import Bracket, Entry, Start, Step, best_recipes
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import vary
from search_spaces.recipe import Recipe
from search_spaces.spaces import Space

_MOST_COLLISIONS = 20
"""Recipes near the best that were all tried before; then one is drawn from anywhere."""

_ENDED = {"COMPLETED": "completed", "FAILED": "ended", "INVALID": "ended"}


class LedgerOracle(keras_tuner.Oracle):
    """An oracle that fills a plan with recipes and leaves its record to the ledger.

    Stands before one of Keras Tuner's oracles among the bases of a class; that one draws the
    recipes. `hyperband.next_step` says when, unless a class says otherwise.

    Args:
        space: What may be chosen.
        plan: Brackets, from `plans.make_plan`.
        objective: Name of the metric that trials report.
        maximise: Whether a higher objective is better.
        seed: Any integer; upstream takes 0 for "no seed".
        first: Values of the recipes to begin with.
        **options: For the oracle that draws.
    """

    def __init__(
        self,
        space: Space,
        plan: Sequence[Bracket],
        *,
        objective: str,
        maximise: bool,
        seed: int,
        first: Sequence[Mapping[str, Value]] = (),
        **options: Any,
    ) -> None:
        hp = keras_tuner.HyperParameters()
        space.declare(hp)
        super().__init__(
            objective=keras_tuner.Objective(objective, "max" if maximise else "min"),
            max_trials=None,  # the plan says how many
            seed=spread_seed(seed),
            hyperparameters=hp,
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=2**31,  # the search loop has its own rule
            **options,
        )
        self.verbose = 0
        self.space = space
        self.plan = tuple(plan)
        self.maximise = maximise
        self._seed_of_run = seed
        self._first = _distinct(first)
        self._exhausted = False

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Say what a new trial should run, in Keras Tuner's form."""
        step = self._next_step()
        if step == "wait":
            return {"status": "IDLE"}
        if step == "stop":
            return {"status": "STOPPED"}
        values = self._values_for(step)
        if values is None:
            self._exhausted = True
            return self.populate_space(trial_id)
        return {"status": "RUNNING", "values": values}

    def entries(self) -> list[Entry]:
        """Return all trials so far in the form that the rules read."""
        return [_entry(self.trials[trial_id]) for trial_id in self.start_order]

    def still_needed(self) -> set[str]:
        """Return the trials whose state may still be continued."""
        return hyperband.still_needed(self.plan, self.entries(), maximise=self.maximise)

    def _next_step(self) -> Step:
        return hyperband.next_step(
            self.plan, self.entries(), maximise=self.maximise, exhausted=self._exhausted
        )

    def _values_for(self, step: Start) -> dict[str, Any] | None:
        if step.parent is None:
            values = self._new_values()
            if values is None:
                return None
        else:
            parent = self.trials[step.parent]
            values = {**parent.hyperparameters.values, "tuner/trial_id": step.parent}
        planned = self.plan[step.bracket][step.round]
        place = {
            "tuner/epochs": planned.last_epoch,
            "tuner/initial_epoch": planned.first_epoch,
            "tuner/bracket": step.bracket,
            "tuner/round": step.round,
        }
        return {**values, **place}

    def _new_values(self) -> Mapping[str, Any] | None:
        """Return the values of a recipe that was not tried before, or None if there is none."""
        number = sum(entry.parent is None for entry in self.entries())
        if number < len(self._first):
            return self._first[number]
        return self._draw(number - len(self._first))

    def _draw(self, number: int) -> Mapping[str, Any] | None:
        """Return the values of the `number`th recipe that is not among the first ones."""
        raise NotImplementedError

    def _anywhere(self) -> dict[str, Any] | None:
        """Return the values of a random recipe that was not tried before, or None."""
        values: dict[str, Any] | None = self._random_values()
        return values

    def _near_the_best(self, generator: np.random.Generator) -> dict[str, Any] | None:
        """Return the values of a recipe near a good one, not tried before, or None."""
        good = best_recipes(self.entries(), maximise=self.maximise)
        if not good:
            return None
        for _ in range(_MOST_COLLISIONS):
            parent = self.trials[good[generator.integers(len(good))]]
            values = vary(self.space, parent.hyperparameters.values, generator)
            if not self._duplicate(values):
                return dict(values)
        return None

    def _generator(self, number: int) -> np.random.Generator:
        return np.random.default_rng((spread_seed(self._seed_of_run), number))

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """Make "tried so far" mean the recipe, not the values that led to it."""
        return Recipe.from_values(values).identity

    def save(self) -> None:
        """Write nothing: the ledger is the record."""

    def _save_trial(self, trial: Any) -> None:
        """Write nothing: the ledger is the record."""


class HyperbandOracle(LedgerOracle):
    """Draws recipes from a space and promotes the best, by a plan of brackets.

    Takes the arguments of `LedgerOracle`. Every second recipe is drawn near the best so far.
    """

    def _draw(self, number: int) -> Mapping[str, Any] | None:
        if number % 2:
            values = self._near_the_best(self._generator(number + len(self._first)))
            if values is not None:
                return values
        return self._anywhere()


class PashaOracle(HyperbandOracle):
    """Draws recipes as Hyperband does, and promotes them by PASHA's rules.

    Args:
        space: What may be chosen.
        plan: From `pasha.plan_rounds`.
        factor: One trial in so many is promoted.
        **options: As for `LedgerOracle`.
    """

    def __init__(
        self, space: Space, plan: Sequence[Bracket], *, factor: int, **options: Any
    ) -> None:
        super().__init__(space, plan, **options)
        self._factor = factor

    def still_needed(self) -> set[str]:
        """Return the trials whose state may still be continued."""
        return pasha.still_needed(self.plan, self.entries(), **self._rules())

    def _next_step(self) -> Step:
        return pasha.next_step(self.plan, self.entries(), **self._rules())

    def _rules(self) -> dict[str, Any]:
        return {
            "factor": self._factor,
            "epsilon": pasha.EPSILON[self.objective.name],
            "maximise": self.maximise,
            "exhausted": self._exhausted,
        }


def _distinct(first: Sequence[Mapping[str, Value]]) -> tuple[Mapping[str, Value], ...]:
    """Return the values without those that mean the same recipe as earlier ones."""
    distinct: dict[str, Mapping[str, Value]] = {}
    for values in first:
        distinct.setdefault(Recipe.from_values(values).identity, values)
    return tuple(distinct.values())


def spread_seed(seed: int) -> int:
    """Return a positive 31-bit number, so that 0 and negative numbers are seeds like any other."""
    digest = hashlib.sha256(f"oracle:{seed}".encode()).digest()
    return 1 + int.from_bytes(digest[:4]) % (2**31 - 1)


def _entry(trial: Any) -> Entry:
    values = trial.hyperparameters.values
    return Entry(
        trial_id=trial.trial_id,
        bracket=values["tuner/bracket"],
        round=values["tuner/round"],
        parent=values.get("tuner/trial_id"),
        status=_ENDED.get(trial.status, "running"),  # type: ignore[arg-type]
        score=trial.score,
    )
