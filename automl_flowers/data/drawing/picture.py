"""One picture of a species: background, plant, what stands in front, and the camera."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from automl_flowers.data.drawing.camera import photograph
from automl_flowers.data.drawing.catalogue import SPECIES
from automl_flowers.data.drawing.plants import draw_plant
from automl_flowers.data.drawing.scenery import paint_background, paint_foreground
from automl_flowers.data.drawing.traits import Species

_ALL_SPECIES = tuple(SPECIES.values())


@dataclass(frozen=True)
class Look:
    """Where pictures are taken.

    Attributes:
        backgrounds: How often each kind of background occurs, summing to 1.
        warmth: Mean colour cast, above 0 towards yellow.
        occlusion: How often something stands in front of the flower, in [0, 1].
    """

    backgrounds: Mapping[str, float]
    warmth: float
    occlusion: float


GARDEN = Look(
    MappingProxyType(
        {"foliage": 0.4, "meadow": 0.2, "bokeh": 0.13, "soil": 0.1, "sky": 0.09, "shade": 0.08}
    ),
    warmth=0.02,
    occlusion=0.35,
)
"""Daylight among plants: what the data set itself shows."""

INDOORS = Look(
    MappingProxyType({"plain": 0.45, "wall": 0.3, "shade": 0.1, "foliage": 0.15}),
    warmth=0.08,
    occlusion=0.1,
)
"""Lamp light before walls and cloth: what the external data shows."""


def draw_flower(
    species: Species,
    rng: np.random.Generator,
    size: int,
    *,
    look: Look = GARDEN,
    neighbours: Sequence[Species] = _ALL_SPECIES,
) -> NDArray[np.uint8]:
    """Draw one picture of a species.

    Args:
        species: What the picture shows.
        rng: Decides pose, number of flowers, background, light, focus and noise. Equal
            generators give equal pictures, bit for bit.
        size: Width and height in pixels.
        look: Where the picture is taken.
        neighbours: Species that may stand, small and out of focus, in the background.

    Returns:
        RGB pixels, uint8, shape `(size, size, 3)`.

    Example:
        >>> from automl_flowers.data.drawing import species_for
        >>> draw_flower(species_for(48), np.random.default_rng(0), 64).shape
        (64, 64, 3)
    """
    kinds = list(look.backgrounds)
    kind = kinds[int(rng.choice(len(kinds), p=list(look.backgrounds.values())))]
    canvas = paint_background(2 * size, kind, neighbours, rng)
    draw_plant(canvas, species, rng)
    if rng.random() < look.occlusion:
        paint_foreground(canvas, species.leaf, rng)
    return photograph(canvas, look.warmth, rng)
