"""What a strength of augmentation makes of real pictures: measured.

A picture is unrecognisable when augmentation has taken away what told it from a blank sheet:

    flat        little varies any more: less than `MIN_SPREAD` levels of standard deviation.
    saturated   most of its pixels have all three channels at 0 or 255.

Both are judged against the same picture as it was, so that a photograph of fog or a drawing in
black and white counts against no strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl_flowers.data.manifest import Manifest
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.errors import DataError
from automl_flowers.tensorflow_import import import_tensorflow
from search_spaces.augmentation import get_augmentation

SAMPLE = 48
"""Pictures that are measured."""

VERSIONS = 4
"""Augmented versions of each."""

MOST_UNRECOGNISABLE = 0.05
"""Share of unrecognisable pictures from which a strength is warned of."""

MIN_SPREAD = 8.0
"""Standard deviation, in levels, below which the channels of a picture show nothing."""

_MOST_OF_SPREAD = 0.25
"""A picture is not flat while it keeps this share of what it had."""

_MOST_CLIPPED, _ADDED_CLIPPED = 0.5, 0.25
"""Shares of clipped pixels that a saturated picture has, and has more than it had."""

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Measured:
    """What a strength does to a sample of pictures.

    Attributes:
        augmentation: Name of the strength.
        pictures: Augmented pictures that were looked at.
        flat: How many of them show little more than one colour.
        saturated: How many are mostly black, white or pure colours.
        unrecognisable: Share of those that are either.
    """

    augmentation: str
    pictures: int
    flat: int
    saturated: int
    unrecognisable: float

    @property
    def is_harmful(self) -> bool:
        """Whether more is lost than a training should lose."""
        return self.unrecognisable > MOST_UNRECOGNISABLE


def make_versions(images: Images, name: str, count: int) -> Images:
    """Return augmented versions of pictures, as so many epochs would show them.

    Args:
        images: Uint8, shape `(num_images, height, width, 3)`.
        name: Of a strength.
        count: How many of each.

    Returns:
        Uint8, shape `(count, num_images, height, width, 3)`.
    """
    tf = import_tensorflow()
    from automl_flowers.data.augmentation import augment, mix, sample_parameters

    strength, versions = get_augmentation(name), []
    labels = np.ones((len(images), 1), np.float32)  # `mix` wants some
    for epoch in range(count):
        with tf.device("CPU"):  # as in training, whatever the model runs on
            rows = sample_parameters(len(images), seed=0, epoch=epoch).numpy()
        changed, _, _ = mix(augment(images, rows, strength), labels, labels[:, 0], rows, strength)
        versions.append(changed)
    return np.stack(versions)


def measure(images: Images, name: str) -> Measured:
    """Return what a strength makes of pictures.

    Args:
        images: Uint8, shape `(num_images, height, width, 3)`.
        name: Of the strength.
    """
    versions = make_versions(images, name, VERSIONS)
    flat = np.array([_is_flat(version, images) for version in versions])
    saturated = np.array([_is_saturated(version, images) for version in versions])
    return Measured(
        augmentation=name,
        pictures=flat.size,
        flat=int(flat.sum()),
        saturated=int(saturated.sum()),
        unrecognisable=round(float((flat | saturated).mean()), 4),
    )


def _is_flat(images: Images, originals: Images) -> npt.NDArray[np.bool_]:
    spread, before = (each.std(axis=(1, 2)).max(axis=1) for each in (images, originals))
    return np.asarray((spread < MIN_SPREAD) & (spread < _MOST_OF_SPREAD * before))


def _is_saturated(images: Images, originals: Images) -> npt.NDArray[np.bool_]:
    clipped, before = (
        ((each == 0) | (each == 255)).all(axis=-1).mean(axis=(1, 2)) for each in (images, originals)
    )
    return np.asarray((clipped > _MOST_CLIPPED) & (clipped > before + _ADDED_CLIPPED))


def warning(measured: Measured, where: str) -> str:
    """Return the sentence that warns of a strength, with the command that shows it.

    Args:
        measured: What was found.
        where: Options of `data augment` that name the pictures, such as `--data photos/`.
    """
    options = f"{where} --augmentation {measured.augmentation}".strip()
    return (
        f"augmentation {measured.augmentation} makes {measured.unrecognisable:.0%} of a sample of "
        f"{measured.pictures} pictures unrecognisable (plain, black or white); look at them: "
        f"automl-flowers data augment {options} --out sheet.png"
    )


def sample_pictures(
    address: str, image_size: int, features: RecordFeatures = USUAL_FEATURES
) -> Images:
    """Return some pictures of a data set, the same ones every time.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        image_size: Pixels of a side.
        features: What TFRecords call their label and id.

    Returns:
        Uint8, shape `(at most SAMPLE, image_size, image_size, 3)`.

    Raises:
        DataError: If there is nothing to read, or no picture can be decoded.
    """
    manifest = open_data(address, image_size=image_size, features=features)
    images = _decode_some(manifest, image_size)
    if not images:
        raise DataError(
            f"None of the pictures in `{address}` can be decoded.",
            hint="look whether the files are images, and whether they were copied completely",
        )
    return np.stack(images)


def _decode_some(manifest: Manifest, image_size: int) -> list[Images]:
    images: list[Images] = []
    order = np.random.default_rng(0).permutation(len(manifest.rows))
    for row in manifest.rows.iloc[order].itertuples(index=False):
        try:
            images.append(decode_image(read_image_bytes(row), image_size))
        except DataError:
            continue
        if len(images) == SAMPLE:
            break
    return images
