"""Training further: what was trained to its end goes on for a while, on more images.

For four tenths of the epochs, from a third of the peak learning rate down to none: enough to take
in images that were held out before (`benchmarks/final_fits.py` compares what comes of it with a
training anew).
"""

from __future__ import annotations

from dataclasses import replace

from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

EPOCHS = 0.4
"""As a share of those before, rounded down."""

RATE = 1 / 3
"""The peak learning rate, as a share of the one before."""


def further_epochs(num_epochs: int) -> int:
    """Return for how many epochs to go on after some, at least one."""
    return max(int(EPOCHS * num_epochs), 1)


def with_lower_rate(recipe: Recipe) -> Recipe:
    """Return a recipe whose learning rate falls to nothing, whatever its own schedule does."""
    peak = RATE * recipe.schedule.peak_learning_rate
    return replace(recipe, schedule=Schedule("cosine", peak, {"warmup": 0.0}))
