"""The submission: one label for each test image, checked against the sample if there is one."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from automl_flowers.data.sources import storage
from automl_flowers.errors import DataError
from automl_flowers.files import write_text


def write_submission(
    path: Path, ids: np.ndarray, labels: np.ndarray, sample: str | None = None
) -> None:
    """Write `id,label`, a row an image, in the order of the sample file if there is one.

    Args:
        path: Of the file.
        ids: Of the test images, strings.
        labels: Predicted class indices.
        sample: Path of `sample_submission.csv`, or None.

    Raises:
        DataError: If the sample asks for other ids; nothing is written then.
    """
    label_of = {str(i): int(label) for i, label in zip(ids, labels, strict=True)}
    order = list(label_of) if sample is None else _sample_ids(sample)
    if sample is not None and (set(order) != set(label_of) or len(order) != len(label_of)):
        missing, extra = set(order) - set(label_of), set(label_of) - set(order)
        raise DataError(
            f"The test images and `{sample}` differ: {len(missing)} ids of the sample have no "
            f"image and {len(extra)} images are not in the sample.",
            hint="use the sample file that belongs to these test images, or remove it",
        )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label"))
    writer.writerows((identity, label_of[identity]) for identity in order)
    write_text(path, text.getvalue())


def _sample_ids(sample: str) -> list[str]:
    rows = list(csv.DictReader(io.StringIO(storage.read_text(sample))))
    if not rows or "id" not in rows[0]:
        raise DataError(
            f"`{sample}` must have a column `id`, as in `id,label`.",
            hint="restore the sample file, or remove it",
        )
    return [row["id"] for row in rows]
