"""Whether an exported model says what `predict` says, of real images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl_flowers.data.cache import Images
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.errors import DataError, UserError

NUM_IMAGES = 32
_BATCH_SIZES = (1, 3, 8)

CONVERSION_TOLERANCE = 2e-3
"""Largest difference of a probability that another program's arithmetic may make. Activations
pass through float16 where a frozen part ends, so a difference of the last bit can become one of a
thousandth."""

RESIZING_TOLERANCE = 0.05
"""The same where members look at images of several sizes: the model makes the smaller ones from the
largest, and `predict` from the file."""


@dataclass(frozen=True)
class Parity:
    """How far two models agree.

    Attributes:
        num_images: That both predicted.
        num_same_class: Of which both say the same class.
        largest_difference: Of any probability.
    """

    num_images: int
    num_same_class: int
    largest_difference: float

    def __str__(self) -> str:
        return (
            f"on {self.num_images} images of the run, probabilities differ from those of "
            f"`predict` by {self.largest_difference:.2g} at most, and {self.num_same_class} of "
            f"{self.num_images} classes are the same"
        )


def compare(expected: np.ndarray, made: np.ndarray) -> Parity:
    """Return how far probabilities agree with those expected, `(num_images, num_classes)`."""
    if made.shape != expected.shape:
        raise UserError(
            f"The exported model answers in shape {made.shape}, not {expected.shape}: this is a "
            "fault of its conversion."
        )
    return Parity(
        len(expected),
        int((expected.argmax(axis=1) == made.argmax(axis=1)).sum()),
        float(np.abs(expected - made).max()),
    )


def check(parity: Parity, tolerance: float, format_name: str) -> None:
    """Refuse a model that says something else.

    Raises:
        UserError: With both numbers.
    """
    if not parity.largest_difference <= tolerance:  # NaN is refused, too
        raise UserError(
            f"The exported model is not what `predict` is: {parity}; {tolerance:g} is the most "
            "that is taken.",
            hint=f"export to another format than {format_name!r}"
            if tolerance == CONVERSION_TOLERANCE
            else "blend members of one image size",
        )


def sample_images(manifest: Path, image_sizes: Sequence[int]) -> Mapping[int, Images]:
    """Return some of a run's images at each size: of `test`, else of whatever there is.

    Args:
        manifest: Of the run.
        image_sizes: In pixels.

    Raises:
        DataError: If none of them can be read any more.
    """
    rows = pd.read_csv(manifest, dtype={"id": str, "path": str}, keep_default_na=False)
    test = rows[rows["split"] == "test"]
    rows = test if len(test) else rows
    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, NUM_IMAGES).astype(int))]
    readable = list(_readable(chosen))
    if not readable:
        raise DataError(
            f"None of the run's images can be read, for example `{chosen['path'].iloc[0]}`; an "
            "exported model is checked on them.",
            hint="bring the images back to where the run found them",
        )
    return {size: np.stack([decode_image(data, size) for data in readable]) for size in image_sizes}


def _readable(rows: Any) -> Iterator[bytes]:
    for row in rows.itertuples():
        try:
            data = read_image_bytes(row)
            decode_image(data, 1)
        except (DataError, OSError):
            continue
        yield data


def predict_in_batches(predict: Any, images: Images) -> np.ndarray:
    """Return what a model says of images, shown in batches of different sizes."""
    said, start = [], 0
    while start < len(images):
        for size in _BATCH_SIZES:
            if start < len(images):
                said.append(predict(images[start : start + size]))
                start += size
    return np.concatenate(said)
