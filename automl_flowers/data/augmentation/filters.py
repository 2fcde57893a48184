"""Filters: blur, mean and sharpness."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats, Pixels, Step, to_float
from automl_flowers.data.augmentation.numbers import Column, Columns, around_zero, level
from search_spaces.augmentation import AugmentationStrength

BLUR_LEVELS = 16
"""Blurs that a picture may get, evenly spaced from none to the largest."""

_REACH = 3.0
"""Standard deviations of the Gaussian that its kernel covers on either side."""

_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
"""What sharpness calls smooth."""


def plan_blur(columns: Columns, strength: AugmentationStrength, side: int) -> Step:
    """Return what blurs pictures whose shorter side has some pixels."""
    sigmas = np.linspace(0.0, strength.blur * side, BLUR_LEVELS)
    radius = min(math.ceil(_REACH * sigmas[-1]), side - 1)
    kernels = gaussian_kernels(sigmas, 2 * radius + 1)
    levels = level(columns[Column.BLUR], BLUR_LEVELS)
    return lambda image, i: blur(to_float(image), kernels[levels[i]]) if levels[i] else image


def plan_mean_filter(strength: AugmentationStrength, side: int) -> Step:
    """Return what averages pictures whose shorter side has some pixels."""
    size = max(1, round(strength.mean_filter * side))
    return lambda image, i: mean_filter(to_float(image), size)


def plan_sharpness(columns: Columns, strength: AugmentationStrength) -> Step:
    """Return what sharpens and smooths pictures."""
    factors = 1.0 + around_zero(columns[Column.SHARPNESS], strength.sharpness)
    return lambda image, i: sharpen(to_float(image), float(factors[i]))


def gaussian_kernels(sigmas: npt.NDArray[np.float64], size: int) -> Floats:
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


def blur(image: Pixels, kernel: Floats) -> Pixels:
    """Return a picture convolved with a kernel, downwards and across, mirrored at the border.

    Args:
        image: Float32, shape `(height, width, 3)`.
        kernel: Float32, shape `(size,)`, size odd and below twice the shorter side.

    Returns:
        Float32, same shape as `image`.
    """
    blurred = cv2.sepFilter2D(image, -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred)


def mean_filter(image: Pixels, size: int) -> Pixels:
    """Return a picture in which every pixel is the mean of a square: `tfa.image.mean_filter2d`.

    Args:
        image: Float32, shape `(height, width, 3)`.
        size: Side of the square, in pixels; from 1, which changes nothing, to the shorter side.

    Returns:
        Float32, same shape as `image`.
    """
    before = (size - 1) // 2
    averaged = cv2.blur(
        image, (size, size), anchor=(before, before), borderType=cv2.BORDER_REFLECT_101
    )
    return np.asarray(averaged)


def sharpen(image: Pixels, factor: float) -> Pixels:
    """Return a picture between a smooth version (0), itself (1) and beyond: `tfa.image.sharpness`.

    Pixels of the border stay. The result is neither clipped nor rounded.

    Args:
        image: Float32, shape `(height, width, 3)`, at least 3 a side.
        factor: At least 0.

    Returns:
        Float32, same shape as `image`.
    """
    smooth = np.asarray(cv2.filter2D(image, -1, _SMOOTH))
    smooth[[0, -1]], smooth[:, [0, -1]] = image[[0, -1]], image[:, [0, -1]]
    return np.asarray(cv2.addWeighted(image, factor, smooth, 1.0 - factor, 0.0))
