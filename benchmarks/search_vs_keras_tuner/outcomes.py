"""What a contestant leaves of one repeat: one file, written when it has ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl_flowers.files import atomic_path


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one contestant did with one division of the pictures.

    Attributes:
        ids: Of the test pictures, strings, `(num_pictures,)`.
        predicted: The class of each, by the model that was handed over, `(num_pictures,)`.
        parts: Seconds on the wall's clock, by step.
        disk_bytes: Of the folder that it left.
        peak_memory_bytes: Largest resident set of any of its processes.
        curve: Seconds since the start and score on val of every epoch, in order of time,
            `(num_epochs, 2)`.
        notes: What else is worth knowing, such as the number of recipes; plain data.
    """

    ids: npt.NDArray[np.str_]
    predicted: npt.NDArray[np.int64]
    parts: Mapping[str, float]
    disk_bytes: int
    peak_memory_bytes: int
    curve: npt.NDArray[np.float64]
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """All steps together."""
        return sum(self.parts.values())


def incumbent(curve: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the points of a curve at which the best score so far rises.

    Args:
        curve: Seconds and score, in order of time, `(n, 2)`. A score that is no number is no
            improvement.
    """
    best = -np.inf
    points = []
    for seconds, score in curve:
        if score > best:
            best = score
            points.append((seconds, score))
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def save(file: Path, outcome: Outcome) -> None:
    """Write an outcome, all or nothing."""
    plain = {
        "parts": dict(outcome.parts),
        "disk_bytes": outcome.disk_bytes,
        "peak_memory_bytes": outcome.peak_memory_bytes,
        "notes": dict(outcome.notes),
    }
    with atomic_path(file) as temporary, temporary.open("wb") as opened:
        np.savez(
            opened,
            ids=outcome.ids,
            predicted=outcome.predicted,
            curve=outcome.curve,
            plain=np.array(json.dumps(plain)),
        )


def load(file: Path) -> Outcome:
    """Return the outcome in a file."""
    with np.load(file, allow_pickle=False) as archive:
        plain = json.loads(str(archive["plain"]))
        return Outcome(
            ids=archive["ids"],
            predicted=archive["predicted"],
            curve=archive["curve"].reshape(-1, 2),
            **plain,
        )
