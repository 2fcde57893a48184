"""This project as a contestant: its Python interface in one process, as in a notebook."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

import automl_flowers
from automl_flowers.blending.pick import MOST_IN_SOUP, candidates
from automl_flowers.config import read_yaml
from automl_flowers.files import write_json
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder
from automl_flowers.tuning.further import further_epochs

from . import splits
from .job import Job, job_from_arguments

PRECISION = "float32"
"""That of the others, on every device."""

HAND_OVER_SECONDS = 6.0
"""Of the budget, kept for what comes after the search: taking over the best, and predicting."""

FINAL_FITS_SHARE = 0.25
"""Of the budget, kept for what follows the search."""

SECONDS_TO_CHOOSE = 4.0
"""For each recipe after the first: building its program, and seeing what it adds."""

TIME_FOR_FITS = 0.95
"""Share of what is left after the search that the fits may be expected to take."""


def contest(job: Job) -> None:
    """Search for as long as there is time, take over the best, and predict the test pictures.

    A job without a budget does without a search: another one has left its run.
    """
    ended = {"start": time.time()}
    if job.budget_seconds:
        automl_flowers.search(
            job.repeat / splits.SEARCH_FILE,
            run=job.project,
            space=job.space_file,
            seed=job.seed,
            precision=PRECISION,
            time_budget=seconds_for_search(job, now=time.time()),
            quiet=True,
        )
    ended["search"] = time.time()
    fits = count_final_fits(job, ended["search"]) if job.budget_seconds else MOST_IN_SOUP
    automl_flowers.ensemble(
        run=job.project,
        top=job.top,
        soup=fits or None,
        final_fit=fits > 0,
        precision=PRECISION,
        quiet=True,
    )
    ended["ensemble"] = time.time()
    hand_over(job)
    ended["predict"] = time.time()
    names = list(ended)
    parts = {name: ended[name] - ended[before] for before, name in itertools.pairwise(names)}
    write_json(job.parts, {"start": ended["start"] - job.started, **parts})


def seconds_for_search(job: Job, now: float) -> float:
    """Return what is left of a job's budget for the search; a second at least."""
    return max(_seconds_left(job, now) - FINAL_FITS_SHARE * job.budget_seconds, 1.0)


def _seconds_left(job: Job, now: float) -> float:
    return job.budget_seconds - (now - job.started) - HAND_OVER_SECONDS


def count_final_fits(job: Job, now: float) -> int:
    """Return for how many of the best recipes there is time to go on on all images.

    Args:
        job: Whose search is over.
        now: In seconds since 1970.
    """
    with Ledger(RunFolder(job.project).ledger) as ledger:
        trials = ledger.trials()
    rows = splits.read(job.repeat)["split"].value_counts()
    num_epochs = chosen_epochs(job.project)
    left = TIME_FOR_FITS * _seconds_left(job, now)
    fits = 0
    for best in candidates(trials, maximise=True)[:MOST_IN_SOUP]:
        spent = [e.seconds for t in trials if t.trial_id == best.trial_id for e in t.epochs]
        epoch = statistics.median(spent) * (rows["train"] + rows["val"]) / rows["train"]
        left -= further_epochs(num_epochs) * epoch + (SECONDS_TO_CHOOSE if fits else 0.0)
        if best.epochs < num_epochs or left < 0:
            break
        fits += 1
    return fits


def hand_over(job: Job) -> None:
    """Write the classes that the ensemble gives the test pictures, which are first read here."""
    answers = automl_flowers.predict(job.repeat / splits.TEST_FOLDER, run=job.project, quiet=True)
    class_of = {Path(answer.path).name: int(answer.class_name) for answer in answers}
    ids = splits.test_rows(job.repeat)["id"].to_numpy(str)
    predicted = np.array([class_of[name] for name in sorted(class_of)], dtype=np.int64)
    with job.predictions.open("wb") as opened:
        np.savez(opened, ids=ids, predicted=predicted)


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


if __name__ == "__main__":
    contest(job_from_arguments())
