"""What a run chooses from: a space, without the backbones whose weights cannot be had.

It is recorded when a search begins, and every later command takes it as it was then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from automl_flowers.config import RunConfig, read_yaml
from automl_flowers.console import Reporter
from automl_flowers.data.sources import storage
from automl_flowers.errors import ConfigError, RunError, UserError
from automl_flowers.modeling.backbones import (
    UNKNOWN_BACKBONE,
    build_backbone,
    check_registered,
    find_missing,
    load_weights,
    where_to_get_weights,
)
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import IMAGENET, files_of, weights_of
from search_spaces.backbones import get_backbone
from search_spaces.hyperparameters import Value
from search_spaces.spaces import Space, load_space, parse_space

Recipes = Sequence[Mapping[str, Value]]
"""Recipes as values on `hp`."""

_CUSTOM = "custom"
"""Name of a space that is given by its content."""


def space_in_full(space: str | dict[str, Any]) -> str | dict[str, Any]:
    """Return a space as a run's settings keep it: a name, a whole path, or all of its content.

    Raises:
        ConfigError: If the content does not hold up.
    """
    if isinstance(space, dict):
        return _checked(parse_space, _CUSTOM, space).to_dict()
    return storage.normalise(space) if Path(space).suffix else space


def effective_space(config: RunConfig, run: RunFolder, reporter: Reporter) -> Space:
    """Return the space of this run: as recorded, or made from the settings and what is here.

    Raises:
        UserError: If it does not hold up, or is not the one that was recorded.
    """
    space = _wanted_space(config)
    if run.space.exists():
        before = replace(read_space(run), name=space.name)
        _check_same_space(before, space, run.space)
        return before
    check_registered((str(name), smallest_size(space)) for name in space.choices("backbone"))
    return _with_available_backbones(space, config, reporter)


def read_space(run: RunFolder) -> Space:
    """Return the space that a run recorded.

    Raises:
        ConfigError: If its file cannot be read.
        RunError: If there is none, or it does not hold up in this program.
    """
    recorded = run.require(run.space, "search")
    try:
        return parse_space("recorded", read_yaml(recorded))
    except ValueError as error:
        raise RunError(
            f"The space of this run, `{recorded}`, cannot be used: {error}", hint=UNKNOWN_BACKBONE
        ) from None


def image_sizes(space: Space, recipes: Recipes = ()) -> list[int]:
    """Return the image sizes that a search may ask for, smallest first.

    Args:
        space: What it chooses from.
        recipes: Values of those that it begins with, which need not be in the space.
    """
    sizes = [*space.choices("image_size"), *(recipe["image_size"] for recipe in recipes)]
    return sorted({int(size) for size in sizes})


def smallest_size(space: Space) -> int:
    """Return the smallest image size of a space: what is decoded first."""
    return image_sizes(space)[0]


def check_weights_files(config: RunConfig, run: RunFolder, space: Space, recipes: Recipes) -> None:
    """Refuse files of weights that no trial would use, or that do not fit.

    Args:
        config: Its `weights`.
        run: Nothing is checked again where it goes on.
        space: What a search chooses from.
        recipes: Values of those that it begins with.

    Raises:
        ConfigError: If no trial would use one.
        DataError: If one cannot be read or does not fit.
    """
    if run.space.exists():
        return
    backbones = {*space.choices("backbone"), *(recipe["backbone"] for recipe in recipes)}
    for name, file in files_of(config.weights).items():
        if name not in backbones:
            raise ConfigError(
                f"`weights` has a file for {name!r}, which space {space.name!r} does not have.",
                hint="add the backbone with `--backbones`, or leave the file out",
            )
        backbone = get_backbone(name)
        model = build_backbone(backbone, backbone.min_image_size)
        load_weights(model, backbone, file)


def _wanted_space(config: RunConfig) -> Space:
    given = {
        "backbone": config.backbones,
        "image_size": config.image_size,
        "batch_size": config.batch_size,
    }
    if isinstance(config.space, dict):
        space = _checked(parse_space, _CUSTOM, config.space)
    else:
        space = _checked(load_space, str(config.space))
    return _checked(space.restrict, **{name: v for name, v in given.items() if v is not None})


def _checked(make: Callable[..., Space], *arguments: Any, **options: Any) -> Space:
    try:
        return make(*arguments, **options)
    except ValueError as error:
        is_backbone = str(error).startswith("Unknown `backbone`")
        raise ConfigError(str(error), hint=UNKNOWN_BACKBONE if is_backbone else None) from None


def _check_same_space(before: Space, now: Space, recorded: Path) -> None:
    """Refuse a space that has changed since the run began.

    Which backbones could be had was decided then, so fewer of them is no change.
    """
    then, wanted = before.to_dict(), now.to_dict()
    differing = [name for name in then if name != "backbone" and then[name] != wanted[name]]
    if not set(then["backbone"]) <= set(wanted["backbone"]):
        differing.append("backbone")
    if differing:
        raise RunError(
            f"Space {now.name!r} has changed since this run began, in {', '.join(differing)}.",
            hint=f"choose another folder with `--run`; the space of this run is in `{recorded}`",
        )


def _with_available_backbones(space: Space, config: RunConfig, reporter: Reporter) -> Space:
    names = [str(name) for name in space.choices("backbone")]
    wanted = [name for name in names if weights_of(config.weights, name) == IMAGENET]
    missing = find_missing(wanted, reporter.say)
    available = [name for name in names if name not in missing]
    listed = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
    if missing and (config.backbones or not available):
        raise UserError(
            f"ImageNet weights cannot be had for: {listed}.",
            hint=f"{where_to_get_weights(missing)}; or choose other backbones with `--backbones`, "
            "or start from random weights with `--weights none`",
        )
    if missing:
        reporter.say(f"skipped backbones: {listed}")
    return space.restrict(backbone=available)
