"""A whole batch from numbers to pictures: the operations one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from automl_flowers.data.augmentation import colour, filters, geometry, hiding, tone
from automl_flowers.data.augmentation.arrays import Floats, Pixels, Step, to_uint8
from automl_flowers.data.augmentation.numbers import NUM_PARAMETERS, Columns
from search_spaces.augmentation import AugmentationStrength

Images = npt.NDArray[np.uint8]


def augment(images: Images, parameters: Floats, strength: AugmentationStrength) -> Images:
    """Return augmented images.

    Args:
        images: Pixels, uint8, shape `(batch, height, width, 3)`.
        parameters: Numbers in [0, 1), float32, shape `(batch, NUM_PARAMETERS)`: the rows of
            `sample_parameters` that belong to these examples.
        strength: How far each operation may go. With every range 0 the result is `images`
            itself, and with flips alone every pixel is exact. What it says of mixing is done by
            `mix`.

    Returns:
        Pixels, uint8, same shape as `images`.

    Raises:
        ValueError: If dtype, rank or last dimension of `images` or `parameters` is not as
            described.
    """
    _check_inputs(images, parameters)
    steps = _plan(np.ascontiguousarray(parameters.T), strength, *images.shape[1:3])
    if not steps:
        return images
    augmented = np.empty_like(images)
    for i, image in enumerate(images):
        changed: Pixels = image
        for step in steps:
            changed = step(changed, i)
        augmented[i] = to_uint8(changed)
    return augmented


def _plan(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> list[Step]:
    """Return the operations whose range is not 0, in their order."""
    side = min(height, width)
    steps = []
    if strength.equalize:
        steps.append(tone.plan_equalizing(columns, strength))
    if strength.gamma:
        steps.append(tone.plan_gamma(columns, strength))
    if geometry.is_warp(strength) or strength.flip or strength.flip_vertical:
        steps.append(geometry.plan_move(columns, strength, height, width))
    if strength.vivid:
        steps.append(colour.plan_vivid(columns, strength))
    if strength.blur:
        steps.append(filters.plan_blur(columns, strength, side))
    if strength.mean_filter:
        steps.append(filters.plan_mean_filter(strength, side))
    if strength.sharpness:
        steps.append(filters.plan_sharpness(columns, strength))
    if colour.has_colour(strength) or strength.block_out or strength.grid_mask:
        steps.append(_plan_paint(columns, strength, height, width))
    return steps


def _plan_paint(columns: Columns, strength: AugmentationStrength, height: int, width: int) -> Step:
    """Return what gives pictures new colours and hides parts of them in the new mean colour."""
    hide = hiding.plan_hiding(columns, strength, height, width)
    shift = colour.plan_shift(columns, strength) if colour.has_colour(strength) else None

    def paint(image: Pixels, i: int) -> Pixels:
        mean = colour.mean_colour(image)
        if shift is not None:
            image, mean = shift(image, mean, i)
        painted = image.copy() if image.dtype == np.uint8 else to_uint8(image)
        hide(painted, np.clip(np.rint(mean), 0, 255).astype(np.uint8), i)
        return painted

    return paint


def _check_inputs(images: Images, parameters: Floats) -> None:
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise ValueError(
            "`images` must be uint8 of shape (batch, height, width, 3), got "
            f"{images.dtype.name} of shape {images.shape}."
        )
    if parameters.ndim != 2 or parameters.shape[-1] != NUM_PARAMETERS:
        raise ValueError(
            f"`parameters` must have shape (batch, {NUM_PARAMETERS}), got shape "
            f"{parameters.shape}. Gather the batch's rows from `sample_parameters`."
        )
