"""Which images a synthesised data set has: how many of each class, their ids, which are copies.

A plan is decided by the settings alone, before anything is drawn. An image is known by its class,
its split and its number among these; together with the seed they decide every pixel of it,
whatever the format, the order of drawing, or how many classes there are.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from automl_flowers.data.drawing import choose_classes
from automl_flowers.data.labels import COMPETITION_CLASS_NAMES, COMPETITION_CLASSES

Format = Literal["tfrecord", "folders"]
Transform = Literal["reencoded", "resized", "mirrored", "cropped"]

SPLITS = ("train", "val", "test", "external")
TRANSFORMS: tuple[Transform, ...] = ("reencoded", "resized", "mirrored", "cropped")
"""What may have been done to a copy of a test image."""

DRAWING_VERSION = 1
"""Part of the settings; to be raised when the same settings give other pictures."""

_COMPETITION_SIZES = {"train": 12_753, "val": 3_712, "test": 7_382}
_EXTERNAL_SHARE = 0.4
_COPY_SHARE = 0.1
_WANTED_VAL_MEAN = 20
_MOST_VAL_SHARE = 0.4
_LEAST = {"train": 15, "val": 10, "test": 10, "external": 5}
_ID_LENGTH = 9
_ORDER, _COPIES = 1_000, 1_001  # seeds' last entries, beyond those of the splits


@dataclass(frozen=True)
class Settings:
    """All that decides what a data set holds.

    Attributes:
        num_classes: Number of classes, 2 to 104.
        images_per_class: Mean number of training images a class.
        seed: Any integer.
        image_size: Height and width of the images, in pixels.
        format: How they are stored.
        external: Whether there is an external part.
        drawing_version: Of the code that draws.
    """

    num_classes: int
    images_per_class: int
    seed: int
    image_size: int
    format: Format
    external: bool
    drawing_version: int = DRAWING_VERSION


@dataclass(frozen=True)
class Copy:
    """Where a planted copy comes from.

    Attributes:
        original: The test image, of the same class.
        transform: What was done to it.
    """

    original: Item
    transform: Transform


@dataclass(frozen=True)
class Item:
    """One image to be.

    Attributes:
        split: Split it belongs to.
        label: Position of its class among the data set's.
        class_index: Its class in the competition, which says what to draw.
        number: Its number among the images of this class in this split.
        id: Nine hexadecimal digits, unique in the data set, that tell nothing about the label.
        copy: The test image that it copies, or None.
    """

    split: str
    label: int
    class_index: int
    number: int
    id: str
    copy: Copy | None = None


@dataclass(frozen=True)
class Plan:
    """All images of a data set.

    Attributes:
        class_names: Names in the order of the labels.
        items: Images of each split, in the order in which they are written.
    """

    class_names: tuple[str, ...]
    items: Mapping[str, tuple[Item, ...]]

    def counts(self) -> dict[str, tuple[int, ...]]:
        """Return the number of images of each class, by split."""
        return {
            split: tuple(
                np.bincount([i.label for i in items], minlength=len(self.class_names)).tolist()
            )
            for split, items in self.items.items()
        }


def make_plan(settings: Settings) -> Plan:
    """Decide which images a data set has."""
    classes = _ordered_classes(settings)
    taken: set[str] = set()
    items: dict[str, tuple[Item, ...]] = {}
    for split, counts in count_images(classes, settings.images_per_class).items():
        if split != "external" or settings.external:
            items[split] = tuple(_split_items(split, classes, counts, settings.seed, taken))
    if settings.external:
        items["external"] = _with_copies(items["external"], items["test"], settings.seed)
    names = tuple(COMPETITION_CLASS_NAMES[index] for index in classes)
    return Plan(names, {split: _shuffled(part, settings.seed) for split, part in items.items()})


def count_images(classes: Sequence[int], images_per_class: int) -> dict[str, tuple[int, ...]]:
    """Return how many images each class has, by split.

    Classes are as unequal as in the competition. The splits' sizes are in its proportions, with
    two exceptions for small data sets: `val` has at least 20 images a class on average (but not
    more than 0.4 of `train`), since half of it is set aside for blending, and every class has in
    each split at least half of the split's mean, or 15 images in `train`, 10 in `val` and
    `test`, 5 in `external`, whichever is less, but never less than 2.

    Args:
        classes: Indices of the classes in the competition.
        images_per_class: Mean number of training images a class.

    Example:
        >>> count_images([48, 65], images_per_class=40)["train"]
        (65, 15)
    """
    frequencies = np.array([COMPETITION_CLASSES[index][1] for index in classes], dtype=np.float64)
    counts = {}
    for split in SPLITS:
        mean = images_per_class * _share(split)
        if split == "val":
            mean = max(mean, min(_WANTED_VAL_MEAN, images_per_class * _MOST_VAL_SHARE))
        least = max(2, min(_LEAST[split], round(mean / 2)))
        counts[split] = spread(round(mean * len(classes)), frequencies, least)
    return counts


def spread(total: int, frequencies: NDArray[np.float64], least: int) -> tuple[int, ...]:
    """Divide `total` in proportion to `frequencies`, giving everyone at least `least`.

    Args:
        total: Sum of the result, unless `least` for everyone is more.
        frequencies: Positive, one a class.
        least: Smallest share.

    Example:
        >>> spread(10, np.array([6.0, 3.0, 1.0]), least=2)
        (5, 3, 2)
    """
    total = max(total, least * len(frequencies))
    quotas = np.zeros(len(frequencies))
    is_low = np.zeros(len(frequencies), dtype=bool)
    while True:
        rest = total - least * int(is_low.sum())
        free = frequencies * ~is_low
        quotas = np.where(is_low, least, free * (rest / max(free.sum(), 1e-9)))
        if not (quotas < least - 1e-9).any():
            break
        is_low |= quotas < least
    counts = np.floor(quotas + 1e-9).astype(int)
    order = np.argsort(counts - quotas, kind="stable")
    counts[order[: total - int(counts.sum())]] += 1
    return tuple(counts.tolist())


def generator(seed: int, *place: int) -> np.random.Generator:
    """Return the generator that belongs to a place in the data set; negative seeds are fine."""
    return np.random.default_rng([abs(seed), int(seed < 0), *place])


def item_generator(item: Item, seed: int) -> np.random.Generator:
    """Return the generator that draws an image."""
    return generator(seed, item.class_index, item.number, SPLITS.index(item.split))


def _share(split: str) -> float:
    """Return the size of a split in sizes of `train`."""
    if split == "external":
        return _EXTERNAL_SHARE
    return _COMPETITION_SIZES[split] / _COMPETITION_SIZES["train"]


def _ordered_classes(settings: Settings) -> list[int]:
    """Return the classes in the order of their labels.

    Readers of folders number classes alphabetically, so all data sets do, but for TFRecords of
    all classes: there the labels are the competition's.
    """
    classes = choose_classes(settings.num_classes)
    if settings.format == "tfrecord" and len(classes) == len(COMPETITION_CLASSES):
        return list(classes)
    return sorted(classes, key=lambda index: COMPETITION_CLASS_NAMES[index])


def _split_items(
    split: str, classes: Sequence[int], counts: Sequence[int], seed: int, taken: set[str]
) -> list[Item]:
    return [
        Item(split, label, class_index, number, _new_id((seed, split, class_index, number), taken))
        for label, (class_index, count) in enumerate(zip(classes, counts, strict=True))
        for number in range(count)
    ]


def _new_id(place: tuple[Any, ...], taken: set[str]) -> str:
    """Return an id that is not `taken` yet, and take it."""
    attempt = 0
    while True:
        digest = hashlib.blake2b(repr((*place, attempt)).encode()).hexdigest()[:_ID_LENGTH]
        if digest not in taken:
            taken.add(digest)
            return digest
        attempt += 1


def _shuffled(items: tuple[Item, ...], seed: int) -> tuple[Item, ...]:
    order = generator(seed, SPLITS.index(items[0].split), _ORDER).permutation(len(items))
    return tuple(items[int(position)] for position in order)


def _with_copies(external: tuple[Item, ...], test: tuple[Item, ...], seed: int) -> tuple[Item, ...]:
    """Turn a tenth of the external images into copies of test images of their class."""
    rng = generator(seed, _COPIES)
    num_copies = max(len(TRANSFORMS), round(_COPY_SHARE * len(external)))
    originals = [int(position) for position in rng.permutation(len(test))]
    result = list(external)
    for turn, position in enumerate(rng.permutation(len(external))[:num_copies]):
        item = external[int(position)]
        chosen = next(p for p in originals if test[p].label == item.label)
        originals.remove(chosen)
        copy = Copy(test[chosen], TRANSFORMS[turn % len(TRANSFORMS)])
        result[int(position)] = dataclasses.replace(item, copy=copy)
    return tuple(result)
