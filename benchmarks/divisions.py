"""What the benchmarks of one recipe on several divisions have in common: arguments and the loop."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from portfolio import RECIPES, Division, divide, make_recipe

from automl_flowers.environment import describe_environment
from automl_flowers.files import read_json, write_json
from search_spaces.recipe import Recipe

Run = Callable[[Division, Recipe, int, int], dict[str, Any]]
"""Called with a division, a recipe, epochs and seeds, returns the figures of every way."""


def run_missing(description: str, run: Run, ways: Sequence[str], epochs: int) -> None:
    """Run on every division what has not been run yet, and write all figures after each.

    Args:
        description: Of the benchmark.
        run: Compares ways on one division.
        ways: Their names.
        epochs: By default.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--divisions", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["gentle", "bold"])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    settings = {"epochs": given.epochs, "seeds": given.seeds}
    runs = runs_before(parser, given.out, settings)
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(given.divisions):
            for address in given.data:
                for name in given.recipes:
                    what = f"{Path(address).name} at {given.image_size} px, {name}"
                    divisions = runs.setdefault(what, {})
                    if str(number) in divisions:
                        continue
                    division = divide(address, number, given.image_size, Path(scratch))
                    recipe = make_recipe(RECIPES[name], given.image_size)
                    divisions[str(number)] = run(division, recipe, given.epochs, given.seeds)
                    print(division.name, name, divisions[str(number)], flush=True)
                    write_json(
                        given.out,
                        {
                            "environment": describe_environment(),
                            **settings,
                            "mean": summarise(runs, ways),
                            "runs": runs,
                        },
                    )
    print(json.dumps(summarise(runs, ways), indent=2))


def runs_before(
    parser: argparse.ArgumentParser, out: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a file has already; it is an error of the arguments if that is of other settings.

    Args:
        parser: Says so.
        out: The file, which need not exist.
        settings: That all runs in it share.
    """
    before = read_json(out) if out.exists() else {**settings, "runs": {}}
    if {name: before[name] for name in settings} != settings:
        parser.error(f"{out} was made with other settings than {settings}: name another file")
    return dict(before["runs"])


def summarise(runs: Mapping[str, Mapping[str, Any]], ways: Sequence[str]) -> dict[str, Any]:
    """Return the mean over divisions of each way's figures, for every data set and recipe."""
    return {
        what: {way: _mean([found[way] for found in divisions.values()]) for way in ways}
        for what, divisions in runs.items()
        if divisions
    }


def _mean(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: round(statistics.mean(one[key] for one in found), 4) for key in found[0]}
