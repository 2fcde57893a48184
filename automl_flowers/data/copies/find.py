"""From candidates to pairs: descriptors find them, pixels confirm them."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from automl_flowers.data.copies import alignment, descriptors, neighbours
from automl_flowers.data.copies.fingerprints import Fingerprints, Thumbnails

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

MIN_AGREEMENT = 0.83
"""Correlation of details from which two pictures are taken for copies.

Different photographs of flowers reach 0.7; of copies, 99 in 100 reach 0.85. Drawn flowers, which
have few details, come close to it at times (docs/benchmarks/leak_audit.md).
"""

MIN_SIMILARITY = 0.62
"""Of descriptors, for candidates: that of a copy that was cropped by 25 % may be as low."""

MAX_CANDIDATES = 6
"""Of each whole picture in each role: true copies are almost always among the first."""

_MIN_COARSE_AGREEMENT = 0.4
_CHUNK = 512

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and the total."""

SEARCHING = "looking for pictures that look alike"
COMPARING = "comparing pictures that look alike"


def _quietly(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Copies:
    """Pairs of copies.

    Attributes:
        left: Positions on the one side.
        right: Positions on the other side.
        agreement: How well details agree, in [MIN_AGREEMENT, 1]; 1 for equal bytes.
        is_mirrored: Whether the one is the mirror image of the other.
        has_equal_bytes: Whether the files are the same, byte by byte.
    """

    left: Integers
    right: Integers
    agreement: npt.NDArray[np.float32]
    is_mirrored: Booleans
    has_equal_bytes: Booleans

    def __len__(self) -> int:
        return len(self.left)

    def take(self, positions: Integers | Booleans) -> Copies:
        """Return some of the pairs."""
        return Copies(**{name: values[positions] for name, values in vars(self).items()})

    def join(self, other: Copies) -> Copies:
        """Return the pairs of both."""
        both = vars(other)
        return Copies(**{n: np.concatenate([values, both[n]]) for n, values in vars(self).items()})

    def swapped(self) -> Copies:
        """Return the pairs with left for right."""
        return replace(self, left=self.right, right=self.left)


@dataclass(frozen=True)
class _Candidates:
    left: Integers
    right: Integers
    view: Integers
    whole_is_left: Booleans
    is_mirrored: Booleans

    def take(self, positions: slice | Booleans) -> _Candidates:
        return _Candidates(**{name: values[positions] for name, values in vars(self).items()})

    def join(self, other: _Candidates) -> _Candidates:
        both = vars(other)
        return _Candidates(
            **{name: np.concatenate([values, both[name]]) for name, values in vars(self).items()}
        )


def find_copies(
    left: Fingerprints, right: Fingerprints, on_progress: OnProgress = _quietly
) -> Copies:
    """Find the pictures of one set that are copies of pictures of another.

    Args:
        left: The one set.
        right: The other set.
        on_progress: Hears of a long search, and of comparing.

    Returns:
        Pairs, ordered by left, then right.
    """
    ours, theirs = (descriptors.prepare(side.thumbnails) for side in (left, right))
    forth = _candidates(ours, theirs, on_progress)
    back = _candidates(theirs, ours, on_progress, is_swapped=True)
    found = _confirm(left.thumbnails, right.thumbnails, forth.join(back), on_progress)
    return _add_equal_bytes(left, right, found)


def find_copies_within(pictures: Fingerprints, on_progress: OnProgress = _quietly) -> Copies:
    """Find the pictures of a set that are copies of one another.

    Args:
        pictures: The set.
        on_progress: As for `find_copies`.

    Returns:
        Pairs with `left < right`, in order.
    """
    prepared = descriptors.prepare(pictures.thumbnails)
    candidates = _candidates(prepared, prepared, on_progress, are_same=True)
    found = _confirm(pictures.thumbnails, pictures.thumbnails, candidates, on_progress)
    first, second = np.minimum(found.left, found.right), np.maximum(found.left, found.right)
    return _add_equal_bytes(pictures, pictures, replace(found, left=first, right=second))


def group_copies(pairs: Copies, num_pictures: int) -> Integers:
    """Return a group number for each picture; copies, and copies of copies, share one.

    Args:
        pairs: As from `find_copies_within`.
        num_pictures: In the set.
    """
    shape = (num_pictures, num_pictures)
    links = coo_array((np.ones(len(pairs)), (pairs.left, pairs.right)), shape=shape)
    _, groups = connected_components(links, directed=False)
    return np.asarray(groups, dtype=np.int64)


def _candidates(
    wholes: descriptors.Floats,
    windows: descriptors.Floats,
    on_progress: OnProgress = _quietly,
    *,
    is_swapped: bool = False,
    are_same: bool = False,
) -> _Candidates:
    """Return pairs where a window of one picture looks like the whole of another.

    Args:
        wholes: Pictures to take as they are, and mirrored.
        windows: Pictures to take windows of.
        on_progress: Hears of a long search.
        is_swapped: Whether `windows` are the left ones.
        are_same: Whether both are the same pictures, so that each finds itself.
    """
    straight = descriptors.describe(wholes, descriptors.WHOLE)
    both = np.concatenate([straight, descriptors.mirror(straight)])
    matches = neighbours.find_windows(
        both, windows, MIN_SIMILARITY, on_progress=functools.partial(on_progress, SEARCHING)
    )
    if are_same:
        matches = matches.take(matches.whole % len(wholes) != matches.picture)
    is_mirrored = matches.whole >= len(wholes)
    whole = matches.whole - len(wholes) * is_mirrored
    kept = neighbours.most_similar(whole, matches.similarity, MAX_CANDIDATES)
    matches, whole, is_mirrored = matches.take(kept), whole[kept], is_mirrored[kept]
    left, right = (matches.picture, whole) if is_swapped else (whole, matches.picture)
    whole_is_left = np.full(len(whole), not is_swapped)
    return _Candidates(left, right, matches.view, whole_is_left, is_mirrored)


def _confirm(
    left: Thumbnails, right: Thumbnails, candidates: _Candidates, on_progress: OnProgress
) -> Copies:
    """Lay the pictures of each candidate over one another, and keep those whose details agree."""
    chunks = range(0, len(candidates.left), _CHUNK)

    def agreement_of(start: int) -> npt.NDArray[np.float32]:
        return _agreement(left, right, candidates.take(slice(start, start + _CHUNK)))

    parts = [np.empty(0, np.float32)]
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, part in enumerate(pool.map(agreement_of, chunks)):
            parts.append(part)
            done = min((number + 1) * _CHUNK, len(candidates.left))
            on_progress(COMPARING, done, len(candidates.left))
    agreement = np.concatenate(parts)
    is_copy = agreement >= MIN_AGREEMENT
    kept = candidates.take(is_copy)
    bytes_differ = np.zeros(len(kept.left), bool)
    return Copies(kept.left, kept.right, agreement[is_copy], kept.is_mirrored, bytes_differ)


def _agreement(
    left: Thumbnails, right: Thumbnails, candidates: _Candidates
) -> npt.NDArray[np.float32]:
    """Return how well the details of candidates agree, -1 where not even coarsely."""
    ours, theirs = left[candidates.left], right[candidates.right]
    is_swapped = ~candidates.whole_is_left
    fixed, moving = ours.copy(), theirs.copy()
    fixed[is_swapped], moving[is_swapped] = theirs[is_swapped], ours[is_swapped]
    windows = descriptors.VIEWS[candidates.view]
    maps = alignment.maps_of_windows(windows, candidates.is_mirrored)
    maps, agreement = alignment.align(fixed, moving, maps, alignment.COARSE)
    close = np.flatnonzero(agreement >= _MIN_COARSE_AGREEMENT)
    agreement[:] = -1
    _, agreement[close] = alignment.align(fixed[close], moving[close], maps[close], alignment.FINE)
    return agreement


def _add_equal_bytes(left: Fingerprints, right: Fingerprints, found: Copies) -> Copies:
    """Return the same pairs and those of equal bytes, each pair once, in order."""
    rows: dict[str, list[int]] = {}
    for row, digest in enumerate(right.digests):
        rows.setdefault(digest, []).append(row)
    equal = np.array(
        [
            (row, other)
            for row, digest in enumerate(left.digests)
            for other in rows.get(digest, ())
            if left is not right or row < other
        ],
        np.int64,
    ).reshape(-1, 2)
    certain = np.ones(len(equal), bool)
    pairs = Copies(equal[:, 0], equal[:, 1], certain.astype(np.float32), ~certain, certain)
    return _each_once(pairs.join(found))


def _each_once(found: Copies) -> Copies:
    """Return each pair once, as it is most certain: by bytes, then by details, then upright."""
    keys = (found.is_mirrored, -found.agreement, ~found.has_equal_bytes, found.right, found.left)
    ordered = found.take(np.lexsort(keys))
    is_new = np.diff(ordered.left, prepend=-1) != 0
    is_new |= np.diff(ordered.right, prepend=-1) != 0
    return ordered.take(is_new)
