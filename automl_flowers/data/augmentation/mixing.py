"""Mixing: MixUp and CutMix, an image with another one of its batch, and their labels alike.

The other image stands elsewhere in the batch, at a distance that the example's numbers say; share
and place come from them too. What a picture becomes therefore depends on the batch that it is in,
and nothing computed from one may be kept for another epoch.

Labels are mixed by what each of the two weighs in the loss, share times sample weight, and
the weights by the shares. So the loss of a mixture (cross-entropy is linear in the label) is the
mixture of the two losses, and classes keep the weight that they were given.

MixUp: Zhang et al. 2018, https://arxiv.org/abs/1710.09412. CutMix: Yun et al. 2019,
https://arxiv.org/abs/1905.04899. Shares are uniform, their Beta(1, 1). Unlike the paper's, a
rectangle of CutMix always lies inside the picture.
"""

from __future__ import annotations

import tensorflow as tf

from automl_flowers.data.augmentation.arrays import (
    as_images,
    flatten_rows,
    per_image,
    place,
    to_uint8,
)
from automl_flowers.data.augmentation.hiding import inside
from automl_flowers.data.augmentation.numbers import NUM_PARAMETERS, Column, Columns
from search_spaces.augmentation import AugmentationStrength

Batch = tuple[tf.Tensor, tf.Tensor, tf.Tensor]
"""Images, soft labels and sample weights."""


def mix(
    images: tf.Tensor,
    labels: tf.Tensor,
    weights: tf.Tensor,
    parameters: tf.Tensor,
    strength: AugmentationStrength,
) -> Batch:
    """Return a batch in which some images are mixtures of two.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        labels: Soft labels that sum to 1, float32, shape `(batch, num_classes)`.
        weights: At least 0, float32, shape `(batch,)`.
        parameters: Numbers in [0, 1), float32, shape `(batch, NUM_PARAMETERS)`: the rows of
            `sample_parameters` that belong to these examples.
        strength: How likely. With neither `mixup` nor `cutmix` the batch stays as it is.

    Returns:
        The same three, of the same types and shapes. Labels sum to 1.
    """
    if not strength.mixes:
        return images, labels, weights
    columns = tf.unstack(parameters, num=NUM_PARAMETERS, axis=1)
    partners = _partners(columns)
    others = tf.gather(images, partners)
    mixed, shares = images, tf.zeros_like(weights)
    if strength.mixup:
        drawn = columns[Column.MIX] < strength.mixup
        shares = tf.where(drawn, columns[Column.MIX_SHARE], 0.0)
        mixed = blend(images, others, shares)
    if strength.cutmix:
        rectangles, areas = _rectangles(images, columns, strength)
        mixed = paste(mixed, others, rectangles)
        shares += areas
    return (tf.ensure_shape(mixed, images.shape), *mix_labels(labels, weights, partners, shares))


def _partners(columns: Columns) -> tf.Tensor:
    """Return for each position of a batch another one, int32; its own in a batch of one."""
    size = tf.shape(columns[Column.MIX])[0]
    others = tf.cast(size - 1, tf.float32)
    ahead = 1 + tf.cast(columns[Column.MIX_PARTNER] * others, tf.int32)
    return (tf.range(size) + tf.minimum(ahead, tf.maximum(size - 1, 0))) % size


def blend(images: tf.Tensor, others: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Return `images` with a share of `others` in every pixel: MixUp.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        others: The same.
        shares: Of `others`, in [0, 1], float32, shape `(batch,)`.

    Returns:
        Pixels, uint8, same shape as `images`.
    """
    ours = flatten_rows(tf.cast(images, tf.float32))
    theirs = flatten_rows(tf.cast(others, tf.float32))
    return as_images(to_uint8(ours + per_image(shares) * (theirs - ours)), images)


def paste(images: tf.Tensor, others: tf.Tensor, rectangles: tf.Tensor) -> tf.Tensor:
    """Return `images` with a rectangle of `others` in its place: CutMix.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        others: The same.
        rectangles: As for `block_out`.

    Returns:
        Pixels, uint8, same shape as `images`.
    """
    pasted = tf.where(inside(rectangles, images), flatten_rows(others), flatten_rows(images))
    return as_images(pasted, images)


def mix_labels(
    labels: tf.Tensor, weights: tf.Tensor, partners: tf.Tensor, shares: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the labels and weights with which a mixture's loss is the mixture of the losses.

    Args:
        labels: Soft labels that sum to 1, float32, shape `(batch, num_classes)`.
        weights: At least 0, float32, shape `(batch,)`.
        partners: Positions in the batch, int32, shape `(batch,)`.
        shares: Of the partners, in [0, 1], float32, shape `(batch,)`.

    Returns:
        Labels that sum to 1, and weights. A share of 0 leaves both as they are.
    """
    theirs = shares * tf.gather(weights, partners)
    mixed = (1.0 - shares) * weights + theirs
    of_theirs = tf.math.divide_no_nan(theirs, mixed)[:, tf.newaxis]
    return labels + of_theirs * (tf.gather(labels, partners) - labels), mixed


def _rectangles(
    images: tf.Tensor, columns: Columns, strength: AugmentationStrength
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return rectangles for `paste` and the share of the picture that each covers.

    The larger of two uniform numbers is the root of a third one, so that areas are uniform.
    """
    _, height, width, _ = images.shape
    side = tf.maximum(columns[Column.MIX_SHARE], columns[Column.MIX_SIDE])
    top, rows = place(columns[Column.MIX_Y], side, height)
    left, across = place(columns[Column.MIX_X], side, width)
    number = columns[Column.MIX]
    drawn = (number >= strength.mixup) & (number < strength.mixup + strength.cutmix)
    rows = tf.where(drawn, rows, 0)
    areas = tf.cast(rows * across, tf.float32) * (1.0 / (height * width))
    return tf.stack([top, left, rows, across], axis=1), areas
