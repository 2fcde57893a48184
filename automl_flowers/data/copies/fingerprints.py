"""Fingerprints: a small grey picture of each whole image, by which copies are found.

Training squares are cut from the middle, so a copy that shows more or less at the edges would be
lost in them; a fingerprint is made anew from the whole image, stretched to a square. Its grey is
the middle between the largest and the smallest of red, green and blue, which a turn of the hue
leaves as it is.
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageChops

from automl_flowers.data.cache import OnProgress, any_is_there, cache_key
from automl_flowers.data.losses import Loss, Unread, why_lost
from automl_flowers.data.sources.images import decode_whole, read_image_bytes
from automl_flowers.errors import DataError
from automl_flowers.files import atomic_path

SIZE = 64
"""Height and width of a fingerprint, in pixels."""

FORMAT_VERSION = 3
_REDUCING_GAP = 2  # images are decoded at no less than this many times the size
_CHUNK = 64

Thumbnails = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of images, in the order of a manifest.

    Attributes:
        ids: One an image.
        digests: One an image; SHA-256 of its bytes.
        pixel_digests: One an image; of its pixels as they were decoded, a large JPEG at a reduced
            scale.
        thumbnails: uint8, `(num_images, SIZE, SIZE)`.
        problems: What could not be read or decoded.
    """

    ids: tuple[str, ...]
    digests: tuple[str, ...]
    pixel_digests: tuple[str, ...]
    thumbnails: Thumbnails
    problems: tuple[Loss, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def unread(self) -> tuple[str, ...]:
        """Ids of the images whose bytes could not be had."""
        return tuple(problem.path for problem in self.problems if isinstance(problem, Unread))

    def of(self, ids: Iterable[str]) -> Fingerprints:
        """Return the fingerprints of some images, in their order.

        An image that could not be read when fingerprints were taken has a blank one, of which
        nothing is a copy.
        """
        wanted = tuple(ids)
        index = {identity: row for row, identity in enumerate(self.ids)}
        rows = np.array([index.get(identity, -1) for identity in wanted], dtype=np.int64)
        known = rows >= 0
        thumbnails = np.zeros((len(rows), SIZE, SIZE), np.uint8)
        thumbnails[known] = self.thumbnails[rows[known]]
        digests, pixels = (
            tuple(
                known[row] if row >= 0 else f"none of {identity}"
                for row, identity in zip(rows, wanted, strict=True)
            )
            for known in (self.digests, self.pixel_digests)
        )
        return Fingerprints(wanted, digests, pixels, thumbnails)

    def take(self, positions: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Fingerprints:
        """Return the fingerprints at some positions."""
        rows = np.arange(len(self))[positions]
        ids, digests, pixels = (
            tuple(values[row] for row in rows)
            for values in (self.ids, self.digests, self.pixel_digests)
        )
        return Fingerprints(ids, digests, pixels, self.thumbnails[rows])


def join(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Return the fingerprints of several sets as one, in their order; ids may repeat."""
    return Fingerprints(
        tuple(itertools.chain.from_iterable(part.ids for part in parts)),
        tuple(itertools.chain.from_iterable(part.digests for part in parts)),
        tuple(itertools.chain.from_iterable(part.pixel_digests for part in parts)),
        np.concatenate([np.empty((0, SIZE, SIZE), np.uint8), *(part.thumbnails for part in parts)]),
    )


def thumbnail(image: Image.Image) -> Thumbnails:
    """Return the small grey picture of a whole image.

    Args:
        image: RGB, of any size.

    Returns:
        uint8, `(SIZE, SIZE)`.
    """
    factor = min(image.size) // (_REDUCING_GAP * SIZE)
    if factor > 1:
        image = image.reduce(factor)
    red, green, blue = image.split()
    largest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    smallest = ImageChops.darker(ImageChops.darker(red, green), blue)
    grey = ImageChops.add(largest, smallest, scale=2)
    return np.asarray(grey.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


def load_fingerprints(
    rows: pd.DataFrame, folder: Path, on_progress: OnProgress = lambda done, total: None
) -> Fingerprints:
    """Return the fingerprints of a manifest's rows, from the cache where it has them.

    Args:
        rows: Manifest rows of any splits.
        folder: Where the cache lies. The name of the file in it holds a key of the rows, their
            files' sizes and times, as for decoded pictures, so it is never stale. What could not
            be had, for reasons outside of its bytes, is tried again.
        on_progress: Called with the images done and their total, while decoding.

    Returns:
        Those of the readable images; what could not be decoded is listed.
    """
    file = folder / f"fingerprints-{cache_key(rows, f'fingerprint {FORMAT_VERSION}')}.npz"
    known = _read(file) if file.exists() else None
    if known is None or any_is_there(rows, known.unread):
        _write(file, _make(rows, on_progress))
        known = _read(file)
    return known


def _read(file: Path) -> Fingerprints:
    with np.load(file, allow_pickle=False) as stored:
        kinds = (("problems", Loss), ("unread", Unread))
        problems = [kind(*problem) for name, kind in kinds for problem in stored[name].tolist()]
        return Fingerprints(
            tuple(stored["ids"].tolist()),
            tuple(stored["digests"].tolist()),
            tuple(stored["pixel_digests"].tolist()),
            stored["thumbnails"],
            tuple(problems),
        )


def _write(file: Path, made: Fingerprints) -> None:
    problems, unread = (
        [(p.path, p.reason) for p in made.problems if isinstance(p, Unread) == is_unread]
        for is_unread in (False, True)
    )
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            ids=np.array(made.ids, dtype=str),
            digests=np.array(made.digests, dtype=str),
            pixel_digests=np.array(made.pixel_digests, dtype=str),
            thumbnails=made.thumbnails,
            problems=np.array(problems, dtype=str).reshape(-1, 2),
            unread=np.array(unread, dtype=str).reshape(-1, 2),
        )


def _make(rows: pd.DataFrame, on_progress: OnProgress) -> Fingerprints:
    outcomes = list(_fingerprints(rows, on_progress))
    made = [outcome for outcome in outcomes if not isinstance(outcome, Loss)]
    return Fingerprints(
        tuple(one.identity for one in made),
        tuple(one.digest for one in made),
        tuple(one.pixel_digest for one in made),
        np.array([one.thumbnail for one in made], np.uint8).reshape(-1, SIZE, SIZE),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Loss)),
    )


class _Fingerprint(NamedTuple):
    identity: str
    digest: str
    pixel_digest: str
    thumbnail: Thumbnails


def _fingerprints(rows: pd.DataFrame, on_progress: OnProgress) -> Iterator[_Fingerprint | Loss]:
    """Yield each row's fingerprint, or its problem, decoding in threads."""
    records = list(rows.itertuples(index=False))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(records), _CHUNK):
            yield from pool.map(_fingerprint, records[start : start + _CHUNK])
            on_progress(min(start + _CHUNK, len(records)), len(records))


def _fingerprint(row: Any) -> _Fingerprint | Loss:
    try:
        data = read_image_bytes(row)
        image = decode_whole(data, _REDUCING_GAP * SIZE)
    except (DataError, OSError) as error:
        return why_lost(str(row.id), error)
    digest = hashlib.sha256(data).hexdigest()
    return _Fingerprint(str(row.id), digest, digest_of_pixels(image), thumbnail(image))


def digest_of_pixels(image: Image.Image) -> str:
    """Return digits of what an image shows: its size and the red, green and blue of its pixels."""
    digest = hashlib.sha256(repr(image.size).encode())
    digest.update(image.tobytes())
    return digest.hexdigest()
