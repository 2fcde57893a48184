"""The usual notebook's pipeline: every image decoded every epoch, and augmented by itself.

As in the competition's widely copied notebooks: `tf.image.random_*` for mirror and colours; for
rotation, shear, zoom and shift a 3x3 matrix of the image's own, applied by gathering the nearest
pixels; a black rectangle; then batches, with all of tf.data's advice (parallel maps, AUTOTUNE,
prefetching, no fixed order).
"""

from __future__ import annotations

import math

import pandas as pd
import tensorflow as tf

from search_spaces.augmentation import AugmentationStrength

from .usual import AUTOTUNE, SHUFFLED, decoded


def batches(
    rows: pd.DataFrame,
    image_size: int,
    batch_size: int,
    strength: AugmentationStrength,
    *,
    is_cached: bool = False,
) -> tf.data.Dataset:
    """Return endless batches of augmented images, float32 in [0, 1].

    Args:
        rows: Of a manifest.
        image_size: In pixels.
        batch_size: Images a batch.
        strength: How far to augment.
        is_cached: Whether decoded images are kept in memory, which not every notebook does.
    """
    images = decoded(rows, image_size)
    images = images.cache() if is_cached else images
    unordered = tf.data.Options()
    unordered.deterministic = False
    return (
        images.with_options(unordered)
        .repeat()
        .shuffle(SHUFFLED)
        .map(lambda image: augment(image, strength), AUTOTUNE)
        .batch(batch_size, drop_remainder=True)
        .prefetch(AUTOTUNE)
    )


def augment(image: tf.Tensor, strength: AugmentationStrength) -> tf.Tensor:
    """Return one image augmented, float32 in [0, 1]."""
    image = tf.cast(image, tf.float32) / 255.0
    image = tf.image.random_flip_left_right(image)
    image = move(image, random_matrix(image.shape[0], strength))
    image = tf.image.random_brightness(image, strength.brightness)
    image = tf.image.random_contrast(image, 1 - strength.contrast, 1 + strength.contrast)
    image = tf.image.random_saturation(image, 1 - strength.saturation, 1 + strength.saturation)
    image = tf.image.random_hue(image, strength.hue)
    return tf.clip_by_value(hide_rectangle(image, strength), 0.0, 1.0)


def random_matrix(side: int, strength: AugmentationStrength) -> tf.Tensor:
    """Return a matrix from output to input, about the middle of the image, float32, (3, 3)."""

    def uniform(limit: float) -> tf.Tensor:
        return tf.random.uniform([], -limit, limit)

    angle = uniform(math.radians(strength.rotation))
    shear = uniform(math.radians(strength.shear))
    zoom = 1.0 + uniform(strength.zoom)
    right, down = uniform(strength.shift * side), uniform(strength.shift * side)
    cos, sin = tf.cos(angle), tf.sin(angle)
    rotation = matrix([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    sheared = matrix([[1.0, tf.sin(shear), 0.0], [0.0, tf.cos(shear), 0.0], [0.0, 0.0, 1.0]])
    zoomed = matrix([[1.0 / zoom, 0.0, 0.0], [0.0, 1.0 / zoom, 0.0], [0.0, 0.0, 1.0]])
    shifted = matrix([[1.0, 0.0, right], [0.0, 1.0, down], [0.0, 0.0, 1.0]])
    return rotation @ sheared @ (zoomed @ shifted)


def matrix(rows: list[list[tf.Tensor | float]]) -> tf.Tensor:
    """Return a 3x3 matrix of scalars."""
    return tf.reshape(tf.stack([entry for row in rows for entry in row]), [3, 3])


def move(image: tf.Tensor, from_output: tf.Tensor) -> tf.Tensor:
    """Return an image seen through a matrix, the nearest pixel of the input for each one."""
    side = image.shape[0]
    places = tf.range(side * side)
    middle = (side - 1) / 2
    y, x = tf.cast(places // side, tf.float32) - middle, tf.cast(places % side, tf.float32) - middle
    seen = from_output @ tf.stack([x, y, tf.ones_like(x)])
    nearest = tf.cast(tf.round(seen[:2] + middle), tf.int32)
    columns, rows = tf.unstack(tf.clip_by_value(nearest, 0, side - 1))
    return tf.reshape(tf.gather_nd(image, tf.stack([rows, columns], axis=1)), image.shape)


def hide_rectangle(image: tf.Tensor, strength: AugmentationStrength) -> tf.Tensor:
    """Return an image with a black square, with the strength's probability."""
    side = image.shape[0]
    most = math.sqrt(strength.block_out_area) * side
    size = tf.cast(tf.random.uniform([], most / 2, most), tf.int32)
    size = tf.where(tf.random.uniform([]) < strength.block_out, size, 0)
    top, left = (tf.random.uniform([], 0, side - size + 1, tf.int32) for _ in range(2))
    places = tf.range(side)
    rows = (places >= top) & (places < top + size)
    columns = (places >= left) & (places < left + size)
    hidden = rows[:, tf.newaxis] & columns[tf.newaxis, :]
    return tf.where(hidden[:, :, tf.newaxis], 0.0, image)
