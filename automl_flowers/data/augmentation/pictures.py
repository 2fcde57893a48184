"""A whole batch from numbers to pictures: the operations one after the other."""

from __future__ import annotations

import tensorflow as tf

from automl_flowers.data.augmentation.arrays import to_uint8
from automl_flowers.data.augmentation.colour import (
    has_colour,
    make_vivid,
    mean_colours,
    shift_colours,
)
from automl_flowers.data.augmentation.filters import filter_images, has_filter
from automl_flowers.data.augmentation.geometry import move
from automl_flowers.data.augmentation.hiding import hide
from automl_flowers.data.augmentation.numbers import NUM_PARAMETERS, Columns
from automl_flowers.data.augmentation.tone import change_tone
from search_spaces.augmentation import AugmentationStrength


def augment(images: tf.Tensor, parameters: tf.Tensor, strength: AugmentationStrength) -> tf.Tensor:
    """Return augmented images; a graph function for `Dataset.map` on batches.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`, height and width known.
        parameters: Numbers in [0, 1), float32, shape `(batch, NUM_PARAMETERS)`: the rows of
            `sample_parameters` that belong to these examples.
        strength: How far each operation may go. It shapes the graph, so another strength
            means another trace. With every range 0 the result is `images` itself, and with
            flips alone every pixel is exact. What it says of mixing is done by `mix`.

    Returns:
        Pixels, uint8, same shape as `images`.

    Raises:
        ValueError: If dtype, rank or last dimension of `images` or `parameters` is not as
            described.
    """
    _check_inputs(images, parameters)
    columns = tf.unstack(parameters, num=NUM_PARAMETERS, axis=1)
    pixels = move(change_tone(images, columns, strength), columns, strength)
    if strength.vivid:
        pixels = make_vivid(tf.cast(pixels, tf.float32), columns, strength)
    if has_filter(strength):
        pixels = filter_images(tf.cast(pixels, tf.float32), columns, strength)
    if has_colour(strength) or strength.block_out or strength.grid_mask:
        pixels = _paint(tf.cast(pixels, tf.float32), columns, strength)
    return tf.ensure_shape(to_uint8(pixels), images.shape)


def _paint(images: tf.Tensor, columns: Columns, strength: AugmentationStrength) -> tf.Tensor:
    """Return float32 images as uint8, in new colours and with parts hidden."""
    mean = mean_colours(images)
    if has_colour(strength):
        images, mean = shift_colours(images, mean, columns, strength)
    return hide(to_uint8(images), to_uint8(mean), columns, strength)


def _check_inputs(images: tf.Tensor, parameters: tf.Tensor) -> None:
    is_batch = images.dtype == tf.uint8 and images.shape.rank == 4 and images.shape[-1] == 3
    if not is_batch or None in images.shape[1:]:
        raise ValueError(
            "`images` must be uint8 of shape (batch, height, width, 3), got "
            f"{images.dtype.name} of shape {images.shape}."
        )
    if parameters.shape.rank != 2 or parameters.shape[-1] != NUM_PARAMETERS:
        raise ValueError(
            f"`parameters` must have shape (batch, {NUM_PARAMETERS}), got shape "
            f"{parameters.shape}. Gather the batch's rows from `sample_parameters`."
        )
