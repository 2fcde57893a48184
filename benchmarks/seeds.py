"""What several trainings of one recipe are worth: as one model of mean weights, and otherwise.

    python benchmarks/seeds.py --data DIR [DIR ...] [--image-size 128] [--epochs 8] [--seeds 3] \
        [--divisions 3] --out FILE.json

Trains one recipe with several seeds on each division of a data set (60 % train, 40 % to score on,
copies together), and once for as many epochs as all of them together. Writes macro F1 and log loss
of each seed, of the mean of their probabilities, of the model soup whose weights are their mean,
and of the long training. What is in the file already is not run again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from portfolio import RECIPES, Division, divide, make_recipe, train_to_end

from automl_flowers.blending.soup import mean_state
from automl_flowers.environment import describe_environment
from automl_flowers.files import read_json, write_json
from ensembles import metrics
from search_spaces.recipe import Recipe

WAYS = ("one seed", "mean of probabilities", "mean of weights", "one long training")


def run(division: Division, recipe: Recipe, num_epochs: int, num_seeds: int) -> dict[str, Any]:
    """Return the scores of every way on the images of val and test."""
    train = division.parts["train"]
    shown = division.parts["val"].join(division.parts["test"])
    trainer, longer = (division.make_trainer(n) for n in (num_epochs, num_epochs * num_seeds))
    states = [train_to_end(trainer, recipe, num_epochs, train, k) for k in range(num_seeds)]
    each = [trainer.predict(recipe, state, shown) for state in states]
    soup = trainer.predict(recipe, mean_state(states), shown)
    long_state = train_to_end(longer, recipe, num_epochs * num_seeds, train)
    found = [*each, np.mean(each, axis=0), soup, longer.predict(recipe, long_state, shown)]
    scores = [_score(shown.labels, probabilities) for probabilities in found]
    ones, others = scores[:num_seeds], scores[num_seeds:]
    mean = {key: round(statistics.mean(one[key] for one in ones), 4) for key in ones[0]}
    return {"seeds": ones, **dict(zip(WAYS, (mean, *others), strict=True))}


def _score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {
        "macro_f1": round(metrics.macro_f1(labels, probabilities), 4),
        "log_loss": round(metrics.log_loss(labels, probabilities), 4),
    }


def summarise(runs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean over divisions of each way's scores, for every data set and recipe."""
    return {
        what: {
            way: {
                key: round(statistics.mean(scores[way][key] for scores in divisions.values()), 4)
                for key in ("macro_f1", "log_loss")
            }
            for way in WAYS
        }
        for what, divisions in runs.items()
    }


def main() -> None:
    """Run what has not been run yet, and write all scores after every division."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--divisions", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=["gentle", "bold"])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    runs: dict[str, Any] = read_json(given.out)["runs"] if given.out.exists() else {}
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
                            "epochs": given.epochs,
                            "seeds": given.seeds,
                            "mean": summarise({w: d for w, d in runs.items() if d}),
                            "runs": runs,
                        },
                    )
    print(json.dumps(summarise(runs), indent=2))


if __name__ == "__main__":
    main()
