"""Augmentation strength: a named ladder from none to heavy, and names beside it.

A trial chooses one name. What the name means is fixed here, bounded so that no setting
destroys the picture: on the competition's data, heavy colour changes that left half of the
training images black cost 17 points of macro F1, while block-out cost nothing.

What each operation does to the pixels is written in `automl_flowers.data.augmentation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        "brightness": 0.6,
        "contrast": 0.9,
        "saturation": 1.0,
        "hue": 0.5,
        "block_out": 1.0,
        "block_out_area": 0.5,
        "flip_vertical": 1.0,
        "perspective": 0.3,
        "crop": 0.7,
        "crop_least": 0.7,
        "gamma": 2.0,
        "equalize": 1.0,
        "vivid": 4.0,
        "fade": 0.9,
        "blur": 0.02,
        "mean_filter": 0.05,
        "sharpness": 1.0,
        "grid_mask": 1.0,
        "mixup": 1.0,
        "cutmix": 1.0,
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
        brightness: Largest change added, as a fraction of the pixel range, in [0, 0.6].
        contrast: Largest change of the contrast factor around 1 less `fade`, in [0, 0.9].
        saturation: Largest change of the saturation factor around 1, in [0, 1].
        hue: Largest rotation of the hue, as a fraction of the full circle, in [0, 0.5].
        block_out: Probability that one rectangle in the picture's mean colour hides part of
            the picture, in [0, 1].
        block_out_area: Largest area of that rectangle, as a fraction of the picture, in
            [0, 0.5]. It is 0 exactly when `block_out` is.
        flip_vertical: Probability of a top-bottom mirror, in [0, 1].
        perspective: Largest change of scale at the middle of each edge, as a fraction in
            [0, 0.3]: the picture is tilted.
        crop: Largest share of both sides that is cut away, at a random place, in [0, 0.7]; the
            rest is enlarged to the whole.
        crop_least: Smallest such share, in [0, 0.7] and not above `crop`.
        gamma: Largest exponent of the levels, less 1, in [0, 2]: 0.25 means 0.8 to 1.25.
        equalize: Probability that the levels of each channel are spread evenly, in [0, 1].
        vivid: Largest factor on the saturation of HSV, less 1, in [0, 4]. Every picture gets
            half of it at least: for the notebook's V3 only.
        fade: What every picture's contrast factor is lowered by, in [0, 0.9]; with `contrast` no
            more than that. For the notebook's V3 only.
        blur: Largest standard deviation of a Gaussian blur, as a fraction of the shorter side,
            in [0, 0.02].
        mean_filter: Side of the square over which every pixel is averaged, as a fraction of the
            shorter side, in [0, 0.05]. For the notebook's V3 only.
        sharpness: Largest change of the sharpness factor around 1, in [0, 1].
        grid_mask: Probability that a grid of squares in the picture's mean colour hides a
            quarter of the picture, in [0, 1].
        mixup: Probability that a picture is blended with another of its batch, in [0, 1].
        cutmix: Probability that a rectangle of another picture takes the place of its own, in
            [0, 1]; with `mixup` no more than 1.
        exclusive: One of left-right mirror, top-bottom mirror and crop a picture: the mirrors
            with their probabilities, the crop otherwise.

    Raises:
        ValueError: If a value lies outside its range, or two contradict each other.
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
    flip_vertical: float = 0.0
    perspective: float = 0.0
    crop: float = 0.0
    crop_least: float = 0.0
    gamma: float = 0.0
    equalize: float = 0.0
    vivid: float = 0.0
    fade: float = 0.0
    blur: float = 0.0
    mean_filter: float = 0.0
    sharpness: float = 0.0
    grid_mask: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    exclusive: bool = False

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
        if self.crop_least > self.crop:
            raise ValueError(
                "`crop_least` must not be above `crop`, got "
                f"crop_least={self.crop_least!r} and crop={self.crop!r}."
            )
        self._check_sum("mixup", "cutmix", 1.0)
        self._check_sum("contrast", "fade", LIMITS["contrast"])
        if self.exclusive:
            self._check_sum("flip", "flip_vertical", 1.0)

    def _check_sum(self, first: str, second: str, limit: float) -> None:
        one, other = getattr(self, first), getattr(self, second)
        if one + other > limit:
            raise ValueError(
                f"`{first}` and `{second}` must be {limit:g} together at most, got "
                f"{first}={one!r} and {second}={other!r}."
            )

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with others of their batch."""
        return self.mixup > 0.0 or self.cutmix > 0.0


_STRONG = AugmentationStrength(
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
)

LADDER: Mapping[str, AugmentationStrength] = MappingProxyType(
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
        "strong": _STRONG,
        "heavy": replace(
            _STRONG,
            perspective=0.1,
            crop=0.2,
            gamma=0.15,
            blur=0.004,
            sharpness=0.5,
            grid_mask=0.25,
        ),
    }
)
"""The ladder, weakest first: no range shrinks from one name to the next. Sources: the
competition's notebooks, ranges where macro F1 held or rose; those of `heavy` are seen in
notebooks, one of which did better without, so no preset lists it."""

_V3 = AugmentationStrength(
    flip=0.5,
    flip_vertical=0.5,
    crop=0.289,
    crop_least=0.289,
    brightness=0.6,
    vivid=4.0,
    contrast=0.1,
    fade=0.6,
    mean_filter=10 / 512,
)

AUGMENTATIONS: Mapping[str, AugmentationStrength] = MappingProxyType(
    {
        **LADDER,
        "medium_mixup": replace(LADDER["medium"], mixup=0.5),
        "medium_cutmix": replace(LADDER["medium"], cutmix=0.5),
        "v1": AugmentationStrength(flip=0.5, flip_vertical=0.5),
        "v2": AugmentationStrength(
            flip=1 / 3,
            flip_vertical=1 / 3,
            crop=0.3,
            crop_least=0.1,
            exclusive=True,
            block_out=0.75,
            block_out_area=0.2,
        ),
        "v3": _V3,
        "v3_forced": _V3,
    }
)
"""Every strength by name: the ladder, variants that mix pictures, and the three grids of the
original notebook. V1 mirrors; V2 takes one of both mirrors and a crop
of 70 to 90 %, then block-out (its rectangle black there, in the mean colour here); V3 cuts
512 of 720 pixels, changes brightness, makes colours vivid and flat, averages ten pixels of 512, and
mirrors. `docs/search_space.md` lists in what these differ from the notebook's own."""

REFUSED: Mapping[str, str] = MappingProxyType(
    {
        "v3": "Augmentation 'v3' is not for training: it leaves many pictures black or plain, "
        "about half of them in the notebook that it comes from, where macro F1 on val was 0.791 "
        "with it against 0.960 with 'v2'. Who trains with it on purpose must write 'v3_forced'."
    }
)
"""Names that are there to be looked at, and the sentence that refuses to train with each."""

TRAINABLE: tuple[str, ...] = tuple(name for name in AUGMENTATIONS if name not in REFUSED)
"""Names that a space or a recipe may choose."""

MIXING = frozenset(name for name, strength in AUGMENTATIONS.items() if strength.mixes)
"""Names of strengths that mix pictures with others of their batch."""


def get_augmentation(name: str) -> AugmentationStrength:
    """Return the strength called `name`, to train with or to look at.

    Raises:
        ValueError: If there is no such strength; the message lists the names that exist and
            suggests the closest one.
    """
    if name not in AUGMENTATIONS:
        raise ValueError(unknown_name("augmentation", name, AUGMENTATIONS))
    return AUGMENTATIONS[name]


def training_augmentation(name: str) -> AugmentationStrength:
    """Return the strength called `name`, to train with.

    Raises:
        ValueError: If there is no such strength, or it is only for looking at.
    """
    if name in REFUSED:
        raise ValueError(REFUSED[name])
    return get_augmentation(name)
