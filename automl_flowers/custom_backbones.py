"""A person's own backbones.

    import keras_hub
    from automl_flowers.custom_backbones import register_backbone

    def build(image_size):
        return keras_hub.models.Backbone.from_preset(
            "resnet_18_imagenet", image_shape=(image_size, image_size, 3)
        )

    register_backbone("resnet18", build, input_convention="imagenet")

From then on the name may stand wherever a backbone is named, as long as the program runs. Nothing
is built, and TensorFlow not imported, before the backbone is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from automl_flowers.errors import ConfigError
from search_spaces.backbones import CONVENTIONS, Backbone, InputConvention, add_backbone
from search_spaces.parameters import unknown_name

Build = Callable[[int], Any]
"""From an image size in pixels to a `keras.Model` that has its weights."""

_BUILDERS: dict[str, Build] = {}


def register_backbone(
    name: str,
    build: Build,
    *,
    input_convention: str | InputConvention,
    image_size: int = 224,
    min_image_size: int = 32,
    blocks: Sequence[str] | None = None,
    source: str = "registered",
) -> None:
    """Make a backbone of your own known under a name.

    Args:
        name: Small letters, digits and `_`.
        build: Called with an image size; returns a Keras model with its weights, from normalised
            images, float, `(batch, image_size, image_size, 3)`, RGB unless the convention says
            otherwise, to a feature map `(batch, height, width, channels)` or to pooled features
            `(batch, channels)`. It must return the same at every call.
        input_convention: What the weights expect to see: `"raw"` (pixels in [0, 255]: the model
            rescales them itself), `"signed"` ([-1, 1]), `"imagenet"` (mean 0, deviation 1 a
            channel), `"caffe"` (blue first, mean subtracted), or an `InputConvention`. There is
            no default, because a wrong one is silent and costs most of the score.
        image_size: Height and width of the images it was trained on, in pixels.
        min_image_size: Smallest that it can be built for.
        blocks: Layers that end a block, or prefixes of layers' names that end in `_`, from the
            input to the output; see `search_spaces.backbones.assign_blocks`. Without them ten
            parts with as many layers each can be frozen or trained.
        source: Where it is described, for reports.

    Raises:
        ConfigError: If the name is taken or an argument does not hold up.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(
            f"A backbone's name consists of small letters, digits and `_`, got {name!r}."
        )
    if not callable(build):
        raise ConfigError(
            f"`build` of backbone {name!r} must be a function from an image size to a Keras "
            f"model, got {type(build).__name__}."
        )
    if not 1 <= min_image_size <= image_size:
        raise ConfigError(
            f"Backbone {name!r} needs 1 <= min_image_size <= image_size, got {min_image_size} "
            f"and {image_size}."
        )
    entry = Backbone(
        name=name,
        family="registered",
        constructor="registered",
        input_convention=_convention(input_convention),
        image_size=image_size,
        min_image_size=min_image_size,
        blocks=tuple(blocks or ()),
        source=source,
    )
    try:
        add_backbone(entry)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    _BUILDERS[name] = build


def _convention(given: str | InputConvention) -> InputConvention:
    if isinstance(given, InputConvention):
        return given
    try:
        return CONVENTIONS[given]
    except KeyError:
        raise ConfigError(unknown_name("input convention", given, CONVENTIONS)) from None


def build_registered(backbone: Backbone, image_size: int) -> Any:
    """Return the model of a registered backbone, checked.

    Raises:
        ConfigError: If its function fails, or returns anything but what `register_backbone` asks
            for; the sentence says what came.
    """
    try:
        model = _BUILDERS[backbone.name](image_size)
    except Exception as error:
        raise ConfigError(
            f"`build({image_size})` of backbone {backbone.name!r} failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    problem = _find_problem(model, backbone, image_size)
    if problem:
        raise ConfigError(f"`build({image_size})` of backbone {backbone.name!r} {problem}")
    return model


def _find_problem(model: Any, backbone: Backbone, image_size: int) -> str | None:
    """Return what is wrong with a model, as the end of a sentence, or None."""
    import keras

    from automl_flowers.modeling.blocks import blocks_of, is_functional

    if not isinstance(model, keras.Model):
        return f"must return a `keras.Model`, got {type(model).__name__}."
    images = keras.KerasTensor((None, image_size, image_size, 3), "float32")
    try:
        outputs = keras.tree.flatten(model(images))
    except Exception as error:
        shape = (image_size, image_size, 3)
        return f"must take images of shape {shape}, but: {' '.join(str(error).split())}"
    if len(outputs) != 1:
        return f"must return one output, got {len(outputs)}."
    features = tuple(outputs[0].shape)
    if len(features) not in (2, 4) or not features[-1]:
        return (
            "must return a feature map (batch, height, width, channels) or features "
            f"(batch, channels), got an output of shape {features}."
        )
    if backbone.blocks:
        if not is_functional(model):
            return "has no graph of layers, so `blocks` cannot be told apart; leave them out."
        found = {block for _, block in blocks_of(model, backbone)}
        empty = [name for index, name in enumerate(backbone.blocks) if index not in found]
        if empty:
            return f"has no layers in these `blocks`: {', '.join(empty)}."
    return None
