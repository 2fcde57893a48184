"""Pairs of copies as columns of arrays, and the groups that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Copies:
    """Pairs of copies.

    Attributes:
        left: Positions on the one side.
        right: Positions on the other side.
        agreement: How well details agree, in [MIN_AGREEMENT, 1]; 1 for equal bytes or pixels.
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

    def join(self, *others: Copies) -> Copies:
        """Return the pairs of all."""
        parts = [vars(part) for part in (self, *others)]
        return Copies(**{name: np.concatenate([part[name] for part in parts]) for name in parts[0]})

    def swapped(self) -> Copies:
        """Return the pairs with left for right."""
        return replace(self, left=self.right, right=self.left)

    def at(self, left: Integers, right: Integers) -> Copies:
        """Return the pairs with other positions in the place of each one."""
        return replace(self, left=left[self.left], right=right[self.right])

    def in_order(self) -> Copies:
        """Return the pairs of one set with `left < right`."""
        first, second = np.minimum(self.left, self.right), np.maximum(self.left, self.right)
        return replace(self, left=first, right=second)

    def each_once(self) -> Copies:
        """Return each pair as it is most certain: by bytes, then by details, then upright."""
        keys = (self.is_mirrored, -self.agreement, ~self.has_equal_bytes, self.right, self.left)
        ordered = self.take(np.lexsort(keys))
        is_new = np.diff(ordered.left, prepend=-1) != 0
        is_new |= np.diff(ordered.right, prepend=-1) != 0
        return ordered.take(is_new)


def join_copies(parts: Sequence[Copies]) -> Copies:
    """Return the pairs of all parts, of which there may be none."""
    none = np.empty(0, np.int64)
    empty = Copies(none, none, none.astype(np.float32), none.astype(bool), none.astype(bool))
    return empty.join(*parts)


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
