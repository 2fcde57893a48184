"""The search loop: ask the oracle, train, record, until it says stop.

The loop takes what it drives as arguments and knows no Keras model: any `train` function that
continues from a state will do. A search that was killed is started again by the same loop. The
oracle is asked from the beginning, trials that the ledger knows as ended are told to it without
training, and the one that was running goes on from its last recorded epoch.
"""

from __future__ import annotations

import contextlib
import math
import sqlite3
import traceback
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from automl_flowers.errors import RunError, UserError
from automl_flowers.files import Artefact
from automl_flowers.ledger import EpochRecord, Ledger, Status, TrialRecord
from automl_flowers.tuning.checkpoints import CheckpointFolder, State, model_part
from automl_flowers.tuning.hyperband import Bracket
from search_spaces.recipe import Recipe

GIVE_UP_AFTER = 3
"""Trials that fail before the first success; then the cause is not the recipes. Infeasible
trials do not count, for a smaller recipe may fit, and neither do those that diverge: that is what
a learning rate does."""

MOST_ATTEMPTS = 3
"""Starts of a trial that may end with the process before an epoch is over. A machine that runs
out of memory often ends the process instead of raising, and would do so at every new start."""

FINAL = -1
"""Bracket of a trial beside all brackets, which brings a recipe to its full horizon."""

GetState = Callable[[], State]
WorthKeeping = Callable[[Sequence[TrialRecord]], Collection[str]]
"""From all trials so far to the ids of those whose last state stays."""

OnEpoch = Callable[[EpochRecord, GetState], None]
"""Called after every epoch with what happened and a function that returns the state."""


class InfeasibleError(Exception):
    """A recipe that this machine cannot train, such as one that needs more memory."""


class DivergedError(ArithmeticError):
    """A loss or a score that is no finite number."""


class _ListenerFailed(Exception):  # noqa: N818 - carries an error, is none
    def __init__(self, error: Exception) -> None:
        self.error = error


@dataclass(frozen=True)
class Task:
    """What one trial has to do.

    Attributes:
        trial_id: The oracle's name for it.
        recipe: What to train.
        bracket: Index of the bracket.
        round: Index of the round in the bracket.
        parent: The trial that it continues, or None.
        first_epoch: Epochs that its parent has trained.
        last_epoch: Epochs trained when it ends.
    """

    trial_id: str
    recipe: Recipe
    bracket: int
    round: int
    parent: str | None
    first_epoch: int
    last_epoch: int


class Oracle(Protocol):
    """What the loop needs of an oracle: the part of Keras Tuner's that it calls, and two more.

    Attributes:
        plan: Brackets to fill; the last round of one ends at the full horizon.
        objective: Keras Tuner's; its `name` is a field of `EpochRecord`.
        maximise: Whether a higher objective is better.
    """

    plan: tuple[Bracket, ...]
    objective: Any
    maximise: bool

    def create_trial(self, tuner_id: str) -> Any:
        """Return the next trial, whose status says whether there is one."""

    def update_trial(self, trial_id: str, metrics: dict[str, Any], step: int = 0) -> Any:
        """Hear of a trial's score."""

    def end_trial(self, trial: Any) -> None:
        """Hear that a trial has ended."""

    def still_needed(self) -> set[str]:
        """Return the trials whose state may still be continued."""


class Train(Protocol):
    """Trains a recipe from one epoch to another."""

    def __call__(
        self,
        recipe: Recipe,
        first_epoch: int,
        last_epoch: int,
        state: State | None,
        on_epoch: OnEpoch,
    ) -> dict[str, int]:
        """Train, call `on_epoch` after every epoch, and return the size of the model.

        Raises:
            InfeasibleError: If this machine cannot train the recipe.
            UserError: If only the user can mend it; the search stops.
            Exception: Anything else fails this trial alone.
        """


class Listener:
    """Hears what a search does. The methods of this one do nothing."""

    def trial_started(self, task: Task, *, resumed_from: int) -> None:
        """Hear that a trial starts after `resumed_from` epochs."""

    def epoch_ended(self, task: Task, record: EpochRecord) -> None:
        """Hear what an epoch brought."""

    def trial_ended(self, task: Task, record: TrialRecord) -> None:
        """Hear how a trial ended."""

    def trial_known(self, record: TrialRecord) -> None:
        """Hear of a trial that an earlier command ended."""


class Pace:
    """Says when a search stops. This one lets it come to its end by itself."""

    def allows(self, task: Task, trials: Sequence[TrialRecord]) -> bool:
        """Say whether a trial may still start."""
        return True

    def is_over(self, task: Task, trials: Sequence[TrialRecord]) -> bool:
        """Say, after an epoch of a trial, whether it has to stop there."""
        return False

    def final_fits(self, trials: Sequence[TrialRecord]) -> Iterable[Task]:
        """Return what to train when no trial starts any more."""
        return ()

    def still_needed(self, trials: Sequence[TrialRecord]) -> Collection[str]:
        """Return the trials whose state what it will train goes on from."""
        return ()


class OutOfTime(Exception):  # noqa: N818 - an end, no error
    """The time is over in the middle of a trial."""


def run_search(
    oracle: Oracle,
    train: Train,
    ledger: Ledger,
    checkpoints: CheckpointFolder,
    best: CheckpointFolder,
    listener: Listener | None = None,
    *,
    worth_keeping: WorthKeeping = lambda trials: (),
    pace: Pace | None = None,
) -> list[TrialRecord]:
    """Run, or go on with, a search.

    Args:
        oracle: Fresh, with the same settings as when the search began.
        train: Trains one recipe.
        ledger: Writable; knows what was done before.
        checkpoints: States that may still be continued.
        best: Holds the model of the best epoch so far, by the objective.
        listener: Hears what happens.
        worth_keeping: Says of which trials the last state stays when the search is over, so
            that nobody has to train them again.
        pace: Says when to stop, and what to finish then; None for neither.

    Returns:
        All trials.

    Raises:
        RunError: If the ledger belongs to a search with other settings, or nothing works.
        UserError: What `train` raised for the user to mend.
    """
    pace = pace or Pace()
    loop = _Loop(
        oracle, train, ledger, checkpoints, best, listener or Listener(), worth_keeping, pace
    )
    with contextlib.suppress(OutOfTime):  # what was running is recorded up to its last epoch
        while (trial := oracle.create_trial("search")).status == "RUNNING" and loop.advance(trial):
            pass
    with contextlib.suppress(OutOfTime):
        loop.finish()
    loop.prune()
    return ledger.trials()


@dataclass
class _Loop:
    oracle: Oracle
    train: Train
    ledger: Ledger
    checkpoints: CheckpointFolder
    best: CheckpointFolder
    listener: Listener
    worth_keeping: WorthKeeping
    pace: Pace

    def __post_init__(self) -> None:
        self._horizon = max(bracket[-1].last_epoch for bracket in self.oracle.plan)
        records = self.ledger.trials()
        self._known = {record.trial_id: record for record in records}
        seen = [self._signed(epoch) for record in records for epoch in record.epochs]
        self._best_score = max(seen) if seen and self.best.names() else -math.inf

    def _signed(self, record: EpochRecord) -> float:
        """Return the objective of an epoch so that higher is better, and NaN is worst."""
        score = float(getattr(record, self.oracle.objective.name))
        signed = score if self.oracle.maximise else -score
        return -math.inf if math.isnan(signed) else signed

    def advance(self, trial: Any) -> bool:
        """Bring one trial to its end, by the ledger's word or by training.

        Returns:
            False, if there is no time for it.
        """
        task = _task(trial)
        record = self._known.get(task.trial_id)
        if record is not None and not _is_record_of(task, record):
            raise RunError(
                f"Trial {task.trial_id} of this run trained another recipe, or other epochs, than "
                "these settings lead to.",
                hint="start a new run with `--run`, or restore the settings in config.yaml",
            )
        if record is not None and record.status != "running":
            self._tell_oracle(trial, record)
            self.listener.trial_known(record)
            return True
        if not self.pace.allows(task, self.ledger.trials()):
            return False
        record = self._run(task)
        self._tell_oracle(trial, record)
        self.prune()
        self._give_up_if_nothing_works()
        return True

    def finish(self) -> None:
        """Bring what is worth it to its full horizon, beside the oracle."""
        for task in self.pace.final_fits(self.ledger.trials()):
            self._run(task)

    def _run(self, task: Task) -> TrialRecord:
        number = len(self.ledger.trials())  # that of one that starts again stays
        self.ledger.start_trial(_opening_record(task, number, self.ledger.clock()))
        try:
            status, reason = self._attempt(task)
        except BaseException:  # whoever stops the search, this trial did not
            self.ledger.forget_attempts(task.trial_id)
            raise
        self._end(task, status, reason)
        record = self._record_of(task)
        self.listener.trial_ended(task, record)
        return record

    def _record_of(self, task: Task) -> TrialRecord:
        return next(r for r in self.ledger.trials() if r.trial_id == task.trial_id)

    def _attempt(self, task: Task) -> tuple[Status, str | None]:
        """Train what a trial has left to train, and return how it ended and why."""
        attempts = self.ledger.count_attempts(task.trial_id)
        if attempts > MOST_ATTEMPTS:
            often = f"{MOST_ATTEMPTS} times the process ended before an epoch of it was over"
            return "infeasible", f"{often}, as it does when memory runs out"
        first_epoch, state = self._starting_point(task)
        self.listener.trial_started(task, resumed_from=first_epoch)

        def on_epoch(record: EpochRecord, get_state: GetState) -> None:
            self._record_epoch(task, record, get_state())
            try:
                self.listener.epoch_ended(task, record)
            except Exception as error:  # not the recipe's fault
                raise _ListenerFailed(error) from error
            has_more = record.epoch + 1 < task.last_epoch
            if has_more and self.pace.is_over(task, self.ledger.trials()):
                raise OutOfTime

        return self._train(task, first_epoch, state, on_epoch)

    def _record_epoch(self, task: Task, record: EpochRecord, state: State) -> None:
        """Write the state, then the record that names it, then remove what is superseded."""
        try:
            is_last = record.epoch + 1 == self._horizon  # then nothing will be continued
            kept = model_part(state) if is_last else state
            written = self.checkpoints.save(task.trial_id, record.epoch + 1, kept)
            best = self._keep_if_best(task, record, state)
            self.ledger.record_epoch(task.trial_id, record, written, best)
            self.prune()
        except (OSError, sqlite3.OperationalError) as error:  # not the recipe's fault
            raise RunError(
                f"The run folder cannot be written to: {error}.",
                hint="make room or restore access, then run the same command again",
            ) from error

    def _keep_if_best(self, task: Task, record: EpochRecord, state: State) -> Artefact | None:
        if self._signed(record) <= self._best_score:
            return None
        written = self.best.save(task.trial_id, record.epoch + 1, model_part(state))
        self.best.keep_only({written.name})
        self._best_score = self._signed(record)
        return written

    def _train(
        self, task: Task, first_epoch: int, state: State | None, on_epoch: OnEpoch
    ) -> tuple[Status, str | None]:
        try:
            # With no epoch left, after a kill between the last and the end, only the size is new.
            size = self.train(task.recipe, first_epoch, task.last_epoch, state, on_epoch)
            self.ledger.record_size(task.trial_id, size)
        except (UserError, OutOfTime):
            raise
        except _ListenerFailed as failed:
            raise failed.error from None
        except InfeasibleError as error:
            return "infeasible", str(error)
        except Exception as error:
            self.ledger.record_event("traceback", traceback.format_exc())
            return "failed", _first_line(error)
        return "completed", None

    def _end(self, task: Task, status: Status, reason: str | None) -> None:
        score = None
        if status == "completed":
            record = self._record_of(task)
            objective = self.oracle.objective.name
            score = getattr(record.epochs[-1], objective)
            if not math.isfinite(score):
                told = f"{objective} is {score} after {record.epochs_trained} epochs"
                status, reason, score = "failed", _first_line(DivergedError(told)), None
        self.ledger.end_trial(task.trial_id, status, score=score, reason=reason)

    def _starting_point(self, task: Task) -> tuple[int, State | None]:
        """Return the epoch to start after and the state to start from.

        An ensemble removes states that only an extension of the search would go on from. Without
        one, training begins anew, records the epochs of its parent as its own, too, and comes to
        the same numbers.
        """
        for trial_id in (task.trial_id, task.parent):
            found = self.ledger.checkpoint_of(trial_id) if trial_id else None
            if found is not None and self.checkpoints.exists(found[1]):
                epochs, file = found
                nothing_left = epochs == task.last_epoch
                return epochs, None if nothing_left else self.checkpoints.load(file)
        return 0, None

    def _tell_oracle(self, trial: Any, record: TrialRecord) -> None:
        if record.status == "completed":
            objective = self.oracle.objective.name
            self.oracle.update_trial(
                trial.trial_id, {objective: record.score}, step=record.epochs_trained
            )
            trial.status = "COMPLETED"
        else:
            trial.status, trial.message = "FAILED", record.reason
        self.oracle.end_trial(trial)

    def prune(self) -> None:
        """Keep the states that someone may still go on from, and the last of what is not ended."""
        trials = self.ledger.trials()
        running = {record.trial_id for record in trials if record.status == "running"}
        needed = running.union(
            self.oracle.still_needed(), self.worth_keeping(trials), self.pace.still_needed(trials)
        )
        found = [self.ledger.checkpoint_of(trial_id) for trial_id in needed]
        self.checkpoints.keep_only({checkpoint[1].name for checkpoint in found if checkpoint})

    def _give_up_if_nothing_works(self) -> None:
        records = self.ledger.trials()
        failed = [r for r in records if r.status == "failed" and not _has_diverged(r)]
        if len(failed) >= GIVE_UP_AFTER and not any(r.status == "completed" for r in records):
            reasons = "; ".join(f"{r.trial_id}: {r.reason}" for r in failed[:GIVE_UP_AFTER])
            raise RunError(
                f"{len(failed)} trials failed before any completed, so the search stops "
                f"({reasons}).",
                hint="the tracebacks are in the table `events` of ledger.sqlite",
            )


def _has_diverged(record: TrialRecord) -> bool:
    return (record.reason or "").startswith(DivergedError.__name__)


def _task(trial: Any) -> Task:
    values = trial.hyperparameters.values
    return Task(
        trial_id=trial.trial_id,
        recipe=Recipe.from_values(values),
        bracket=values["tuner/bracket"],
        round=values["tuner/round"],
        parent=values.get("tuner/trial_id"),
        first_epoch=values["tuner/initial_epoch"],
        last_epoch=values["tuner/epochs"],
    )


def _opening_record(task: Task, number: int, started: float) -> TrialRecord:
    return TrialRecord(
        trial_id=task.trial_id,
        number=number,
        identity=task.recipe.identity,
        recipe=task.recipe.to_dict(),
        bracket=task.bracket,
        round=task.round,
        parent=task.parent,
        first_epoch=task.first_epoch,
        last_epoch=task.last_epoch,
        started=started,
    )


def _is_record_of(task: Task, record: TrialRecord) -> bool:
    """Say whether a recorded trial did what the task asks for."""
    return record.identity == task.recipe.identity and all(
        getattr(record, name) == getattr(task, name)
        for name in ("bracket", "round", "parent", "first_epoch", "last_epoch")
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
