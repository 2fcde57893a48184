"""Where images come from: TFRecords, folders and CSV files, each read into one manifest.

A source is chosen by looking at the address. Reading it touches every file once and decodes no
image; what could not be used is listed in the manifest's `problems`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from automl_flowers.data.manifest import Manifest
from automl_flowers.data.sources import layouts, storage
from automl_flowers.data.sources.csv_file import is_csv, read_csv
from automl_flowers.data.sources.folders import read_folder
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.data.sources.tfrecords import read_tfrecords
from automl_flowers.errors import DataError

__all__ = ["find_sample_submission", "open_data", "read_csv", "read_folder", "read_tfrecords"]

SAMPLE_SUBMISSION_FILE = "sample_submission.csv"


def open_data(
    address: str,
    *,
    image_size: int | None = None,
    source: str | None = None,
    features: RecordFeatures = USUAL_FEATURES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Read a data set, TFRecords, folders or a CSV file, into a manifest.

    Args:
        address: A folder, a glob of `.tfrec` files, one such file, a `.csv` file, or an address
            with a scheme such as `gs://`. A folder with a `.tfrec` file anywhere below it is read
            as TFRecords, any other as folders of images.
        image_size: Wanted pixels, where the data set comes in several sizes.
        source: Short name of the data set; by default the last part of the address that is not
            a wildcard, split or size folder.
        features: What TFRecords call their label, id and picture.
        on_progress: Called with the TFRecord files read and their number.

    Returns:
        The manifest.

    Raises:
        DataError: If there is nothing at the address, or what is there cannot be read.

    Example:
        >>> open_data("data/oxford17").num_classes  # doctest: +SKIP
        17
    """
    name = source or data_set_name(address)
    if is_csv(address) and storage.exists(storage.normalise(address)):
        return read_csv(address, source=name)
    if _holds_tfrecords(address):
        return read_tfrecords(
            address,
            source=name,
            image_size=image_size,
            features=features,
            on_progress=on_progress,
        )
    if Path(storage.normalise(address)).is_dir():
        return read_folder(address, source=name)
    is_there = storage.exists(storage.normalise(address))
    raise DataError(
        f"`{address}` is neither a folder of images, nor TFRecords, nor a CSV file."
        if is_there
        else f"There is nothing at `{address}`.",
        hint="give a folder with one folder a class, a folder or pattern of `.tfrec` files, or a "
        "`.csv` file that lists images",
    )


def find_sample_submission(address: str) -> str | None:
    """Return the path of a data set's `sample_submission.csv`, or None if it has none."""
    return layouts.find_beside(address, SAMPLE_SUBMISSION_FILE)


def data_set_name(address: str) -> str:
    """Return a short name for a data set.

    Example:
        >>> data_set_name("gs://bucket/oxford_102/tfrecords-jpeg-192x192/*.tfrec")
        'oxford_102'
        >>> data_set_name("photos/garden.csv")
        'garden'
    """
    if is_csv(address):
        return PurePosixPath(address).stem or "data"
    folder = layouts.roots_above(layouts.fixed_part(address))[-1]
    folder = re.sub(r"/versions/\d+$", "", folder)  # as kagglehub lays out what it downloads
    return folder.rpartition("/")[-1] or "data"


def _holds_tfrecords(address: str) -> bool:
    address = storage.normalise(address)
    return (
        storage.is_remote(address)
        or storage.is_pattern(address)
        or layouts.is_shard(address)
        or layouts.first_shard_below(address) is not None
    )
