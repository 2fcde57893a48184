"""Leaks: training images that are copies of images on which scores are taken, and what is done.

What is trained on gives way, never what is evaluated: dropping images of `val`, `blend` or `test`
would change the question that a score answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from automl_flowers.data.copies import Copies, OnProgress, find_copies
from automl_flowers.data.copies.fingerprints import Fingerprints
from automl_flowers.errors import DataError

EVALUATION_SPLITS = ("val", "blend", "test")

Policy = Literal["drop", "warn", "fail", "keep"]
"""`drop`: the training or external image is not used. `warn`: it is, and that is said. `fail`: an
error. `keep`: it is used, and only the files and the report of a run say so."""

MAX_SHARE_DROPPED = 0.2
"""Of the images of a data set; more, and it is said that they may be no copies."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Match:
    """An image that another one is a copy of.

    Attributes:
        file: Its id.
        split: Its split.
        agreement: How well details agree, in [0, 1]; 1 for equal bytes.
        mirrored: Whether one is the mirror image of the other.
        equal_bytes: Whether the files are equal, byte by byte.
    """

    file: str
    split: str
    agreement: float
    mirrored: bool
    equal_bytes: bool


@dataclass(frozen=True)
class Leak:
    """An image that must not be trained on, and why.

    Attributes:
        file: Its id.
        source: Short name of its data set.
        matches: Images that scores are taken on and that it is a copy of, the surest first.
    """

    file: str
    source: str
    matches: tuple[Match, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


@dataclass(frozen=True)
class Leaks:
    """What was found, and what was done about it.

    Attributes:
        policy: What was asked for.
        found: One a leaking image, ordered by id.
    """

    policy: Policy
    found: tuple[Leak, ...] = ()

    @property
    def dropped(self) -> tuple[str, ...]:
        """Ids of the images that are not trained on because of this."""
        return tuple(leak.file for leak in self.found) if self.policy == "drop" else ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as it stands in `data.json`."""
        return {
            "policy": self.policy,
            "dropped": list(self.dropped),
            "found": [leak.to_dict() for leak in self.found],
        }

    def sentence(self, kind: str) -> str | None:
        """Return what was found and done; None if there is nothing to say.

        Args:
            kind: Of the images: `training` or `external`.
        """
        if not self.found or self.policy == "keep":
            return None
        done = "dropped" if self.policy == "drop" else "trained on all the same (`--leaks warn`)"
        was = "was" if len(self.found) == 1 else "were"
        copies = _are_copies(self.found, kind)
        return f"{copies} of evaluation images and {was} {done}: {_named(self.found)}"


NOTHING_DONE = Leaks("keep")


def find_leaks(
    copies: Copies,
    *,
    files: Sequence[str],
    source: str,
    held_out: Sequence[str],
    splits: Sequence[str],
) -> tuple[Leak, ...]:
    """Return which images are copies of images that scores are taken on.

    Args:
        copies: Pairs; left are the images to judge, right those that scores are taken on.
        files: Ids of the images to judge, by the positions in `copies.left`.
        source: Short name of their data set.
        held_out: Ids of the others, by the positions in `copies.right`.
        splits: And their splits.
    """
    matches: dict[int, list[Match]] = {}
    for left, right, agreement, mirrored, equal in zip(
        *(values.tolist() for values in vars(copies).values()), strict=True
    ):
        match = Match(held_out[right], splits[right], round(agreement, 4), mirrored, equal)
        matches.setdefault(left, []).append(match)
    return tuple(
        Leak(files[row], source, tuple(sorted(found, key=_by_certainty)))
        for row, found in sorted(matches.items(), key=lambda item: files[item[0]])
    )


def leaks_within(
    pictures: Fingerprints, splits: Sequence[str], source: str, on_progress: OnProgress
) -> tuple[Leak, ...]:
    """Return which training images of a data set are copies of its evaluation images.

    The two sides are searched against one another, so copies among training images crowd out
    nothing. Each pair was confirmed by itself: a copy of a copy that shares nothing with the
    evaluation image is no leak, and one false pair does not take a chain of others with it.

    Args:
        pictures: Fingerprints of all images.
        splits: Split of each image.
        source: Short name of the data set.
        on_progress: Hears of a long search, and of comparing.
    """
    names = np.array(splits, dtype=str)
    train, held_out = (
        np.flatnonzero(names == "train"),
        np.flatnonzero(np.isin(names, EVALUATION_SPLITS)),
    )
    ours, theirs = pictures.take(train), pictures.take(held_out)
    return find_leaks(
        find_copies(ours, theirs, on_progress),
        files=ours.ids,
        source=source,
        held_out=theirs.ids,
        splits=names[held_out].tolist(),
    )


def obey(policy: Policy, found: tuple[Leak, ...], kind: str) -> Leaks:
    """Return what was found under a policy.

    Args:
        policy: What was asked for.
        found: Images that leak.
        kind: Of the images: `training` or `external`.

    Raises:
        DataError: If the policy is to fail and something was found.
    """
    if policy == "fail" and found:
        raise DataError(
            f"{_are_copies(found, kind)} of images that scores are taken on: {_named(found)}.",
            hint="remove them, or leave `--leaks` at `drop`; "
            "`automl-flowers data check` shows all of them",
        )
    return Leaks(policy, found)


def share_warning(num_dropped: int, num_images: int, what: str) -> str | None:
    """Return a warning if so many images are dropped that they may be no copies; None if not.

    Args:
        num_dropped: Images that are dropped.
        num_images: Images that there were, those included.
        what: The images, such as `training images`.
    """
    if num_dropped <= MAX_SHARE_DROPPED * num_images:
        return None
    return (
        f"warning: {num_dropped} of {num_images} {what} ({num_dropped / num_images:.0%}) are "
        "dropped as copies of evaluation images. Icons, drawings and scans on white may be "
        "taken for copies: look at the pairs with `automl-flowers data check`, and train on them "
        "with `--leaks warn` if they are none"
    )


def _by_certainty(match: Match) -> tuple[bool, float, str]:
    return not match.equal_bytes, -match.agreement, match.file


def _are_copies(found: Sequence[Leak], kind: str) -> str:
    if len(found) == 1:
        return f"1 {kind} image is a copy"
    return f"{len(found)} {kind} images are copies"


def _named(found: Sequence[Leak]) -> str:
    named = ", ".join(
        f"{leak.file} ({leak.matches[0].split}: {leak.matches[0].file})"
        for leak in found[:_MOST_NAMED]
    )
    more = len(found) - _MOST_NAMED
    return f"{named} and {more} more" if more > 0 else named
