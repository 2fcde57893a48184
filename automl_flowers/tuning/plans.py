"""The plan of a search, for every oracle by its name.

Pure functions without Keras Tuner, so a report can tell how far a search is.
"""

from __future__ import annotations

from collections.abc import Sequence

from automl_flowers.config import RunConfig
from automl_flowers.durations import say_seconds
from automl_flowers.tuning import pasha
from automl_flowers.tuning.hyperband import (
    ENDLESS_SWEEPS,
    Bracket,
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


def describe_plan(
    config: RunConfig, num_images: int, space: str, epoch_seconds: float | None
) -> list[str]:
    """Return what a search is going to do and to cost, then its rounds, in lines for people.

    Args:
        config: Complete settings.
        num_images: Labelled images to train on.
        space: Name of what may be chosen.
        epoch_seconds: What an epoch of a typical recipe is predicted to take, or None.
    """
    each = "" if epoch_seconds is None else f", each about {say_seconds(epoch_seconds)}"
    if config.is_endless:
        plan = make_plan(config.model_copy(update={"time_budget": None}))
        cost = (
            f"recipes of up to {config.max_epochs} epochs of {num_images} images{each}, "
            f"{say_seconds(config.time_budget or 0)} in all"
        )
    else:
        plan = make_plan(config)
        recipes, epochs = sum(bracket[0].size for bracket in plan), count_epochs(plan)
        most = "about" if config.oracle == "pasha" else "at most"  # see `pasha.plan_rounds`
        brackets = "1 bracket" if len(plan) == 1 else f"{len(plan)} brackets"
        seconds = "; how long that takes is told after the first trial"
        if epoch_seconds is not None:
            seconds = f", about {say_seconds(epochs * epoch_seconds)}"
        cost = (
            f"{recipes} recipes in {brackets}, {most} {epochs} epochs of {num_images} images"
            f"{seconds}"
        )
    return [f"space {space}, {config.oracle}: {cost}", *_describe_rounds(plan)]


def _describe_rounds(plan: Sequence[Bracket]) -> list[str]:
    return [
        f"  bracket {number}: "
        + ", then ".join(
            f"{r.size} x epochs {r.first_epoch + 1}-{r.last_epoch}" for r in bracket if r.size
        )
        for number, bracket in enumerate(plan)
    ]
