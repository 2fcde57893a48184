"""The numbers that decide about a picture: one row of uniform numbers an example and epoch.

A row's numbers meet additions, multiplications, divisions and comparisons only. Those are rounded
alike everywhere. TensorFlow's sine and exponential, and 1 / x, which the graph optimizer turns
into a fast approximation, are not: their last bit depends on where in the batch a value stands,
and the warped pixels with it (seen: batches of 1 and 32). What needs more is looked up in a table
that NumPy has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum, unique

import tensorflow as tf


@unique
class Column(IntEnum):
    """Which number of a row drives what. Append only: another order is another experiment."""

    FLIP = 0
    ROTATION = 1
    SHEAR = 2
    ZOOM = 3
    SHIFT_X = 4
    SHIFT_Y = 5
    BRIGHTNESS = 6
    CONTRAST = 7
    SATURATION = 8
    HUE = 9
    BLOCK_OUT = 10
    BLOCK_OUT_SIDE = 11
    BLOCK_OUT_ASPECT = 12
    BLOCK_OUT_X = 13
    BLOCK_OUT_Y = 14
    FLIP_VERTICAL = 15
    PERSPECTIVE_X = 16
    PERSPECTIVE_Y = 17
    CROP = 18
    CROP_X = 19
    CROP_Y = 20
    GAMMA = 21
    EQUALIZE = 22
    VIVID = 23
    BLUR = 24
    SHARPNESS = 25
    GRID_MASK = 26
    GRID_CELL = 27
    GRID_ANGLE = 28
    GRID_X = 29
    GRID_Y = 30
    MIX = 31
    MIX_PARTNER = 32
    MIX_SHARE = 33
    MIX_SIDE = 34
    MIX_X = 35
    MIX_Y = 36


NUM_PARAMETERS: int = len(Column)
"""Uniform numbers that one example needs for one epoch."""

BLOCKS = (15, 22)
"""Columns that were added at one time. Each block is a table of its own: in a wider one every
number would be another, and with it the pictures of every old recipe."""

Columns = Sequence[tf.Tensor]
"""The table of parameters by `Column`; each float32 of shape `(batch,)`."""


def sample_parameters(num_examples: int, *, seed: int, epoch: int | tf.Tensor) -> tf.Tensor:
    """Return the table of uniform numbers for one epoch.

    Row `i` depends on `seed`, `epoch` and `i` alone: not on the device, and not on
    `num_examples` either. Gather a batch's rows by the examples' indices.

    Args:
        num_examples: Number of rows, at least 0.
        seed: Any integer of 64 bits, 0 and negative ones included.
        epoch: Integer, or scalar integer tensor, of 64 bits at most.

    Returns:
        Numbers in [0, 1), float32, shape `(num_examples, NUM_PARAMETERS)`.

    Raises:
        ValueError: If `num_examples` is negative or `seed` needs more than 64 bits.
    """
    if num_examples < 0:
        raise ValueError(f"`num_examples` must be at least 0, got {num_examples}.")
    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"`seed` must be an integer of 64 bits, got {seed}.")
    key = tf.stack([tf.constant(seed, tf.int64), tf.cast(epoch, tf.int64)])
    tables = []
    for number, width in enumerate(BLOCKS):
        own = tf.random.fold_in(key, number, alg="philox") if number else key
        tables.append(tf.random.stateless_uniform([num_examples, width], own, alg="philox"))
    return tf.concat(tables, axis=1)


def between(column: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Return numbers in [0, 1) as numbers in [`low`, `high`)."""
    return low + (high - low) * column


def around_zero(column: tf.Tensor, limit: float) -> tf.Tensor:
    """Return numbers in [0, 1) as numbers in [-`limit`, `limit`); 0.5 becomes 0."""
    return between(column, -limit, limit)


def level(column: tf.Tensor, num_levels: int) -> tf.Tensor:
    """Return numbers in [0, 1) as whole numbers in [0, `num_levels`), int32."""
    return tf.minimum(tf.cast(column * num_levels, tf.int32), num_levels - 1)


def multiply(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return the products of `(batch, n, 3)` and `(batch, 3, m)` matrices."""
    terms = [left[:, :, k, tf.newaxis] * right[:, k, tf.newaxis, :] for k in range(3)]
    return terms[0] + terms[1] + terms[2]


def cos_sin(angles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return cosine and sine of angles in [-pi, pi], within 1e-6.

    Taylor's series at a quarter of the angle, then the double-angle formulas, twice.
    """
    quarter = angles / 4.0
    square = quarter * quarter
    cos = tf.ones_like(square)
    sin = tf.ones_like(square)
    for k in (8, 6, 4, 2):
        cos = 1.0 - (cos * square) * (1.0 / (k * (k - 1)))
        sin = 1.0 - (sin * square) * (1.0 / (k * (k + 1)))
    sin = sin * quarter
    for _ in range(2):
        cos, sin = cos * cos - sin * sin, 2.0 * cos * sin
    return cos, sin
