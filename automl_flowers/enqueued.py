"""Recipes that a person wants tried first: read, and checked before a search begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from automl_flowers.config import RunConfig, load_yaml
from automl_flowers.errors import ConfigError
from automl_flowers.modeling.backbones import (
    check_registered,
    find_missing,
    where_to_get_weights,
)
from automl_flowers.starting_weights import IMAGENET, weights_of
from search_spaces.backbones import get_backbone
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import parse_recipes
from search_spaces.spaces import Space


def enqueued(config: RunConfig, space: Space, say: Callable[[str], None]) -> list[dict[str, Value]]:
    """Return the values of the recipes that a person wants tried first.

    They need not be in the space, whose own backbones and sizes were checked when it was made.

    Args:
        config: Its `enqueue` and `weights`.
        space: What the search chooses from, and what an entry leaves out is taken from.
        say: Hears of downloads.

    Raises:
        ConfigError: If the file cannot be read, a recipe does not hold up, or it could not be
            trained: its images are too small for its backbone, or the backbone cannot be had.
    """
    entries: object = config.enqueue
    if isinstance(entries, str):
        entries = load_yaml(Path(entries))
    try:
        recipes = parse_recipes(entries or [], space)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    _check_sizes(recipes)
    check_registered((str(one["backbone"]), int(one["image_size"])) for one in recipes)
    _check_weights(recipes, config, space, say)
    return recipes


def _check_sizes(recipes: Sequence[Mapping[str, Value]]) -> None:
    for number, recipe in enumerate(recipes, start=1):
        backbone, size = get_backbone(str(recipe["backbone"])), int(recipe["image_size"])
        if size < backbone.min_image_size:
            raise ConfigError(
                f"Recipe {number} to begin with has images of {size} pixels, and {backbone.name} "
                f"needs at least {backbone.min_image_size}.",
                hint="give the recipe a larger `image_size` or another `backbone`",
            )


def _check_weights(
    recipes: Sequence[Mapping[str, Value]],
    config: RunConfig,
    space: Space,
    say: Callable[[str], None],
) -> None:
    named = dict.fromkeys(str(recipe["backbone"]) for recipe in recipes)
    wanted = [
        name
        for name in named
        if name not in space.choices("backbone") and weights_of(config.weights, name) == IMAGENET
    ]
    missing = find_missing(wanted, say)
    for number, recipe in enumerate(recipes, start=1):
        name = str(recipe["backbone"])
        if name in missing:
            raise ConfigError(
                f"Recipe {number} to begin with needs the ImageNet weights of {name}, which cannot "
                f"be had: {missing[name]}.",
                hint=f"{where_to_get_weights([name])}; or give the recipe another `backbone`",
            )
