"""Hyperband's arithmetic and promotions, as pure functions over plain data.

Bracket sizes and epochs are Keras Tuner's (`keras_tuner.oracles.HyperbandOracle`). What differs
is what upstream loses: a round whose trials partly failed still promotes the best of the rest,
and a limit on distinct recipes shrinks the last bracket instead of cutting promotions off.

Reference:
    Li et al., "Hyperband", JMLR 18 (2018), https://jmlr.org/papers/v18/16-558.html
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_FEWEST_TO_RANK = 3

ENDLESS_SWEEPS = 200
"""Sweeps over the brackets in a search that time ends, not their number."""


@dataclass(frozen=True)
class Round:
    """One round of a bracket.

    Attributes:
        size: Trials in it, at most.
        first_epoch: Epochs that its trials have already had.
        last_epoch: Epochs that they have had when it ends.
    """

    size: int
    first_epoch: int
    last_epoch: int


Bracket = tuple[Round, ...]
"""Rounds in order; the trials of the first are new recipes, the others' are promotions."""


@dataclass(frozen=True)
class Entry:
    """What the rules need to know of a trial.

    Attributes:
        trial_id: The trial.
        bracket: Index of its bracket in the plan.
        round: Index of its round in the bracket.
        parent: The trial that it continues, or None for a new recipe.
        status: `completed` has a score; `ended` has none (failed or infeasible).
        score: The objective, if completed.
    """

    trial_id: str
    bracket: int
    round: int
    parent: str | None
    status: Literal["running", "completed", "ended"]
    score: float | None = None


@dataclass(frozen=True)
class Start:
    """Start a trial: a new recipe if `parent` is None, else a promotion of `parent`."""

    bracket: int
    round: int
    parent: str | None


Step = Start | Literal["wait", "stop"]


def plan_brackets(
    max_epochs: int, factor: int = 3, max_recipes: int | None = None, *, endless: bool = False
) -> tuple[Bracket, ...]:
    """Return the brackets of a search, the one that halves most first.

    Args:
        max_epochs: Epochs of a trial that survives every round, at least 1.
        factor: How many times fewer trials, and more epochs, each round has; at least 2.
        max_recipes: Distinct recipes to try. None for one sweep over the brackets; a larger
            number than a sweep has repeats the sweep, a smaller one shrinks the last bracket.
        endless: Whether sweeps follow after that, more than a search ever gets to.

    Returns:
        The brackets; their first rounds add up to `max_recipes` if it is given, and there is an
        end.

    Raises:
        ValueError: If a number is smaller than that.
    """
    if max_epochs < 1 or factor < 2 or (max_recipes is not None and max_recipes < 1):
        raise ValueError(
            "`max_epochs` and `max_recipes` must be at least 1 and `factor` at least 2, got "
            f"{max_epochs}, {max_recipes} and {factor}."
        )
    sweep = [
        _bracket(number, max_epochs, factor)
        for number in reversed(range(_count_brackets(max_epochs, factor)))
    ]
    more = sweep * ENDLESS_SWEEPS if endless else []
    if max_recipes is None:
        return (*sweep, *more)
    brackets: list[Bracket] = []
    while max_recipes > 0:
        bracket = _shrink(sweep[len(brackets) % len(sweep)], max_recipes, factor)
        brackets.append(bracket)
        max_recipes -= bracket[0].size
    return (*brackets, *more)


def _count_brackets(max_epochs: int, factor: int) -> int:
    count, epochs = 0, max_epochs
    while epochs >= 1:
        epochs //= factor
        count += 1
    return count


def _bracket(number: int, max_epochs: int, factor: int) -> Bracket:
    final_size = math.ceil(1 + math.log(max_epochs, factor)) / (number + 1)
    epochs = [0, *(math.ceil(max_epochs / factor ** (number - r)) for r in range(number + 1))]
    return tuple(
        Round(math.ceil(final_size * factor ** (number - r)), epochs[r], epochs[r + 1])
        for r in range(number + 1)
    )


def _shrink(bracket: Bracket, num_recipes: int, factor: int) -> Bracket:
    sizes = [min(bracket[0].size, num_recipes)]
    for planned in bracket[1:]:
        sizes.append(min(planned.size, math.ceil(sizes[-1] / factor)))
    return tuple(
        Round(size, planned.first_epoch, planned.last_epoch)
        for size, planned in zip(sizes, bracket, strict=True)
    )


def count_epochs(plan: Sequence[Bracket]) -> int:
    """Return how many epochs a search trains if nothing fails."""
    return sum(r.size * (r.last_epoch - r.first_epoch) for bracket in plan for r in bracket)


def next_step(
    plan: Sequence[Bracket],
    entries: Sequence[Entry],
    *,
    maximise: bool = True,
    exhausted: bool = False,
) -> Step:
    """Say what to run next.

    A round is promoted from when all its trials have ended, so the choice depends on scores
    and not on timing. While one bracket waits for running trials, the next may start.

    Args:
        plan: From `plan_brackets`.
        entries: All trials so far, in the order in which they started.
        maximise: Whether a higher score is better.
        exhausted: Whether there are no new recipes left to draw.

    Returns:
        What to start, `"wait"` for a running trial, or `"stop"`.
    """
    waiting = False
    for number, bracket in enumerate(plan):
        rounds = by_round(entries, number, len(bracket))
        if len(rounds[0]) < bracket[0].size and not exhausted:
            return Start(number, 0, None)
        for index in range(1, len(bracket)):
            past = rounds[index - 1]
            if any(entry.status == "running" for entry in past):
                waiting = True
                break
            taken = {entry.parent for entry in rounds[index]}
            chosen = promoted(past, bracket[index].size, maximise=maximise)
            for trial_id in chosen:
                if trial_id not in taken:
                    return Start(number, index, trial_id)
        waiting = waiting or any(entry.status == "running" for entry in rounds[-1])
    return "wait" if waiting else "stop"


def promoted(entries: Sequence[Entry], size: int, *, maximise: bool = True) -> list[str]:
    """Return the trials of an ended round that go on: the best that completed, at most `size`.

    Equal scores go in the order in which the trials started.
    """
    completed = [entry for entry in entries if entry.status == "completed"]
    sign = -1 if maximise else 1
    ranked = sorted(completed, key=lambda entry: sign * (entry.score or 0.0))
    return [entry.trial_id for entry in ranked[:size]]


def best_recipes(entries: Sequence[Entry], *, maximise: bool = True) -> list[str]:
    """Return the trials near which new recipes are drawn: the best quarter of the recipes.

    A recipe counts once, by its longest trial. At least three must have completed, so that
    "best" means something.
    """
    continued = {entry.parent for entry in entries}
    completed = [
        entry
        for entry in entries
        if entry.status == "completed" and entry.trial_id not in continued
    ]
    if len(completed) < _FEWEST_TO_RANK:
        return []
    return promoted(completed, math.ceil(len(completed) / 4), maximise=maximise)


def still_needed(
    plan: Sequence[Bracket], entries: Sequence[Entry], *, maximise: bool = True
) -> set[str]:
    """Return the completed trials whose state may still be continued.

    Those are the best of a round so far, as many as it will promote: whatever completes later
    can only push them down. A promotion that has ended needs its parent's state no longer.
    """
    needed: set[str] = set()
    for number, bracket in enumerate(plan):
        rounds = by_round(entries, number, len(bracket))
        for index in range(1, len(bracket)):
            best = promoted(rounds[index - 1], bracket[index].size, maximise=maximise)
            ended = {entry.parent for entry in rounds[index] if entry.status != "running"}
            needed |= set(best) - ended
    return needed


def by_round(entries: Sequence[Entry], bracket: int, num_rounds: int) -> list[list[Entry]]:
    """Return the trials of each round of a bracket, in the order in which they started."""
    rounds: list[list[Entry]] = [[] for _ in range(num_rounds)]
    for entry in entries:
        if entry.bracket == bracket:
            rounds[entry.round].append(entry)
    return rounds
