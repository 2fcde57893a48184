"""Images at other sizes and other views, as operations that every format can hold.

A filter along an axis is a matrix. `keras.layers.Resizing(antialias=True)` is one operation of
TensorFlow's instead, which ONNX and LiteRT do not have.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from automl_flowers.data.views import closer_cut


def resize(pixels: Any, size: int, smaller: int) -> Any:
    """Return square images at a smaller size, as Pillow's triangle filter makes them.

    Args:
        pixels: In [0, 255], float32, `(batch, size, size, 3)`.
        size: Their height and width.
        smaller: Height and width wanted.
    """
    if smaller == size:
        return pixels
    for axis in ("width", "height"):
        pixels = _filter(pixels, axis, triangle_filter(size, smaller), f"resize_{smaller}")
        pixels = ops.floor(ops.add(pixels, 0.5))  # Pillow rounds after each axis, halves up
    return pixels


def show(pixels: Any, size: int, view: int, name: str) -> Any:
    """Return a view of some images: `automl_flowers.data.views.show` in operations of Keras.

    Args:
        pixels: Whole numbers in [0, 255], float32, `(batch, size, size, 3)`.
        size: Their height and width.
        view: As there.
        name: Of the layers.
    """
    if view >= 2:
        for axis in ("width", "height"):
            pixels = _filter(pixels, axis, closer_filter(size), f"{name}_closer")
        pixels = ops.round(pixels)
    return ops.flip(pixels, axis=2) if view % 2 else pixels


def triangle_filter(size: int, smaller: int) -> np.ndarray:
    """Return what each of `smaller` pixels takes from `size` ones, float32, `(size, smaller)`."""
    scale = size / smaller
    centres = (np.arange(smaller) + 0.5) * scale
    distances = np.abs(np.arange(size)[:, None] + 0.5 - centres) / scale
    weights = np.maximum(1 - distances, 0)
    return np.asarray(weights / weights.sum(axis=0), np.float32)


def closer_filter(size: int) -> np.ndarray:
    """Return what each pixel of a closer view takes from the image's, float32, `(size, size)`."""
    cut = closer_cut(size)
    shown = size - 2 * cut
    places = np.clip((np.arange(size) + 0.5) * shown / size - 0.5, 0, shown - 1)
    distances = np.abs(np.arange(size)[:, None] - cut - places)
    return np.asarray(np.maximum(1 - distances, 0), np.float32)


def _filter(pixels: Any, axis: str, matrix: np.ndarray, name: str) -> Any:
    """Filter images along their `width` or `height`."""
    equation = {"width": "bhwc,ws->bhsc", "height": "bhwc,hs->bswc"}[axis]
    shape = list(pixels.shape[1:])
    shape[["height", "width"].index(axis)] = matrix.shape[1]
    along = keras.layers.EinsumDense(equation, tuple(shape), name=f"{name}_{axis}")
    filtered = along(pixels)
    along.set_weights([matrix])
    return filtered
