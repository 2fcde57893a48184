"""Batches that fit into memory: halved where planned ones do not, and remembered.

How much memory a recipe takes is known by trying only. What did not fit once is not tried again,
so a second recipe of the kind begins in the batches that did.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from automl_flowers.ledger import EpochRecord
from automl_flowers.out_of_memory import is_out_of_memory
from automl_flowers.tuning.search import GetState, InfeasibleError, OnEpoch
from search_spaces.recipe import Recipe

SMALLEST_BATCH = 4
"""Images a step and replica; a recipe that needs smaller batches to fit is infeasible."""

Footprint = tuple[str, int, int, str, int]
"""What decides how much memory a training takes."""


def in_smaller_batches(recipe: Recipe, halvings: int) -> Recipe:
    """Return a recipe in batches halved some times, at learning rates that go with them.

    For rules of Adam's family the rate follows the square root of the batch (Malladi et al., "On
    the SDEs and Scaling Rules for Adaptive Gradient Algorithms", NeurIPS 2022,
    https://arxiv.org/abs/2205.10287).

    Args:
        recipe: What was planned.
        halvings: How often to halve; 0 changes nothing.
    """
    if not halvings:
        return recipe
    rate = recipe.schedule.peak_learning_rate / math.sqrt(2**halvings)
    return replace(
        recipe,
        batch_size=recipe.batch_size >> halvings,
        schedule=replace(recipe.schedule, peak_learning_rate=rate),
    )


class FittingBatches:
    """Knows in which batches recipes fit into memory, as far as they were tried.

    Args:
        say: Hears of what trains in smaller batches than planned, in a sentence.
    """

    def __init__(self, say: Callable[[str], None] = lambda text: None) -> None:
        self._say = say
        self._halvings: dict[Footprint, int] = {}

    def of(self, recipe: Recipe) -> Recipe:
        """Return a recipe in batches that fit, as far as is known."""
        return in_smaller_batches(recipe, self._halvings.get(_footprint(recipe), 0))

    def train(
        self,
        recipe: Recipe,
        attempt: Callable[[OnEpoch], dict[str, int]],
        on_epoch: OnEpoch,
        free: Callable[[], bool] = lambda: False,
    ) -> dict[str, int]:
        """Train in halved batches until they fit, and return what `attempt` does.

        What does not fit beside others is first tried alone, in the same batches: those of a search
        must not depend on what was trained before.

        Args:
            recipe: As planned.
            attempt: Trains it in the batches that `of` says.
            on_epoch: Called after every epoch.
            free: Gives back memory before the next attempt; returns whether others had held any.

        Raises:
            InfeasibleError: If memory does not suffice for the smallest batches, or no more after
                an epoch: then others take it, which smaller batches do not mend.
        """
        has_begun = False

        def hear(record: EpochRecord, get_state: GetState) -> None:
            nonlocal has_begun
            has_begun = True
            on_epoch(record, get_state)

        while True:
            try:
                return attempt(hear)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
            was_alone = not free()  # out here, where no traceback holds what failed
            if has_begun or (was_alone and not self._halve(recipe)):
                fitting = self.of(recipe)
                raise InfeasibleError(
                    f"not enough memory for {fitting.backbone} at {fitting.image_size} px in "
                    f"batches of {fitting.batch_size}"
                )

    def _halve(self, recipe: Recipe) -> bool:
        """Remember that a recipe needs smaller batches; say whether there are any."""
        if self.of(recipe).batch_size < 2 * SMALLEST_BATCH:
            return False
        self._halvings[_footprint(recipe)] = self._halvings.get(_footprint(recipe), 0) + 1
        fitting = self.of(recipe)
        self._say(
            f"not enough memory for {recipe.name} in batches of {recipe.batch_size}: it trains in "
            f"batches of {fitting.batch_size}, at a peak learning rate of "
            f"{fitting.schedule.peak_learning_rate:.2g} instead of "
            f"{recipe.schedule.peak_learning_rate:.2g}"
        )
        return True


def _footprint(recipe: Recipe) -> Footprint:
    return (
        recipe.backbone,
        recipe.image_size,
        recipe.trainable_blocks,
        recipe.optimizer,
        recipe.batch_size,
    )
