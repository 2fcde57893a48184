"""The plan of a search and whether it is over, for every oracle by its name.

Pure functions without Keras Tuner, so a report can tell how far a search is.
"""

from __future__ import annotations

from collections.abc import Sequence

from automl_flowers.config import RunConfig
from automl_flowers.tuning import hyperband, pasha
from automl_flowers.tuning.hyperband import (
    ENDLESS_SWEEPS,
    Bracket,
    Entry,
    Round,
    count_epochs,
    plan_brackets,
)


def has_rounds(config: RunConfig) -> bool:
    """Say whether the oracle trains recipes in rounds, and begins with known good ones."""
    return config.oracle in ("hyperband", "pasha")


def make_plan(config: RunConfig) -> tuple[Bracket, ...]:
    """Return the brackets of a search.

    Random, Bayesian and grid search train every recipe to the end: brackets of one round. By
    default they train about as many epochs as one sweep of Hyperband would.

    Args:
        config: Its `oracle`, `max_epochs`, `factor`, `max_recipes`, and whether time ends it.
    """
    max_epochs, endless = config.max_epochs or 1, config.is_endless
    if config.oracle == "hyperband":
        return plan_brackets(max_epochs, config.factor, config.max_recipes, endless=endless)
    if config.oracle == "pasha":
        return pasha.plan_rounds(max_epochs, config.factor, config.max_recipes, endless=endless)
    usual = count_epochs(plan_brackets(max_epochs, config.factor)) // max_epochs
    sizes = [config.max_recipes or usual, *([usual] * ENDLESS_SWEEPS if endless else [])]
    return tuple((Round(size, 0, max_epochs),) for size in sizes)


def is_over(config: RunConfig, entries: Sequence[Entry]) -> bool:
    """Say whether the trials so far are all that a search runs, if time does not end it.

    Args:
        config: Of the search.
        entries: All trials so far, in the order in which they started.
    """
    plan = make_plan(config)
    if config.oracle == "pasha":
        step = pasha.next_step(
            plan,
            entries,
            factor=config.factor,
            epsilon=pasha.EPSILON[config.objective],
            maximise=config.maximise,
        )
    else:
        step = hyperband.next_step(plan, entries, maximise=config.maximise)
    return step == "stop"
