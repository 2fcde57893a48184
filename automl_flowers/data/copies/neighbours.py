"""Search: which windows of many pictures look like which whole pictures.

Few pictures are all compared with one another. Of many, each window goes to one of a thousand
cells, by the nearest of their centres, and each whole picture is compared with the windows in the
cells nearest to it only. What is near is said by the lowest frequencies: the window that fits a
crop best may lie a little beside it, where high ones are others already. Either way it is matrix
products, and needs nothing but NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from automl_flowers.data.copies.descriptors import VIEWS, Floats, coarse, describe

Integers = npt.NDArray[np.int64]
OnProgress = Callable[[int, int], None]

MAX_COMPARISONS = 4e9
"""More than these, and cells are used; so many take about ten seconds on two cores."""

NUM_CELLS = 1024
NUM_PROBES = 32

_BLOCK = 4096
_PICTURES_AT_ONCE = 65_536
_FIT_INTO_CACHE = 256
_SAMPLE_PER_CELL = 20
_SLACK, _FEW = 8, 1_000_000
"""Matches held, as a multiple of those wanted, before the weak ones go; and how many are few."""
_ROUNDS = 4


@dataclass(frozen=True)
class Matches:
    """Windows that look like whole pictures.

    Attributes:
        whole: Positions of the whole pictures.
        picture: Positions of the pictures whose window it is.
        view: Positions of the windows in `VIEWS`.
        similarity: Inner products of their descriptors, up to 1.
    """

    whole: Integers
    picture: Integers
    view: Integers
    similarity: Floats

    def take(self, positions: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Matches:
        """Return some of the matches."""
        return Matches(
            self.whole[positions],
            self.picture[positions],
            self.view[positions],
            self.similarity[positions],
        )


@dataclass(frozen=True)
class _Cells:
    """Cells, and for each the whole pictures that are compared with the windows in it.

    Attributes:
        centres: Coarse descriptors.
        wholes: Positions, cell by cell.
        descriptors: And their descriptors.
    """

    centres: Floats
    wholes: tuple[Integers, ...]
    descriptors: tuple[Floats, ...]


def find_windows(
    wholes: Floats,
    prepared: Floats,
    min_similarity: float,
    *,
    limit: int,
    num_cells: int | None = None,
    num_probes: int = NUM_PROBES,
    on_progress: OnProgress = lambda done, total: None,
) -> Matches:
    """Find the windows that look like whole pictures.

    Args:
        wholes: Descriptors of whole pictures, `(num_wholes, num_numbers)`.
        prepared: Pictures as from `descriptors.prepare`, of which all windows are taken.
        min_similarity: Least inner product of two descriptors.
        limit: Pictures to find for each whole picture, and whole pictures for each picture, the
            most similar ones. Few more are ever held, so the memory does not grow with how alike
            pictures are.
        num_cells: How many; by default 1 if there are few comparisons to make. With one cell,
            or as many probes as cells, all is compared with all.
        num_probes: Cells that each whole picture is compared with.
        on_progress: Called with the windows done of each picture, and their number, if there are
            so many pictures that there are cells.

    Returns:
        For each whole, and each of the pictures found for it or that it was found for, the most
        similar window, ordered by whole, then picture.
    """
    if num_cells is None:
        comparisons = len(wholes) * len(prepared) * len(VIEWS)
        num_cells = 1 if comparisons <= MAX_COMPARISONS else NUM_CELLS
    cells = _make_cells(wholes, num_cells, num_probes)

    def matches_of(view: int) -> Matches:
        found = _Strongest(len(wholes), len(prepared), limit)
        for part in _match_view(prepared, view, min_similarity, cells, limit):
            found.add(part)
        return found.matches()

    # Each thread has a view of its own; BLAS with threads of its own would only get in their way.
    found = _Strongest(len(wholes), len(prepared), limit)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, matches in enumerate(pool.map(matches_of, range(len(VIEWS)))):
            found.add(matches)
            if num_cells > 1:
                on_progress(number + 1, len(VIEWS))
    return found.matches()


class _Strongest:
    """The most similar matches of each picture of both sides, gathered in a bounded number.

    Args:
        num_wholes: Whole pictures.
        num_pictures: Pictures that windows were taken of.
        limit: Pictures to keep for each whole picture, and the other way round.
    """

    def __init__(self, num_wholes: int, num_pictures: int, limit: int) -> None:
        self._num_pictures, self._limit = num_pictures, limit
        self._most_held = max(_SLACK * limit * (num_wholes + num_pictures), _FEW)
        self._parts: list[Matches] = []
        self._num_held = 0

    def add(self, matches: Matches) -> None:
        """Add matches, and let go of weak ones if there are too many."""
        self._parts.append(matches)
        self._num_held += len(matches.whole)
        if self._num_held > self._most_held:
            self._parts = [self.matches()]
            self._num_held = len(self._parts[0].whole)

    def matches(self) -> Matches:
        """Return the strongest, each pair once, ordered by whole, then picture."""
        best = _best_views(_joined(self._parts), self._num_pictures)
        kept = most_similar_of_both(best.whole, best.picture, best.similarity, self._limit)
        return best.take(kept)


def most_similar_of_both(
    whole: Integers, picture: Integers, similarity: Floats, limit: int
) -> Integers:
    """Return the positions of the matches that are among the most similar of either side.

    Of a crop and its many originals, the crop's own best are a few of them. But it is the best of
    each original, so none of them is lost.

    Args:
        whole: Of each match.
        picture: Of each match.
        similarity: Of each match.
        limit: Matches to keep for each whole picture, and for each picture.
    """
    of_wholes = most_similar(whole, similarity, limit)
    return np.union1d(of_wholes, most_similar(picture, similarity, limit))


def most_similar(group: Integers, similarity: Floats, limit: int) -> Integers:
    """Return the positions of the `limit` most similar matches of each group, in order."""
    order = np.lexsort((-similarity, group))
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.sort(order[rank < limit])


def _match_view(
    prepared: Floats, view: int, min_similarity: float, cells: _Cells, limit: int
) -> Iterator[Matches]:
    at_once = _BLOCK if len(cells.wholes) == 1 else _PICTURES_AT_ONCE
    for start in range(0, len(prepared), at_once):
        windows = describe(prepared[start : start + at_once], view)
        homes = _nearest(coarse(windows), cells.centres)
        order = np.argsort(homes, kind="stable")
        ends = np.searchsorted(homes[order], np.arange(len(cells.wholes) + 1))
        for cell, (wholes, theirs) in enumerate(zip(cells.wholes, cells.descriptors, strict=True)):
            inside = order[ends[cell] : ends[cell + 1]]
            for here in np.split(inside, range(_BLOCK, len(inside), _BLOCK)):
                if not len(here):
                    continue
                ours = windows[here]
                for first in range(0, len(wholes), _BLOCK):
                    similarity = theirs[first : first + _BLOCK] @ ours.T
                    whole, picture = _strong_places(similarity, min_similarity, limit)
                    yield Matches(
                        wholes[first + whole],
                        here[picture] + start,
                        np.full(len(whole), view),
                        similarity[whole, picture],
                    )


def _strong_places(
    similarity: Floats, min_similarity: float, limit: int
) -> tuple[Integers, Integers]:
    """Return rows and columns of what is similar enough; if it is much, of the most in each."""
    is_similar = similarity >= min_similarity
    if np.count_nonzero(is_similar) > limit * sum(similarity.shape):
        is_similar &= _is_strongest(similarity, limit, 0) | _is_strongest(similarity, limit, 1)
    return np.divmod(np.flatnonzero(is_similar), similarity.shape[1])


def _is_strongest(similarity: Floats, limit: int, axis: int) -> npt.NDArray[np.bool_]:
    """Return where the `limit` largest numbers along an axis are."""
    found = np.zeros(similarity.shape, bool)
    few = min(limit, similarity.shape[axis])
    best = np.argpartition(-similarity, few - 1, axis=axis).take(range(few), axis=axis)
    np.put_along_axis(found, best, True, axis=axis)
    return found


def _joined(parts: list[Matches]) -> Matches:
    none = np.empty(0, np.int64)
    all_parts = [Matches(none, none, none, none.astype(np.float32)), *parts]
    return Matches(
        **{
            name: np.concatenate([vars(part)[name] for part in all_parts])
            for name in vars(all_parts[0])
        }
    )


def _best_views(matches: Matches, num_pictures: int) -> Matches:
    pair = matches.whole * num_pictures + matches.picture
    ordered = np.lexsort((matches.view, -matches.similarity, pair))
    is_first = np.diff(pair[ordered], prepend=-1) > 0
    return matches.take(ordered[is_first])


def _make_cells(wholes: Floats, num_cells: int, num_probes: int) -> _Cells:
    """Divide the sphere of coarse descriptors by a few rounds of k-means on some of them."""
    if num_cells == 1:
        return _Cells(wholes[:1], (np.arange(len(wholes)),), (wholes,))
    rng = np.random.default_rng(0)
    size = min(len(wholes), num_cells * _SAMPLE_PER_CELL)
    sample = coarse(wholes[np.sort(rng.choice(len(wholes), size, replace=False))])
    centres = sample[rng.choice(size, num_cells, replace=size < num_cells)]
    for _ in range(_ROUNDS):
        homes = _nearest(sample, centres)
        sums = np.zeros_like(centres)
        np.add.at(sums, homes, sample)
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(length > 0, sums / np.maximum(length, 1e-6), centres)
    probes = min(num_probes, num_cells)
    members: list[list[Integers]] = [[] for _ in range(num_cells)]
    for start in range(0, len(wholes), _BLOCK):
        closeness = coarse(wholes[start : start + _BLOCK]) @ centres.T
        nearest = np.argpartition(-closeness, probes - 1, axis=1)[:, :probes]
        whole, _ = np.divmod(np.arange(nearest.size), probes)
        order = np.argsort(nearest.ravel(), kind="stable")
        ends = np.searchsorted(nearest.ravel()[order], np.arange(num_cells + 1))
        for cell in range(num_cells):
            members[cell].append(whole[order[ends[cell] : ends[cell + 1]]] + start)
    chosen = tuple(np.concatenate([np.empty(0, np.int64), *parts]) for parts in members)
    return _Cells(centres, chosen, tuple(wholes[some] for some in chosen))


def _nearest(descriptors: Floats, centres: Floats) -> Integers:
    homes = np.zeros(len(descriptors), np.int64)
    if len(centres) <= 1:
        return homes
    closeness = np.empty((min(_FIT_INTO_CACHE, len(descriptors)), len(centres)), np.float32)
    for start in range(0, len(descriptors), _FIT_INTO_CACHE):
        some = descriptors[start : start + _FIT_INTO_CACHE]
        here = np.matmul(some, centres.T, out=closeness[: len(some)])
        here.argmax(axis=1, out=homes[start : start + len(some)])
    return homes
