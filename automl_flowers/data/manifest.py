"""The manifest: one table, a row per image, that says where its bytes are.

Columns:

    id      str    unique; a folder image's path from the data root (POSIX), a record's `id`
    label   int    class index, or -1 where unknown
    split   str    train, val, blend, test or external
    source  str    short name of the data set the image came from
    path    str    the file that holds the bytes; local, or `gs://`
    offset  int    first byte of the TFRecord payload in that file, or -1: the file is the image
    length  int    bytes of the payload, or -1: up to the end of the file
    feature str    what the record calls its picture where somebody said so, else empty

Rows are ordered by id, whatever the source, so the same pictures give the same order, the same
seeds and the same numbers from folders and from TFRecords.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from automl_flowers.errors import DataError
from automl_flowers.files import atomic_path

COLUMNS = ("id", "label", "split", "source", "path", "offset", "length", "feature")
SPLITS = ("train", "val", "blend", "test", "external")
UNKNOWN = -1
_TYPES = {"label": "int64", "offset": "int64", "length": "int64", "feature": "category"}
_ROWS_AT_ONCE = 65_536


@dataclass(frozen=True)
class Problem:
    """One thing that was skipped while reading data, and why.

    Attributes:
        path: The file, and the record's number where there is one.
        reason: One sentence.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """All images of a run, and the names of their classes.

    Attributes:
        rows: The table described above.
        class_names: Names in the order of the labels.
        problems: What was skipped while reading.
    """

    rows: pd.DataFrame
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...] = field(default=())

    @property
    def num_classes(self) -> int:
        """Number of classes, also of those without an image."""
        return len(self.class_names)

    def split(self, *names: str) -> pd.DataFrame:
        """Return the rows of the named splits, ordered by id, with a fresh index."""
        return self.rows[self.rows["split"].isin(names)].reset_index(drop=True)

    def count_images(self) -> dict[str, int]:
        """Return the number of images of each split that has some, in the order of `SPLITS`."""
        counts = self.rows["split"].value_counts()
        return {split: int(counts[split]) for split in SPLITS if split in counts}

    def absent_classes(self, split: str) -> list[str]:
        """Return the names of the classes of which a split has no image; none without labels."""
        labels = set(self.rows["label"][self.rows["split"] == split]) - {UNKNOWN}
        return [n for label, n in enumerate(self.class_names) if labels and label not in labels]

    def replace_rows(self, rows: pd.DataFrame) -> Manifest:
        """Return the same manifest with other rows."""
        return Manifest(rows, self.class_names, self.problems)


def make_manifest(
    rows: Iterable[tuple[str, int, str, str, str, int, int]],
    class_names: Iterable[str],
    problems: Iterable[Problem] = (),
) -> Manifest:
    """Build a manifest: order the rows by id and check them.

    Args:
        rows: Tuples in the order of `COLUMNS`, without the last: no image has a feature's name.
        class_names: Names in the order of the labels.
        problems: What the reader skipped.

    Returns:
        The manifest.

    Raises:
        DataError: If two rows have the same id, or a label has no class name.
    """
    iterator, parts, columns = iter(rows), [], list(COLUMNS[:-1])
    while part := list(itertools.islice(iterator, _ROWS_AT_ONCE)):
        parts.append(pd.DataFrame(part, columns=columns))
    table = pd.concat(parts or [pd.DataFrame(columns=columns)], ignore_index=True)
    return check_manifest(table.assign(feature=""), class_names, problems)


def check_manifest(
    table: pd.DataFrame, class_names: Iterable[str], problems: Iterable[Problem] = ()
) -> Manifest:
    """Build a manifest of a table: order the rows by id and check them.

    Args:
        table: The columns `COLUMNS`.
        class_names: Names in the order of the labels.
        problems: What the reader skipped.

    Raises:
        DataError: As `make_manifest`.
    """
    table = table.astype(_TYPES)
    table = table.sort_values("id", kind="stable", ignore_index=True)
    names = tuple(class_names)
    twice = table["id"][table["id"].duplicated()]
    if len(twice):
        raise DataError(
            f"Every image needs an id of its own, but {len(twice)} ids appear twice, "
            f"for example {twice.iloc[0]!r}.",
            hint="remove the second copy, or give one of the two another id",
        )
    outside = table[(table["label"] < UNKNOWN) | (table["label"] >= len(names))]
    if len(outside):
        row = outside.iloc[0]
        raise DataError(
            f"Labels must lie in 0..{len(names) - 1}, but image {row['id']!r} has {row['label']}.",
            hint="list all class names, one a line, in `classes.txt` beside the data",
        )
    return Manifest(table, names, tuple(problems))


def save_manifest(manifest: Manifest, path: Path) -> None:
    """Write the rows as CSV, all or nothing."""
    with atomic_path(path) as temporary:
        manifest.rows.to_csv(temporary, index=False)
