"""Reading a backbone's weights from a file that a person gives.

Three formats: what Keras publishes without the classifier (`*_notop.h5`), what
`model.save_weights("NAME.weights.h5")` writes, and, for EfficientNet-Lite, the PyTorch file of
its authors (`*.pth`, through the restricted reader). An HDF5 file holds arrays and names; nothing
in it is run. Other formats, pickles among them, are refused by their content.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import keras
import numpy as np

from automl_flowers.errors import DataError
from automl_flowers.modeling import efficientnet_lite
from search_spaces.backbones import IMAGENET, Backbone

_HDF5_START = b"\x89HDF\r\n\x1a\n"
_NO_WEIGHTS = ("optimizer", "optimizer_weights", "seed_generator")
FORMATS = "a file that ends in .h5: Keras' own without the classifier, or `.weights.h5`"


def load_weights_file(model: keras.Model, backbone: Backbone, file: Path) -> None:
    """Give a model from `build_backbone` the weights in a file.

    Args:
        model: Of the same entry, of any image size.
        backbone: The registry entry.
        file: Where the weights are.

    Raises:
        DataError: If the file cannot be read, is of another format, or holds the weights of
            another model. Weights may have been set in part.
    """
    if backbone.constructor == "efficientnet_lite" and file.suffix != ".h5":
        _load_torch_file(model, backbone, file)
        return
    _require_hdf5(backbone, file)
    try:
        _check_arrays(model, file)
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # that a layer was left as it was
            model.load_weights(file)
    except (OSError, RuntimeError, ValueError, KeyError, UserWarning) as error:
        raise DataError(
            f"The weights in `{file}` do not fit {backbone.name!r} without its classifier: "
            f"{_first_sentence(error)}.",
            hint="give the file of this very backbone without the classifier ('notop'), whole",
        ) from error
    if backbone.family == "efficientnet":
        _normalise_by_deviation(model)


def _normalise_by_deviation(model: keras.Model) -> None:
    """Make an EfficientNet divide its input by the standard deviation, not by its square root.

    The published files hold ImageNet's standard deviation where the layer takes the variance.
    Keras mends that by a further layer, which it adds for `weights="imagenet"` alone. A file that
    holds something else was trained with it, as one that began with random weights.

    Reference:
        https://github.com/tensorflow/tensorflow/issues/49930
    """
    deviation = np.array(IMAGENET.std, np.float32) / 255
    [layer] = [one for one in model.layers if isinstance(one, keras.layers.Normalization)]
    if np.allclose(layer.adapt_variance, deviation, rtol=0.01):
        layer.adapt_variance.assign(layer.adapt_variance * deviation)
        layer.finalize_state()


def _load_torch_file(model: keras.Model, backbone: Backbone, file: Path) -> None:
    try:
        efficientnet_lite.load_weights_file(model, int(backbone.name[-1]), file)
    except ValueError as error:
        raise DataError(
            f"The weights in `{file}` do not fit {backbone.name!r}: {_first_sentence(error)}.",
            hint=f"they come with the package {backbone.weights_package}",
        ) from error


def _require_hdf5(backbone: Backbone, file: Path) -> None:
    try:
        with file.open("rb") as stream:
            start = stream.read(len(_HDF5_START))
    except OSError as error:
        raise DataError(
            f"The weights of {backbone.name!r} cannot be read from `{file}`: {error.strerror}."
        ) from error
    if start != _HDF5_START or file.suffix != ".h5":
        raise DataError(
            f"`{file}` is not an HDF5 file, as weights of {backbone.name!r} are.",
            hint=f"give {FORMATS}",
        )


def _check_arrays(model: keras.Model, file: Path) -> None:
    """Refuse a file whose arrays are not as many, or not of the same shapes, as the model's.

    Raises:
        ValueError: Saying what differs.
    """
    with h5py.File(file, "r") as content:
        found = list(_iterate_shapes(content))
    expected = [tuple(weight.shape) for weight in model.weights]
    if len(found) != len(expected):
        raise ValueError(f"it holds {len(found)} arrays, not {len(expected)}")
    if Counter(found) != Counter(expected):
        example = next(iter(Counter(expected) - Counter(found)))
        raise ValueError(f"it holds no array of shape {example}, or fewer than needed")


def _iterate_shapes(group: h5py.Group) -> Iterator[tuple[int, ...]]:
    """Yield the shape of every array of weights below a group.

    Raises:
        ValueError: If one lies in another file: no way to keep weights, and not ours to read.
    """
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise ValueError("it refers to other places instead of holding arrays")
        item = group[name]
        if isinstance(item, h5py.Group):
            if name not in _NO_WEIGHTS:
                yield from _iterate_shapes(item)
        elif item.external or item.is_virtual:
            raise ValueError("it refers to other files instead of holding arrays")
        else:
            yield item.shape


def _first_sentence(error: Exception) -> str:
    return " ".join(str(error).split()).split(". ")[0].rstrip(".")
