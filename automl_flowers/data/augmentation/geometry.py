"""Geometry: every move of an image becomes one 3x3 matrix, and one interpolation.

Matrices map coordinates (x, y, 1) of the output to coordinates of the input, so in a product the
picture is changed from left to right.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats, Pixels, Step, to_float
from automl_flowers.data.augmentation.numbers import Column, Columns, around_zero, between
from search_spaces.augmentation import AugmentationStrength

Booleans = npt.NDArray[np.bool_]


def _stack_matrices(rows: Sequence[Sequence[Floats | float]], like: Floats) -> Floats:
    """Return one 3x3 matrix for each element of `like`; plain numbers are repeated."""
    matrices = np.empty((len(like), 3, 3), np.float32)
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            matrices[:, i, j] = entry
    return matrices


def flip_matrices(flags: Booleans) -> Floats:
    """Return matrices that mirror left and right, about x = 0, where `flags` is true.

    Args:
        flags: Boolean, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    sign = np.where(flags, np.float32(-1.0), np.float32(1.0))
    return _stack_matrices([[sign, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], sign)


def vertical_flip_matrices(flags: Booleans) -> Floats:
    """Return matrices that mirror top and bottom, about y = 0, where `flags` is true.

    Args:
        flags: Boolean, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    sign = np.where(flags, np.float32(-1.0), np.float32(1.0))
    return _stack_matrices([[1.0, 0.0, 0.0], [0.0, sign, 0.0], [0.0, 0.0, 1.0]], sign)


def rotation_matrices(angles: Floats) -> Floats:
    """Return matrices that turn the picture counterclockwise about (0, 0).

    Args:
        angles: Radians in [-pi, pi], float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    cos, sin = np.cos(angles), np.sin(angles)
    return _stack_matrices([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]], angles)


def shear_matrices(levels: Floats) -> Floats:
    """Return matrices that move each row of pixels left by `level * y`.

    Args:
        levels: Tangent of the shear's angle, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, levels, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], levels)


def zoom_matrices(scales: Floats) -> Floats:
    """Return matrices that enlarge the picture about (0, 0), height and width alike.

    Args:
        scales: Size afterwards over size before, positive, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    shrink = np.float32(1.0) / scales
    return _stack_matrices([[shrink, 0.0, 0.0], [0.0, shrink, 0.0], [0.0, 0.0, 1.0]], scales)


def translation_matrices(right: Floats, down: Floats) -> Floats:
    """Return matrices that shift the picture.

    Args:
        right: Pixels to the right, float32, shape `(batch,)`.
        down: Pixels downwards, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, 0.0, -right], [0.0, 1.0, -down], [0.0, 0.0, 1.0]], right)


def perspective_matrices(x: Floats, y: Floats) -> Floats:
    """Return matrices that tilt the picture about (0, 0): what lies at 0 keeps its scale.

    Args:
        x: How much larger the picture becomes a pixel to the right, as a fraction, float32,
            shape `(batch,)`.
        y: The same downwards.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [x, y, 1.0]], x)


def crop_matrices(scale: Floats, left: Floats, top: Floats) -> Floats:
    """Return matrices that enlarge a part of the picture to the whole, as `tf.image.resize` does.

    Pixels are squares here, so that the whole picture (scale 1 at 0, 0) stays as it is, and a
    part's outer edges become the picture's.

    Args:
        scale: Sides of the part over those of the picture, in (0, 1], float32, shape `(batch,)`.
        left: Where the part begins, in pixels, float32, shape `(batch,)`.
        top: The same from above.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    middle = 0.5 * scale - 0.5
    x, y = left + middle, top + middle
    return _stack_matrices([[scale, 0.0, x], [0.0, scale, y], [0.0, 0.0, 1.0]], scale)


def compose(matrices: Sequence[Floats]) -> Floats:
    """Return the product of `(batch, 3, 3)` matrices: the first one changes the picture first."""
    return functools.reduce(np.matmul, matrices)


def about_centre(matrices: Floats, height: int, width: int) -> Floats:
    """Return the same changes about the middle of the picture instead of about (0, 0).

    The middle is ((width - 1) / 2, (height - 1) / 2): pixels are points, as in
    `angles_to_projective_transforms` of tensorflow-addons.

    Args:
        matrices: Float32, shape `(batch, 3, 3)`.
        height: Pixels.
        width: Pixels.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    x, y = (np.array([(side - 1) / 2], np.float32) for side in (width, height))
    return compose([translation_matrices(-x, -y), matrices, translation_matrices(x, y)])


def transform(image: Pixels, matrix: Floats) -> Pixels:
    """Return a picture seen through a matrix, between pixels bilinear: `tfa.image.transform`.

    Args:
        image: Float32 or uint8, shape `(height, width, 3)`. Outside it is mirrored at the border,
            which is repeated.
        matrix: From output to input, shape `(3, 3)`.

    Returns:
        Pixels of the same dtype and shape as `image`; uint8 ones are rounded.
    """
    height, width, _ = image.shape
    seen = cv2.warpPerspective(
        image,
        matrix.astype(np.float64),
        (width, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT,
    )
    return np.asarray(seen)


def is_warp(strength: AugmentationStrength) -> bool:
    """Say whether a strength moves pixels to places between pixels."""
    return any(
        (
            strength.rotation,
            strength.shear,
            strength.zoom,
            strength.shift,
            strength.perspective,
            strength.crop,
        )
    )


def plan_move(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> Step:
    """Return what flips pictures exactly, or interpolates them once as float32."""
    if is_warp(strength):
        matrices = _matrices(columns, strength, height, width)
        return lambda image, i: transform(to_float(image), matrices[i])
    flipped = columns[Column.FLIP] < strength.flip
    turned = _is_vertical(columns, strength)

    def flip(image: Pixels, i: int) -> Pixels:
        if not (flipped[i] or turned[i]):
            return image
        both = flipped[i] and turned[i]
        return np.asarray(cv2.flip(image, -1 if both else int(flipped[i])))

    return flip


def _is_vertical(columns: Columns, strength: AugmentationStrength) -> Booleans:
    number = columns[Column.FLIP if strength.exclusive else Column.FLIP_VERTICAL]
    if not strength.exclusive:
        return np.asarray(number < strength.flip_vertical)
    above = number >= strength.flip
    return np.asarray(above & (number < strength.flip + strength.flip_vertical))


def _matrices(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> Floats:
    matrices = []
    if strength.crop:
        matrices.append(_crop(columns, strength, height, width))
    linear = _about_centre(columns, strength, height, width)
    if linear:
        matrices.append(about_centre(compose(linear), height, width))
    if strength.shift:
        right = around_zero(columns[Column.SHIFT_X], strength.shift) * width
        down = around_zero(columns[Column.SHIFT_Y], strength.shift) * height
        matrices.append(translation_matrices(right, down))
    return compose(matrices)


def _crop(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> Floats:
    cut = between(columns[Column.CROP], strength.crop_least, strength.crop)
    if strength.exclusive:
        is_flipped = columns[Column.FLIP] < strength.flip + strength.flip_vertical
        cut = np.where(is_flipped, np.float32(0.0), cut)
    left = columns[Column.CROP_X] * cut * width
    top = columns[Column.CROP_Y] * cut * height
    return crop_matrices(1.0 - cut, left, top)


def _about_centre(
    columns: Columns, strength: AugmentationStrength, height: int, width: int
) -> list[Floats]:
    matrices = []
    if strength.flip:
        matrices.append(flip_matrices(columns[Column.FLIP] < strength.flip))
    if strength.flip_vertical:
        matrices.append(vertical_flip_matrices(_is_vertical(columns, strength)))
    if strength.rotation:
        limit = math.radians(strength.rotation)
        matrices.append(rotation_matrices(around_zero(columns[Column.ROTATION], limit)))
    if strength.shear:
        limit = math.tan(math.radians(strength.shear))
        matrices.append(shear_matrices(around_zero(columns[Column.SHEAR], limit)))
    if strength.zoom:
        scales = 1.0 + around_zero(columns[Column.ZOOM], strength.zoom)
        matrices.append(zoom_matrices(scales))
    if strength.perspective:
        x = around_zero(columns[Column.PERSPECTIVE_X], 2.0 * strength.perspective / width)
        y = around_zero(columns[Column.PERSPECTIVE_Y], 2.0 * strength.perspective / height)
        matrices.append(perspective_matrices(x, y))
    return matrices
