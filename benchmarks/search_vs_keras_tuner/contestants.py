"""The contestants: each takes a repeat and leaves an outcome.

The peer comes first, because the seconds that it takes are the budget of the others.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from automl_flowers.files import read_json
from automl_flowers.run_folder import RunFolder

from . import measure, ours, outcomes
from .job import Job, write_job
from .outcomes import Outcome
from .settings import Settings

TENTH = 0.1
TOP = 3
"""Members of the blend, or as many as there are recipes."""

_PYTHON_PATH = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))


@dataclass(frozen=True)
class Repeat:
    """One division of the pictures, and the folder in which it is contested.

    Attributes:
        folder: Where everything of it lies.
        seed: Of all contestants.
        settings: Of the benchmark.
        space_file: YAML file with the space.
        num_classes: Of the data set.
    """

    folder: Path
    seed: int
    settings: Settings
    space_file: Path
    num_classes: int

    def outcome_file(self, contestant: str) -> Path:
        """Return where the outcome of a contestant lies once it has ended."""
        return self.folder / f"{contestant}.npz"

    @property
    def peer_seconds(self) -> float:
        """What the peer took."""
        return outcomes.load(self.outcome_file("peer")).seconds


def run_peer(repeat: Repeat) -> Outcome:
    """Keras Tuner's Hyperband."""
    return _run_plain(repeat, "peer", budget_seconds=0.0)


def run_one_epoch(repeat: Repeat) -> Outcome:
    """One epoch for many recipes, then the best in full, in the peer's seconds."""
    return _run_plain(repeat, "one_epoch", budget_seconds=repeat.peer_seconds)


def run_ours_tenth(repeat: Repeat) -> Outcome:
    """This project in a tenth of the peer's seconds."""
    return _run_ours(repeat, "ours_tenth", TENTH * repeat.peer_seconds)


def run_ours_equal(repeat: Repeat) -> Outcome:
    """This project in the peer's seconds."""
    return _run_ours(repeat, "ours_equal", repeat.peer_seconds)


def run_ours_blend(repeat: Repeat) -> Outcome:
    """The best recipes of `ours_equal`, blended; its search counts."""
    run = RunFolder(repeat.folder / "ours_equal")
    before = outcomes.load(repeat.outcome_file("ours_equal"))
    top = min(TOP, ours.count_recipes(run.path))
    for folder in (run.members, run.predictions):  # of the single best; this blend is the first
        shutil.rmtree(folder, ignore_errors=True)
    job = _job(repeat, run.path, budget_seconds=0.0, top=top)
    measured = _run(job, "ours", "ours_blend")
    parts = {**_parts(job, measured), "search": before.parts["search"]}
    return _outcome(
        job,
        parts=parts,
        peak_memory_bytes=max(before.peak_memory_bytes, measured.peak_memory_bytes),
        curve=before.curve,
        notes={"members": top},
    )


CONTESTANTS: Mapping[str, Callable[[Repeat], Outcome]] = MappingProxyType(
    {
        "peer": run_peer,
        "one_epoch": run_one_epoch,
        "ours_tenth": run_ours_tenth,
        "ours_equal": run_ours_equal,
        "ours_blend": run_ours_blend,
    }
)
"""In the order in which they run: later ones need what earlier ones leave."""


def tidy(repeat: Repeat) -> None:
    """Remove folders of contestants that have ended and that nobody needs any longer."""
    last_reader = {name: name for name in CONTESTANTS} | {"ours_equal": "ours_blend"}
    for name, reader in last_reader.items():
        if repeat.outcome_file(reader).exists():
            shutil.rmtree(repeat.folder / name, ignore_errors=True)


def _run_plain(repeat: Repeat, name: str, *, budget_seconds: float) -> Outcome:
    job = _job(repeat, _fresh_folder(repeat, name), budget_seconds=budget_seconds)
    job.epoch_log.unlink(missing_ok=True)
    measured = _run(job, name, name)
    curve = job.curve()
    return _outcome(
        job,
        parts={"search": measured.seconds},
        peak_memory_bytes=measured.peak_memory_bytes,
        curve=curve,
        notes={"epochs": len(curve)},
    )


def _run_ours(repeat: Repeat, name: str, budget_seconds: float) -> Outcome:
    job = _job(repeat, _fresh_folder(repeat, name), budget_seconds=budget_seconds)
    measured = _run(job, "ours", name)
    curve = ours.read_curve(job.project, job.started)
    return _outcome(
        job,
        parts=_parts(job, measured),
        peak_memory_bytes=measured.peak_memory_bytes,
        curve=curve,
        notes={
            "budget_seconds": round(budget_seconds, 1),
            "max_epochs": ours.chosen_epochs(job.project),
            "recipes": ours.count_recipes(job.project),
            "epochs": len(curve),
        },
    )


def _job(
    repeat: Repeat,
    project: Path,
    *,
    budget_seconds: float,
    top: int = 1,
) -> Job:
    settings = repeat.settings
    return Job(
        repeat=repeat.folder,
        project=project,
        space_file=repeat.space_file,
        num_classes=repeat.num_classes,
        max_epochs=settings.max_epochs,
        factor=settings.factor,
        seed=1 + repeat.seed % 2**31,
        started=time.time(),
        budget_seconds=budget_seconds,
        top=top,
    )


def _run(job: Job, module: str, name: str) -> measure.Measured:
    """Run a module of this package with a job, as a process of its own."""
    job_file = job.repeat / f"{name}.job.json"
    write_job(job, job_file)
    return measure.run(
        [sys.executable, "-m", f"{__package__.rpartition('.')[2]}.{module}", str(job_file)],
        log=job.repeat / f"{name}.log",
        environment={"PYTHONPATH": os.pathsep.join(filter(None, _PYTHON_PATH))},
    )


def _parts(job: Job, measured: measure.Measured) -> dict[str, float]:
    """Return the seconds of each part of our process; what is not told of is its end."""
    parts: dict[str, float] = read_json(job.parts)
    return {**parts, "end": max(measured.seconds - sum(parts.values()), 0.0)}


def _outcome(
    job: Job,
    *,
    parts: Mapping[str, float],
    peak_memory_bytes: int,
    curve: npt.NDArray[np.float64],
    notes: Mapping[str, float],
) -> Outcome:
    with np.load(job.predictions, allow_pickle=False) as predictions:
        return Outcome(
            ids=predictions["ids"],
            predicted=predictions["predicted"],
            parts=dict(parts),
            disk_bytes=measure.disk_bytes(job.project),
            peak_memory_bytes=peak_memory_bytes,
            curve=curve,
            notes=dict(notes),
        )


def _fresh_folder(repeat: Repeat, name: str) -> Path:
    """Return an empty folder: a contestant that was interrupted begins again, clock and all."""
    folder = repeat.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
