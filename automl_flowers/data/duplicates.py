"""Near copies: pictures that are the same photograph, resized or compressed again.

A difference hash says, for an 8x8 grid, whether a picture gets darker to the right; two pictures
whose 64 answers differ in at most `MAX_DISTANCE` places are taken for copies.

Reference:
    N. Krawetz, "Kind of Like That", 2013, http://www.hackerfactor.com/blog/?/archives/529
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Hashes = npt.NDArray[np.uint64]

MAX_DISTANCE = 4
"""Of 64. Unrelated photographs differ in about 30."""

_CHUNK = 1024


def difference_hashes(images: Iterable[npt.NDArray[np.uint8]]) -> Hashes:
    """Return the difference hash of each image.

    Args:
        images: uint8, `(height, width, 3)` each.

    Returns:
        uint64, `(num_images,)`.
    """
    return np.array([_difference_hash(image) for image in images], dtype=np.uint64)


def _difference_hash(image: npt.NDArray[np.uint8]) -> int:
    small = Image.fromarray(image).convert("L").resize((9, 8), Image.Resampling.BOX)
    grey = np.asarray(small, dtype=np.int16)
    bits = np.packbits(grey[:, 1:] < grey[:, :-1])
    return int.from_bytes(bits.tobytes())


def near_pairs(
    left: Hashes, right: Hashes, max_distance: int = MAX_DISTANCE
) -> npt.NDArray[np.int64]:
    """Return all pairs of a left and a right hash that differ in few bits.

    Args:
        left: uint64, `(n,)`.
        right: uint64, `(m,)`.
        max_distance: Largest number of differing bits.

    Returns:
        int64, `(num_pairs, 2)`: positions in `left` and in `right`, in order. Cost is n x m.
    """
    found = [np.empty((0, 2), np.int64)]
    for start in range(0, len(left), _CHUNK):
        distance = np.bitwise_count(left[start : start + _CHUNK, None] ^ right[None, :])
        pairs = np.argwhere(distance <= max_distance)
        pairs[:, 0] += start
        found.append(pairs)
    return np.concatenate(found)


def group_copies(hashes: Hashes) -> npt.NDArray[np.int64]:
    """Return a group number for each hash; near copies, and copies of copies, share one."""
    pairs = near_pairs(hashes, hashes)
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(hashes), len(hashes)))
    _, groups = connected_components(links, directed=False)
    return np.asarray(groups, dtype=np.int64)
