"""Geometry: every move of an image becomes one 3x3 matrix, and one interpolation.

Matrices map coordinates (x, y, 1) of the output to coordinates of the input, as TensorFlow's kernel
wants them, so in a product the picture is changed from left to right.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import tensorflow as tf

from automl_flowers.data.augmentation.numbers import (
    Column,
    Columns,
    around_zero,
    between,
    cos_sin,
    multiply,
)
from search_spaces.augmentation import AugmentationStrength


def _stack_matrices(rows: Sequence[Sequence[tf.Tensor | float]], like: tf.Tensor) -> tf.Tensor:
    """Return one 3x3 matrix for each element of `like`; plain numbers are repeated."""
    zero = tf.zeros_like(like)
    entries = [zero + entry for row in rows for entry in row]
    return tf.reshape(tf.stack(entries, axis=-1), [-1, 3, 3])


def flip_matrices(flags: tf.Tensor) -> tf.Tensor:
    """Return matrices that mirror left and right, about x = 0, where `flags` is true.

    Args:
        flags: Boolean, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    sign = tf.where(flags, -1.0, 1.0)
    return _stack_matrices([[sign, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], sign)


def vertical_flip_matrices(flags: tf.Tensor) -> tf.Tensor:
    """Return matrices that mirror top and bottom, about y = 0, where `flags` is true.

    Args:
        flags: Boolean, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    sign = tf.where(flags, -1.0, 1.0)
    return _stack_matrices([[1.0, 0.0, 0.0], [0.0, sign, 0.0], [0.0, 0.0, 1.0]], sign)


def rotation_matrices(angles: tf.Tensor) -> tf.Tensor:
    """Return matrices that turn the picture counterclockwise about (0, 0).

    Args:
        angles: Radians in [-pi, pi], float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    cos, sin = cos_sin(angles)
    return _stack_matrices([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]], angles)


def shear_matrices(levels: tf.Tensor) -> tf.Tensor:
    """Return matrices that move each row of pixels left by `level * y`.

    Args:
        levels: Tangent of the shear's angle, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, levels, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], levels)


def zoom_matrices(scales: tf.Tensor) -> tf.Tensor:
    """Return matrices that enlarge the picture about (0, 0), height and width alike.

    Args:
        scales: Size afterwards over size before, positive, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    shrink = scales / (scales * scales)  # not 1 / scales, see above
    return _stack_matrices([[shrink, 0.0, 0.0], [0.0, shrink, 0.0], [0.0, 0.0, 1.0]], scales)


def translation_matrices(right: tf.Tensor, down: tf.Tensor) -> tf.Tensor:
    """Return matrices that shift the picture.

    Args:
        right: Pixels to the right, float32, shape `(batch,)`.
        down: Pixels downwards, float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, 0.0, -right], [0.0, 1.0, -down], [0.0, 0.0, 1.0]], right)


def perspective_matrices(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Return matrices that tilt the picture about (0, 0): what lies at 0 keeps its scale.

    Args:
        x: How much larger the picture becomes a pixel to the right, as a fraction, float32,
            shape `(batch,)`.
        y: The same downwards.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    return _stack_matrices([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [x, y, 1.0]], x)


def crop_matrices(scale: tf.Tensor, left: tf.Tensor, top: tf.Tensor) -> tf.Tensor:
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
    rows = [[scale, 0.0, left + middle], [0.0, scale, top + middle], [0.0, 0.0, 1.0]]
    return _stack_matrices(rows, scale)


def compose(matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the product of `(batch, 3, 3)` matrices: the first one changes the picture first."""
    return functools.reduce(multiply, matrices)


def about_centre(matrices: tf.Tensor, height: int | tf.Tensor, width: int | tf.Tensor) -> tf.Tensor:
    """Return the same changes about the middle of the picture instead of about (0, 0).

    The middle is ((width - 1) / 2, (height - 1) / 2): pixels are points, as in
    `angles_to_projective_transforms` of tensorflow-addons.

    Args:
        matrices: Float32, shape `(batch, 3, 3)`.
        height: Pixels, integer.
        width: Pixels, integer.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    x = tf.reshape((tf.cast(width, tf.float32) - 1.0) / 2.0, [1])
    y = tf.reshape((tf.cast(height, tf.float32) - 1.0) / 2.0, [1])
    return compose([translation_matrices(-x, -y), matrices, translation_matrices(x, y)])


def transform(
    images: tf.Tensor,
    matrices: tf.Tensor,
    *,
    interpolation: str = "BILINEAR",
    fill_mode: str = "REFLECT",
    fill_value: float = 0.0,
) -> tf.Tensor:
    """Return images seen through `matrices`: `tfa.image.transform`.

    Args:
        images: Float32 or uint8, shape `(batch, height, width, channels)`. Interpolated uint8
            pixels are truncated by the kernel, not rounded.
        matrices: From output to input, float32, shape `(batch, 3, 3)`, with 1 in the lower
            right corner.
        interpolation: `"BILINEAR"` or `"NEAREST"`.
        fill_mode: What lies outside the picture: `"REFLECT"` (mirrored at the border, which
            is repeated), `"WRAP"`, `"NEAREST"` or `"CONSTANT"`.
        fill_value: The constant.

    Returns:
        Pixels of the same dtype and shape as `images`.
    """
    seen = tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(matrices, [-1, 9])[:, :8],
        output_shape=tf.shape(images)[1:3],
        fill_value=fill_value,
        interpolation=interpolation,
        fill_mode=fill_mode,
    )
    seen.set_shape(images.shape)
    return seen


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


def move(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return images as they are or flipped, or float32 images interpolated once."""
    if is_warp(strength):
        return transform(tf.cast(images, tf.float32), _matrices(images, columns, strength))
    if strength.flip:
        images = _where(columns[Column.FLIP] < strength.flip, tf.reverse(images, [2]), images)
    if strength.flip_vertical:
        flags = _is_vertical(columns, strength)
        images = _where(flags, tf.reverse(images, [1]), images)
    return images


def _where(flags: tf.Tensor, changed: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.Select(condition=flags, x=changed, y=images)


def _is_vertical(columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    if not strength.exclusive:
        return columns[Column.FLIP_VERTICAL] < strength.flip_vertical
    number = columns[Column.FLIP]
    return (number >= strength.flip) & (number < strength.flip + strength.flip_vertical)


def _matrices(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    shape = tf.shape(images)
    matrices = []
    if strength.crop:
        matrices.append(_crop(columns, strength, shape))
    linear = _about_centre(images, columns, strength)
    if linear:
        matrices.append(about_centre(compose(linear), shape[1], shape[2]))
    if strength.shift:
        sides = tf.cast(shape, tf.float32)
        right = around_zero(columns[Column.SHIFT_X], strength.shift) * sides[2]
        down = around_zero(columns[Column.SHIFT_Y], strength.shift) * sides[1]
        matrices.append(translation_matrices(right, down))
    product = compose(matrices)
    return product / product[:, 2:, 2:] if strength.perspective else product


def _crop(columns: Columns, strength: AugmentationStrength, shape: tf.Tensor) -> tf.Tensor:
    cut = between(columns[Column.CROP], strength.crop_least, strength.crop)
    if strength.exclusive:
        is_flipped = columns[Column.FLIP] < strength.flip + strength.flip_vertical
        cut = tf.where(is_flipped, 0.0, cut)
    sides = tf.cast(shape, tf.float32)
    left = columns[Column.CROP_X] * cut * sides[2]
    top = columns[Column.CROP_Y] * cut * sides[1]
    return crop_matrices(1.0 - cut, left, top)


def _about_centre(
    images: tf.Tensor, columns: Columns, strength: AugmentationStrength
) -> list[tf.Tensor]:
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
        _, height, width, _ = images.shape
        x = around_zero(columns[Column.PERSPECTIVE_X], 2.0 * strength.perspective / width)
        y = around_zero(columns[Column.PERSPECTIVE_Y], 2.0 * strength.perspective / height)
        matrices.append(perspective_matrices(x, y))
    return matrices
