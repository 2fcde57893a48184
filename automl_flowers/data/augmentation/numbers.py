"""The numbers that decide about a picture: one row of uniform numbers an example and epoch.

TensorFlow draws them, by a counter: row `i` needs none of the rows before it. What is made of them
is computed in float32 by NumPy, element by element.
"""

from __future__ import annotations

from enum import IntEnum, unique
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats

if TYPE_CHECKING:
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

Columns = Floats
"""The numbers of a batch by `Column`: float32, shape `(NUM_PARAMETERS, batch)`."""


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
    import tensorflow as tf

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


def between(column: Floats, low: float, high: float) -> Floats:
    """Return numbers in [0, 1) as numbers in [`low`, `high`)."""
    return np.asarray(low + (high - low) * column, np.float32)


def around_zero(column: Floats, limit: float) -> Floats:
    """Return numbers in [0, 1) as numbers in [-`limit`, `limit`); 0.5 becomes 0."""
    return between(column, -limit, limit)


def level(column: Floats, num_levels: int) -> npt.NDArray[np.int64]:
    """Return numbers in [0, 1) as whole numbers in [0, `num_levels`)."""
    return np.minimum((column * num_levels).astype(np.int64), num_levels - 1)
