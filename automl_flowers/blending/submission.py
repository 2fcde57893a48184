"""The submission: one label for each test image, checked against the sample if there is one.

Probabilities may stand beside it, in the same order.
"""

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
    path: Path,
    ids: Sequence[str],
    labels: Sequence[int],
    sample: str | None = None,
    *,
    num_classes: int | None = None,
) -> None:
    """Write `id,label`, a row an image, in the order of the sample file if there is one.

    Args:
        path: Of the file.
        ids: Of the test images.
        labels: Predicted class indices.
        sample: Path of `sample_submission.csv`, or None.
        num_classes: That there are; None if unknown.

    Raises:
        DataError: If the sample asks for other ids, or cannot be used; nothing is written then.
        ValueError: If an id stands twice, there are not as many labels, or one is no index of a
            class.
    """
    if min(labels, default=0) < 0:
        raise ValueError(f"`labels` must be class indices from 0, got {min(labels)}.")
    if num_classes is not None and max(labels, default=0) >= num_classes:
        raise ValueError(f"`labels` must be class indices below {num_classes}, got {max(labels)}.")
    _write_rows(path, ("label",), ids, [(int(label),) for label in labels], sample)


def write_probabilities(
    path: Path,
    ids: Sequence[str],
    probabilities: np.ndarray,
    class_names: Sequence[str],
    sample: str | None = None,
) -> None:
    """Write `id` and a column a class, a row an image, in the order of the sample file.

    Args:
        path: Of the file.
        ids: Of the test images.
        probabilities: Of shape `(len(ids), len(class_names))`; nine digits are written, as many
            as float32 has.
        class_names: In the order of the labels.
        sample: As for `write_submission`.

    Raises:
        DataError: As `write_submission`.
        ValueError: If an id stands twice, or the shape of `probabilities` is another one.
    """
    if probabilities.shape != (len(ids), len(class_names)):
        raise ValueError(
            f"`probabilities` must have shape {(len(ids), len(class_names))}, got "
            f"{probabilities.shape}."
        )
    rows = [[f"{value:.9g}" for value in row] for row in probabilities.tolist()]
    _write_rows(path, class_names, ids, rows, sample)


def _write_rows(
    path: Path,
    columns: Sequence[str],
    ids: Sequence[str],
    rows: Sequence[Sequence[object]],
    sample: str | None,
) -> None:
    row_of = {str(identity): row for identity, row in zip(ids, rows, strict=True)}
    if len(row_of) < len(ids):
        raise ValueError(f"Every id must stand once, got {len(ids) - len(row_of)} again.")
    order = submission_order(list(row_of), sample)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("id", *columns))
    writer.writerows((identity, *row_of[identity]) for identity in order)
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
    ids = [row["id"] or "" for row in rows]
    if "" in ids:
        raise DataError(
            f"`{sample}` must name an image in each line, but line {ids.index('') + 2} has no id.",
            hint="restore the sample file, or remove it",
        )
    if len(set(ids)) < len(ids):
        raise DataError(
            f"`{sample}` must name each image once, but {len(ids) - len(set(ids))} lines name one "
            "again.",
            hint="restore the sample file, or remove it",
        )
    return ids
