"""This project as a contestant: the commands that a person types, and what they leave."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl_flowers.blending.pick import candidates
from automl_flowers.config import read_yaml
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder

from . import measure, splits

PROGRAM = (sys.executable, "-m", "automl_flowers")
PRECISION = "float32"
"""That of the others, on every device."""


@dataclass(frozen=True)
class Commands:
    """The commands of one run.

    Attributes:
        run: The run folder.
        repeat: Folder with the division of the pictures.
        log: What the commands say.
    """

    run: Path
    repeat: Path
    log: Path

    def search(self, space_file: Path, *, seed: int, budget_seconds: float) -> measure.Measured:
        """Search for so many seconds, everything included."""
        data = self.repeat / splits.SEARCH_FILE
        return self._call(*search_words(data, space_file, seed, budget_seconds))

    def ensemble(self, top: int) -> measure.Measured:
        """Take over the best recipes."""
        return self._call(*ensemble_words(top))

    def predict(self) -> tuple[measure.Measured, npt.NDArray[np.int64]]:
        """Return what it took, and the classes of the test pictures in the order of the links."""
        answers = self.run.with_suffix(".predictions.csv")
        measured = self._call("predict", str(self.repeat / splits.TEST_FOLDER), stdout=answers)
        with answers.open(encoding="utf-8", newline="") as file:
            rows = {Path(row["path"]).name: int(row["class_name"]) for row in csv.DictReader(file)}
        return measured, np.array([rows[name] for name in sorted(rows)], dtype=np.int64)

    def _call(self, *words: str, stdout: Path | None = None) -> measure.Measured:
        command = [*PROGRAM, *words, "--run", str(self.run), "--quiet"]
        return measure.run(command, log=self.log, stdout=stdout)


def search_words(data: Path, space_file: Path, seed: int, seconds: float) -> tuple[str, ...]:
    """Return the command that searches; how long it trains a recipe follows from the budget."""
    return (
        *("search", "--data", str(data), "--space", str(space_file)),
        *("--time-budget", f"{max(int(seconds), 1)}s"),
        *("--seed", str(seed), "--precision", PRECISION),
    )


def ensemble_words(top: int) -> tuple[str, ...]:
    """Return the command that takes over the best recipes."""
    return ("ensemble", "--top", str(top), "--precision", PRECISION)


def read_curve(run: Path, started: float) -> npt.NDArray[np.float64]:
    """Return seconds since `started` and score on val of every epoch of a search, `(n, 2)`.

    The ledger knows when a trial started and how long each epoch took.
    """
    points = []
    with Ledger(RunFolder(run).ledger) as ledger:
        for trial in ledger.trials():
            clock = trial.started - started
            for epoch in trial.epochs:
                clock += epoch.seconds
                points.append((clock, epoch.macro_f1))
    return np.array(sorted(points), dtype=np.float64).reshape(-1, 2)


def chosen_epochs(run: Path) -> int:
    """Return the full horizon that a search has chosen for its recipes."""
    return int(read_yaml(RunFolder(run).config)["max_epochs"])


def count_recipes(run: Path) -> int:
    """Return how many distinct recipes of a run have finished a trial."""
    with Ledger(RunFolder(run).ledger) as ledger:
        return len(candidates(ledger.trials(), maximise=True))
