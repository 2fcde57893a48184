"""Training further: what was trained to its end goes on for a while, on more images.

For a third of the epochs, from a third of the peak learning rate down to none: enough to take in
images that were held out before, at a fraction of what a training anew takes, and no worse
(`benchmarks/final_fits.py`).
"""

from __future__ import annotations

from dataclasses import replace

from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

SHARE = 1 / 3
"""Of the epochs and of the peak learning rate before."""


def further_epochs(num_epochs: int) -> int:
    """Return for how many epochs to go on after some, at least one."""
    return max(round(SHARE * num_epochs), 1)


def with_lower_rate(recipe: Recipe) -> Recipe:
    """Return a recipe whose learning rate falls to nothing, whatever its own schedule does."""
    peak = SHARE * recipe.schedule.peak_learning_rate
    return replace(recipe, schedule=Schedule("cosine", peak, {"warmup": 0.0}))
