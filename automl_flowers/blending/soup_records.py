"""What the records of soups say: of which fits they were made, and that they took their place.

The weights of a fit are removed once they are in a soup that is kept. Whether that soup is still
the one of these fits is seen in its record: another run of the ensemble, with other images or
other seeds, may have put another one under its name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from automl_flowers.blending.fits import note_in_record, read_known, read_record


@dataclass(frozen=True)
class TriedSoup:
    """What one model of averaged weights does beside the mean of what several fits predict.

    Attributes:
        split: Whose images were predicted.
        probabilities: Macro F1 and log loss of the mean of the fits' probabilities.
        weights: The same of the model whose weights are the mean of theirs.
    """

    split: str
    probabilities: dict[str, float]
    weights: dict[str, float]

    @property
    def is_kept(self) -> bool:
        """Whether the one model takes the place of the fits: where its log loss is not higher."""
        return self.weights["log_loss"] <= self.probabilities["log_loss"]


@dataclass(frozen=True)
class Ingredients:
    """What a soup is made of.

    Attributes:
        first: Name of the first fit.
        origins: What each fit was trained on (`Fit.trained_on`).
        kind: What the fits differ in: `soup` for their seed, `recipes` for their recipe.
    """

    first: str
    origins: tuple[str, ...]
    kind: str = "soup"

    @property
    def soup_name(self) -> str:
        """Name of the soup's files.

        Of other recipes it is another one, so that a soup that is in use is not written over.
        """
        name = f"{self.first}.{self.kind}{len(self.origins)}"
        return name if self.kind == "soup" else f"{name}-{digits('|'.join(self.origins))}"

    @property
    def soup_origin(self) -> str:
        """What the soup's record says in the place of what a fit was trained on."""
        return f"soup:{digits('|'.join(self.origins))}"


def digits(text: str) -> str:
    """Return eight hexadecimal digits of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_made(folder: Path, of: Ingredients) -> bool:
    """Return whether the soup of just these fits is there, weights and record."""
    return read_known(folder, of.soup_name, of.soup_origin) is not None


def note_tried(folder: Path, parts: Sequence[Ingredients], tried: TriedSoup) -> None:
    """Note that the soups of all parts took the place of their fits.

    Args:
        folder: Where weights and records lie.
        parts: Of a member.
        tried: What was seen before.
    """
    note_in_record(
        folder, parts[0].soup_name, tried=asdict(tried), tried_with=_origin_of_all(parts)
    )


def read_tried(folder: Path, parts: Sequence[Ingredients]) -> TriedSoup | None:
    """Return what was noted when just these soups were kept; None if they were not.

    The weights of the fits may be gone then, so they could not be compared again.
    """
    if not all(is_made(folder, part) for part in parts):
        return None
    record = read_record(folder, parts[0].soup_name) or {}
    is_theirs = record.get("tried_with") == _origin_of_all(parts)
    return TriedSoup(**record["tried"]) if is_theirs else None


def _origin_of_all(parts: Sequence[Ingredients]) -> str:
    return digits("|".join(part.soup_origin for part in parts))
