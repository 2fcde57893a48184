"""Augmentation of whole batches on the host, from a table of uniform numbers.

Every example owns one row of numbers in [0, 1) an epoch (`sample_parameters`); `augment` turns
rows into pictures and draws nothing itself. So an example looks the same in whatever batch, on
whatever thread and after whatever restart it is met, and a trial can be repeated exactly.

An `AugmentationStrength` says how far each operation goes:

    geometry   flip, rotation, shear, zoom and shift become one 3x3 matrix an image and one
               bilinear interpolation; outside its border the picture is mirrored.
    colour     contrast, saturation, hue and brightness become one 3x3 matrix and one offset an
               image.
    block-out  one rectangle an image in the picture's mean colour.

Pixels are rounded to uint8 once, after the colours. An operation whose range is 0 is left out of
the graph; those of colour, which share their matrix, when all four are 0.

The rectangle has the mean colour, not grey or black, so that it hides without adding a contrast
of its own, and neither brightness nor BatchNorm's statistics shift with the share that is hidden.

The primitives agree with tensorflow-addons 0.23, which is archived and does not import beside
Keras 3: golden tests compare `about_centre`, `rotation_matrices`, `shear_matrices`,
`translation_matrices`, `transform`, `hue_saturation_matrices` and `block_out`. Differences, all
of them in what `augment` does with the primitives:

    - tensorflow-addons truncates interpolated uint8 pixels, half a level too dark on average;
      `augment` interpolates in float32 and rounds.
    - `tfa.image.shear_x` shears about the upper left corner, `augment` about the centre.
    - `tfa.image.random_cutout` places the rectangle's centre anywhere, so that part of it may
      lie outside; here it always lies inside.

The warp is most of the cost, about 80 % of the strongest rung. The float32 kernel takes a tenth
longer than the uint8 one, the price of rounding. Broadcasts over the innermost axis of three
channels are what TensorFlow does slowly on a CPU, so the rest works on rows of `width * 3`.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from enum import IntEnum, unique

import numpy as np
import tensorflow as tf

from search_spaces.augmentation import AugmentationStrength


@unique
class _Column(IntEnum):
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


NUM_PARAMETERS: int = len(_Column)
"""Uniform numbers that one example needs for one epoch."""

MIN_BLOCK_OUT_SIDE = 0.5
"""Smallest side of a block-out rectangle, as a fraction of the largest."""

MAX_BLOCK_OUT_ASPECT = 2.0
"""Largest height of a rectangle over its width and width over its height, both in fractions of
the picture's sides. With at most half of the area, no side is longer than the picture's."""

_TO_YIQ = np.array(
    [[0.299, 0.596, 0.211], [0.587, -0.274, -0.523], [0.114, -0.322, 0.312]], dtype=np.float64
)
"""`rgb @ _TO_YIQ` is (luma, I, Q), with the three decimals that tensorflow-addons uses."""


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
    return tf.random.stateless_uniform([num_examples, NUM_PARAMETERS], key, alg="philox")


def augment(images: tf.Tensor, parameters: tf.Tensor, strength: AugmentationStrength) -> tf.Tensor:
    """Return augmented images; a graph function for `Dataset.map` on batches.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        parameters: Numbers in [0, 1), float32, shape `(batch, NUM_PARAMETERS)`: the rows of
            `sample_parameters` that belong to these examples.
        strength: How far each operation may go. It shapes the graph, so another strength
            means another trace. With every range 0 the result is `images` itself, and with
            `flip` alone every pixel is exact.

    Returns:
        Pixels, uint8, same shape as `images`.

    Raises:
        ValueError: If dtype, rank or last dimension of `images` or `parameters` is not as
            described.
    """
    _check_inputs(images, parameters)
    columns = tf.unstack(parameters, num=NUM_PARAMETERS, axis=1)
    pixels = _move(images, columns, strength)
    if _has_colour(strength) or strength.block_out:
        pixels = _paint(tf.cast(pixels, tf.float32), columns, strength)
    return tf.ensure_shape(_to_uint8(pixels), images.shape)


def _paint(images: tf.Tensor, columns: _Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return float32 images as uint8, in new colours and with a rectangle hidden."""
    mean = mean_colours(images)
    if _has_colour(strength):
        images, mean = _change_colours(images, mean, columns, strength)
    images = _to_uint8(images)
    if strength.block_out:
        rectangles = _rectangles(columns, strength, tf.shape(images))
        images = block_out(images, rectangles, _to_uint8(mean))
    return images


def _check_inputs(images: tf.Tensor, parameters: tf.Tensor) -> None:
    if images.dtype != tf.uint8 or images.shape.rank != 4 or images.shape[-1] != 3:
        raise ValueError(
            "`images` must be uint8 of shape (batch, height, width, 3), got "
            f"{images.dtype.name} of shape {images.shape}."
        )
    if parameters.shape.rank != 2 or parameters.shape[-1] != NUM_PARAMETERS:
        raise ValueError(
            f"`parameters` must have shape (batch, {NUM_PARAMETERS}), got shape "
            f"{parameters.shape}. Gather the batch's rows from `sample_parameters`."
        )


def _to_uint8(pixels: tf.Tensor) -> tf.Tensor:
    """Round and clip float pixels; uint8 pixels pass."""
    if pixels.dtype == tf.uint8:
        return pixels
    return tf.saturate_cast(tf.round(pixels), tf.uint8)


# A row's numbers meet additions, multiplications, divisions and comparisons only. Those are
# rounded alike everywhere. TensorFlow's sine and exponential, and 1 / x, which the graph
# optimizer turns into a fast approximation, are not: their last bit depends on where in the
# batch a value stands, and the warped pixels with it (seen: batches of 1 and 32).

_Columns = Sequence[tf.Tensor]
"""The table of parameters by `_Column`; each float32 of shape `(batch,)`."""


def _between(column: tf.Tensor, low: float, high: float) -> tf.Tensor:
    return low + (high - low) * column


def _around_zero(column: tf.Tensor, limit: float) -> tf.Tensor:
    return _between(column, -limit, limit)


def _multiply(left: tf.Tensor, right: tf.Tensor) -> tf.Tensor:
    """Return the products of `(batch, n, 3)` and `(batch, 3, m)` matrices."""
    terms = [left[:, :, k, tf.newaxis] * right[:, k, tf.newaxis, :] for k in range(3)]
    return terms[0] + terms[1] + terms[2]


def _cos_sin(angles: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
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


# Geometry. Matrices map coordinates (x, y, 1) of the output to coordinates of the input, as
# TensorFlow's kernel wants them, so in a product the picture is changed from left to right.


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


def rotation_matrices(angles: tf.Tensor) -> tf.Tensor:
    """Return matrices that turn the picture counterclockwise about (0, 0).

    Args:
        angles: Radians in [-pi, pi], float32, shape `(batch,)`.

    Returns:
        Matrices from output to input, float32, shape `(batch, 3, 3)`.
    """
    cos, sin = _cos_sin(angles)
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


def compose(matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the product of `(batch, 3, 3)` matrices: the first one changes the picture first."""
    return functools.reduce(_multiply, matrices)


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
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.reshape(matrices, [-1, 9])[:, :8],
        output_shape=tf.shape(images)[1:3],
        fill_value=fill_value,
        interpolation=interpolation,
        fill_mode=fill_mode,
    )


def _move(images: tf.Tensor, columns: _Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return uint8 images as they are or flipped, or float32 images interpolated once."""
    if strength.rotation or strength.shear or strength.zoom or strength.shift:
        matrices = _geometry_matrices(columns, strength, tf.shape(images))
        return transform(tf.cast(images, tf.float32), matrices)
    if strength.flip:
        flags = columns[_Column.FLIP] < strength.flip
        return tf.raw_ops.Select(condition=flags, x=tf.reverse(images, [2]), y=images)
    return images


def _geometry_matrices(
    columns: _Columns, strength: AugmentationStrength, shape: tf.Tensor
) -> tf.Tensor:
    matrices = []
    linear = _linear_matrices(columns, strength)
    if linear:
        matrices.append(about_centre(compose(linear), shape[1], shape[2]))
    if strength.shift:
        sides = tf.cast(shape, tf.float32)
        right = _around_zero(columns[_Column.SHIFT_X], strength.shift) * sides[2]
        down = _around_zero(columns[_Column.SHIFT_Y], strength.shift) * sides[1]
        matrices.append(translation_matrices(right, down))
    return compose(matrices)


def _linear_matrices(columns: _Columns, strength: AugmentationStrength) -> list[tf.Tensor]:
    matrices = []
    if strength.flip:
        matrices.append(flip_matrices(columns[_Column.FLIP] < strength.flip))
    if strength.rotation:
        limit = math.radians(strength.rotation)
        matrices.append(rotation_matrices(_around_zero(columns[_Column.ROTATION], limit)))
    if strength.shear:
        limit = math.tan(math.radians(strength.shear))
        matrices.append(shear_matrices(_around_zero(columns[_Column.SHEAR], limit)))
    if strength.zoom:
        scales = 1.0 + _around_zero(columns[_Column.ZOOM], strength.zoom)
        matrices.append(zoom_matrices(scales))
    return matrices


# Colour. A picture is multiplied from the right: `rgb @ matrix + offset`.


def _in_yiq(matrix: Sequence[Sequence[float]]) -> tf.Tensor:
    """Return a constant matrix on YIQ colours as one on RGB colours, float32, (3, 3)."""
    in_rgb = _TO_YIQ @ np.array(matrix, dtype=np.float64) @ np.linalg.inv(_TO_YIQ)
    return tf.constant(in_rgb, tf.float32)


def hue_saturation_matrices(angles: tf.Tensor, factors: tf.Tensor) -> tf.Tensor:
    """Return matrices that turn the hue and scale the saturation, keeping the luma.

    In YIQ space the plane (I, Q) is turned by the angle and multiplied by the factor. With
    angle 0 that is the interpolation between the grey picture (factor 0) and the picture
    itself (factor 1). Times a number it is `tfa.image.adjust_hsv_in_yiq` with that
    `scale_value`, which does not clip float images either.

    Args:
        angles: Radians in [-pi, pi], float32, shape `(batch,)`.
        factors: Saturation afterwards over before, at least 0, float32, shape `(batch,)`.

    Returns:
        Matrices for `change_colours`, float32, shape `(batch, 3, 3)`.
    """
    grey = _in_yiq([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    colour = _in_yiq([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    quarter_turn = _in_yiq([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
    cos, sin = _cos_sin(angles)
    cos = (factors * cos)[:, tf.newaxis, tf.newaxis]
    sin = (factors * sin)[:, tf.newaxis, tf.newaxis]
    return grey + cos * colour + sin * quarter_turn


def change_colours(images: tf.Tensor, matrices: tf.Tensor, offsets: tf.Tensor) -> tf.Tensor:
    """Return `rgb @ matrix + offset` for every pixel, not clipped.

    Args:
        images: Pixels, float32, shape `(batch, height, width, 3)`.
        matrices: Float32, shape `(batch, 3, 3)`.
        offsets: In units of the pixels, float32, shape `(batch, 3)`.

    Returns:
        Pixels, float32, same shape as `images`.
    """
    multiplied = tf.einsum("bhwc,bcd->bhwd", images, matrices)
    by_row = _flatten_rows(multiplied) + _repeat_over_row(offsets, multiplied)
    return tf.reshape(by_row, tf.shape(images))


def mean_colours(images: tf.Tensor) -> tf.Tensor:
    """Return each image's mean colour, taken over pixels rounded to whole levels.

    Whole numbers add up exactly, so the mean does not depend on the order in which threads
    add, which changes with the batch.

    Args:
        images: Pixels in [0, 255], float32, shape `(batch, height, width, 3)`.

    Returns:
        Float32, shape `(batch, 3)`.
    """
    shape = tf.shape(images)
    columns = tf.reduce_sum(_flatten_rows(tf.round(images)), axis=1)
    columns = tf.reshape(tf.cast(columns, tf.float64), [shape[0], shape[2], 3])
    totals = tf.reduce_sum(columns, axis=1)
    return tf.cast(totals / tf.cast(shape[1] * shape[2], tf.float64), tf.float32)


def _flatten_rows(images: tf.Tensor) -> tf.Tensor:
    """Return images as `(batch, height, width * 3)`, where broadcasts are quick."""
    shape = tf.shape(images)
    return tf.reshape(images, [shape[0], shape[1], shape[2] * 3])


def _repeat_over_row(colours: tf.Tensor, images: tf.Tensor) -> tf.Tensor:
    """Return `(batch, 3)` colours as `(batch, 1, width * 3)`, to meet flattened rows."""
    return tf.tile(colours, [1, tf.shape(images)[2]])[:, tf.newaxis, :]


def _has_colour(strength: AugmentationStrength) -> bool:
    return any((strength.brightness, strength.contrast, strength.saturation, strength.hue))


def _change_colours(
    images: tf.Tensor, mean: tf.Tensor, columns: _Columns, strength: AugmentationStrength
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return float32 images in new colours, and what their mean colours become, unclipped.

    With mean m, contrast c, hue and saturation S and brightness b a pixel becomes
    `((rgb - m) * c + m) @ S + b`, so the mean becomes `m @ S + b`.
    """
    contrast = 1.0 + _around_zero(columns[_Column.CONTRAST], strength.contrast)
    factors = 1.0 + _around_zero(columns[_Column.SATURATION], strength.saturation)
    angles = _around_zero(columns[_Column.HUE], 2.0 * math.pi * strength.hue)
    brightness = _around_zero(columns[_Column.BRIGHTNESS], 255.0 * strength.brightness)
    matrices = hue_saturation_matrices(angles, factors)
    turned_mean = _multiply(mean[:, tf.newaxis, :], matrices)[:, 0, :]
    contrast, brightness = contrast[:, tf.newaxis], brightness[:, tf.newaxis]
    offsets = (1.0 - contrast) * turned_mean + brightness
    images = change_colours(images, contrast[:, tf.newaxis] * matrices, offsets)
    return images, turned_mean + brightness


# Block-out.


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
    top, left, height, width = tf.split(rectangles, 4, axis=1)
    y = tf.range(tf.shape(images)[1])[tf.newaxis, :]
    x = tf.repeat(tf.range(tf.shape(images)[2]), 3)[tf.newaxis, :]
    rows = (y >= top) & (y < top + height)
    columns = (x >= left) & (x < left + width)
    hidden = rows[:, :, tf.newaxis] & columns[:, tf.newaxis, :]
    painted = tf.where(hidden, _repeat_over_row(colours, images), _flatten_rows(images))
    return tf.reshape(painted, tf.shape(images))


def _rectangles(columns: _Columns, strength: AugmentationStrength, shape: tf.Tensor) -> tf.Tensor:
    """Return rectangles for `block_out`, inside the picture, height 0 where none is drawn.

    The side of the square of the same area is uniform between half of the largest one and the
    largest one, the stretch of either side uniform up to its limit, the place uniform.
    """
    largest = math.sqrt(strength.block_out_area)
    side = _between(columns[_Column.BLOCK_OUT_SIDE], MIN_BLOCK_OUT_SIDE * largest, largest)
    limit = math.sqrt(MAX_BLOCK_OUT_ASPECT) - 1.0
    signed = _around_zero(columns[_Column.BLOCK_OUT_ASPECT], limit)
    stretch = 1.0 + tf.abs(signed)
    long, short = side * stretch, side / stretch
    is_tall = signed >= 0.0
    top, height = _place(columns[_Column.BLOCK_OUT_Y], tf.where(is_tall, long, short), shape[1])
    left, width = _place(columns[_Column.BLOCK_OUT_X], tf.where(is_tall, short, long), shape[2])
    drawn = columns[_Column.BLOCK_OUT] < strength.block_out
    return tf.stack([top, left, tf.where(drawn, height, 0), width], axis=1)


def _place(
    position: tf.Tensor, fraction: tf.Tensor, side: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return start and length, int32, of whole pixels inside [0, `side`).

    Args:
        position: In [0, 1), float32, shape `(batch,)`.
        fraction: Length over side, in [0, 1], float32, shape `(batch,)`.
        side: Pixels, scalar int32.
    """
    rounded = tf.cast(tf.round(fraction * tf.cast(side, tf.float32)), tf.int32)
    length = tf.clip_by_value(rounded, 1, side)
    room = side - length
    start = tf.cast(position * tf.cast(room + 1, tf.float32), tf.int32)
    return tf.minimum(start, room), length
