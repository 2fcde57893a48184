"""PASHA's promotions, as pure functions over the plain data of `hyperband.py`.

Nobody waits for a round to fill (ASHA): a trial goes on as soon as it is among
the best third (one in `factor`) of those that have ended in its round, else a new recipe starts.
At first there are two rounds. A further, longer one opens only when the upper of the two ranks
recipes otherwise than the lower, so a search in which short trainings tell the truth never pays
for long ones. The ensemble trains what it picks to the end.

References:
    Li et al., "A System for Massively Parallel Hyperparameter Tuning" (ASHA), MLSys 2020,
    https://arxiv.org/abs/1810.05934
    Bohdal et al., "PASHA: Efficient HPO and NAS with Progressive Resource Allocation", ICLR 2023,
    https://arxiv.org/abs/2207.06940
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from automl_flowers.tuning.hyperband import (
    ENDLESS_SWEEPS,
    Bracket,
    Entry,
    Round,
    Start,
    Step,
    by_round,
    plan_brackets,
    promoted,
)

EPSILON: Mapping[str, float] = {"macro_f1": 0.025, "accuracy": 0.025, "log_loss": 0.125}
"""By objective: recipes no further apart than this in the lower round are equally good, and may
change places in the upper one. The paper estimates it from noise in rankings, which takes more
trials than a search of ours has; a constant is simpler, and a search can be replayed from it."""


def plan_rounds(
    max_epochs: int, factor: int = 3, max_recipes: int | None = None, *, endless: bool = False
) -> tuple[Bracket, ...]:
    """Return one bracket with the epochs of Hyperband's that halves most.

    The sizes are what is expected, not limits: an early promotion is not taken back when better
    recipes come later. The upper rounds may stay empty.

    Args:
        max_epochs: Epochs of a trial that survives every round, at least 1.
        factor: How many times more epochs each round has; at least 2.
        max_recipes: Distinct recipes to try. None for as many as one sweep of Hyperband.
        endless: Whether brackets follow after that, more than a search ever gets to.

    Raises:
        ValueError: If a number is smaller than that.
    """
    sweep = plan_brackets(max_epochs, factor)
    usual = sum(bracket[0].size for bracket in sweep)
    more = [_with_sizes(sweep[0], usual, factor)] * ENDLESS_SWEEPS if endless else []
    return (_with_sizes(sweep[0], max_recipes or usual, factor), *more)


def _with_sizes(bracket: Bracket, size: int, factor: int) -> Bracket:
    return tuple(
        Round(size // factor**number, planned.first_epoch, planned.last_epoch)
        for number, planned in enumerate(bracket)
    )


def next_step(
    plan: Sequence[Bracket],
    entries: Sequence[Entry],
    *,
    factor: int,
    epsilon: float,
    maximise: bool = True,
    exhausted: bool = False,
) -> Step:
    """Say what to run next: the longest promotion that is due, else a new recipe.

    Args:
        plan: From `plan_rounds`.
        entries: All trials so far, in the order in which they started.
        factor: One trial in so many is promoted.
        epsilon: Difference of scores up to which recipes are equally good.
        maximise: Whether a higher score is better.
        exhausted: Whether there are no new recipes left to draw.

    Returns:
        What to start, `"wait"` for a running trial, or `"stop"`.
    """
    waiting = False
    for number, bracket in enumerate(plan):
        rounds = by_round(entries, number, len(bracket))
        for index in range(top_round(rounds, epsilon=epsilon, maximise=maximise), 0, -1):
            past = rounds[index - 1]
            taken = {entry.parent for entry in rounds[index]}
            due = promoted(past, _count(past, "completed") // factor, maximise=maximise)
            for trial_id in due:
                if trial_id not in taken:
                    return Start(number, index, trial_id)
        if len(rounds[0]) < bracket[0].size and not exhausted:
            return Start(number, 0, None)
        waiting = waiting or any(_count(there, "running") for there in rounds)
    return "wait" if waiting else "stop"


def top_round(rounds: Sequence[Sequence[Entry]], *, epsilon: float, maximise: bool = True) -> int:
    """Return the index of the highest round of a bracket that is open.

    It never falls as results come in, because two recipes that changed places stay so.

    Args:
        rounds: The trials of each round.
        epsilon: Difference of scores up to which recipes are equally good.
        maximise: Whether a higher score is better.
    """
    top = min(1, len(rounds) - 1)
    while top + 1 < len(rounds) and rankings_differ(
        rounds[top - 1], rounds[top], epsilon=epsilon, maximise=maximise
    ):
        top += 1
    return top


def rankings_differ(
    lower: Sequence[Entry], upper: Sequence[Entry], *, epsilon: float, maximise: bool = True
) -> bool:
    """Say whether a round ranks some two recipes otherwise than the one below.

    Two recipes count when the lower round holds them more than `epsilon` apart. The paper
    compares place by place whether the recipe there is within `epsilon` of the one that was
    there; whenever that finds a difference, some pair does too, and pairs do not come and go.

    Args:
        lower: Trials of a round.
        upper: Promotions of some of them.
        epsilon: Difference of scores up to which recipes are equally good.
        maximise: Whether a higher score is better.
    """
    sign = 1 if maximise else -1
    before = {entry.trial_id: entry.score or 0.0 for entry in lower}
    pairs = [
        (sign * before[entry.parent or ""], sign * (entry.score or 0.0))
        for entry in upper
        if entry.status == "completed"
    ]
    return any(
        below - other_below > epsilon and above < other_above
        for (below, above), (other_below, other_above) in itertools.permutations(pairs, 2)
    )


def still_needed(
    plan: Sequence[Bracket],
    entries: Sequence[Entry],
    *,
    factor: int,
    epsilon: float,
    maximise: bool = True,
    exhausted: bool = False,
) -> set[str]:
    """Return the trials whose state may still be continued.

    Those are the parents of running promotions, and the best of every round, as many as it can
    come to promote: later results only push them down. Arguments as for `next_step`.
    """
    needed: set[str] = set()
    for number, bracket in enumerate(plan):
        rounds = by_round(entries, number, len(bracket))
        if not rounds[0]:
            continue
        top = top_round(rounds, epsilon=epsilon, maximise=maximise)
        coming = 0 if exhausted else bracket[0].size - len(rounds[0])  # may start in the round
        for index, (past, there) in enumerate(itertools.pairwise(rounds), 1):
            unfinished = coming + _count(past, "running")
            if index > top and not unfinished:
                break  # no result can come that would open this round
            taken = {entry.parent for entry in there}
            most = (unfinished + _count(past, "completed")) // factor
            due = set(promoted(past, most, maximise=maximise)) - taken
            needed |= due | {str(entry.parent) for entry in there if entry.status == "running"}
            coming = unfinished + len(due)
    return needed


def _count(entries: Sequence[Entry], status: str) -> int:
    return sum(entry.status == status for entry in entries)
