"""A label map to begin with: which classes of another data set could be which of ours.

Equal names are written as they are used anyway. What is only alike is a suggestion, and stands in
the file as a comment until a person takes the comment sign away: nothing ambiguous is mapped
silently.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from automl_flowers.data.label_mapping import normal_form, propose
from automl_flowers.data.manifest import Manifest
from automl_flowers.errors import DataError
from automl_flowers.files import write_text

MIN_LIKENESS = 0.6
"""From here on a name is worth suggesting."""

WORDS_WITHIN_WORDS = 0.8
"""Likeness of names of which one has all words of the other, such as rose and wild rose."""

_MOST_SUGGESTIONS = 3


@dataclass(frozen=True)
class Suggestion:
    """What one external class may be.

    Attributes:
        external: Its name there.
        num_images: How many it has.
        same: Our class of the same name, or None.
        alike: Our classes with names like it and how much, in [0, 1], best first; empty if there
            is one of the same name.
    """

    external: str
    num_images: int
    same: str | None
    alike: tuple[tuple[str, float], ...]


def likeness(one: str, other: str) -> float:
    """Return how much two names are alike, from 0 to 1, by their normal forms.

    >>> likeness("Common Dandelions", "dandelion"), likeness("rose", "lotus") < MIN_LIKENESS
    (0.8, True)
    """
    left, right = normal_form(one), normal_form(other)
    ratio = difflib.SequenceMatcher(None, left, right).ratio()
    words, others = set(left.split()), set(right.split())
    contained = bool(words and others) and (words <= others or others <= words)
    return max(ratio, WORDS_WITHIN_WORDS if contained else 0.0)


def suggest(external: Manifest, our_names: Sequence[str]) -> list[Suggestion]:
    """Return what each class of an external data set may be, in the order of its classes.

    Args:
        external: Its images.
        our_names: Names of our classes.
    """
    counts = external.rows["label"].value_counts()
    proposals = propose(external.class_names, our_names)
    return [
        Suggestion(
            name,
            int(counts.get(label, 0)),
            proposals.get(name),
            () if name in proposals else _alike(name, our_names),
        )
        for label, name in enumerate(external.class_names)
    ]


def _alike(name: str, our_names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    rated = [(ours, round(likeness(name, ours), 2)) for ours in our_names]
    worth = [pair for pair in rated if pair[1] >= MIN_LIKENESS]
    return tuple(sorted(worth, key=lambda pair: (-pair[1], pair[0]))[:_MOST_SUGGESTIONS])


def to_yaml(suggestions: Mapping[str, Sequence[Suggestion]]) -> str:
    """Return a label map with the suggestions as comments.

    Names are quoted, so whatever a folder is called stays on its line.

    Args:
        suggestions: By data set. What is said of several stands below their names.
    """
    lines = [
        "# Their class: our class. Remove the # before a line to accept it; null leaves it out.",
    ]
    for source, made in suggestions.items():
        if len(suggestions) == 1:
            lines += _lines(made)
        else:
            lines += [f"{_quote(source)}:", *(f"  {line}" for line in _lines(made))]
    return "\n".join(lines) + "\n"


def _lines(suggestions: Sequence[Suggestion]) -> list[str]:
    lines = []
    for one in suggestions:
        images = f"{one.num_images} image" + ("" if one.num_images == 1 else "s")
        if one.same is not None:
            sure = likeness(one.external, one.same)
            lines.append(
                f"{_quote(one.external)}: {_quote(one.same)}  # {images}, same name: {sure:.2f}"
            )
        for ours, how_much in one.alike:
            lines.append(
                f"# {_quote(one.external)}: {_quote(ours)}  # {images}, names alike: {how_much:.2f}"
            )
        if one.same is None and not one.alike:
            lines.append(f"# {_quote(one.external)}: null  # {images}, no name like it")
    return lines


def write_label_map(target: Path, suggestions: Mapping[str, Sequence[Suggestion]]) -> None:
    """Write `to_yaml` to a new file.

    Raises:
        DataError: If the file is there already: it may hold a person's word.
    """
    if target.exists():
        raise DataError(
            f"`{target}` is there already, and may hold what you accepted.",
            hint="name another file with `--out`, or remove this one",
        )
    write_text(target, to_yaml(suggestions))


def summary_of(suggestions: Mapping[str, Sequence[Suggestion]]) -> Mapping[str, int]:
    """Return how many classes have one of the same name, one like it, or neither."""
    every = [one for made in suggestions.values() for one in made]
    same = sum(one.same is not None for one in every)
    alike = sum(bool(one.alike) for one in every)
    return {"same_name": same, "suggested": alike, "unknown": len(every) - same - alike}


def _quote(name: str) -> str:
    quoted = yaml.safe_dump(name, default_style='"', width=math.inf, allow_unicode=True)
    return str(quoted).strip()
