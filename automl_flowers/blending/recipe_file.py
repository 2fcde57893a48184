"""`recipe.yaml`: all that an ensemble was made from, so that it can be made again.

It names the data and how they were divided, what the search decided, what the ensemble was asked
for, and the recipe of every member. No model is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from automl_flowers.config import RunConfig, parse_config, read_label_map, read_yaml
from automl_flowers.errors import ConfigError
from automl_flowers.files import write_text
from search_spaces.recipe import Recipe

FORMAT = 1
"""Raised when older files can no longer be read."""

_OF_THE_SEARCH = (
    *("data", "record_features", "seed", "leaks", "max_epochs", "objective"),
    *("weights", "weights_sha256", "probe", "precision", "bad_images"),
)
_OF_THE_ENSEMBLE = (
    *("top", "external", "label_map", "leaks", "bad_images", "blend_weights"),
    *("ema", "pseudo_labels", "seeds", "soup", "folds", "final_fit", "test_views"),
)


@dataclass(frozen=True)
class RecipeFile:
    """What a file says.

    Attributes:
        search: Settings of the run that a search decided.
        ensemble: Settings of the ensemble.
        images: Digits of what the images show and of the parts that they play.
        recipes: Of the members, in their order.
        others: For each member, further recipes whose weights are in its own.
        image_sizes: That the search had to choose from, in pixels: they decide what is read of data
            in several sizes, and at which the probe looks at external images. In a file of before
            they were written, those of the members.
        external_images: Digits of what the images of each external data set show, by its name;
            None in a file of before they were written.
        heads: Backbones, each at an image size, whose trainings started from a head on frozen
            features; None in a file of before they were written.
        look_with: The backbone and image size with which external classes were looked at: of the
            best recipe, which need not have become a member; None in a file of before it was
            written.
    """

    search: Mapping[str, Any]
    ensemble: Mapping[str, Any]
    images: str
    recipes: tuple[Recipe, ...]
    others: tuple[tuple[Recipe, ...], ...]
    image_sizes: tuple[int, ...]
    external_images: Mapping[str, str] | None = None
    heads: tuple[tuple[str, int], ...] | None = None
    look_with: tuple[str, int] | None = None


def write_recipe_file(
    path: Path,
    searched: RunConfig,
    blended: RunConfig,
    images: str,
    summary: Mapping[str, Any],
    *,
    image_sizes: Sequence[int],
    heads: Sequence[tuple[str, int]],
    look_with: tuple[str, int],
) -> None:
    """Write the file.

    Args:
        path: Where.
        searched: Settings of the search.
        blended: Settings of the ensemble.
        images: Digits of the images.
        summary: As in `blend.json`: members, external data sets, and scores for comparison.
        image_sizes: As in `RecipeFile`.
        heads: As in `RecipeFile`.
        look_with: As in `RecipeFile`.
    """
    settings = blended.model_dump() | {"label_map": read_label_map(blended.label_map) or None}
    content = {
        "format": FORMAT,
        "search": {name: searched.model_dump()[name] for name in _OF_THE_SEARCH},
        "ensemble": {name: settings[name] for name in _OF_THE_ENSEMBLE},
        "images": images,
        "image_sizes": list(image_sizes),
        "external_images": {source["name"]: source["content"] for source in summary["external"]},
        "heads": [_pair(*one) for one in heads],
        "look_with": _pair(*look_with),
        "members": [
            {name: member[name] for name in ("name", "weight", "recipe", "others")}
            for member in summary["members"]
        ],
        "scores": dict(summary["scores"]),
    }
    text = yaml.safe_dump(content, sort_keys=False)
    write_text(
        path, f"# To make this ensemble again: automl-flowers ensemble --from {path.name}\n{text}"
    )


def read_recipe_file(path: Path) -> RecipeFile:
    """Return what a file says.

    Raises:
        ConfigError: If it is none that `ensemble` wrote, or was changed so that it says nothing.
    """
    content = read_yaml(path)
    if content.get("format") != FORMAT:
        raise ConfigError(
            f"`{path}` must be a recipe file of format {FORMAT}, got "
            f"{content.get('format', 'none')!r}.",
            hint="give a `recipe.yaml` that `automl-flowers ensemble` wrote into a run",
        )
    try:
        recipes = tuple(Recipe.from_dict(member["recipe"]) for member in content["members"])
        read = RecipeFile(
            search=dict(content["search"]),
            ensemble=dict(content["ensemble"]),
            images=str(content["images"]),
            recipes=recipes,
            others=tuple(
                tuple(Recipe.from_dict(other) for other in member.get("others", ()))
                for member in content["members"]
            ),
            image_sizes=_image_sizes(content, recipes),
            external_images=_external_images(content),
            heads=_heads(content),
            look_with=_read_pair(content["look_with"]) if "look_with" in content else None,
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"`{path}` does not say what the ensemble was made from: {error}.",
            hint="restore it from the run that wrote it",
        ) from error
    parse_config({**read.search, **read.ensemble})
    return read


def _image_sizes(content: Mapping[str, Any], recipes: Sequence[Recipe]) -> tuple[int, ...]:
    of_members = {recipe.image_size for recipe in recipes}
    return tuple(sorted(int(size) for size in content.get("image_sizes", of_members)))


def _external_images(content: Mapping[str, Any]) -> dict[str, str] | None:
    found = content.get("external_images")
    return None if found is None else {str(name): str(digits) for name, digits in found.items()}


def _heads(content: Mapping[str, Any]) -> tuple[tuple[str, int], ...] | None:
    found = content.get("heads")
    if found is None:
        return None
    return tuple(map(_read_pair, found))


def _pair(backbone: str, image_size: int) -> dict[str, Any]:
    return {"backbone": backbone, "image_size": image_size}


def _read_pair(content: Mapping[str, Any]) -> tuple[str, int]:
    return str(content["backbone"]), int(content["image_size"])
