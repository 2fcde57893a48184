"""What a contestant's process is told: one JSON file, named by its only argument."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl_flowers.files import write_json
from search_spaces.spaces import Space, load_space


@dataclass(frozen=True)
class Job:
    """One search of one contestant.

    Attributes:
        repeat: Folder with the division of the pictures.
        project: Folder that it may fill.
        space_file: YAML file with the space of all contestants.
        num_classes: Of the data set.
        max_epochs: The full horizon.
        factor: Hyperband's.
        seed: Above 0.
        started: When the process was started, in seconds since 1970.
        budget_seconds: How long it may take, if it asks.
        top: Members of the ensemble, for this project.
    """

    repeat: Path
    project: Path
    space_file: Path
    num_classes: int
    max_epochs: int
    factor: int
    seed: int
    started: float
    budget_seconds: float
    top: int = 1

    @property
    def space(self) -> Space:
        """What may be chosen."""
        return load_space(str(self.space_file))

    @property
    def image_size(self) -> int:
        """Pixels; the space has one size."""
        return int(self.space.choices("image_size")[0])

    @property
    def batch_size(self) -> int:
        """Images a step; the space has one size."""
        return int(self.space.choices("batch_size")[0])

    @property
    def epoch_log(self) -> Path:
        """Where times and scores of the epochs go."""
        return self.project.with_suffix(".epochs.jsonl")

    def curve(self) -> npt.NDArray[np.float64]:
        """Return seconds since the start and score on val of every epoch, `(num_epochs, 2)`."""
        lines = self.epoch_log.read_text(encoding="utf-8").splitlines()
        times_and_scores = np.array([json.loads(line) for line in lines], dtype=np.float64)
        return times_and_scores.reshape(-1, 2) - [self.started, 0]

    @property
    def parts(self) -> Path:
        """Where the seconds of each part go, for this project."""
        return self.project.with_suffix(".parts.json")

    @property
    def predictions(self) -> Path:
        """Where the classes of the test pictures go."""
        return self.project.with_suffix(".predictions.npz")


def write_job(job: Job, file: Path) -> None:
    """Write a job."""
    write_json(file, {k: str(v) if isinstance(v, Path) else v for k, v in asdict(job).items()})


def read_job(file: Path) -> Job:
    """Return the job in a file."""
    values = json.loads(file.read_text(encoding="utf-8"))
    paths = {name: Path(values[name]) for name in ("repeat", "project", "space_file")}
    return Job(**{**values, **paths})


def job_from_arguments() -> Job:
    """Return the job that the command line names."""
    return read_job(Path(sys.argv[1]))
