"""Equal things: pictures with the same key, linked by pairs whose number is bounded.

Of n equal pictures there are n (n - 1) / 2 pairs, which for ten thousand placeholders are fifty
million. Each picture is linked with at most `MAX_LINKS` others here, by which all of them still
hang together, and each is linked with some picture of the other side if there is one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from automl_flowers.data.copies.fingerprints import Fingerprints, Thumbnails
from automl_flowers.data.copies.neighbours import most_similar
from automl_flowers.data.copies.pairs import Copies, Integers

MAX_LINKS = 6
"""Of each picture of a group, from its side. Groups of up to seven are linked completely."""


def _positions_of(keys: Iterable[Hashable]) -> dict[Hashable, Integers]:
    """Return where each key stands."""
    found: dict[Hashable, list[int]] = {}
    for position, key in enumerate(keys):
        found.setdefault(key, []).append(position)
    return {key: np.array(positions, np.int64) for key, positions in found.items()}


def link_across(left: Integers, right: Integers) -> Integers:
    """Return pairs of two groups in which each member of the one and the other has a part.

    Returns:
        `(num_pairs, 2)`; all pairs if the smaller group has at most `MAX_LINKS` members.
    """
    if len(left) > len(right):
        return link_across(right, left)[:, ::-1]
    turned = np.arange(len(right))[:, None] + np.arange(min(MAX_LINKS, len(left)))
    return np.stack([left[turned % len(left)].ravel(), right.repeat(turned.shape[1])], axis=1)


def link_within(members: Integers) -> Integers:
    """Return pairs by which the members of a group hang together, `(num_pairs, 2)`."""
    first = np.arange(len(members))[:, None].repeat(MAX_LINKS, axis=1)
    second = first + 1 + np.arange(MAX_LINKS)
    inside = second < len(members)
    return np.stack([members[first[inside]], members[second[inside]]], axis=1)


def equal_copies(left: Fingerprints, right: Fingerprints | None = None) -> Copies:
    """Return pairs of pictures with equal bytes, and with equal pixels.

    Args:
        left: The one set.
        right: The other; None for pairs within the one.
    """
    other = left if right is None else right
    links = np.concatenate(
        [
            _equal_pairs(left.digests, None if right is None else right.digests),
            _equal_pairs(left.pixel_digests, None if right is None else right.pixel_digests),
        ]
    )
    has_equal_bytes = np.fromiter(
        (left.digests[one] == other.digests[two] for one, two in links), bool, len(links)
    )
    certain = np.ones(len(links), np.float32)
    return Copies(links[:, 0], links[:, 1], certain, np.zeros(len(links), bool), has_equal_bytes)


def _equal_pairs(left: Iterable[Hashable], right: Iterable[Hashable] | None) -> Integers:
    ours = _positions_of(left)
    if right is None:
        parts = [link_within(members) for members in ours.values() if len(members) > 1]
    else:
        theirs = _positions_of(right)
        parts = [link_across(ours[key], theirs[key]) for key in ours if key in theirs]
    return np.concatenate([np.empty((0, 2), np.int64), *parts])


@dataclass(frozen=True)
class Members:
    """Groups of pictures whose thumbnails are equal.

    Attributes:
        first: Position of each group's first picture.
        repeated: Groups with more than one, in order.
    """

    first: Integers
    repeated: Integers
    _more: dict[int, Integers]

    def of(self, group: int) -> Integers:
        """Return the positions of a group's pictures."""
        return self._more.get(int(group), self.first[group : group + 1])


def group_equal(thumbnails: Thumbnails) -> Members:
    """Return groups of equal thumbnails, in the order of their first pictures."""
    keys = (hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in thumbnails)
    groups = list(_positions_of(keys).values())
    more = {number: group for number, group in enumerate(groups) if len(group) > 1}
    first = np.array([group[0] for group in groups], np.int64)
    return Members(first, np.array(list(more), np.int64), more)


def copies_of_members(found: Copies, left: Members, right: Members) -> Copies:
    """Return pairs of pictures for pairs of groups.

    All first pictures of the groups are paired. The others are with those of the `MAX_LINKS`
    groups that agree best with theirs, so that no picture is left out.

    Args:
        found: Pairs of groups, each once.
        left: The groups on the one side.
        right: And on the other.
    """
    forth = _copies_of_left_members(found, left, right)
    back = _copies_of_left_members(found.swapped(), right, left).swapped()
    return found.at(left.first, right.first).join(forth, back)


def _copies_of_left_members(found: Copies, left: Members, right: Members) -> Copies:
    pairs = found.take(most_similar(found.left, found.agreement, MAX_LINKS))
    several = np.isin(pairs.left, left.repeated) | np.isin(pairs.right, right.repeated)
    pairs = pairs.take(several)
    links = [
        link_across(left.of(one), right.of(two)[:MAX_LINKS])
        for one, two in zip(pairs.left, pairs.right, strict=True)
    ]
    return _along(pairs, links)


def copies_within_groups(found: Copies, members: Members) -> Copies:
    """Return pairs of the pictures of groups, each of which was found to be a copy of itself."""
    return _along(found, [link_within(members.of(group)) for group in found.left])


def _along(found: Copies, links: Sequence[Integers]) -> Copies:
    """Return each pair once for each of its links, with the link's positions."""
    repeated = found.take(np.repeat(np.arange(len(found)), [len(some) for some in links]))
    both = np.concatenate([np.empty((0, 2), np.int64), *links])
    return replace(repeated, left=both[:, 0], right=both[:, 1])
