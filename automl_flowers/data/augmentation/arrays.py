"""Pixels in the layout in which TensorFlow is quick on a CPU.

Broadcasts over the innermost axis of three channels are slow, so operations work on rows of
`width * 3` numbers.
"""

from __future__ import annotations

import tensorflow as tf


def place(
    position: tf.Tensor, fraction: tf.Tensor, side: int | tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return start and length, int32, of whole pixels inside [0, `side`), at least one.

    Args:
        position: In [0, 1), float32, shape `(batch,)`.
        fraction: Length over side, in [0, 1], float32, shape `(batch,)`.
        side: Pixels, scalar.
    """
    rounded = tf.cast(tf.round(fraction * tf.cast(side, tf.float32)), tf.int32)
    length = tf.clip_by_value(rounded, 1, side)
    room = side - length
    start = tf.cast(position * tf.cast(room + 1, tf.float32), tf.int32)
    return tf.minimum(start, room), length


def flatten_rows(images: tf.Tensor) -> tf.Tensor:
    """Return images as `(batch, height, width * 3)`, where broadcasts are quick."""
    shape = tf.shape(images)
    return tf.reshape(images, [shape[0], shape[1], shape[2] * 3])


def as_images(rows: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return flattened rows in the shape of the images that they came from."""
    made = tf.reshape(rows, tf.shape(images))
    made.set_shape(images.shape)
    return made


def repeat_over_row(colours: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return `(batch, 3)` colours as `(batch, 1, width * 3)`, to meet flattened rows."""
    return tf.tile(colours, [1, tf.shape(images)[2]])[:, tf.newaxis, :]


def per_image(numbers: tf.Tensor) -> tf.Tensor:
    """Return `(batch,)` numbers as `(batch, 1, 1)`, to meet flattened rows."""
    return numbers[:, tf.newaxis, tf.newaxis]


def to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Round and clip float pixels; uint8 pixels pass."""
    if pixels.dtype == tf.uint8:
        return pixels
    return tf.saturate_cast(tf.round(pixels), tf.uint8)
