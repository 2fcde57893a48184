"""Augmentation strength: a named ladder from none to strong.

A trial chooses one name. What the name means is fixed here, bounded so that no setting
destroys the picture: on the competition's data, heavy colour changes that left half of the
training images black cost 17 points of macro F1, while block-out cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from search_spaces.hyperparameters import HyperParameters


@dataclass(frozen=True)
class AugmentationStrength:
    """How far each operation may go. All ranges are uniform and centred on "no change".

    Attributes:
        flip: Probability of a left-right mirror, in [0, 1].
        rotation: Largest rotation either way, in degrees.
        shear: Largest horizontal shear either way, in degrees.
        zoom: Largest change of scale, a fraction: 0.1 means 0.9 to 1.1 times.
        shift: Largest shift in each direction, as a fraction of the side.
        brightness: Largest change added, as a fraction of the pixel range.
        contrast: Largest change of the contrast factor around 1.
        saturation: Largest change of the saturation factor around 1.
        hue: Largest rotation of the hue, as a fraction of the full circle.
        block_out: Probability that one grey rectangle hides part of the picture, in [0, 1].
        block_out_area: Largest area of that rectangle, as a fraction of the picture.
    """

    flip: float = 0.0
    rotation: float = 0.0
    shear: float = 0.0
    zoom: float = 0.0
    shift: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    block_out: float = 0.0
    block_out_area: float = 0.0


AUGMENTATIONS: Mapping[str, AugmentationStrength] = MappingProxyType(
    {
        "none": AugmentationStrength(),
        "light": AugmentationStrength(flip=0.5, rotation=5.0, zoom=0.05, shift=0.05),
        "medium": AugmentationStrength(
            flip=0.5,
            rotation=15.0,
            shear=3.0,
            zoom=0.12,
            shift=0.08,
            brightness=0.08,
            contrast=0.15,
            saturation=0.2,
            hue=0.01,
            block_out=0.25,
            block_out_area=0.1,
        ),
        "strong": AugmentationStrength(
            flip=0.5,
            rotation=25.0,
            shear=6.0,
            zoom=0.25,
            shift=0.12,
            brightness=0.15,
            contrast=0.3,
            saturation=0.4,
            hue=0.03,
            block_out=0.5,
            block_out_area=0.2,
        ),
    }
)
"""The ladder. Sources: the competition's notebooks, ranges where macro F1 held or rose."""


def declare_augmentation(hp: HyperParameters, choices: list[str]) -> str:
    """Declare the choice of strength on `hp` and return the chosen name."""
    return str(hp.Choice("augmentation", choices))
