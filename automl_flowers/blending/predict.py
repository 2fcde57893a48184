"""Classifying any number of image files: the next ones are decoded while models look at these."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from automl_flowers.data.cache import Images
from automl_flowers.data.manifest import Problem
from automl_flowers.data.sources.images import decode_image
from automl_flowers.errors import DataError
from automl_flowers.results import Prediction

PIXEL_BYTES = 128 * 2**20
"""Bytes of decoded pictures that models look at in one go; as many are decoded meanwhile."""


@dataclass(frozen=True)
class Chunk:
    """Some images, decoded.

    Attributes:
        files: The readable ones.
        images: By size, uint8, `(len(files), size, size, 3)`.
        problems: Why the others are not readable.
    """

    files: tuple[str, ...]
    images: Mapping[int, Images]
    problems: tuple[Problem, ...]


def chunk_sizes(image_sizes: Iterable[int], batch_size: int) -> Iterator[int]:
    """Yield how many images to decode at a time: a batch, then twice as many up to `PIXEL_BYTES`.

    So models begin after the first batch is decoded, and few images overlap, too.

    Args:
        image_sizes: Each image is decoded to all of them.
        batch_size: Images in the largest batch.

    Example:
        >>> list(itertools.islice(chunk_sizes([224], 32), 7))
        [32, 64, 128, 256, 512, 864, 864]
        >>> list(itertools.islice(chunk_sizes([1024], 64), 2))
        [64, 64]
    """
    bytes_per_batch = batch_size * sum(3 * size**2 for size in image_sizes)
    most = max(PIXEL_BYTES // bytes_per_batch, 1)
    for doubling in itertools.count():
        yield min(2**doubling, most) * batch_size


def decoded_chunks(
    files: Iterable[str], image_sizes: Sequence[int], num_images: Iterable[int]
) -> Iterator[Chunk]:
    """Yield images in order, decoded in threads, one chunk ahead of whoever looks at them.

    Args:
        files: Image files.
        image_sizes: Sizes wanted. A file is read once, and decoded once a size.
        num_images: In each chunk, without an end; the last chunk may have fewer.
    """
    remaining, sizes = iter(files), iter(num_images)
    pool = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="decode")
    try:
        ahead = _start(pool, remaining, image_sizes, next(sizes))
        while ahead.files:
            now, ahead = ahead, _start(pool, remaining, image_sizes, next(sizes))
            yield _finish(now)
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Started:
    """A chunk that is being decoded."""

    files: tuple[str, ...]
    images: Mapping[int, Images]
    outcomes: tuple[Future[Problem | None], ...]


def _start(
    pool: ThreadPoolExecutor, files: Iterator[str], image_sizes: Sequence[int], num_images: int
) -> _Started:
    taken = tuple(itertools.islice(files, num_images))
    images = {size: np.empty((len(taken), size, size, 3), np.uint8) for size in image_sizes}
    return _Started(
        taken,
        images,
        tuple(pool.submit(_decode, file, images, row) for row, file in enumerate(taken)),
    )


def _decode(file: str, images: Mapping[int, Images], row: int) -> Problem | None:
    """Fill a row with a picture, or say why that cannot be done."""
    printable = os.fsencode(file).decode(errors="replace")
    if printable != file:
        return Problem(printable, "Its name is not UTF-8.")
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - as it was named
            data = opened.read()
        for size, pictures in images.items():
            pictures[row] = decode_image(data, size)
    except OSError as error:
        return Problem(printable, f"{error.strerror or error}.")
    except DataError as error:
        return Problem(printable, str(error))
    return None


def _finish(started: _Started) -> Chunk:
    problems = [outcome.result() for outcome in started.outcomes]
    if not any(problems):
        return Chunk(started.files, started.images, ())
    good = [row for row, problem in enumerate(problems) if problem is None]
    return Chunk(
        tuple(started.files[row] for row in good),
        {size: pictures[good] for size, pictures in started.images.items()},
        tuple(problem for problem in problems if problem is not None),
    )


def decide(
    files: Sequence[str],
    probabilities: np.ndarray,
    class_names: Sequence[str],
    *,
    every_class: bool = False,
) -> Iterator[Prediction]:
    """Yield the most probable class of each image.

    Args:
        files: Images.
        probabilities: Of shape `(len(files), len(class_names))`.
        class_names: In the order of the labels.
        every_class: Whether to give the probability of each class.
    """
    for file, label, row in zip(files, probabilities.argmax(axis=1), probabilities, strict=True):
        each = dict(zip(class_names, row.tolist(), strict=True)) if every_class else None
        yield Prediction(file, int(label), class_names[label], float(row[label]), each)
