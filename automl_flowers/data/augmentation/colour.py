"""Colour: contrast, saturation, hue and brightness as one 3x3 matrix and one offset an image.

A picture is multiplied from the right: `rgb @ matrix + offset`. Apart from these stands `vivid`,
the saturation of HSV, which no matrix is: it is for the notebook's own recipe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from automl_flowers.data.augmentation.arrays import as_images, flatten_rows, repeat_over_row
from automl_flowers.data.augmentation.numbers import (
    Column,
    Columns,
    around_zero,
    between,
    cos_sin,
    multiply,
)
from search_spaces.augmentation import AugmentationStrength

_TO_YIQ = np.array(
    [[0.299, 0.596, 0.211], [0.587, -0.274, -0.523], [0.114, -0.322, 0.312]], dtype=np.float64
)
"""`rgb @ _TO_YIQ` is (luma, I, Q), with the three decimals that tensorflow-addons uses."""


def _in_yiq(matrix: Sequence[Sequence[float]]) -> tf.Tensor:
    """Return a constant matrix on YIQ colours as one on RGB colours, float32, (3, 3)."""
    in_rgb = _TO_YIQ @ np.array(matrix, dtype=np.float64) @ np.linalg.inv(_TO_YIQ)
    return tf.constant(in_rgb, tf.float32)


def hue_saturation_matrices(angles: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Return matrices that turn the hue and scale the saturation, keeping the luma.

    In YIQ space the plane (I, Q) is turned by the angle and multiplied by the factor. With
    angle 0 that is the interpolation between the grey picture (factor 0) and the picture
    itself (factor 1). Times a number it is `tfa.image.adjust_hsv_in_yiq` with that
    `scale_value`, which does not clip float images either.

    Args:
        angles: Radians in [-pi, pi], float32, shape `(batch,)`.
        factors: Saturation afterwards over before, at least 0, float32, shape `(batch,)`.

    Returns:
        Matrices for `change_colours`, float32, shape `(batch, 3, 3)`.
    """
    grey = _in_yiq([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    colour = _in_yiq([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    quarter_turn = _in_yiq([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    cos, sin = cos_sin(angles)
    cos = (factors * cos)[:, tf.newaxis, tf.newaxis]
    sin = (factors * sin)[:, tf.newaxis, tf.newaxis]
    return grey + cos * colour + sin * quarter_turn


def change_colours(images: tf.Tensor, matrices: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Return `rgb @ matrix + offset` for every pixel, not clipped.

    Args:
        images: Pixels, float32, shape `(batch, height, width, 3)`.
        matrices: Float32, shape `(batch, 3, 3)`.
        offsets: In units of the pixels, float32, shape `(batch, 3)`.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    multiplied = tf.einsum("bhwc,bcd->bhwd", images, matrices)
    by_row = flatten_rows(multiplied) + repeat_over_row(offsets, multiplied)
    return as_images(by_row, images)


def mean_colours(images: tf.Tensor) -> tf.Tensor:
    """Return each image's mean colour, taken over pixels rounded to whole levels.

    Whole numbers add up exactly, so the mean does not depend on the order in which threads
    add, which changes with the batch.

    Args:
        images: Pixels in [0, 255], float32, shape `(batch, height, width, 3)`.

    Returns:
        Float32, shape `(batch, 3)`.
    """
    shape = tf.shape(images)
    columns = tf.reduce_sum(flatten_rows(tf.round(images)), axis=1)
    columns = tf.reshape(tf.cast(columns, tf.float64), [shape[0], shape[2], 3])
    totals = tf.reduce_sum(columns, axis=1)
    return tf.cast(totals / tf.cast(shape[1] * shape[2], tf.float64), tf.float32)


def has_colour(strength: AugmentationStrength) -> bool:
    """Say whether a strength changes colours by the matrix."""
    return any(
        (
            strength.brightness,
            strength.contrast,
            strength.fade,
            strength.saturation,
            strength.hue,
        )
    )


def shift_colours(
    images: tf.Tensor, mean: tf.Tensor, columns: Columns, strength: AugmentationStrength
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return float32 images in new colours, and what their mean colours become, unclipped.

    With mean m, contrast c, hue and saturation S and brightness b a pixel becomes
    `((rgb - m) * c + m) @ S + b`, so the mean becomes `m @ S + b`.
    """
    contrast = (1.0 - strength.fade) + around_zero(columns[Column.CONTRAST], strength.contrast)
    factors = 1.0 + around_zero(columns[Column.SATURATION], strength.saturation)
    angles = around_zero(columns[Column.HUE], 2.0 * math.pi * strength.hue)
    brightness = around_zero(columns[Column.BRIGHTNESS], 255.0 * strength.brightness)
    matrices = hue_saturation_matrices(angles, factors)
    turned_mean = multiply(mean[:, tf.newaxis, :], matrices)[:, 0, :]
    contrast, brightness = contrast[:, tf.newaxis], brightness[:, tf.newaxis]
    offsets = (1.0 - contrast) * turned_mean + brightness
    images = change_colours(images, contrast[:, tf.newaxis] * matrices, offsets)
    return images, turned_mean + brightness


def saturate(images: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Return images with the saturation of HSV scaled: `tf.image.adjust_saturation`, one an image.

    Hue and value stay. Without going over HSV: every channel's distance from the largest one is
    multiplied alike, by the factor or until the smallest channel is 0.

    Args:
        images: Pixels, at least 0, float32, shape `(batch, height, width, 3)`.
        factors: Saturation afterwards over before, at least 0, float32, shape `(batch,)`.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    value = tf.reduce_max(images, axis=-1, keepdims=True)
    spread = value - tf.reduce_min(images, axis=-1, keepdims=True)
    most = tf.where(spread > 0.0, value / tf.where(spread > 0.0, spread, 1.0), 1.0)
    factor = tf.minimum(factors[:, tf.newaxis, tf.newaxis, tf.newaxis], most)
    return value - (value - images) * factor


def make_vivid(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return float32 images in `vivid` colours."""
    low, high = 1.0 + strength.vivid / 2.0, 1.0 + strength.vivid
    return saturate(images, between(columns[Column.VIVID], low, high))
