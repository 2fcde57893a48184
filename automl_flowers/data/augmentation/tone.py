"""Tone: a table of 256 levels an image, and every pixel looked up in it, before anything else.

Tables of exponents are made by NumPy, counts are whole numbers, so that nothing is rounded
otherwise in another batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from automl_flowers.data.augmentation.arrays import as_images, flatten_rows, per_image
from automl_flowers.data.augmentation.numbers import Column, Columns, level
from search_spaces.augmentation import AugmentationStrength

GAMMA_LEVELS = 33
"""Exponents that a picture may get, evenly spaced in the logarithm; the middle one is 1."""


def change_tone(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return uint8 images equalized where the numbers say so, then float32 ones by their gamma."""
    if strength.equalize:
        tables = equalize_tables(images)
        drawn = columns[Column.EQUALIZE] < strength.equalize
        as_it_is = tf.range(256)[tf.newaxis, tf.newaxis, :]
        tables = tf.where(per_image(drawn), tables, as_it_is)
        images = look_up(images, tf.cast(tables, tf.uint8))
    if strength.gamma:
        exponents = (1.0 + strength.gamma) ** np.linspace(-1.0, 1.0, GAMMA_LEVELS)
        tables = tf.gather(
            tf.constant(gamma_tables(exponents)), level(columns[Column.GAMMA], GAMMA_LEVELS)
        )
        images = look_up(images, tf.tile(tables[:, tf.newaxis, :], [1, 3, 1]))
    return images


def gamma_tables(exponents: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Return what each exponent makes of the levels: `tf.image.adjust_gamma`, not rounded.

    Args:
        exponents: Positive, shape `(num_exponents,)`. Below 1 brightens.

    Returns:
        Float32, shape `(num_exponents, 256)`, in [0, 255].
    """
    levels = np.arange(256) / 255.0
    return np.asarray(255.0 * levels ** exponents[:, np.newaxis], np.float32)


def equalize_tables(images: tf.Tensor) -> tf.Tensor:
    """Return tables that spread each channel's levels evenly: `tfa.image.equalize`.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.

    Returns:
        Int32, in [0, 255], shape `(batch, 3, 256)`. A channel of one level stays as it is.
    """
    num_bins = 256 * 3 * tf.shape(images)[0]
    found = tf.math.bincount(
        tf.reshape(_places(images), [-1]), minlength=num_bins, maxlength=num_bins
    )
    counts = tf.reshape(found, [-1, 3, 256])
    levels = tf.range(256)
    highest = tf.reduce_max(tf.where(counts > 0, levels, 0), axis=-1)
    of_highest = tf.gather(counts, highest, batch_dims=2)
    step = ((tf.reduce_sum(counts, axis=-1) - of_highest) // 255)[:, :, tf.newaxis]
    below = tf.cumsum(counts, axis=-1, exclusive=True)
    spread = (below + step // 2) // tf.maximum(step, 1)
    spread = tf.where(levels > 0, tf.minimum(spread, 255), 0)
    return tf.where(step > 0, spread, levels)


def look_up(images: tf.Tensor, tables: tf.Tensor) -> tf.Tensor:
    """Return every pixel's entry in its image's and channel's table.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        tables: Any type, shape `(batch, 3, 256)`.

    Returns:
        Pixels of the tables' type, same shape as `images`.
    """
    found = tf.gather(tf.reshape(tables, [-1]), _places(images))
    return as_images(found, images)


def _places(images: tf.Tensor) -> tf.Tensor:
    """Return where flattened rows stand among the levels of all images' channels, int32."""
    shape = tf.shape(images)
    channels = 256 * tf.tile(tf.range(3), shape[2:3])
    first = per_image(768 * tf.range(shape[0]))
    return tf.cast(flatten_rows(images), tf.int32) + (first + channels)
