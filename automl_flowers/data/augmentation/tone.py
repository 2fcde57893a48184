"""Tone: a table of 256 levels a picture, and every pixel looked up in it, before anything else."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats, Pixels, Step
from automl_flowers.data.augmentation.numbers import Column, Columns, level
from search_spaces.augmentation import AugmentationStrength

GAMMA_LEVELS = 33
"""Exponents that a picture may get, evenly spaced in the logarithm; the middle one is 1."""


def plan_equalizing(columns: Columns, strength: AugmentationStrength) -> Step:
    """Return what spreads the levels of uint8 pictures where the numbers say so."""
    drawn = columns[Column.EQUALIZE] < strength.equalize
    return lambda image, i: look_up(image, equalize_table(image)) if drawn[i] else image


def plan_gamma(columns: Columns, strength: AugmentationStrength) -> Step:
    """Return what makes uint8 pictures float32 ones by their gamma."""
    exponents = (1.0 + strength.gamma) ** np.linspace(-1.0, 1.0, GAMMA_LEVELS)
    tables = gamma_tables(exponents)[level(columns[Column.GAMMA], GAMMA_LEVELS)]
    return lambda image, i: look_up(image, tables[i])


def gamma_tables(exponents: npt.NDArray[np.float64]) -> Floats:
    """Return what each exponent makes of the levels: `tf.image.adjust_gamma`, not rounded.

    Args:
        exponents: Positive, shape `(num_exponents,)`. Below 1 brightens.

    Returns:
        Float32, shape `(num_exponents, 256)`, in [0, 255].
    """
    levels = np.arange(256) / 255.0
    return np.asarray(255.0 * levels ** exponents[:, np.newaxis], np.float32)


def equalize_table(image: Pixels) -> npt.NDArray[np.uint8]:
    """Return what spreads each channel's levels evenly: `tfa.image.equalize`.

    Args:
        image: Uint8, shape `(height, width, 3)`.

    Returns:
        Uint8, shape `(256, 3)`. A channel of one level stays as it is.
    """
    return np.stack([_equalize_channel(image, channel) for channel in range(3)], axis=-1)


def _equalize_channel(image: Pixels, channel: int) -> npt.NDArray[np.uint8]:
    found = cv2.calcHist([image], [channel], None, [256], [0.0, 256.0])
    counts = np.asarray(found).ravel().astype(np.int64)
    step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
    if step == 0:
        return np.arange(256, dtype=np.uint8)
    below = np.cumsum(counts) - counts
    spread = np.minimum((below + step // 2) // step, 255)
    spread[0] = 0
    return np.asarray(spread, np.uint8)


def look_up(image: Pixels, table: npt.NDArray[np.uint8] | Floats) -> Pixels:
    """Return every pixel's entry in a table.

    Args:
        image: Uint8, shape `(height, width, 3)`.
        table: Any type, shape `(256,)`, or `(256, 3)` for channels that differ.

    Returns:
        Pixels of the table's type, same shape as `image`.
    """
    return np.asarray(cv2.LUT(image, table.reshape(1, 256, -1)))
