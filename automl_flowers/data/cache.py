"""Decoded pictures: every image decoded and resized once, then read as plain uint8 arrays.

One memory-mapped `.npy` file an image size, rows in the order of the manifest. It is written
under a temporary name and renamed when complete, and its name holds a key made of what it was
made from, so a stale or half-written cache is never read. Where there is no room for it, the
same pictures are held in memory, or decoded for every batch (`caching`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.data.caching import AUTO, Caching, ImageStore
from automl_flowers.data.losses import Loss, Unread, why_lost
from automl_flowers.data.sources import storage
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.data.streaming import StreamedImages
from automl_flowers.errors import AccessError, DataError, RunError
from automl_flowers.files import atomic_path, write_json
from automl_flowers.memory import free_memory

Images = npt.NDArray[np.uint8]
OnProgress = Callable[[int, int], None]
_Outcome = tuple[str, str, Images] | Loss
"""Id, digest and image of a row, or why there is none."""

FORMAT_VERSION = 2
_CHUNK = 64
_LOOKED_AT_SIZE = 32  # whether an image can be decoded does not depend on the size


@dataclass(frozen=True)
class Pictures:
    """Decoded images of one size.

    Attributes:
        images: uint8, `(num_images, size, size, 3)`.
        ids: One an image; the readable rows of the manifest, in its order.
        digests: One an image; SHA-256 of its bytes as they were before decoding, so they are
            the same from a folder and from TFRecords, and at every size.
        problems: The rows that could not be decoded.
    """

    images: ImageStore
    ids: tuple[str, ...]
    digests: tuple[str, ...]
    problems: tuple[Loss, ...]

    def rows_of(self, ids: pd.Series) -> npt.NDArray[np.int64]:
        """Return the row of each id.

        Raises:
            DataError: If an id is not among the pictures, as when its file has gone since it was
                decoded at another size.
        """
        wanted = pd.Index(ids)
        rows = pd.Index(self.ids).get_indexer(wanted)
        if (rows < 0).any():
            raise self._not_there(wanted[rows < 0])
        return rows.astype(np.int64)

    def _not_there(self, ids: pd.Index) -> DataError:
        reasons = {problem.path: problem.reason for problem in self.problems}
        reason = reasons.get(ids[0], "It is not among the images that were read.")
        size = self.images.shape[1]
        return DataError(
            f"{len(ids)} of the images that are needed at {size} px cannot be read any more, for "
            f"example {ids[0]!r}: {reason}",
            hint="restore the files as they were, and give the command again",
        )


def count_bytes(num_images: int, image_size: int) -> int:
    """Return the bytes that decoded images take."""
    return num_images * 3 * image_size**2


def load_pictures(
    rows: pd.DataFrame,
    image_size: int,
    folder: Path,
    on_progress: OnProgress = lambda done, total: None,
    caching: Caching = AUTO,
    what: str = "pictures",
) -> Pictures:
    """Return the images of a manifest's rows at one size, decoded now, before or for each batch.

    Args:
        rows: Manifest rows of any splits.
        image_size: Height and width, in pixels.
        folder: Where the cache lies.
        on_progress: Called with the images done and their total, while decoding.
        caching: How they are kept.
        what: Their name, to say how they are kept.

    Returns:
        The readable images; what could not be decoded is listed, never guessed.

    Raises:
        RunError: If there is no room for what has to be kept.
    """
    num_bytes = count_bytes(len(rows), image_size)
    array_path = _path(folder, str(image_size), rows, ".npy")
    is_there = array_path.exists() and _is_complete(array_path.with_suffix(".json"), rows)
    kept = "disk" if is_there and caching.mode == "auto" else caching.choose(num_bytes, folder)
    caching.announce(what, num_bytes, kept)
    if kept == "none":
        return _streamed(rows, image_size, folder, on_progress)
    if kept == "memory":
        return _in_memory(rows, image_size, on_progress)
    if not is_there:
        with _saying_what_it_takes(len(rows), image_size, folder):
            _decode_all(rows, image_size, array_path, on_progress)
    index = _Index.read(array_path.with_suffix(".json"))
    images = np.load(array_path, mmap_mode="r", allow_pickle=False)
    return index.pictures(images[: len(index.ids)])


@dataclass
class _Index:
    """What is known of a manifest's images but for their pixels."""

    ids: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    unread: list[dict[str, Any]] = field(default_factory=list)

    def pixels(self, outcomes: Iterable[_Outcome]) -> Iterator[Images]:
        """Yield the images that can be decoded, noting every outcome."""
        for outcome in outcomes:
            if isinstance(outcome, Loss):
                kept = self.unread if isinstance(outcome, Unread) else self.problems
                kept.append(vars(outcome))
            else:
                identity, digest, image = outcome
                self.ids.append(identity)
                self.digests.append(digest)
                yield image

    def pictures(self, images: ImageStore) -> Pictures:
        bad = [Loss(**problem) for problem in self.problems]
        unread = [Unread(**problem) for problem in self.unread]
        return Pictures(images, tuple(self.ids), tuple(self.digests), (*bad, *unread))

    @classmethod
    def read(cls, path: Path) -> _Index:
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        write_json(path, vars(self))


def _is_complete(index: Path, rows: pd.DataFrame) -> bool:
    """Return whether there is an index, and nothing that it lacks can be had now."""
    if not index.exists():
        return False
    unread = [problem["path"] for problem in _Index.read(index).unread]
    return not any_is_there(rows, unread)


def any_is_there(rows: pd.DataFrame, unread: Sequence[str]) -> bool:
    """Return whether the bytes of some image can be had now, be they damaged or not.

    Args:
        rows: Manifest rows.
        unread: Ids of the images that could not be had before; only these are tried.
    """
    records = list(rows[rows["id"].isin(unread)].itertuples(index=False))
    starts = range(0, len(records), _CHUNK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return any(any(pool.map(_is_there, records[k : k + _CHUNK])) for k in starts)


def _is_there(row: Any) -> bool:
    try:
        read_image_bytes(row)
    except AccessError:
        return False
    except DataError:
        return True
    return True


def _streamed(
    rows: pd.DataFrame, image_size: int, folder: Path, on_progress: OnProgress
) -> Pictures:
    """Return pictures that are kept nowhere, once all have been looked at."""
    path = _path(folder, "index", rows, ".json")
    if _is_complete(path, rows):
        index = _Index.read(path)
    else:
        index = _Index()
        for _ in index.pixels(_decoded(rows, _LOOKED_AT_SIZE, on_progress)):
            pass
        with contextlib.suppress(
            OSError
        ):  # where there is no room at all, they are looked at again
            index.write(path)
    readable = rows[rows["id"].isin(index.ids)]
    return index.pictures(StreamedImages(readable, image_size))


def _in_memory(rows: pd.DataFrame, image_size: int, on_progress: OnProgress) -> Pictures:
    free, needed = free_memory(), count_bytes(len(rows), image_size)
    if free is not None and needed > free:
        raise RunError(
            f"{len(rows)} images decoded at {image_size} px take {needed / 1e6:,.1f} MB of "
            f"memory; {free / 1e6:,.1f} MB are free.",
            hint="leave the choice to `--cache auto`, or choose `disk` or `none`",
        )
    index, images = _Index(), np.empty((len(rows), image_size, image_size, 3), np.uint8)
    for row, image in enumerate(index.pixels(_decoded(rows, image_size, on_progress))):
        images[row] = image
    images.flags.writeable = False
    return index.pictures(images[: len(index.ids)])


@contextlib.contextmanager
def _saying_what_it_takes(num_images: int, image_size: int, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        megabytes = count_bytes(num_images, image_size) / 1e6
        raise RunError(
            f"{num_images} images decoded at {image_size} px take {megabytes:,.1f} MB, which "
            f"cannot be written to `{folder}`: {error.strerror or error}.",
            hint="make room, choose a folder on another disk with `--run`, or keep them elsewhere "
            "with `--cache memory` or `--cache none`",
        ) from error


def _path(folder: Path, name: str, rows: pd.DataFrame, suffix: str) -> Path:
    key = cache_key(rows, f"{FORMAT_VERSION}:{name}")
    return folder / f"images-{name}-{key}{suffix}"


def cache_key(rows: pd.DataFrame, how: str) -> str:
    """Return digits that change with the rows, their files or `how` they are decoded.

    A file's size and times of change stand for its content (`storage.stamps`).
    """
    digest = hashlib.sha256(how.encode())
    stamps = storage.stamps(rows["path"].unique().tolist())
    for row in rows[["id", "path", "offset", "length", "feature"]].itertuples(index=False):
        digest.update(repr((*row, stamps[str(row.path)])).encode())
    return digest.hexdigest()[:16]


def _decode_all(
    rows: pd.DataFrame, image_size: int, array_path: Path, on_progress: OnProgress
) -> None:
    index = _Index()
    shape = (len(rows), image_size, image_size, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    # Written like any file: with a memory map, a full disk would end the process by a signal.
    with atomic_path(array_path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        num_bytes = file.tell() + math.prod(shape)
        for image in index.pixels(_decoded(rows, image_size, on_progress)):
            file.write(image.tobytes())
        file.truncate(num_bytes)  # as if the images that are broken stood at the end
    index.write(array_path.with_suffix(".json"))


def _decoded(rows: pd.DataFrame, image_size: int, on_progress: OnProgress) -> Iterator[_Outcome]:
    """Yield each row's id, digest and image, or its problem, in order, decoding in threads."""

    def decode(row: Any) -> _Outcome:
        try:
            data = read_image_bytes(row)
            return row.id, hashlib.sha256(data).hexdigest(), decode_image(data, image_size)
        except (DataError, OSError) as error:
            return why_lost(str(row.id), error)

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
