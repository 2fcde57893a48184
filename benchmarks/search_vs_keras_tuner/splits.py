"""All pictures of a data set, divided anew for every repeat.

Whatever splits the data set comes with are pooled. Each repeat deals the pictures into train, val
and test, class by class, near copies together, as the project divides undivided data.

    REPEAT/split.csv          path, label, split and id of every picture
    REPEAT/train_and_val.csv  the same without test: all that this project is given to search with
    REPEAT/test/000000.jpg    links to the test pictures, in the order of `split.csv`
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.data import copies, splits
from automl_flowers.data.cache import load_pictures
from automl_flowers.data.copies.fingerprints import load_fingerprints
from automl_flowers.data.sources import open_data
from automl_flowers.errors import DataError
from automl_flowers.files import atomic_path

SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
"""Of the pictures. This project halves `val` again, into what steers its search and what only its
ensemble sees; the others have all of it to steer by."""

SPLIT_FILE = "split.csv"
SEARCH_FILE = "train_and_val.csv"
TEST_FOLDER = "test"


@dataclass(frozen=True)
class Pool:
    """The labelled pictures of a data set that can be read.

    Attributes:
        rows: `id`, `label` and absolute `path` of each.
        groups: For each, its group of near copies.
        class_names: In the order of the labels.
    """

    rows: pd.DataFrame
    groups: npt.NDArray[np.int64]
    class_names: tuple[str, ...]


def pool_pictures(address: str, image_size: int, cache: Path) -> Pool:
    """Return all labelled pictures at an address, whatever split they are in.

    Args:
        address: Folder of images or CSV file, as for `search --data`.
        image_size: Pixels at which pictures are decoded, to leave out what is broken.
        cache: Folder of decoded images.

    Raises:
        DataError: If there is nothing to read, or the pictures are not files of their own.
    """
    manifest = open_data(address)
    if (manifest.rows["offset"] >= 0).any():
        raise DataError(
            f"`{address}` holds TFRecords, but every contestant reads files of pictures.",
            hint="give a folder with one folder a class, or a CSV file",
        )
    pictures = load_pictures(manifest.rows, image_size, cache)
    usable = manifest.rows["id"].isin(pictures.ids) & (manifest.rows["label"] >= 0)
    rows = manifest.rows[usable].reset_index(drop=True)
    rows["path"] = [str(Path(path).absolute()) for path in rows["path"]]
    prints = load_fingerprints(manifest.rows, cache).of(rows["id"])
    groups = copies.group_copies(copies.find_copies_within(prints), len(rows))
    return Pool(rows[["id", "label", "path"]], groups, manifest.class_names)


def divide(pool: Pool, seed: int) -> pd.DataFrame:
    """Return the rows of a pool with a column `split`.

    Args:
        pool: The pictures.
        seed: Of the repeat; another one divides otherwise.

    Raises:
        DataError: If there are too few pictures for three splits with at least two classes.
    """
    rows = pool.rows.copy()
    rows["split"] = splits.deal(rows, pool.groups, SHARES, seed=seed)
    for split in SHARES:
        if rows["label"][rows["split"] == split].nunique() < 2:
            raise DataError(
                f"{len(rows)} labelled pictures are too few: `{split}` has fewer than two classes.",
                hint="give at least ten pictures a class",
            )
    return rows


def write(rows: pd.DataFrame, folder: Path) -> None:
    """Write what both sides read; classes are named by their numbers.

    Args:
        rows: From `divide`.
        folder: Of the repeat. What is there already stays: a repeat is divided once.
    """
    tests = rows[rows["split"] == "test"]
    (folder / TEST_FOLDER).mkdir(parents=True, exist_ok=True)
    for number, path in enumerate(tests["path"]):
        link = folder / TEST_FOLDER / f"{number:06d}{Path(path).suffix.lower()}"
        if not link.is_symlink():
            link.symlink_to(path)
    for name, chosen in ((SEARCH_FILE, rows[rows["split"] != "test"]), (SPLIT_FILE, rows)):
        with atomic_path(folder / name) as temporary:
            chosen[["path", "label", "split", "id"]].to_csv(temporary, index=False)


def read(folder: Path) -> pd.DataFrame:
    """Return the rows that `write` wrote."""
    return pd.read_csv(folder / SPLIT_FILE, dtype={"id": str, "path": str}, keep_default_na=False)


def test_rows(folder: Path) -> pd.DataFrame:
    """Return the test rows of a repeat, in the order of the links."""
    rows = read(folder)
    return rows[rows["split"] == "test"].reset_index(drop=True)
