"""Pictures that are kept nowhere: decoded from their files whenever a batch needs them."""

from __future__ import annotations

import functools
import os
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.data.sources.images import decode_image, read_image_bytes


class _Place(NamedTuple):
    path: str
    offset: int
    length: int
    feature: str


class StreamedImages:
    """Images that read like an array of rows, and are decoded when they are read.

    Args:
        rows: Manifest rows, all of which can be decoded.
        image_size: Height and width, in pixels.
    """

    def __init__(self, rows: pd.DataFrame, image_size: int) -> None:
        self._paths = rows["path"].to_numpy(object)
        self._offsets, self._lengths = rows["offset"].to_numpy(), rows["length"].to_numpy()
        self._features = rows["feature"].array
        self.shape = (len(rows), image_size, image_size, 3)

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]:
        """Return the images at some rows, uint8, `(len(rows), size, size, 3)`.

        Raises:
            DataError: If a file has gone, or changed, since it was read first.
        """
        images = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for place, image in enumerate(_threads().map(self._decode, rows)):
            images[place] = image
        return images

    def _decode(self, row: np.int64) -> npt.NDArray[np.uint8]:
        offset, length = int(self._offsets[row]), int(self._lengths[row])
        place = _Place(self._paths[row], offset, length, self._features[row])
        return decode_image(read_image_bytes(place), self.shape[1])


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads that decode: one set for all data sets and sizes."""
    return ThreadPoolExecutor(os.cpu_count())
