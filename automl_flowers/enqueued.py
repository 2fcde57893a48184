"""Recipes that a person wants tried first: read, and checked before a search begins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from automl_flowers.config import RunConfig, load_yaml
from automl_flowers.errors import ConfigError
from automl_flowers.modeling.backbones import find_missing, where_to_get_weights
from automl_flowers.starting_weights import IMAGENET, weights_of
from search_spaces.backbones import get_backbone
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import parse_recipes
from search_spaces.spaces import Space


def enqueued(config: RunConfig, space: Space) -> list[dict[str, Value]]:
    """Return the values of the recipes that a person wants tried first.

    Raises:
        ConfigError: If the file cannot be read, or a recipe does not hold up.
    """
    entries: object = config.enqueue
    if isinstance(entries, str):
        entries = load_yaml(Path(entries))
    try:
        return parse_recipes(entries or [], space)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_enqueued(config: RunConfig, space: Space, say: Callable[[str], None]) -> None:
    """Refuse recipes to begin with that could not be trained, and name them.

    They need not be in the space, whose own backbones and sizes were checked when it was made.

    Args:
        config: Its `enqueue` and `weights`.
        space: What the search chooses from.
        say: Hears of downloads.

    Raises:
        ConfigError: If a recipe's images are too small for its backbone, or its backbone's
            weights cannot be had.
    """
    recipes = enqueued(config, space)
    _check_sizes(recipes)
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


def _check_sizes(recipes: Sequence[Mapping[str, Value]]) -> None:
    for number, recipe in enumerate(recipes, start=1):
        backbone, size = get_backbone(str(recipe["backbone"])), int(recipe["image_size"])
        if size < backbone.min_image_size:
            raise ConfigError(
                f"Recipe {number} to begin with has images of {size} pixels, and {backbone.name} "
                f"needs at least {backbone.min_image_size}.",
                hint="give the recipe a larger `image_size` or another `backbone`",
            )
