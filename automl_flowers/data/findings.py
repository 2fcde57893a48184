"""Findings of the leak audit: images, pairs of copies, leaks, and what each of them means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["exact bytes", "exact pixels", "near"]

Role = Literal["evaluation", "training", "undivided", "external"]
"""What an image is for: `undivided` ones are still to be divided into training and evaluation."""

Outcome = Literal["dropped", "depends", "kept", "not used"]
"""What `--leaks drop` does with an image: `depends` on how the division of our data turns out."""


@dataclass(frozen=True)
class Picture:
    """An image in a pair.

    Attributes:
        file: Its id.
        data_set: Short name of its data set.
        split: `train`, `val`, `blend`, `test` or `external`.
        role: What it is for.
        label: Our name of its class; None if it has none, or none of ours.
        row: Its position in `Audit.rows`.
    """

    file: str
    data_set: str
    split: str
    role: Role
    label: str | None
    row: int

    @property
    def source(self) -> str:
        """`external`, or the name of our data set."""
        return "external" if self.role == "external" else self.data_set

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {k: getattr(self, k) for k in ("file", "source", "data_set", "split", "label")}


@dataclass(frozen=True)
class Pair:
    """Two images that are copies of one another.

    Attributes:
        first: The one.
        second: The other.
        agreement: How well details agree, in [0, 1]; 1 for equal bytes.
        kind: How equal they are.
        mirrored: Whether one is the mirror image of the other.
    """

    first: Picture
    second: Picture
    agreement: float
    kind: Kind
    mirrored: bool

    @property
    def leaking(self) -> Picture | None:
        """The image that brings into training what the other shows; None if none does.

        An external image does if the other is one of ours, whatever it is for; one of ours does
        if scores are taken on the other and not on it.
        """
        first, second = self.first, self.second
        if (first.role == "external") != (second.role == "external"):
            return first if first.role == "external" else second
        if (first.role == "evaluation") != (second.role == "evaluation"):
            return second if first.role == "evaluation" else first
        return None

    @property
    def is_conflict(self) -> bool:
        """Whether their classes are known and differ."""
        return None not in (self.first.label, self.second.label) and (
            self.first.label != self.second.label
        )

    @property
    def is_within(self) -> bool:
        """Whether both are in one split of one data set."""
        return (self.first.data_set, self.first.split) == (
            self.second.data_set,
            self.second.split,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "files": [self.first.to_dict(), self.second.to_dict()],
            **{name: getattr(self, name) for name in ("agreement", "kind", "mirrored")},
        }


@dataclass(frozen=True)
class Leak:
    """An image that brings others of our data into training.

    Attributes:
        picture: It.
        pairs: With each image that it is a copy of, the surest first.
    """

    picture: Picture
    pairs: tuple[Pair, ...]

    @property
    def matches(self) -> tuple[Picture, ...]:
        """The images that it is a copy of, the surest first."""
        return tuple(p.second if p.first == self.picture else p.first for p in self.pairs)

    @property
    def outcome(self) -> Outcome:
        """What `--leaks drop` does with it.

        Training on a copy of another training image is no leak of a score, so it is kept.
        """
        roles = {match.role for match in self.matches}
        if self.picture.role == "external" and self.picture.label is None:
            return "not used"
        if "evaluation" in roles:
            return "dropped"
        return "depends" if "undivided" in roles else "kept"


KINDS: Mapping[str, Callable[[Pair], bool]] = {
    "conflicts": lambda pair: pair.is_conflict,
    "within": lambda pair: pair.is_within,
    "between_evaluation": lambda pair: (
        pair.first.role == pair.second.role == "evaluation" and not pair.is_within
    ),
    "repeated": lambda pair: (
        pair.first.role == pair.second.role == "external" and not pair.is_within
    ),
}
"""Names of pairs by what they mean, and whether a pair is one. Leaks stand by themselves."""


def by_certainty(pair: Pair) -> tuple[int, float, int, int]:
    """Return what pairs are ordered by, the surest first."""
    kinds = ("exact bytes", "exact pixels", "near")
    return kinds.index(pair.kind), -pair.agreement, pair.first.row, pair.second.row
