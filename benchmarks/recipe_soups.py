"""What averaging the weights of a search's recipes does to its winner.

    python benchmarks/recipe_soups.py --data DIR [DIR ...] [--minutes 10] [--divisions 2] \
        [--backbone efficientnet_lite0] [--image-size 128] --out FILE.json

Divides all pictures anew (60 % train, 20 % val, 20 % test, copies together), searches once, and
makes several ensembles of one member from it: the winner alone, one model of three seeds of it,
and one model of up to five recipes; each as it was scored, and with final fits. Writes macro F1
and log loss on test, which chose nothing, with the seconds that each took. What is in the file
already is not run again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from divisions import runs_before
from search_vs_keras_tuner import splits

import automl_flowers
from automl_flowers.environment import describe_environment
from automl_flowers.files import write_json
from automl_flowers.workflows.training import drop_programs

WAYS: Mapping[str, Mapping[str, int]] = {
    "the winner": {"soup": 1},
    "three seeds of it": {"soup": 1, "seeds": 3},
    "several recipes": {"soup": 5},
}


def run(address: str, number: int, scratch: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Search on one division, and return the figures of every way."""
    folder = scratch / f"{Path(address).name}-{number}"
    pool = splits.pool_pictures(address, given.image_size, scratch / "cache")
    splits.write(splits.divide(pool, given.seed + number), folder)
    searched = folder / "run"
    automl_flowers.search(
        folder / splits.SPLIT_FILE,
        run=searched,
        backbones=given.backbone,
        image_size=given.image_size,
        seed=given.seed + number,
        time_budget=60 * given.minutes,
        quiet=True,
    )
    found = {}
    for final_fit in (False, True):
        for way, options in WAYS.items():
            copy = shutil.copytree(searched, folder / "copy")
            drop_programs()  # each way builds its own
            started = time.perf_counter()
            made = automl_flowers.ensemble(
                copy, top=1, final_fit=final_fit, quiet=True, **dict(options)
            ).summary
            seconds = round(time.perf_counter() - started, 1)
            test, others = made["scores"]["test"], made["members"][0]["others"]
            found[f"{way}, with final fits" if final_fit else way] = {
                "macro_f1": round(test["macro_f1"], 4),
                "log_loss": round(test["log_loss"], 4),
                "recipes": 1 + len(others),
                "seconds": seconds,
            }
            shutil.rmtree(copy)
    shutil.rmtree(folder)
    return found


def summarise(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over divisions of each way's figures, for every data set."""
    return {
        what: {
            way: {
                name: round(statistics.mean(one[way][name] for one in divisions.values()), 4)
                for name in figures
            }
            for way, figures in next(iter(divisions.values())).items()
        }
        for what, divisions in runs.items()
        if divisions
    }


def main() -> None:
    """Run on every division what has not been run yet, and write all figures after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--divisions", type=int, default=2)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--seed", type=int, default=10, help="of the first division")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    names = ("minutes", "backbone", "image_size", "seed")
    settings = {name: getattr(given, name) for name in names}
    runs = runs_before(parser, given.out, settings)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(given.divisions):
            for address in given.data:
                divisions = runs.setdefault(Path(address).name, {})
                if str(number) not in divisions:
                    divisions[str(number)] = run(address, number, Path(scratch), given)
                    result = {"environment": describe_environment(), **settings}
                    write_json(given.out, {**result, "mean": summarise(runs), "runs": runs})
    print(json.dumps(summarise(runs), indent=2))


if __name__ == "__main__":
    main()
