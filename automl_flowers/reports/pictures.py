"""Which pictures are shown of a data set, and which versions of them augmentation makes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from automl_flowers.data.inspect_augmentation import make_versions
from automl_flowers.data.manifest import UNKNOWN, Manifest
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.errors import DataError
from automl_flowers.reports.sheets import Cell, Sheet

PICTURE_SIZE = 160
"""Pixels of a side."""

GRID = 7
"""Rows and columns of the first sheet."""

VERSIONS = 7
"""Versions of a picture beside itself."""

MOST_COMPARED = 6
"""Pictures that are compared with their versions."""


def choose(manifest: Manifest, most: int = GRID * GRID) -> list[Cell]:
    """Return training pictures, decoded, with their classes as titles: the classes in turn.

    Args:
        manifest: Of images that can be read; the same ones give the same pictures.
        most: How many.

    Returns:
        Fewer where there are fewer; pictures without labels where there is no training image.
    """
    rows = manifest.split("train")
    rows = rows if len(rows) else manifest.rows
    cells = []
    for row in _classes_in_turn(rows).head(most).itertuples(index=False):
        try:
            picture = decode_image(read_image_bytes(row), PICTURE_SIZE)
        except (DataError, OSError):  # gone or changed since it was looked at
            continue
        label = int(row.label)  # type: ignore[arg-type]
        cells.append(Cell(picture, "no label" if label == UNKNOWN else manifest.class_names[label]))
    return cells


def _classes_in_turn(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows in an order by chance: one of each class, then the second of each, and so on."""
    shuffled = rows.iloc[np.random.default_rng(0).permutation(len(rows))]
    turn = shuffled.groupby("label").cumcount()
    return shuffled.iloc[np.argsort(turn.to_numpy(), kind="stable")]


def grid(cells: Sequence[Cell]) -> Sheet:
    """Return the pictures as they are, with their classes."""
    return Sheet("pictures", "As they are", GRID, tuple(cells))


def versions(cells: Sequence[Cell], name: str, rows: Sequence[int] | None = None) -> Sheet:
    """Return pictures beside what a strength of augmentation makes of them in so many epochs.

    Args:
        cells: Pictures; a strength that mixes pictures mixes these.
        name: Of the strength.
        rows: Positions of the pictures that get a row; None for all.
    """
    made = make_versions(np.stack([cell.picture for cell in cells]), name, VERSIONS)
    shown = [
        cell
        for row in (range(len(cells)) if rows is None else rows)
        for cell in (
            cells[row],
            *(Cell(made[epoch, row], f"{name}, epoch {epoch + 1}") for epoch in range(VERSIONS)),
        )
    ]
    return Sheet(f"augmentation_{name}", name, 1 + VERSIONS, tuple(shown))


def compare(sheets: Sequence[Sheet]) -> Sheet:
    """Return a table: a row a picture, as it is and once by each strength of augmentation.

    Args:
        sheets: From `versions`, of the same pictures; their first epochs are taken.
    """
    originals = sheets[0].cells[:: sheets[0].columns]
    shown = [
        cell
        for row, original in enumerate(originals)
        for cell in (
            original,
            *(Cell(s.cells[row * s.columns + 1].picture, s.heading) for s in sheets),
        )
    ]
    return Sheet("augmented", "Original against augmented", 1 + len(sheets), tuple(shown))
