"""Keras Tuner's Hyperband oracle, driven without a Tuner and without files.

The rules are pure functions in `hyperband.py`; this class is the shell that makes them a
`keras_tuner` oracle: it draws recipes, and hands out and scores Keras Tuner trials. New recipes
come from a list first, then in turn from anywhere in the space and from near the best so far.

It keeps no state on disk. The ledger records what every trial did, and because the oracle is a
function of its seed and of the scores, a search that is started again replays the recorded
trials and arrives where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np

from automl_flowers.tuning.hyperband import Bracket, Entry, Start, best_recipes, next_step
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import vary
from search_spaces.recipe import Recipe
from search_spaces.spaces import Space

_MOST_COLLISIONS = 20
"""Recipes near the best that were all tried before; then one is drawn from anywhere."""

_ENDED = {"COMPLETED": "completed", "FAILED": "ended", "INVALID": "ended"}


class HyperbandOracle(keras_tuner.oracles.HyperbandOracle):
    """Draws recipes from a space and promotes the best, by a plan of brackets.

    Args:
        space: What may be chosen.
        plan: Brackets, from `hyperband.plan_brackets`.
        objective: Name of the metric that trials report.
        maximise: Whether a higher objective is better.
        seed: Any integer; upstream takes 0 for "no seed".
        first: Values of the recipes to begin with.
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
    ) -> None:
        hp = keras_tuner.HyperParameters()
        space.declare(hp)
        super().__init__(
            objective=keras_tuner.Objective(objective, "max" if maximise else "min"),
            max_epochs=max(bracket[-1].last_epoch for bracket in plan),
            seed=_spread(seed),
            hyperparameters=hp,
            allow_new_entries=False,
            tune_new_entries=False,
            max_consecutive_failed_trials=2**31,  # the search loop has its own rule
        )
        self.verbose = 0
        self.space = space
        self.plan = tuple(plan)
        self._seed_of_run = seed
        self._first = _distinct(first)
        self.maximise = maximise
        self._exhausted = False

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Say what a new trial should run, in Keras Tuner's form."""
        step = next_step(
            self.plan, self.entries(), maximise=self.maximise, exhausted=self._exhausted
        )
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

    def _values_for(self, step: Start) -> dict[str, Any] | None:
        if step.parent is None:
            values = self._new_values()
            if values is None:
                return None
        else:
            parent = self.trials[step.parent]
            values = {**parent.hyperparameters.values, "tuner/trial_id": step.parent}
        planned = self.plan[step.bracket][step.round]
        values["tuner/epochs"] = planned.last_epoch
        values["tuner/initial_epoch"] = planned.first_epoch
        values["tuner/bracket"] = step.bracket
        values["tuner/round"] = step.round
        return dict(values)

    def _new_values(self) -> dict[str, Any] | None:
        """Return the values of a recipe that was not tried before, or None if there is none."""
        number = sum(entry.parent is None for entry in self.entries())
        if number < len(self._first):
            return dict(self._first[number])
        if (number - len(self._first)) % 2:
            values = self._near_the_best(number)
            if values is not None:
                return values
        drawn: dict[str, Any] | None = self._random_values()
        return drawn

    def _near_the_best(self, number: int) -> dict[str, Any] | None:
        good = best_recipes(self.entries(), maximise=self.maximise)
        if not good:
            return None
        generator = np.random.default_rng((_spread(self._seed_of_run), number))
        for _ in range(_MOST_COLLISIONS):
            parent = self.trials[good[generator.integers(len(good))]]
            values = vary(self.space, parent.hyperparameters.values, generator)
            if not self._duplicate(values):
                return dict(values)
        return None

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """Make "tried so far" mean the recipe, not the values that led to it."""
        return Recipe.from_values(values).identity

    def save(self) -> None:
        """Write nothing: the ledger is the record."""

    def _save_trial(self, trial: Any) -> None:
        """Write nothing: the ledger is the record."""


def _distinct(first: Sequence[Mapping[str, Value]]) -> tuple[Mapping[str, Value], ...]:
    """Return the values without those that mean the same recipe as earlier ones."""
    distinct: dict[str, Mapping[str, Value]] = {}
    for values in first:
        distinct.setdefault(Recipe.from_values(values).identity, values)
    return tuple(distinct.values())


def _spread(seed: int) -> int:
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
