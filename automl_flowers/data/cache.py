"""Decoded pictures: every image decoded and resized once, then read as plain uint8 arrays.

One memory-mapped `.npy` file an image size, rows in the order of the manifest. It is written
under a temporary name and renamed when complete, and its name holds a key made of what it was
made from, so a stale or half-written cache is never read.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.data.manifest import Problem
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.errors import DataError, RunError
from automl_flowers.files import atomic_path, write_json

Images = npt.NDArray[np.uint8]
OnProgress = Callable[[int, int], None]

FORMAT_VERSION = 1
_CHUNK = 64


@dataclass(frozen=True)
class Pictures:
    """Decoded images of one size.

    Attributes:
        images: uint8, `(num_images, size, size, 3)`, memory-mapped.
        ids: One an image; the readable rows of the manifest, in its order.
        digests: One an image; SHA-256 of its bytes as they were before decoding, so they are
            the same from a folder and from TFRecords, and at every size.
        problems: The rows that could not be decoded.
    """

    images: Images
    ids: tuple[str, ...]
    digests: tuple[str, ...]
    problems: tuple[Problem, ...]

    def rows_of(self, ids: pd.Series) -> npt.NDArray[np.int64]:
        """Return the row of each id.

        Raises:
            KeyError: If an id is not among the pictures.
        """
        index = {identity: row for row, identity in enumerate(self.ids)}
        return np.array([index[identity] for identity in ids], dtype=np.int64)


def load_pictures(
    rows: pd.DataFrame,
    image_size: int,
    folder: Path,
    on_progress: OnProgress = lambda done, total: None,
) -> Pictures:
    """Return the images of a manifest's rows at one size, from the cache where it has them.

    Args:
        rows: Manifest rows of any splits.
        image_size: Height and width, in pixels.
        folder: Where the cache lies.
        on_progress: Called with the images done and their total, while decoding.

    Returns:
        The readable images; what could not be decoded is listed, never guessed.

    Raises:
        RunError: If the cache cannot be written, for example for want of room.
    """
    stem = folder / f"images-{image_size}-{cache_key(rows, f'{FORMAT_VERSION}:{image_size}')}"
    array_path, index_path = stem.with_suffix(".npy"), stem.with_suffix(".json")
    if not (array_path.exists() and index_path.exists()):
        try:
            _decode_all(rows, image_size, array_path, index_path, on_progress)
        except OSError as error:
            megabytes = len(rows) * 3 * image_size**2 / 1e6
            raise RunError(
                f"{len(rows)} images decoded at {image_size} px take {megabytes:,.1f} MB, which "
                "cannot be written to "
                f"`{folder}`: {error.strerror or error}.",
                hint="make room, or choose a folder on another disk with `--run`",
            ) from error
    index = json.loads(index_path.read_text(encoding="utf-8"))
    ids = tuple(index["ids"])
    return Pictures(
        images=np.load(array_path, mmap_mode="r", allow_pickle=False)[: len(ids)],
        ids=ids,
        digests=tuple(index["digests"]),
        problems=tuple(Problem(**problem) for problem in index["problems"]),
    )


def cache_key(rows: pd.DataFrame, how: str) -> str:
    """Return digits that change with the rows, their files or `how` they are decoded."""
    digest = hashlib.sha256(how.encode())
    stamps = {path: _stamp(path) for path in rows["path"].unique()}
    for row in rows[["id", "path", "offset", "length"]].itertuples(index=False):
        digest.update(repr((*row, stamps[row.path])).encode())
    return digest.hexdigest()[:16]


def _stamp(path: str) -> tuple[int, int]:
    """Return size and time of change, for remote files zero: their names are trusted."""
    if "://" in path:
        return (0, 0)
    try:
        status = os.stat(path)  # noqa: PTH116 - paths from a manifest stay strings
    except OSError:  # decoding will say so
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _decode_all(
    rows: pd.DataFrame,
    image_size: int,
    array_path: Path,
    index_path: Path,
    on_progress: OnProgress,
) -> None:
    ids: list[str] = []
    digests: list[str] = []
    problems: list[dict[str, str]] = []
    shape = (len(rows), image_size, image_size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Written like any file: with a memory map, a full disk would end the process by a signal.
    with atomic_path(array_path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        num_bytes = file.tell() + math.prod(shape)
        for outcome in _decoded(rows, image_size, on_progress):
            if isinstance(outcome, Problem):
                problems.append(vars(outcome))
            else:
                identity, digest, image = outcome
                file.write(image.tobytes())
                ids.append(identity)
                digests.append(digest)
        file.truncate(num_bytes)  # as if the images that are broken stood at the end
    write_json(index_path, {"ids": ids, "digests": digests, "problems": problems})


def _decoded(
    rows: pd.DataFrame, image_size: int, on_progress: OnProgress
) -> Iterator[tuple[str, str, Images] | Problem]:
    """Yield each row's id, digest and image, or its problem, in order, decoding in threads."""

    def decode(row: Any) -> tuple[str, str, Images] | Problem:
        try:
            data = read_image_bytes(row)
            return row.id, hashlib.sha256(data).hexdigest(), decode_image(data, image_size)
        except (DataError, OSError) as error:
            return Problem(str(row.id), str(error))

    records = list(rows.itertuples(index=False))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(records), _CHUNK):
            yield from pool.map(decode, records[start : start + _CHUNK])
            on_progress(min(start + _CHUNK, len(records)), len(records))


def content_hash(pictures: Pictures, rows: pd.DataFrame) -> str:
    """Return 16 hexadecimal digits of what some manifest rows show: ids, labels and bytes.

    The same for every image size and for every kind of source.
    """
    digest = hashlib.sha256()
    for position, row in zip(pictures.rows_of(rows["id"]), rows.itertuples(), strict=True):
        digest.update(repr((row.id, row.label, pictures.digests[position])).encode())
    return digest.hexdigest()[:16]
