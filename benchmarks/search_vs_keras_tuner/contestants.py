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

from automl_flowers.run_folder import RunFolder

from . import measure, ours, outcomes, splits
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
    commands = _commands(repeat, "ours_equal")
    run = RunFolder(commands.run)
    before = outcomes.load(repeat.outcome_file("ours_equal"))
    num_recipes = ours.count_recipes(commands.run)
    for folder in (run.members, run.predictions):  # of the single best; this blend is the first
        shutil.rmtree(folder, ignore_errors=True)
    ensemble = commands.ensemble(min(TOP, num_recipes))
    predict, predicted = commands.predict()
    return Outcome(
        ids=splits.test_rows(repeat.folder)["id"].to_numpy(str),
        predicted=predicted,
        parts={
            "search": before.parts["search"],
            "ensemble": ensemble.seconds,
            "predict": predict.seconds,
        },
        disk_bytes=measure.disk_bytes(commands.run),
        peak_memory_bytes=max(
            before.peak_memory_bytes, ensemble.peak_memory_bytes, predict.peak_memory_bytes
        ),
        curve=before.curve,
        notes={"members": min(TOP, num_recipes)},
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
    project = _fresh_folder(repeat, name)
    settings = repeat.settings
    job = Job(
        repeat=repeat.folder,
        project=project,
        space_file=repeat.space_file,
        num_classes=repeat.num_classes,
        max_epochs=settings.max_epochs,
        factor=settings.factor,
        seed=1 + repeat.seed % 2**31,
        started=time.time(),
        budget_seconds=budget_seconds,
    )
    job.epoch_log.unlink(missing_ok=True)
    job_file = project.with_suffix(".job.json")
    write_job(job, job_file)
    measured = measure.run(
        [sys.executable, "-m", f"{__package__.rpartition('.')[2]}.{name}", str(job_file)],
        log=project.with_suffix(".log"),
        environment={"PYTHONPATH": os.pathsep.join(filter(None, _PYTHON_PATH))},
    )
    curve = job.curve()
    with np.load(job.predictions, allow_pickle=False) as predictions:
        return Outcome(
            ids=predictions["ids"],
            predicted=predictions["predicted"],
            parts={"search": measured.seconds},
            disk_bytes=measure.disk_bytes(project),
            peak_memory_bytes=measured.peak_memory_bytes,
            curve=curve,
            notes={"epochs": len(curve)},
        )


def _run_ours(repeat: Repeat, name: str, budget_seconds: float) -> Outcome:
    commands = _commands(repeat, name)
    _fresh_folder(repeat, name)
    started = time.time()
    steps = {
        "search": commands.search(
            repeat.space_file, seed=repeat.seed, budget_seconds=budget_seconds
        ),
        "ensemble": commands.ensemble(1),
    }
    steps["predict"], predicted = commands.predict()
    curve = ours.read_curve(commands.run, started)
    return Outcome(
        ids=splits.test_rows(repeat.folder)["id"].to_numpy(str),
        predicted=predicted,
        parts={step: measured.seconds for step, measured in steps.items()},
        disk_bytes=measure.disk_bytes(commands.run),
        peak_memory_bytes=max(measured.peak_memory_bytes for measured in steps.values()),
        curve=curve,
        notes={
            "budget_seconds": round(budget_seconds, 1),
            "max_epochs": ours.chosen_epochs(commands.run),
            "recipes": ours.count_recipes(commands.run),
            "epochs": len(curve),
        },
    )


def _commands(repeat: Repeat, name: str) -> ours.Commands:
    return ours.Commands(repeat.folder / name, repeat.folder, repeat.folder / f"{name}.log")


def _fresh_folder(repeat: Repeat, name: str) -> Path:
    """Return an empty folder: a contestant that was interrupted begins again, clock and all."""
    folder = repeat.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
