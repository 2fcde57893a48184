"""From candidates to pairs: descriptors find them, pixels confirm them.

Thumbnails that are equal, number by number, are compared once, and what was found holds for all
pictures that have them.
"""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from automl_flowers.data.copies import alignment, descriptors, neighbours
from automl_flowers.data.copies.equal import (
    copies_of_members,
    copies_within_groups,
    equal_copies,
    group_equal,
)
from automl_flowers.data.copies.fingerprints import Fingerprints, Thumbnails
from automl_flowers.data.copies.pairs import Booleans, Copies, Integers, join_copies

MIN_AGREEMENT = 0.83
"""Correlation of details from which two pictures are taken for copies.

Different photographs of flowers reach 0.7; of copies, 99 in 100 reach 0.87. Drawn flowers, which
have few details, come close to it at times (docs/benchmarks/leak_audit.md).
"""

MIN_SIMILARITY = 0.62
"""Of descriptors, for candidates: that of a copy that was cropped by 25 % may be as low."""

MAX_CANDIDATES = 6
"""Of each picture, as a whole and as what windows are taken of: true copies are almost always among
the first. Of a crop with more originals than these, each original has the crop among its own."""

_MIN_COARSE_AGREEMENT = 0.4
_CHUNK = 512

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is, and the total."""

SEARCHING = "looking for pictures that look alike"
COMPARING = "comparing pictures that look alike"


def _quietly(what: str, done: int, total: int) -> None:
    """Report nothing."""


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

    Each picture that has copies on the other side is in some pair; one with very many of them is
    not in all of the pairs that there are.

    Args:
        left: The one set.
        right: The other set.
        on_progress: Hears of a long search, and of comparing.

    Returns:
        Pairs, ordered by left, then right.
    """
    ours, theirs = (group_equal(side.thumbnails) for side in (left, right))
    one, other = left.thumbnails[ours.first], right.thumbnails[theirs.first]
    forth = _candidates(descriptors.prepare(one), descriptors.prepare(other), on_progress)
    back = _candidates(
        descriptors.prepare(other), descriptors.prepare(one), on_progress, is_swapped=True
    )
    found = _confirm(one, other, forth.join(back), on_progress).each_once()
    near = copies_of_members(found, ours, theirs)
    return near.join(equal_copies(left, right)).each_once()


def find_copies_within(pictures: Fingerprints, on_progress: OnProgress = _quietly) -> Copies:
    """Find the pictures of a set that are copies of one another.

    Args:
        pictures: The set.
        on_progress: As for `find_copies`.

    Returns:
        Pairs with `left < right`, in order. Of very many copies of one picture not all pairs are
        there, but enough to know that they belong together.
    """
    members = group_equal(pictures.thumbnails)
    thumbnails = pictures.thumbnails[members.first]
    prepared = descriptors.prepare(thumbnails)
    candidates = _candidates(prepared, prepared, on_progress, are_same=True)
    candidates = candidates.join(_of_themselves(members.repeated))
    found = _confirm(thumbnails, thumbnails, candidates, on_progress).in_order().each_once()
    is_itself = found.left == found.right
    alike = copies_within_groups(found.take(is_itself), members)
    near = copies_of_members(found.take(~is_itself), members, members)
    return alike.join(near, equal_copies(pictures)).in_order().each_once()


def find_copies_among(parts: Sequence[Fingerprints], on_progress: OnProgress = _quietly) -> Copies:
    """Find copies within and across sets, each set and each two sets by themselves.

    So a picture that has many look-alikes in one set is still found in each of the others.

    Args:
        parts: The sets.
        on_progress: As for `find_copies`.

    Returns:
        Pairs of positions in all sets, one after the other, with `left < right`, in order.
    """
    starts = np.cumsum([0, *(len(part) for part in parts)])
    places = [np.arange(start, end) for start, end in itertools.pairwise(starts)]
    found = [
        find_copies_within(part, on_progress).at(place, place)
        for part, place in zip(parts, places, strict=True)
    ]
    found += [
        find_copies(parts[one], parts[two], on_progress).at(places[one], places[two])
        for one, two in itertools.combinations(range(len(parts)), 2)
    ]
    return join_copies(found).each_once()


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
        both,
        windows,
        MIN_SIMILARITY,
        limit=MAX_CANDIDATES + are_same,
        on_progress=functools.partial(on_progress, SEARCHING),
    )
    if are_same:
        matches = matches.take(matches.whole % len(wholes) != matches.picture)
    is_mirrored = matches.whole >= len(wholes)
    whole = matches.whole - len(wholes) * is_mirrored
    kept = neighbours.most_similar_of_both(
        whole, matches.picture, matches.similarity, MAX_CANDIDATES
    )
    matches, whole, is_mirrored = matches.take(kept), whole[kept], is_mirrored[kept]
    left, right = (matches.picture, whole) if is_swapped else (whole, matches.picture)
    whole_is_left = np.full(len(whole), not is_swapped)
    return _Candidates(left, right, matches.view, whole_is_left, is_mirrored)


def _of_themselves(groups: Integers) -> _Candidates:
    """Return each group beside itself: whether there is enough to see for calling it a copy."""
    yes = np.ones(len(groups), bool)
    return _Candidates(groups, groups, np.full(len(groups), descriptors.WHOLE), yes, ~yes)


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
