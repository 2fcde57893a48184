"""What to make of each member: its recipe, what else may be in it, and what is trained of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from automl_flowers.blending.fits import Progress, read_progress
from automl_flowers.blending.pick import Candidate, others_of
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.tuning.checkpoints import CheckpointFolder
from search_spaces.recipe import Recipe


@dataclass(frozen=True)
class Start:
    """A recipe, and how far the search has come with it.

    Attributes:
        recipe: To train.
        progress: What the search has trained of it; None for nothing that is still there.
    """

    recipe: Recipe
    progress: Progress | None = None


@dataclass(frozen=True)
class MemberPlan:
    """What to make of a member.

    Attributes:
        start: Its recipe.
        others: Recipes that its weights may be averaged with, best first.
    """

    start: Start
    others: Sequence[Start] = ()

    def with_what_is_trained(self, num_epochs: int) -> MemberPlan:
        """Return the plan without others that the search has not trained for so many epochs."""
        others = [
            other
            for other in self.others
            if other.progress is not None and other.progress.planned == num_epochs
        ]
        return replace(self, others=others)


def plan_members(
    trials: Sequence[TrialRecord],
    picked: Sequence[Candidate],
    objective: str,
    ledger: Ledger,
    checkpoints: CheckpointFolder,
) -> list[MemberPlan]:
    """Return a plan for each picked recipe of a search.

    Args:
        trials: Of the ledger.
        picked: The members, the best first.
        objective: Of the search.
        ledger: Knows the names of states.
        checkpoints: Of the search.
    """

    def start(candidate: Candidate) -> Start:
        recipe = candidate.recipe
        return Start(recipe, read_progress(trials, recipe.identity, ledger, checkpoints))

    return [
        MemberPlan(start(one), [start(other) for other in others])
        for one, others in zip(picked, others_of(trials, picked, objective), strict=True)
    ]
