"""Augmentation strength: a named ladder from none to strong.

A trial chooses one name. What the name means is fixed here, bounded so that no setting
destroys the picture: on the competition's data, heavy colour changes that left half of the
training images black cost 17 points of macro F1, while block-out cost nothing.

What each operation does to the pixels is written in `automl_flowers.data.augmentation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from search_spaces.parameters import unknown_name

UNCHANGED = "none"
"""The strength that leaves every image as it is."""

LIMITS: Mapping[str, float] = MappingProxyType(
    {
        "flip": 1.0,
        "rotation": 180.0,
        "shear": 45.0,
        "zoom": 0.5,
        "shift": 0.5,
        "brightness": 0.5,
        "contrast": 0.9,
        "saturation": 1.0,
        "hue": 0.5,
        "block_out": 1.0,
        "block_out_area": 0.5,
    }
)
"""Largest value of each range: beyond it the operation has no further meaning (a probability,
an angle) or leaves pictures that nobody recognises. The smallest value is always 0."""


@dataclass(frozen=True)
class AugmentationStrength:
    """How far each operation may go; 0, the default, leaves the operation out.

    Attributes:
        flip: Probability of a left-right mirror, in [0, 1].
        rotation: Largest rotation either way, in degrees, in [0, 180].
        shear: Largest horizontal shear either way, in degrees, in [0, 45].
        zoom: Largest change of scale, the same for height and width, as a fraction in
            [0, 0.5]: 0.1 means 0.9 to 1.1 times.
        shift: Largest shift in each direction, as a fraction of the side, in [0, 0.5].
        brightness: Largest change added, as a fraction of the pixel range, in [0, 0.5].
        contrast: Largest change of the contrast factor around 1, in [0, 0.9].
        saturation: Largest change of the saturation factor around 1, in [0, 1].
        hue: Largest rotation of the hue, as a fraction of the full circle, in [0, 0.5].
        block_out: Probability that one rectangle in the picture's mean colour hides part of
            the picture, in [0, 1].
        block_out_area: Largest area of that rectangle, as a fraction of the picture, in
            [0, 0.5]. It is 0 exactly when `block_out` is.

    Raises:
        ValueError: If a value lies outside its range, or only one of `block_out` and
            `block_out_area` is 0.
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

    def __post_init__(self) -> None:
        for name, limit in LIMITS.items():
            value = getattr(self, name)
            if not 0.0 <= value <= limit:
                raise ValueError(f"`{name}` must lie in [0, {limit:g}], got {value!r}.")
        if (self.block_out == 0.0) != (self.block_out_area == 0.0):
            raise ValueError(
                "`block_out` and `block_out_area` must both be 0 or both be positive, got "
                f"block_out={self.block_out!r} and block_out_area={self.block_out_area!r}."
            )


AUGMENTATIONS: Mapping[str, AugmentationStrength] = MappingProxyType(
    {
        UNCHANGED: AugmentationStrength(),
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
"""The ladder, weakest first: no range shrinks from one name to the next. Sources: the
competition's notebooks, ranges where macro F1 held or rose."""


def get_augmentation(name: str) -> AugmentationStrength:
    """Return the strength called `name`.

    Raises:
        ValueError: If there is no such strength; the message lists the names that exist and
            suggests the closest one.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(unknown_name("augmentation", name, AUGMENTATIONS))
    return AUGMENTATIONS[name]
