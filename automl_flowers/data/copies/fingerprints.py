"""Fingerprints: a small grey picture of each whole image, by which copies are found.

Training squares are cut from the middle, so a copy that shows more or less at the edges would be
lost in them; a fingerprint is made anew from the whole image, stretched to a square. Its grey is
the middle between the largest and the smallest of red, green and blue, which a turn of the hue
leaves as it is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image, ImageChops

from automl_flowers.data.cache import OnProgress, cache_key
from automl_flowers.data.manifest import Problem
from automl_flowers.data.sources.images import decode_whole, read_image_bytes
from automl_flowers.errors import DataError
from automl_flowers.files import atomic_path

SIZE = 64
"""Height and width of a fingerprint, in pixels."""

FORMAT_VERSION = 1
_REDUCING_GAP = 2  # images are decoded at no less than this many times the size
_CHUNK = 64

Thumbnails = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Fingerprints:
    """Fingerprints of images, in the order of a manifest.

    Attributes:
        ids: One an image.
        digests: One an image; SHA-256 of its bytes.
        thumbnails: uint8, `(num_images, SIZE, SIZE)`.
        problems: What could not be decoded.
    """

    ids: tuple[str, ...]
    digests: tuple[str, ...]
    thumbnails: Thumbnails
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

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
        digests = (
            self.digests[r] if r >= 0 else f"none of {i}" for r, i in zip(rows, wanted, strict=True)
        )
        return Fingerprints(wanted, tuple(digests), thumbnails)


def join(parts: Sequence[Fingerprints]) -> Fingerprints:
    """Return the fingerprints of several sets as one, in their order; ids may repeat."""
    return Fingerprints(
        tuple(identity for part in parts for identity in part.ids),
        tuple(digest for part in parts for digest in part.digests),
        np.concatenate([part.thumbnails for part in parts]),
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
            files' sizes and times, as for decoded pictures, so it is never stale.
        on_progress: Called with the images done and their total, while decoding.

    Returns:
        Those of the readable images; what could not be decoded is listed.
    """
    file = folder / f"fingerprints-{cache_key(rows, f'fingerprint {FORMAT_VERSION}')}.npz"
    if not file.exists():
        _write(file, _make(rows, on_progress))
    with np.load(file, allow_pickle=False) as stored:
        return Fingerprints(
            tuple(stored["ids"].tolist()),
            tuple(stored["digests"].tolist()),
            stored["thumbnails"],
            tuple(Problem(path, reason) for path, reason in stored["problems"].tolist()),
        )


def _write(file: Path, made: Fingerprints) -> None:
    problems = [(problem.path, problem.reason) for problem in made.problems]
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez(
            stream,
            ids=np.array(made.ids, dtype=str),
            digests=np.array(made.digests, dtype=str),
            thumbnails=made.thumbnails,
            problems=np.array(problems, dtype=str).reshape(-1, 2),
        )


def _make(rows: pd.DataFrame, on_progress: OnProgress) -> Fingerprints:
    outcomes = list(_decoded(rows, on_progress))
    made = [outcome for outcome in outcomes if not isinstance(outcome, Problem)]
    return Fingerprints(
        tuple(identity for identity, _, _ in made),
        tuple(digest for _, digest, _ in made),
        np.array([image for _, _, image in made], np.uint8).reshape(-1, SIZE, SIZE),
        tuple(outcome for outcome in outcomes if isinstance(outcome, Problem)),
    )


def _decoded(
    rows: pd.DataFrame, on_progress: OnProgress
) -> Iterator[tuple[str, str, Thumbnails] | Problem]:
    """Yield each row's id, digest and thumbnail, or its problem, decoding in threads."""
    records = list(rows.itertuples(index=False))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(records), _CHUNK):
            yield from pool.map(_fingerprint, records[start : start + _CHUNK])
            on_progress(min(start + _CHUNK, len(records)), len(records))


def _fingerprint(row: Any) -> tuple[str, str, Thumbnails] | Problem:
    try:
        data = read_image_bytes(row)
        image = decode_whole(data, _REDUCING_GAP * SIZE)
        return str(row.id), hashlib.sha256(data).hexdigest(), thumbnail(image)
    except (DataError, OSError) as error:
        return Problem(str(row.id), str(error))
