"""TensorFlow Datasets by name: downloaded and prepared by their own package, read as TFRecords.

    tfds:oxford_flowers102
    tfds:tf_flowers:3.0.1

What the package prepares is a folder of TFRecords with the class names beside them, which
`sources/tfrecords.py` reads like any other.

Reference:
    https://www.tensorflow.org/datasets
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Callable
from typing import Any

from automl_flowers.errors import DataError
from automl_flowers.tensorflow_import import import_tensorflow

PREFIX = "tfds:"


def prepare_tfds(address: str, say: Callable[[str], None]) -> str:
    """Return the folder of a data set of TensorFlow Datasets, prepared the first time.

    Args:
        address: `tfds:NAME`, with `/CONFIG` or `:VERSION` as there.
        say: Hears of what may take a while.

    Raises:
        DataError: If the package is not installed, or the data set cannot be had.
    """
    name = address.removeprefix(PREFIX)
    tfds = _import_tfds(address)
    try:
        with contextlib.redirect_stdout(sys.stderr):  # ours is for results
            builder = tfds.builder(name)
            if not builder.is_prepared():
                say(f"`{address}` is downloaded and prepared; that is done once")
            builder.download_and_prepare()
    except tfds.core.DatasetNotFoundError as error:
        raise DataError(
            f"TensorFlow Datasets has no `{name}`.",
            hint="names are listed at https://www.tensorflow.org/datasets/catalog/overview",
        ) from error
    except Exception as error:  # of any kind: it passes on what its own libraries raise
        first_line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"`{address}` cannot be prepared: {first_line.rstrip('.')}.",
            hint="connect to the network, or prepare it where there is one and set TFDS_DATA_DIR",
        ) from error
    folder = str(builder.data_path)
    say(f"`{address}` is {folder}")
    return folder


def _import_tfds(address: str) -> Any:
    import_tensorflow()
    try:
        return importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise DataError(
            f"`{address}` needs the package `tensorflow-datasets`, which is not installed.",
            hint="pip install 'automl-flowers[tfds]'",
        ) from error
