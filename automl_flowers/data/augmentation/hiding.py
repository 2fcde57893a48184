"""Hiding: parts of a picture painted over in its mean colour.

The mean colour, not grey or black, so that it hides without adding a contrast of its own, and
neither brightness nor BatchNorm's statistics shift with the share that is hidden.
"""

from __future__ import annotations

import math

import tensorflow as tf

from automl_flowers.data.augmentation.arrays import (
    as_images,
    flatten_rows,
    per_image,
    place,
    repeat_over_row,
)
from automl_flowers.data.augmentation.numbers import (
    Column,
    Columns,
    around_zero,
    between,
    cos_sin,
)
from search_spaces.augmentation import AugmentationStrength

MIN_BLOCK_OUT_SIDE = 0.5
"""Smallest side of a block-out rectangle, as a fraction of the largest."""

MAX_BLOCK_OUT_ASPECT = 2.0
"""Largest height of a rectangle over its width and width over its height, both in fractions of
the picture's sides. With at most half of the area, no side is longer than the picture's."""

GRID_CELL = (0.2, 0.31)
"""Smallest and largest cell of a grid mask, as a fraction of the picture's shorter side."""

GRID_RATIO = 0.5
"""Side of a hidden square over that of its cell: a quarter of the picture is hidden."""


def hide(
    images: tf.Tensor, colours: tf.Tensor, columns: Columns, strength: AugmentationStrength
) -> tf.Tensor:
    """Return uint8 images with a rectangle and a grid hidden, where the numbers say so.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        colours: Uint8, shape `(batch, 3)`.
        columns: The examples' numbers.
        strength: How likely, and how much.
    """
    if strength.block_out:
        rectangles = _rectangles(columns, strength, tf.shape(images))
        images = block_out(images, rectangles, colours)
    if strength.grid_mask:
        images = mask_grid(images, *_grids(images, columns, strength), colours)
    return images


def block_out(images: tf.Tensor, rectangles: tf.Tensor, colours: tf.Tensor) -> tf.Tensor:
    """Return images with one rectangle painted over: `tfa.image.cutout`, any size and place.

    Args:
        images: Pixels, uint8 or float32, shape `(batch, height, width, 3)`.
        rectangles: Top, left, height and width in pixels, int32, shape `(batch, 4)`. Height
            or width 0 paints nothing; what lies outside the picture is not painted.
        colours: Same dtype as `images`, shape `(batch, 3)`.

    Returns:
        Pixels of the same dtype and shape as `images`.
    """
    hidden = inside(rectangles, images)
    painted = tf.where(hidden, repeat_over_row(colours, images), flatten_rows(images))
    return as_images(painted, images)


def inside(rectangles: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return where flattened rows lie in rectangles, boolean, `(batch, height, width * 3)`.

    Args:
        rectangles: As for `block_out`.
        images: Give the shape.
    """
    top, left, height, width = tf.split(rectangles, 4, axis=1)
    y = tf.range(tf.shape(images)[1])[tf.newaxis, :]
    x = tf.repeat(tf.range(tf.shape(images)[2]), 3)[tf.newaxis, :]
    rows = (y >= top) & (y < top + height)
    columns = (x >= left) & (x < left + width)
    return rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]


def _rectangles(columns: Columns, strength: AugmentationStrength, shape: tf.Tensor) -> tf.Tensor:
    """Return rectangles for `block_out`, inside the picture, height 0 where none is drawn.

    The side of the square of the same area is uniform between half of the largest one and the
    largest one, the stretch of either side uniform up to its limit, the place uniform.
    """
    largest = math.sqrt(strength.block_out_area)
    side = between(columns[Column.BLOCK_OUT_SIDE], MIN_BLOCK_OUT_SIDE * largest, largest)
    limit = math.sqrt(MAX_BLOCK_OUT_ASPECT) - 1.0
    signed = around_zero(columns[Column.BLOCK_OUT_ASPECT], limit)
    stretch = 1.0 + tf.abs(signed)
    long, short = side * stretch, side / stretch
    is_tall = signed >= 0.0
    top, height = place(columns[Column.BLOCK_OUT_Y], tf.where(is_tall, long, short), shape[1])
    left, width = place(columns[Column.BLOCK_OUT_X], tf.where(is_tall, short, long), shape[2])
    drawn = columns[Column.BLOCK_OUT] < strength.block_out
    return tf.stack([top, left, tf.where(drawn, height, 0), width], axis=1)


def mask_grid(
    images: tf.Tensor,
    axes: tf.Tensor,
    offsets: tf.Tensor,
    ratios: tf.Tensor,
    colours: tf.Tensor,
) -> tf.Tensor:
    """Return images with a grid of squares painted over: GridMask.

    Chen et al. 2020, https://arxiv.org/abs/2001.04086, hiding the squares.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        axes: The grid's first axis, (x, y), one over the cell's side in pixels long, float32,
            shape `(batch, 2)`; the second is perpendicular to it.
        offsets: Where a cell begins along the two axes, in cells, float32, shape `(batch, 2)`.
        ratios: Side of a hidden square over the cell's, in [0, 1], float32, shape `(batch,)`.
            0 paints nothing.
        colours: Uint8, shape `(batch, 3)`.

    Returns:
        Pixels, uint8, same shape as `images`.
    """
    _, height, width, _ = images.shape
    y = tf.range(height, dtype=tf.float32)[tf.newaxis, :, tf.newaxis]
    x = tf.repeat(tf.range(width, dtype=tf.float32), 3)[tf.newaxis, tf.newaxis, :]
    along, across = per_image(axes[:, 0]), per_image(axes[:, 1])
    first = along * x + (across * y + per_image(offsets[:, 0]))
    second = along * y - (across * x + per_image(offsets[:, 1]))
    ratio = per_image(ratios)
    hidden = (first - tf.floor(first) < ratio) & (second - tf.floor(second) < ratio)
    painted = tf.where(hidden, repeat_over_row(colours, images), flatten_rows(images))
    return as_images(painted, images)


def _grids(
    images: tf.Tensor, columns: Columns, strength: AugmentationStrength
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Return axes, offsets and ratios for `mask_grid`: any angle, ratio 0 where none is drawn."""
    _, height, width, _ = images.shape
    cells = between(columns[Column.GRID_CELL], *(min(height, width) * c for c in GRID_CELL))
    cos, sin = cos_sin(around_zero(columns[Column.GRID_ANGLE], math.pi / 4.0))
    axes = tf.stack([cos / cells, sin / cells], axis=1)
    offsets = tf.stack([columns[Column.GRID_X], columns[Column.GRID_Y]], axis=1)
    drawn = columns[Column.GRID_MASK] < strength.grid_mask
    return axes, offsets, tf.where(drawn, GRID_RATIO, 0.0)
