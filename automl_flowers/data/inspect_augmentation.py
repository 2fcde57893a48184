"""What a strength of augmentation makes of real pictures: measured, and drawn on a sheet.

A picture is unrecognisable when augmentation has taken away what told it from a blank sheet:

    flat        little varies any more: less than `MIN_SPREAD` levels of standard deviation.
    saturated   most of its pixels have all three channels at 0 or 255.

Both are judged against the same picture as it was, so that a photograph of fog or a drawing in
black and white counts against no strength.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl_flowers.data.manifest import Manifest
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.errors import ConfigError, DataError, UserError
from automl_flowers.files import atomic_path
from automl_flowers.tensorflow_import import import_tensorflow
from search_spaces.augmentation import AUGMENTATIONS, get_augmentation

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

_SHOWN, _COLUMNS, _GUTTER, _LABEL_HEIGHT = 6, 7, 4, 14

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
    with tf.device("CPU"):  # as in training, whatever the model runs on
        labels = tf.ones([len(images), 1])  # `mix` wants some
        for epoch in range(count):
            rows = sample_parameters(len(images), seed=0, epoch=epoch)
            changed = augment(tf.constant(images), rows, strength)
            changed, _, _ = mix(changed, labels, labels[:, 0], rows, strength)
            versions.append(changed.numpy())
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


def inspect(
    address: str,
    name: str | None = None,
    out: Path | None = None,
    *,
    image_size: int = 128,
    features: RecordFeatures = USUAL_FEATURES,
) -> dict[str, Any]:
    """Measure strengths on a sample of real pictures, and draw some on a sheet.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        name: Of one strength; None for all.
        out: PNG file to write: pictures and versions of them, a row a picture, or a row a strength.
        image_size: Pixels of a side.
        features: What TFRecords call their label and id.

    Returns:
        Plain data: `address`, `sampled` pictures, `image_size`, `augmentations` (what `Measured`
        holds, of each), `harmful` names, and `sheet`, the file or None.

    Raises:
        ConfigError: If there is no such strength.
        DataError: If there is nothing to read, or no picture can be decoded.
        UserError: If the file cannot be written.
    """
    names = list(AUGMENTATIONS) if name is None else [name]
    try:
        get_augmentation(names[0])
    except ValueError as error:
        raise ConfigError(str(error)) from None
    images = sample_pictures(address, image_size, features)
    found = [measure(images, each) for each in names]
    if out is not None:
        write_sheet(images, names, out)
    return {
        "address": address,
        "sampled": len(images),
        "image_size": image_size,
        "augmentations": [asdict(each) for each in found],
        "harmful": [each.augmentation for each in found if each.is_harmful],
        "sheet": None if out is None else str(out),
    }


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


def write_sheet(images: Images, names: Sequence[str], out: Path) -> None:
    """Write a PNG: on the left pictures as they are, beside each what becomes of it.

    Args:
        images: Uint8, shape `(num_images, height, width, 3)`.
        names: Of the strengths. One shows several pictures, several show one each.
        out: The file.

    Raises:
        UserError: If it cannot be written.
    """
    from PIL import Image

    try:
        with atomic_path(out) as temporary:
            Image.fromarray(_draw(images, names)).save(temporary, format="PNG")
    except OSError as error:
        raise UserError(
            f"Cannot write `{out}`: {error.strerror or error}.",
            hint="choose a file in a folder that you may write to",
        ) from error


def _draw(images: Images, names: Sequence[str]) -> Images:
    shown = images[:_SHOWN]
    rows = []
    for number, name in enumerate(names):
        versions = make_versions(shown, name, _COLUMNS)
        originals = range(len(shown)) if len(names) == 1 else [number % len(shown)]
        for k in originals:
            rows += [_label(name, (1 + _COLUMNS) * (images.shape[2] + _GUTTER))]
            rows += [_side_by_side([shown[k], *versions[:, k]])]
    return np.concatenate(rows)


def _side_by_side(images: Sequence[Images]) -> Images:
    padding = [(0, _GUTTER), (0, _GUTTER), (0, 0)]
    return np.concatenate([np.pad(image, padding, constant_values=255) for image in images], axis=1)


def _label(text: str, width: int) -> Images:
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (width, _LABEL_HEIGHT), "white")
    ImageDraw.Draw(strip).text((2, 1), text, fill="black")
    return np.asarray(strip)


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    width = max(len(each["augmentation"]) for each in facts["augmentations"])
    shown = [f"{facts['sampled']} pictures of {facts['address']} at {facts['image_size']} px"]
    for each in facts["augmentations"]:
        share, note = each["unrecognisable"], ""
        if each["augmentation"] in facts["harmful"]:
            note = f"  more than {MOST_UNRECOGNISABLE:.0%}: not for training"
        shown.append(f"  {each['augmentation']:<{width}}  {share:>6.1%} unrecognisable{note}")
    if facts["sheet"]:
        shown.append(f"sheet: {facts['sheet']}")
    return shown
