"""Filters: blur and sharpness, sums of shifted copies of the picture.

Sums are taken a copy at a time, in one order, and not by a convolution, whose kernels on a CPU
choose an order by the batch.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from automl_flowers.data.augmentation.arrays import as_images, flatten_rows, per_image
from automl_flowers.data.augmentation.numbers import Column, Columns, around_zero, level
from search_spaces.augmentation import AugmentationStrength

BLUR_LEVELS = 16
"""Blurs that a picture may get, evenly spaced from none to the largest."""

_REACH = 3.0
"""Standard deviations of the Gaussian that its kernel covers on either side."""


def has_filter(strength: AugmentationStrength) -> bool:
    """Say whether a strength filters pictures."""
    return any((strength.blur, strength.mean_filter, strength.sharpness))


def filter_images(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return float32 images blurred, averaged and sharpened, as far as the strength says."""
    side = min(images.shape[1], images.shape[2])
    if strength.blur:
        sigmas = np.linspace(0.0, strength.blur * side, BLUR_LEVELS)
        radius = min(math.ceil(_REACH * sigmas[-1]), side - 1)
        kernels = tf.constant(gaussian_kernels(sigmas, 2 * radius + 1))
        images = blur(images, tf.gather(kernels, level(columns[Column.BLUR], BLUR_LEVELS)))
    if strength.mean_filter:
        images = mean_filter(images, max(1, round(strength.mean_filter * side)))
    if strength.sharpness:
        factors = 1.0 + around_zero(columns[Column.SHARPNESS], strength.sharpness)
        images = sharpen(images, factors)
    return images


def gaussian_kernels(sigmas: npt.NDArray[np.float64], size: int) -> npt.NDArray[np.float32]:
    """Return one-dimensional kernels that sum to 1, those of `tfa.image.gaussian_filter2d`.

    Args:
        sigmas: Standard deviations in pixels, shape `(num_kernels,)`. 0 changes nothing.
        size: Length of the kernels, odd.

    Returns:
        Float32, shape `(num_kernels, size)`.
    """
    squares = (np.arange(size) - size // 2) ** 2
    variances = np.maximum(sigmas[:, np.newaxis] ** 2, 1e-12)
    weights = np.exp(-squares / (2.0 * variances))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)


def blur(images: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """Return images convolved with a kernel each, downwards and across, mirrored at the border.

    Args:
        images: Pixels, float32, shape `(batch, height, width, 3)`.
        kernels: Float32, shape `(batch, size)`, size odd and below twice the shorter side.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    _, height, width, _ = images.shape
    size = kernels.shape[1]
    weights = [per_image(kernels[:, k]) for k in range(size)]
    rows = flatten_rows(_mirror(images, size, 1))
    rows = _sum_up([weights[k] * rows[:, k : k + height] for k in range(size)])
    down = as_images(rows, images)
    rows = flatten_rows(_mirror(down, size, size)[:, size // 2 : size // 2 + height])
    rows = _sum_up([weights[k] * rows[:, :, 3 * k : 3 * (k + width)] for k in range(size)])
    return as_images(rows, images)


def _sum_up(parts: Sequence[tf.Tensor]) -> tf.Tensor:
    return functools.reduce(operator.add, parts)


def mean_filter(images: tf.Tensor, size: int) -> tf.Tensor:
    """Return images in which every pixel is the mean of a square: `tfa.image.mean_filter2d`.

    Args:
        images: Pixels, float32, shape `(batch, height, width, 3)`.
        size: Side of the square, in pixels; from 1, which changes nothing, to the shorter side.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    padded = _mirror(images, size, size)
    pooled: tf.Tensor = tf.nn.avg_pool2d(padded, size, strides=1, padding="VALID")
    return pooled


def _mirror(images: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """Return images with what a window of some size needs around them, mirrored at the border."""
    padding = [[(side - 1) // 2, side - 1 - (side - 1) // 2] for side in (height, width)]
    return tf.pad(images, [[0, 0], *padding, [0, 0]], mode="REFLECT")


def sharpen(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Return images between a smooth version (0), themselves (1) and beyond: `tfa.image.sharpness`.

    Pixels of the border stay. The result is neither clipped nor rounded.

    Args:
        images: Pixels, float32, shape `(batch, height, width, 3)`, at least 3 a side.
        factors: At least 0, float32, shape `(batch,)`.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    rows = flatten_rows(images)
    lines = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    squares = lines[:, :, :-6] + lines[:, :, 3:-3] + lines[:, :, 6:]
    middle = rows[:, 1:-1, 3:-3]
    smooth = (squares + 4.0 * middle) * (1.0 / 13.0)
    change = per_image(factors - 1.0) * (middle - smooth)
    return as_images(rows + tf.pad(change, [[0, 0], [1, 1], [3, 3]]), images)
