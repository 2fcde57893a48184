"""The feature bank: what the frozen part of a classifier makes of its images, computed once.

A recipe that freezes the lower part of its backbone pushes the same pictures through the same
layers epoch after epoch: the validation images always, the training images when it takes a few
views of them in turn, or leaves them unchanged. Here the activations at the boundary are kept in
files, one a view, and the rest of the classifier trains on those. Trials of a run share them.

Numbers are the same with and without: the boundary rounds to float16 either way, and a file is
found only by digits of all that its content depends on. Among them is what the frozen part makes
of a batch of noise, so another file of weights, version of TensorFlow, precision or device is
another file; and the size of the batches, since kernels may round otherwise in another one.
Some processors also round an image by its place in the batch. Training takes images in another
order every epoch, so there only what is scored is kept, which is always taken in one order
(`rounds_alike`).

A file is written when that is likely to save time, by what computing, writing and reading take
on this machine (`is_worth`). It is written under a temporary name and renamed, so a kill leaves
no half of one. When room is short, what was not used for longest goes first.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from automl_flowers.data.pipeline import Activations, Examples, count_steps, view_batches
from automl_flowers.files import atomic_path
from automl_flowers.modeling.program import Program
from search_spaces.augmentation import UNCHANGED, get_augmentation
from search_spaces.recipe import Recipe

FORMAT_VERSION = 1

MOST_OF_FREE_DISK = 0.25
"""Share of the free disk that a bank takes at most, whatever its limit."""

CHANCE_OF_ANOTHER_USE = 0.5
"""How likely another trial, or a later round of this one, takes a view that is kept now."""

_HEADER_BYTES = 128
"""Of a `.npy` file with a short shape, for the account of room."""

_ORDERS = 5
"""In which a batch of noise is sent through the frozen part."""

_WARM_UP, _MEASURED = 1, 8
"""Batches computed before the clock starts, and while it runs: more than are prefetched."""


@dataclass(frozen=True)
class ImageCosts:
    """What an image takes on this machine, in seconds.

    Attributes:
        compute: To augment it and send it through the frozen part.
        write: To write its activations to disk.
        read: To read them again, in random order.
    """

    compute: float
    write: float
    read: float


def is_worth(costs: ImageCosts, num_uses: int, num_missing: int) -> bool:
    """Say whether keeping views is likely to save time.

    Without a bank every use computes. With one, every missing view is computed and written once,
    every use reads, and each view that is written saves one more use with some chance.

    Args:
        costs: Of an image.
        num_uses: Epochs that will take one of the views.
        num_missing: Views that are not kept yet.

    >>> is_worth(ImageCosts(compute=10.0, write=1.0, read=1.0), num_uses=1, num_missing=1)
    True
    >>> is_worth(ImageCosts(compute=1.0, write=1.0, read=1.0), num_uses=8, num_missing=1)
    False
    """
    without = num_uses * costs.compute
    filling = num_missing * (costs.compute + costs.write)
    later = CHANCE_OF_ANOTHER_USE * num_missing * (costs.compute - costs.read)
    return filling + num_uses * costs.read - later < without


@dataclass(frozen=True)
class Kept:
    """Activations at a program's boundary, memory-mapped, a row an example.

    Attributes:
        training: By view, all those that the epochs take; None to compute them.
        val: Of the validation images; None to compute them.
    """

    training: Mapping[int, Activations] | None = None
    val: Activations | None = None


class FeatureBank:
    """Activations of frozen parts in a folder, one file a view.

    Args:
        folder: Where the files lie; made when first written to. One process uses it at a time.
        limit: Most bytes that they may take together.
        worth: Whether to write, by costs, uses and missing views.
        left: Returns how many bytes of a larger limit are left, or None for any number.
    """

    def __init__(
        self,
        folder: Path,
        limit: int,
        worth: Callable[[ImageCosts, int, int], bool] = is_worth,
        left: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._folder, self._limit, self._worth, self._left = folder, limit, worth, left
        self._fingerprints: dict[str, str] = {}
        self._alike: dict[tuple[str, int], bool] = {}
        self._costs: dict[str, ImageCosts] = {}
        self._in_use: set[Path] = set()

    def prepare(
        self,
        program: Program,
        recipe: Recipe,
        examples: Examples,
        val: Examples | None,
        *,
        epochs: range,
        view_seed: int,
    ) -> Kept:
        """Return what is worth keeping for some epochs, filling in what is missing.

        Args:
            program: Of the recipe's architecture.
            recipe: What trains.
            examples: The training set.
            val: What is scored after every epoch; None for nothing.
            epochs: That will be trained now.
            view_seed: Of the run.
        """
        if program.frozen is None or not epochs:
            return Kept()
        self._in_use = set()
        frozen = self._fingerprint(program)
        training = None
        if recipe.repeats_views and self._rounds_alike(program, frozen):
            numbers = sorted({recipe.view_of(epoch) for epoch in epochs})
            views = [_View(examples, recipe.augmentation, view_seed, n) for n in numbers]
            if (arrays := self._provide(program, frozen, views, len(epochs))) is not None:
                training = dict(zip(numbers, arrays, strict=True))
        scored = [] if val is None else [_View(val, UNCHANGED, 0, 0)]
        arrays = self._provide(program, frozen, scored, len(epochs))
        return Kept(training, arrays[0] if arrays else None)

    def _provide(
        self, program: Program, frozen: str, views: Sequence[_View], num_uses: int
    ) -> list[Activations] | None:
        """Return the activations of views, or None if they are better computed."""
        if any(view.examples.content is None for view in views):
            return None
        wanted = [_Wanted(program, frozen, view) for view in views]
        try:
            return self._fill_in(wanted, num_uses)
        except (_NotWorthItError, OSError):  # numbers are the same without, so it is no error
            return None

    def _fill_in(self, wanted: Sequence[_Wanted], num_uses: int) -> list[Activations]:
        arrays = {one: self._open(one) for one in wanted}
        missing = [one for one, array in arrays.items() if array is None]
        if missing:
            self._check_worth(missing[0].costs_name, num_uses, len(missing))
            self._make_room(sum(_HEADER_BYTES + one.num_bytes for one in missing))
        batches = _compute(missing)
        for one in missing:
            self._write(one, batches, num_uses, len(missing))
            arrays[one] = self._open(one)
        return [array for array in arrays.values() if array is not None]

    def _open(self, wanted: _Wanted) -> Activations | None:
        """Return an array if it is there, and remove what is not one."""
        path = self._folder / wanted.file_name
        if not path.exists():
            return None
        try:
            array: Activations = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError):
            path.unlink()
            return None
        os.utime(path)
        self._in_use.add(path)
        return array

    def _check_worth(self, name: str, num_uses: int, num_missing: int) -> None:
        costs = self._costs.get(name)
        if costs is not None and not self._worth(costs, num_uses, num_missing):
            raise _NotWorthItError

    def _make_room(self, num_bytes: int) -> None:
        """Remove what was not used for longest until some bytes more are within the limit."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for stray in self._folder.glob(".*.tmp"):
            stray.unlink()
        sizes = self._sizes()
        taken = sum(sizes.values())
        limit = min(
            self._limit, int(MOST_OF_FREE_DISK * (shutil.disk_usage(self._folder).free + taken))
        )
        if (left := self._left()) is not None:
            limit = min(limit, left + taken)
        if num_bytes + sum(sizes[file] for file in sizes if file in self._in_use) > limit:
            raise _NotWorthItError
        _remove([file for file in sizes if file not in self._in_use], taken + num_bytes - limit)

    def free(self, num_bytes: int) -> int:
        """Remove files, first what was not used for longest, and return the bytes that makes.

        Args:
            num_bytes: How many are wanted.
        """
        return _remove(list(self._sizes()), num_bytes)

    def clear(self) -> None:
        """Remove all files; what is needed again is computed again."""
        self.free(sum(self._sizes().values()))

    def _sizes(self) -> dict[Path, int]:
        """Return the bytes of each file, first what was not used for longest."""
        files = sorted(self._folder.glob("*.npy"), key=lambda file: file.stat().st_mtime_ns)
        return {file: file.stat().st_size for file in files}

    def _write(
        self, wanted: _Wanted, batches: Iterator[Activations], num_uses: int, num_missing: int
    ) -> None:
        """Write the next batches as a view, unless it turns out that this saves no time."""
        batches = itertools.islice(batches, wanted.num_batches)
        with (
            atomic_path(self._folder / wanted.file_name) as temporary,
            temporary.open("wb") as file,
        ):
            np.lib.format.write_array_header_1_0(
                file, {"descr": "<f2", "fortran_order": False, "shape": wanted.shape}
            )
            start = file.tell()
            _append(file, itertools.islice(batches, _WARM_UP))
            if wanted.costs_name not in self._costs:
                costs = _measure(file, temporary, batches, wanted.shape[1:])
                if costs is not None:
                    self._costs[wanted.costs_name] = costs
                    self._check_worth(wanted.costs_name, num_uses, num_missing)
            _append(file, batches)
            file.truncate(start + wanted.num_bytes)  # what filled up the last batch

    def _fingerprint(self, program: Program) -> str:
        """Return digits of what a program's frozen part computes."""
        weights = hashlib.sha256()
        for weight in program.frozen.weights:
            weights.update(np.ascontiguousarray(weight).tobytes())
        described = json.dumps(asdict(program.architecture)) + weights.hexdigest()
        if described not in self._fingerprints:
            self._fingerprints[described] = hashlib.sha256(
                weights.digest() + next(_outputs_of_noise(program, orders=1)).tobytes()
            ).hexdigest()
        return self._fingerprints[described]

    def _rounds_alike(self, program: Program, frozen: str) -> bool:
        key = frozen, program.architecture.batch_size
        if key not in self._alike:
            self._alike[key] = rounds_alike(program)
        return self._alike[key]


def rounds_alike(program: Program) -> bool:
    """Say whether the frozen part makes the same of an image wherever in a batch it stands.

    On some processors it does not, for some sizes of batches: a few of ten thousand activations
    are the next number in float16. Noise in several orders shows it.

    Args:
        program: One with a frozen part.
    """
    first, *others = _outputs_of_noise(program, _ORDERS)
    expected = (first[order] for order in _orders(len(first), _ORDERS)[1:])
    return all(map(np.array_equal, others, expected))


def _remove(files: Sequence[Path], num_bytes: int) -> int:
    """Remove files until some bytes are free, and return how many are."""
    freed = 0
    for file in files:
        if freed < num_bytes:
            freed += file.stat().st_size
            file.unlink()
    return freed


class _NotWorthItError(Exception):
    """Computing again is cheaper than keeping, or there is no room."""


@dataclass(frozen=True)
class _View:
    """One version of some images."""

    examples: Examples
    augmentation: str
    seed: int
    number: int


@dataclass(frozen=True, eq=False)
class _Wanted:
    """What a program's frozen part makes of a view."""

    program: Program
    frozen: str
    view: _View

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.view.examples), *self.program.frozen.output.shape[1:])

    @property
    def num_bytes(self) -> int:
        return 2 * math.prod(self.shape)

    @property
    def num_batches(self) -> int:
        return count_steps(len(self.view.examples), self.program.architecture.batch_size)

    @property
    def costs_name(self) -> str:
        return f"{self.frozen}:{self.view.augmentation}"

    @property
    def file_name(self) -> str:
        """A name that a person understands, with digits of all that the content depends on."""
        architecture, view = self.program.architecture, self.view
        strength = asdict(get_augmentation(view.augmentation))
        depends_on = [FORMAT_VERSION, self.frozen, architecture.batch_size, view.examples.content]
        depends_on += [strength, view.seed, view.number]
        digits = hashlib.sha256(json.dumps(depends_on).encode()).hexdigest()[:16]
        blocks = architecture.trainable_blocks
        return (
            f"{architecture.backbone}-{architecture.image_size}-top{blocks}-"
            f"{view.augmentation}-{view.number}-{digits}.npy"
        )


def _compute(wanted: Sequence[_Wanted]) -> Iterator[Activations]:
    """Yield the activations of several views of the same images, the last batch of each filled up.

    One after the other in one pipeline: to build one takes longer than to send a few hundred
    images through it.
    """
    if not wanted:
        return iter(())
    program, view = wanted[0].program, wanted[0].view
    batches = view_batches(
        view.examples,
        view.augmentation,
        batch_size=program.architecture.batch_size,
        seed=view.seed,
        views=[one.view.number for one in wanted],
    )
    return program.outputs_of(program.frozen, batches)


def _outputs_of_noise(program: Program, orders: int) -> Iterator[Activations]:
    """Yield what the frozen part makes of a batch of noise in some orders, first as it is."""
    size, batch_size = program.architecture.image_size, program.architecture.batch_size
    shape = (batch_size, size, size, 3)
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batches = tf.data.Dataset.from_tensor_slices(_orders(batch_size, orders))
    batches = batches.map(lambda order: tf.ensure_shape(tf.gather(noise, order), shape))
    return program.outputs_of(program.frozen, batches)


def _orders(number: int, orders: int) -> list[np.ndarray]:
    """Return orders of so many images, the first as they are."""
    rng = np.random.default_rng(1)
    return [np.arange(number), *(rng.permutation(number) for _ in range(orders - 1))]


def _append(file: BinaryIO, batches: Iterator[Activations]) -> None:
    for batch in batches:
        file.write(batch.tobytes())


def _measure(
    file: BinaryIO, path: Path, batches: Iterator[Activations], shape: tuple[int, ...]
) -> ImageCosts | None:
    """Compute, append and read a few batches and return the costs; None if there are none left."""
    file.flush()
    start, rows, compute, write = file.tell(), 0, 0.0, 0.0
    for _ in range(_MEASURED):
        started = time.perf_counter()
        batch = next(batches, None)
        computed = time.perf_counter()
        if batch is None:
            break
        file.write(batch.tobytes())
        rows += len(batch)
        compute += computed - started
        write += time.perf_counter() - computed
    if not rows:
        return None
    started = time.perf_counter()
    file.flush()
    os.fsync(file.fileno())
    write += time.perf_counter() - started
    read = _time_reading(np.memmap(path, np.float16, "r", start, (rows, *shape)))
    return ImageCosts(compute / rows, write / rows, read / rows)


def _time_reading(array: Activations) -> float:
    """Return the seconds that reading all rows takes, a few at a time and in random order."""
    order = np.random.default_rng(0).permutation(len(array))
    started = time.perf_counter()
    for positions in np.array_split(order, _MEASURED):
        array[positions]
    return time.perf_counter() - started
