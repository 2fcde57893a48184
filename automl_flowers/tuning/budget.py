"""A time budget: how much is left, over all commands that worked on a run.

The budget counts from the start of the command, and a search that goes on counts what earlier
commands took. Part of it is reserved for final fits: bringing the best recipes to their full
horizon, so that what was found is worth what it cost.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from automl_flowers.blending.pick import Candidate, candidate_of
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.tuning.cost import Costs, Workload, learn_costs
from automl_flowers.tuning.search import FINAL, Pace, Task
from search_spaces.recipe import Recipe

SHARE_FOR_OTHERS = 1 / 3
"""Share of the budget that the final fits of members after the first may have."""

FEWEST_TRAININGS = 4
"""With time for fewer trainings than these, none is cut into rounds."""

SHARE_FOR_TRAININGS = 0.98
"""Share of what is left that trainings may take where there is time for a few only."""

DOUBT = 3.0
"""How many times longer or shorter a training may take than is guessed before one was timed."""


@dataclass(frozen=True)
class Horizon:
    """How long a finished training is.

    Attributes:
        epochs: From the start.
        in_rounds: Whether only the best get there, round by round.
    """

    epochs: int
    in_rounds: bool


@dataclass(frozen=True)
class Budget:
    """Seconds that a search may take.

    Attributes:
        seconds: In all, extensions included.
        spent_before: By earlier commands on this run.
        started: When this command started, on `clock`.
        clock: Returns seconds.
    """

    seconds: float
    spent_before: float = 0.0
    started: float = 0.0
    clock: Callable[[], float] = time.perf_counter

    @property
    def left(self) -> float:
        """Seconds left; below zero when it is over."""
        return self.seconds - self.spent_before - (self.clock() - self.started)


def reserve(missing: Sequence[tuple[Recipe, int]], costs: Costs, seconds: float) -> float:
    """Return the seconds to keep for final fits.

    The best recipe's is kept whatever it takes; those of further members as far as they fit into
    a share of the budget.

    Args:
        missing: The members that an ensemble would take now, the best first, and the epochs that
            each still has to train.
        costs: Of this run.
        seconds: The whole budget.
    """
    fits = [costs.training(recipe, epochs) if epochs else 0.0 for recipe, epochs in missing]
    others = 0.0
    for fit in fits[1:]:
        if others + fit <= SHARE_FOR_OTHERS * seconds:
            others += fit
    return sum(fits[:1]) + others


def choose_horizon(default: int, first: Sequence[Recipe], costs: Costs, seconds: float) -> Horizon:
    """Return how long a finished training should be under a time budget, and whether in rounds.

    With time for a few trainings only, every one goes to the end at once: rounds of short ones
    would cost more than they tell, and the length of the training decides more than its recipe.
    They share all the time: what is left after as many as fit in makes each of them longer.
    With more time, as many epochs as let about ten trainings fit in, and at most twice the default.

    Args:
        default: Epochs without a budget.
        first: Recipes that the search begins with; the very first stands for what comes later.
        costs: Of this run.
        seconds: What is left of the budget.
    """
    typical = first[0]
    if seconds < FEWEST_TRAININGS * costs.training(typical, default):
        room = SHARE_FOR_TRAININGS * seconds
        return Horizon(_epochs_of_few(default, first, costs, room), in_rounds=False)
    for_ten = int(seconds / (10 * costs.epoch(typical)))
    return Horizon(min(2 * default, max(for_ten, default)), in_rounds=True)


def _epochs_of_few(default: int, first: Sequence[Recipe], costs: Costs, seconds: float) -> int:
    """Return the epochs of as many trainings as fit in, which share all the time.

    One is trained whatever it takes. Others join as long as each gets the default epochs at least.
    What is built for one is there for the next of its kind.
    """
    epochs, trained = 0, list[Recipe]()
    for recipe in itertools.chain(first, itertools.repeat(first[0])):
        trained.append(recipe)
        built = {Workload.of(one): costs.build(one) for one in trained}
        fitting = int((seconds - sum(built.values())) / sum(map(costs.epoch, trained)))
        if epochs and fitting < default:
            break
        epochs = max(fitting, 1)
    return epochs


def is_tight(default: int, recipe: Recipe, costs: Costs, seconds: float) -> bool:
    """Say whether there may be time for a few trainings only, so that a guess is not enough.

    Args:
        default: Epochs without a budget.
        recipe: A typical one.
        costs: Guessed.
        seconds: What is left of the budget.
    """
    return seconds < DOUBT * FEWEST_TRAININGS * costs.training(recipe, default)


def _only_running(trials: Sequence[TrialRecord]) -> bool:
    return all(trial.status == "running" for trial in trials)


class TimedPace(Pace):
    """Stops a search when its time is over, and brings the best recipes to their horizon before.

    One trial comes to its end whatever it takes: a search that returns nothing wasted everything.
    A search that was killed decides as it would have done without, so what it goes on with is
    asked what an epoch's end is asked, and which recipes are to be finished is chosen once.

    Args:
        budget: How much time there is.
        horizon: Epochs of a finished training.
        forward: Seconds of passing the training images forward, from the probes.
        pick: From all trials to the members that an ensemble would take, the best first.
        has_state: Says of a trial whether its last state is there to be continued.
        ledger: Keeps the choice.
    """

    def __init__(
        self,
        budget: Budget,
        horizon: int,
        forward: Mapping[tuple[str, int], float],
        pick: Callable[[Sequence[TrialRecord]], Sequence[Candidate]],
        has_state: Callable[[str], bool],
        ledger: Ledger,
    ) -> None:
        self._budget, self._horizon, self._forward = budget, horizon, forward
        self._pick, self._has_state, self._ledger = pick, has_state, ledger

    def allows(self, task: Task, trials: Sequence[TrialRecord]) -> bool:
        """Say whether a trial and the final fits after it are predicted to fit in."""
        if self._ledger.chosen_final_fits(self._budget.seconds) is not None:
            return False
        begun = _find(task.trial_id, trials)
        if begun is not None and begun.epochs:
            return self._goes_on(task, begun, trials)
        picked = self._pick(trials)
        if not picked:
            return self._budget.left > 0 or _only_running(trials)
        costs = learn_costs(trials, self._forward)
        first_epoch = task.first_epoch if task.parent and self._has_state(task.parent) else 0
        cost = costs.training(task.recipe, task.last_epoch - first_epoch)
        return self._budget.left >= cost + self._reserve(picked, costs)

    def is_over(self, task: Task, trials: Sequence[TrialRecord]) -> bool:
        """Say whether the next epoch is predicted to take what is not there."""
        if not any(trial.status == "completed" for trial in trials):
            return False
        costs = learn_costs(trials, self._forward)
        picked = [] if task.bracket == FINAL else self._pick(trials)
        return self._budget.left < costs.epoch(task.recipe) + self._reserve(picked, costs)

    def final_fits(self, trials: Sequence[TrialRecord]) -> Iterator[Task]:
        """Yield what brings the picked recipes to their horizon, as long as there is time.

        The best goes on even where there is time for a part only; the rest is left to the ensemble.
        """
        costs = learn_costs(trials, self._forward)
        for number, candidate in enumerate(self._to_be_finished(trials)):
            missing = self._missing(candidate)
            task = self._final_fit(candidate, missing)
            begun = _find(task.trial_id, trials)
            if not missing or (begun is not None and begun.status != "running"):
                continue
            if begun is not None and begun.epochs:
                if not self._goes_on(task, begun, trials):
                    return
                yield task
                continue
            needed = costs.training(candidate.recipe, missing if number else min(missing, 1))
            if self._budget.left >= needed:
                yield task

    def still_needed(self, trials: Sequence[TrialRecord]) -> list[str]:
        """Return the trials that were chosen for final fits which have not ended yet.

        Those that come first change what would be picked now.
        """
        chosen = self._ledger.chosen_final_fits(self._budget.seconds) or []
        ended = {trial.trial_id for trial in trials if trial.status != "running"}
        return [trial_id for trial_id in chosen if _final_id(trial_id) not in ended]

    def _goes_on(self, task: Task, begun: TrialRecord, trials: Sequence[TrialRecord]) -> bool:
        """Say whether a trial that was killed between two epochs may go on."""
        return begun.epochs[-1].epoch + 1 == task.last_epoch or not self.is_over(task, trials)

    def _to_be_finished(self, trials: Sequence[TrialRecord]) -> list[Candidate]:
        chosen = self._ledger.chosen_final_fits(self._budget.seconds)
        if chosen is None:
            chosen = [candidate.trial_id for candidate in self._pick(trials)]
            self._ledger.choose_final_fits(self._budget.seconds, chosen)
        by_id = {trial.trial_id: trial for trial in trials}
        found = [candidate_of(by_id[trial_id]) for trial_id in chosen if trial_id in by_id]
        return [candidate for candidate in found if candidate is not None]

    def _missing(self, candidate: Candidate) -> int:
        """Return the epochs that a final fit trains: all of them where there is no state.

        What a callback has ended on the way to the horizon is finished as it is.
        """
        if candidate.planned >= self._horizon:
            return 0
        return self._horizon - (candidate.epochs if self._has_state(candidate.trial_id) else 0)

    def _final_fit(self, candidate: Candidate, missing: int) -> Task:
        first_epoch = self._horizon - missing
        return Task(
            trial_id=_final_id(candidate.trial_id),
            recipe=candidate.recipe,
            bracket=FINAL,
            round=0,
            parent=candidate.trial_id if first_epoch else None,
            first_epoch=first_epoch,
            last_epoch=self._horizon,
        )

    def _reserve(self, picked: Sequence[Candidate], costs: Costs) -> float:
        missing = [(candidate.recipe, self._missing(candidate)) for candidate in picked]
        return reserve(missing, costs, self._budget.seconds)


def _final_id(trial_id: str) -> str:
    """Return the name of the final fit of a trial's recipe."""
    return f"{trial_id}-final"


def _find(trial_id: str, trials: Sequence[TrialRecord]) -> TrialRecord | None:
    return next((trial for trial in trials if trial.trial_id == trial_id), None)
