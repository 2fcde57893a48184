"""Hiding: parts of a picture painted over in its mean colour.

The mean colour, not grey or black, so that it hides without adding a contrast of its own, and
neither brightness nor BatchNorm's statistics shift with the share that is hidden.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats, Pixels, place
from automl_flowers.data.augmentation.numbers import Column, Columns, around_zero, between
from search_spaces.augmentation import AugmentationStrength

Integers = npt.NDArray[np.int64]
Hide = Callable[[Pixels, npt.NDArray[np.uint8], int], None]
"""Paints over parts of a uint8 picture, in place, given a colour and its position in the batch."""

MIN_BLOCK_OUT_SIDE = 0.5
"""Smallest side of a block-out rectangle, as a fraction of the largest."""

MAX_BLOCK_OUT_ASPECT = 2.0
"""Largest height of a rectangle over its width and width over its height, both in fractions of
the picture's sides. With at most half of the area, no side is longer than the picture's."""

GRID_CELL = (0.2, 0.31)
"""Smallest and largest cell of a grid mask, as a fraction of the picture's shorter side."""

GRID_RATIO = 0.5
"""Side of a hidden square over that of its cell: a quarter of the picture is hidden."""


def plan_hiding(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> Hide:
    """Return what hides a rectangle and a grid where the numbers say so."""
    rectangles = _rectangles(columns, strength, height, width)
    axes, offsets = _grids(columns, height, width)
    has_rectangle = columns[Column.BLOCK_OUT] < strength.block_out
    has_grid = columns[Column.GRID_MASK] < strength.grid_mask

    def hide(image: Pixels, colour: npt.NDArray[np.uint8], i: int) -> None:
        if has_rectangle[i]:
            block_out(image, rectangles[i], colour)
        if has_grid[i]:
            mask_grid(image, axes[i], offsets[i], GRID_RATIO, colour)

    return hide


def block_out(image: Pixels, rectangle: Integers, colour: npt.ArrayLike) -> None:
    """Paint over one rectangle of a picture, in place: `tfa.image.cutout`, any size and place.

    Args:
        image: Shape `(height, width, 3)`.
        rectangle: Top, left, height and width in pixels. Height or width 0 paints nothing; what
            lies outside the picture is not painted.
        colour: One of the picture's.
    """
    image[inside(rectangle)] = colour


def inside(rectangle: Integers) -> tuple[slice, slice]:
    """Return the part of a picture that lies in a rectangle, as for `block_out`."""
    top, left, height, width = rectangle
    bottom, right = max(top + height, 0), max(left + width, 0)
    return slice(max(top, 0), bottom), slice(max(left, 0), right)


def _rectangles(
    columns: Columns, strength: AugmentationStrength, height: int, width: int
) -> Integers:
    """Return rectangles for `block_out`, inside the picture.

    The side of the square of the same area is uniform between half of the largest one and the
    largest one, the stretch of either side uniform up to its limit, the place uniform.
    """
    largest = math.sqrt(strength.block_out_area)
    side = between(columns[Column.BLOCK_OUT_SIDE], MIN_BLOCK_OUT_SIDE * largest, largest)
    limit = math.sqrt(MAX_BLOCK_OUT_ASPECT) - 1.0
    signed = around_zero(columns[Column.BLOCK_OUT_ASPECT], limit)
    stretch = 1.0 + np.abs(signed)
    long, short = side * stretch, side / stretch
    is_tall = signed >= 0.0
    top, rows = place(columns[Column.BLOCK_OUT_Y], np.where(is_tall, long, short), height)
    left, across = place(columns[Column.BLOCK_OUT_X], np.where(is_tall, short, long), width)
    return np.stack([top, left, rows, across], axis=1)


def mask_grid(
    image: Pixels, axis: Floats, offset: Floats, ratio: float, colour: npt.ArrayLike
) -> None:
    """Paint over a grid of squares of a picture, in place: GridMask.

    Chen et al. 2020, https://arxiv.org/abs/2001.04086, hiding the squares.

    Args:
        image: Shape `(height, width, 3)`.
        axis: The grid's first axis, (x, y), one over the cell's side in pixels long; the second
            is perpendicular to it.
        offset: Where a cell begins along the two axes, in cells.
        ratio: Side of a hidden square over the cell's, in [0, 1]. 0 paints nothing.
        colour: One of the picture's.
    """
    height, width, _ = image.shape
    y = np.arange(height, dtype=np.float32)[:, np.newaxis]
    x = np.arange(width, dtype=np.float32)[np.newaxis, :]
    along, across = axis
    first = along * x + (across * y + offset[0])
    second = along * y - (across * x + offset[1])
    image[(first - np.floor(first) < ratio) & (second - np.floor(second) < ratio)] = colour


def _grids(columns: Columns, height: int, width: int) -> tuple[Floats, Floats]:
    """Return axes and offsets for `mask_grid`: any angle."""
    cells = between(columns[Column.GRID_CELL], *(min(height, width) * c for c in GRID_CELL))
    angles = around_zero(columns[Column.GRID_ANGLE], math.pi / 4.0)
    axes = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offsets = np.stack([columns[Column.GRID_X], columns[Column.GRID_Y]], axis=1)
    return np.asarray(axes / cells[:, np.newaxis], np.float32), np.asarray(offsets)
