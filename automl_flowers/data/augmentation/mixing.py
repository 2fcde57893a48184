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

import cv2
import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation.arrays import Floats, place
from automl_flowers.data.augmentation.hiding import Integers, inside
from automl_flowers.data.augmentation.numbers import Column, Columns
from search_spaces.augmentation import AugmentationStrength

Images = npt.NDArray[np.uint8]
Batch = tuple[Images, Floats, Floats]
"""Images, soft labels and sample weights."""


def mix(
    images: Images,
    labels: Floats,
    weights: Floats,
    parameters: Floats,
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
    columns = parameters.T
    partners = _partners(columns)
    number = columns[Column.MIX]
    is_blend = number < strength.mixup
    is_paste = ~is_blend & (number < strength.mixup + strength.cutmix)
    rectangles, areas = _rectangles(columns, *images.shape[1:3])
    mixed = images.copy()
    for i in np.flatnonzero(is_blend):
        mixed[i] = blend(images[i], images[partners[i]], float(columns[Column.MIX_SHARE, i]))
    for i in np.flatnonzero(is_paste):
        here = inside(rectangles[i])
        mixed[i][here] = images[partners[i]][here]
    shares = np.where(is_blend, columns[Column.MIX_SHARE], np.where(is_paste, areas, 0.0))
    return (mixed, *mix_labels(labels, weights, partners, shares.astype(np.float32)))


def _partners(columns: Columns) -> Integers:
    """Return for each position of a batch another one; its own in a batch of one."""
    size = columns.shape[1]
    ahead = 1 + (columns[Column.MIX_PARTNER] * np.float32(size - 1)).astype(np.int64)
    return np.asarray((np.arange(size) + np.minimum(ahead, max(size - 1, 0))) % size)


def blend(image: Images, other: Images, share: float) -> Images:
    """Return a picture with a share, in [0, 1], of another one in every pixel: MixUp."""
    return np.asarray(cv2.addWeighted(image, 1.0 - share, other, share, 0.0))


def mix_labels(
    labels: Floats, weights: Floats, partners: Integers, shares: Floats
) -> tuple[Floats, Floats]:
    """Return the labels and weights with which a mixture's loss is the mixture of the losses.

    Args:
        labels: Soft labels that sum to 1, float32, shape `(batch, num_classes)`.
        weights: At least 0, float32, shape `(batch,)`.
        partners: Positions in the batch, shape `(batch,)`.
        shares: Of the partners, in [0, 1], float32, shape `(batch,)`.

    Returns:
        Labels that sum to 1, and weights. A share of 0 leaves both as they are.
    """
    theirs = shares * weights[partners]
    mixed = (1.0 - shares) * weights + theirs
    of_theirs = np.divide(theirs, mixed, out=np.zeros_like(mixed), where=mixed > 0.0)
    return labels + of_theirs[:, np.newaxis] * (labels[partners] - labels), mixed


def _rectangles(columns: Columns, height: int, width: int) -> tuple[Integers, Floats]:
    """Return rectangles for CutMix and the share of the picture that each covers.

    The larger of two uniform numbers is the root of a third one, so that areas are uniform.
    """
    side = np.maximum(columns[Column.MIX_SHARE], columns[Column.MIX_SIDE])
    top, rows = place(columns[Column.MIX_Y], side, height)
    left, across = place(columns[Column.MIX_X], side, width)
    areas = (rows * across / (height * width)).astype(np.float32)
    return np.stack([top, left, rows, across], axis=1), areas
