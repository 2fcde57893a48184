"""Colour: contrast, saturation, hue and brightness as one 3x3 matrix and one offset a picture.

A picture is multiplied from the right: `rgb @ matrix + offset`. Apart from these stands `vivid`,
the saturation of HSV, which no matrix is: it is for the notebook's own recipe.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from automl_flowers.data.augmentation.arrays import Floats, Pixels, Step, to_float
from automl_flowers.data.augmentation.numbers import Column, Columns, around_zero, between
from search_spaces.augmentation import AugmentationStrength

Shift = Callable[[Pixels, Floats, int], tuple[Pixels, Floats]]
"""From a picture, its mean colour and its position in the batch to a float32 picture in new colours
and what its mean becomes, both unclipped."""

_TO_YIQ = np.array(
    [[0.299, 0.596, 0.211], [0.587, -0.274, -0.523], [0.114, -0.322, 0.312]], dtype=np.float64
)
"""`rgb @ _TO_YIQ` is (luma, I, Q), with the three decimals that tensorflow-addons uses."""


def _in_yiq(matrix: Sequence[Sequence[float]]) -> Floats:
    """Return a matrix on YIQ colours as one on RGB colours, float32, (3, 3)."""
    in_rgb = _TO_YIQ @ np.array(matrix, dtype=np.float64) @ np.linalg.inv(_TO_YIQ)
    return in_rgb.astype(np.float32)


_GREY = _in_yiq([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
_COLOUR = _in_yiq([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
_QUARTER_TURN = _in_yiq([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def hue_saturation_matrices(angles: Floats, factors: Floats) -> Floats:
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
    cos = (factors * np.cos(angles))[:, np.newaxis, np.newaxis]
    sin = (factors * np.sin(angles))[:, np.newaxis, np.newaxis]
    return np.asarray(_GREY + cos * _COLOUR + sin * _QUARTER_TURN)


def change_colours(image: Pixels, matrix: Floats, offset: Floats) -> Pixels:
    """Return `rgb @ matrix + offset` for every pixel, not clipped.

    Args:
        image: Float32, shape `(height, width, 3)`.
        matrix: Float32, shape `(3, 3)`.
        offset: In units of the pixels, float32, shape `(3,)`.

    Returns:
        Float32, same shape as `image`.
    """
    return np.asarray(cv2.transform(image, np.column_stack([matrix.T, offset])))


def mean_colour(image: Pixels) -> Floats:
    """Return a picture's mean colour, taken over pixels rounded to whole levels, float32, (3,)."""
    whole = image if image.dtype == np.uint8 else np.rint(image)
    return np.array(cv2.mean(whole)[:3], np.float32)


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


def plan_shift(columns: Columns, strength: AugmentationStrength) -> Shift:
    """Return what gives pictures new colours.

    With mean m, contrast c, hue and saturation S and brightness b a pixel becomes
    `((rgb - m) * c + m) @ S + b`, so the mean becomes `m @ S + b`.
    """
    contrasts = (1.0 - strength.fade) + around_zero(columns[Column.CONTRAST], strength.contrast)
    factors = 1.0 + around_zero(columns[Column.SATURATION], strength.saturation)
    angles = around_zero(columns[Column.HUE], 2.0 * math.pi * strength.hue)
    turns = hue_saturation_matrices(angles, factors)
    is_done = strength.vivid > 0.0  # before the vivid colours, as there
    brightness = _brightness(columns, 0.0 if is_done else strength.brightness)

    def shift(image: Pixels, mean: Floats, i: int) -> tuple[Pixels, Floats]:
        turned = mean @ turns[i]
        offset = (1.0 - contrasts[i]) * turned + brightness[i]
        changed = change_colours(to_float(image), contrasts[i] * turns[i], offset)
        return changed, turned + brightness[i]

    return shift


def saturate(image: Pixels, factor: float) -> Pixels:
    """Return a picture with the saturation of HSV scaled: `tf.image.adjust_saturation`.

    Hue and value stay. Without going over HSV: every channel's distance from the largest one is
    multiplied alike, by the factor or until the smallest channel is 0. Where no channel is above 0
    there is no saturation, and all become the largest.

    Args:
        image: Float32, not clipped, shape `(height, width, 3)`.
        factor: Saturation afterwards over before, at least 0.

    Returns:
        Float32, same shape as `image`.
    """
    channels = cv2.split(image)
    value, smallest = functools.reduce(np.maximum, channels), functools.reduce(np.minimum, channels)
    spread = value - smallest
    most = np.divide(value, spread, out=np.ones_like(value), where=spread > 0.0)
    scale = np.minimum(np.float32(factor), np.maximum(most, 0.0))
    return np.asarray(cv2.merge([value - (value - channel) * scale for channel in channels]))


def plan_vivid(columns: Columns, strength: AugmentationStrength) -> Step:
    """Return what adds brightness to pictures and makes them float32 ones in `vivid` colours."""
    factors = between(columns[Column.VIVID], 1.0 + strength.vivid / 2.0, 1.0 + strength.vivid)
    brightness = _brightness(columns, strength.brightness)
    return lambda image, i: saturate(to_float(image) + brightness[i], float(factors[i]))


def _brightness(columns: Columns, largest: float) -> Floats:
    """Return what is added to pictures, in levels."""
    return around_zero(columns[Column.BRIGHTNESS], 255.0 * largest)
