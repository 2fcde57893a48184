"""The submission: one label for each test image, checked against the sample if there is one."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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
        DataError: If the sample asks for other ids, or cannot be used; nothing is written then.
    """
    label_of = {str(i): int(label) for i, label in zip(ids, labels, strict=True)}
    order = submission_order(list(label_of), sample)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", "label"))
    writer.writerows((identity, label_of[identity]) for identity in order)
    write_text(path, text.getvalue())


def submission_order(ids: Sequence[str], sample: str | None) -> list[str]:
    """Return the ids of the test images in the order of the submission.

    Args:
        ids: Of the test images.
        sample: Path of `sample_submission.csv`, or None to keep their order.

    Raises:
        DataError: If the sample asks for other ids, or cannot be used.
    """
    if sample is None:
        return list(ids)
    order = _sample_ids(sample)
    missing, extra = set(order) - set(ids), set(ids) - set(order)
    if missing or extra:
        example = min(missing or extra)
        raise DataError(
            f"The test images and `{sample}` differ: {len(missing)} ids of the sample have no "
            f"image and {len(extra)} images are not in the sample, for example {example!r}.",
            hint="use the sample file that belongs to these test images, or remove it",
        )
    return order


def _sample_ids(sample: str) -> list[str]:
    rows = csv.DictReader(io.StringIO(storage.read_text(sample), newline=""))
    if "id" not in (rows.fieldnames or ()):
        raise DataError(
            f"`{sample}` must have a column `id`, as in `id,label`.",
            hint="restore the sample file, or remove it",
        )
    ids = [row["id"] for row in rows]
    if len(set(ids)) < len(ids):
        raise DataError(
            f"`{sample}` must name each image once, but {len(ids) - len(set(ids))} lines name one "
            "again.",
            hint="restore the sample file, or remove it",
        )
    return ids
