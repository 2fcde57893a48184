r"""Search and ensemble on divisions of a data set: is the blend better than its best member?

    python benchmarks/blend_on_resplits.py --data DIR [--repeats 3] [--minutes 25] [--seeds 1] \
        --out FILE.json

Every repeat divides all pictures anew, class by class, copies together, and runs the command line
as a user would. The blend is held against the member that the `blend` split would have picked
alone; both are scored on test pictures, which chose nothing. A run that was stopped goes on with
the repeat it was in. What was found: docs/benchmarks/blend_on_resplits.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from main_job import timed
from search_vs_keras_tuner import compare, splits

from automl_flowers.environment import describe_environment
from automl_flowers.files import read_json, write_json
from automl_flowers.run_folder import RunFolder
from ensembles.metrics import macro_f1_of_classes
from ensembles.predictions import load_predictions

SHARE_OF_SEARCH = 0.6
"""Of the minutes. What the ensemble trains on top is worth more than more recipes."""

OPTIONS = ("--top", 3, "--final-fit", "--test-views", 2)
"""Of `ensemble`; with `--seeds` above 1 that, too."""


def run_repeat(folder: Path, seed: int, minutes: float, options: tuple[Any, ...]) -> dict[str, Any]:
    """Search, blend, and return seconds and scores."""
    run = RunFolder(folder / "run")
    budget = f"{SHARE_OF_SEARCH * minutes * 60:.0f}s"
    common = ("--run", run.path)
    shutil.rmtree(run.path, ignore_errors=True)  # a search that was stopped has lost its time
    data = ("--data", folder / splits.SPLIT_FILE, "--time-budget", budget, "--seed", seed)
    search_seconds, found = timed("search", *data, *common)
    ensemble_seconds, blend = timed("ensemble", *options, *common)
    return {
        "search_seconds": search_seconds,
        "ensemble_seconds": ensemble_seconds,
        "minutes": round((search_seconds + ensemble_seconds) / 60, 1),
        "recipes": found["recipes"],
        **compare_on_test(run, blend),
    }


def compare_on_test(run: RunFolder, blend: dict[str, Any]) -> dict[str, Any]:
    """Return test scores of the blend and of the member that `blend` would have picked."""
    members = blend["members"]
    alone = max(members, key=lambda member: member["scores"]["blend"]["macro_f1"])
    predicted = load_predictions(run.predictions / alone["predictions"]["test"])
    submitted = pd.read_csv(run.submission, dtype={"id": str}, keep_default_na=False)
    class_of = dict(zip(submitted["id"], submitted["label"].astype(int), strict=True))
    blended = np.array([class_of[identity] for identity in predicted.ids], dtype=np.int64)
    single = predicted.probabilities.argmax(axis=1)
    labels, num_classes = predicted.labels, len(blend["class_names"])
    scores = [macro_f1_of_classes(labels, one, num_classes) for one in (blended, single)]
    return {
        "test_macro_f1": round(scores[0], 4),
        "reported_macro_f1": blend["scores"]["blend"]["nested_macro_f1"],
        "reported": blend["scores"]["blend"],
        "expected": blend["expected"],
        "rule": blend["rule"],
        "picked_alone": alone["name"],
        "picked_alone_test_macro_f1": round(scores[1], 4),
        "difference": round(scores[0] - scores[1], 4),
        "standard_error": round(standard_error(labels, blended, single, num_classes), 4),
        "members": [
            {
                "name": member["name"],
                "weight": round(member["weight"], 4),
                "blend_macro_f1": member["scores"]["blend"]["macro_f1"],
                "test_macro_f1": member["scores"]["test"]["macro_f1"],
                "views": member["views"],
                "tried_views": member["tried_views"],
            }
            for member in members
        ],
    }


def standard_error(
    labels: npt.NDArray[np.int64],
    first: npt.NDArray[np.int64],
    second: npt.NDArray[np.int64],
    num_classes: int,
) -> float:
    """Return the bootstrap standard error of a difference of macro F1, paired by picture."""
    counts = compare.resample_counts(len(labels), compare.NUM_RESAMPLES, seed=0)
    rows = np.arange(len(labels))
    one, other = (
        compare.resampled_macro_f1(counts, rows, labels, predicted, num_classes)
        for predicted in (first, second)
    )
    return float(np.std(one - other))


def summarise(repeats: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means over repeats, and the repeats."""
    blended, alone = (
        float(np.mean([repeat[key] for repeat in repeats]))
        for key in ("test_macro_f1", "picked_alone_test_macro_f1")
    )
    return {
        "test_macro_f1": round(blended, 4),
        "picked_alone_test_macro_f1": round(alone, 4),
        "difference": round(blended - alone, 4),
        "worst_difference_in_standard_errors": min(
            round(r["difference"] / r["standard_error"], 2) if r["standard_error"] else 0.0
            for r in repeats
        ),
        "most_minutes": max(repeat["minutes"] for repeat in repeats),
        "repeats": repeats,
    }


def main() -> None:
    """Run what has not been run yet, and write the JSON of all that has."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="fits of each recipe")
    parser.add_argument("--work", type=Path, default=Path("runs/blend_on_resplits"))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    options = (*OPTIONS, "--seeds", given.seeds) if given.seeds > 1 else OPTIONS
    work = given.work.absolute()
    pool = splits.pool_pictures(given.data, 128, work / "cache")
    for number in range(given.repeats):
        folder = work / f"repeat-{number}"
        outcome = folder / "outcome.json"
        if not outcome.exists():
            splits.write(splits.divide(pool, given.seed + number), folder)
            seed = given.seed + number
            write_json(outcome, run_repeat(folder, seed, given.minutes, options))
            shutil.rmtree(folder / "run", ignore_errors=True)
        ended = [read_json(work / f"repeat-{done}" / "outcome.json") for done in range(number + 1)]
        result = {
            "data": Path(given.data).name,
            "environment": describe_environment(),
            "minutes": given.minutes,
            "options": [str(option) for option in options],
            **summarise(ended),
        }
        write_json(given.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
