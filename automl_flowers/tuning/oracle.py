"""Keras Tuner's Hyperband oracle, driven without a Tuner and without files.

The rules are pure functions in `hyperband.py`; this class is the shell that makes them a
`keras_tuner` oracle: it draws recipes from a `HyperParameters`, and hands out and scores
Keras Tuner trials. It keeps no state on disk. The ledger records what every trial did, and
because the oracle is a function of its seed and of the scores, a search that is started again
replays the recorded trials and arrives where it was.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import keras_tuner

from automl_flowers.tuning.hyperband import Bracket, Entry, Start, next_step
from search_spaces.recipe import Recipe
from search_spaces.spaces import Space

_ENDED = {"COMPLETED": "completed", "FAILED": "ended", "INVALID": "ended"}


class HyperbandOracle(keras_tuner.oracles.HyperbandOracle):
    """Draws recipes from a space and promotes the best, by a plan of brackets.

    Args:
        space: What may be chosen.
        plan: Brackets, from `hyperband.plan_brackets`.
        objective: Name of the metric that trials report.
        maximise: Whether a higher objective is better.
        seed: Any integer; upstream takes 0 for "no seed".
    """

    def __init__(
        self,
        space: Space,
        plan: Sequence[Bracket],
        *,
        objective: str,
        maximise: bool,
        seed: int,
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
        self.plan = tuple(plan)
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
            values = self._random_values()
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

    def _compute_values_hash(self, values: dict[str, Any]) -> str:
        """Make "tried so far" mean the recipe, not the values that led to it."""
        return Recipe.from_values(values).identity

    def save(self) -> None:
        """Write nothing: the ledger is the record."""

    def _save_trial(self, trial: Any) -> None:
        """Write nothing: the ledger is the record."""


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
