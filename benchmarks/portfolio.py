"""Which recipe a search should begin with.

    python benchmarks/portfolio.py --data DIR@PIXELS [DIR@PIXELS ...] [--epochs 10] \
        [--divisions 3] --out FILE.json

Fine-tunes the entries of the portfolio and recipes between them on several data sets, each
divided anew several times (60 % train, 20 % val, 20 % test, copies together), from the same head,
and writes their scores. The portfolio is chosen by val. What is in the file already is not run
again, so the command can be stopped, and more data sets or divisions asked for later.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from search_vs_keras_tuner import splits

from automl_flowers.accelerators import set_up
from automl_flowers.data import prepare
from automl_flowers.data.pipeline import Examples
from automl_flowers.environment import describe_environment
from automl_flowers.files import read_json, write_json
from automl_flowers.ledger import EpochRecord
from automl_flowers.modeling import features
from automl_flowers.modeling.program import model_part
from automl_flowers.tuning.checkpoints import State
from automl_flowers.tuning.trainer import Trainer, TrainingImages
from ensembles import metrics
from ensembles.calibration import fit_temperature, temper
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import BOLD, GENTLE, PORTFOLIO, fit_into
from search_spaces.recipe import Recipe
from search_spaces.spaces import load_space

BACKBONE = "efficientnet_lite0"

FIRST_SEED = 100
"""Of the divisions: other ones than those of `search_vs_keras_tuner.py`."""

PICKED_BY = {"macro_f1": 1, "log_loss": -1, "calibrated_log_loss": -1}
"""What a recipe may be picked by on val, and whether more of it is better or worse."""

RECIPES: Mapping[str, Mapping[str, Value]] = {
    "bold": BOLD,
    "gentle": GENTLE,
    "all blocks": PORTFOLIO[-1],
    "bold, half the rate": {**BOLD, "learning_rate": 1e-3},
    "gentle, double rate": {**GENTLE, "learning_rate": 2e-3},
    "gentle, medium": {**GENTLE, "augmentation": "medium"},
    "gentle, all blocks": {**GENTLE, "trainable_fraction": 1.0, "learning_rate": 7e-4},
}
"""The portfolio's, and what lies between and beside them."""


def address_and_size(text: str) -> tuple[str, int]:
    """Return the folder and the pixels of `DIR@PIXELS`."""
    address, _, size = text.rpartition("@")
    return address, int(size)


def make_recipe(entry: Mapping[str, Value], image_size: int) -> Recipe:
    """Return what an entry stands for, at an image size."""
    values = fit_into(load_space("petals"), entry)
    fixed = {"backbone": BACKBONE, "image_size": image_size, "batch_size": 32, "optimizer": "adam"}
    return Recipe.from_values({**values, **entry, **fixed})


@dataclass(frozen=True)
class Division:
    """One division of a data set, and what all trainings on it have in common.

    Attributes:
        name: Of the data set and the division.
        num_classes: Of the data set.
        parts: `train`, `val` and `test`.
        make_trainer: From a horizon to a trainer whose heads start from frozen features.
        frozen: Scores on val of the best head on frozen features.
    """

    name: str
    num_classes: int
    parts: Mapping[str, Examples]
    make_trainer: Callable[[int], Trainer]
    frozen: Mapping[str, float]


def divide(address: str, number: int, image_size: int, scratch: Path) -> Division:
    """Divide a data set anew: 60 % train, 20 % val, 20 % test, copies together.

    Args:
        address: Folder of images or CSV file.
        number: Of the division.
        image_size: Pixels.
        scratch: Folder for decoded images.
    """
    name = f"{Path(address).name}-{number}"
    pool = splits.pool_pictures(address, image_size, scratch / "cache")
    splits.write(splits.divide(pool, FIRST_SEED + number), scratch / name)
    data = prepare.read(
        str(scratch / name / splits.SPLIT_FILE), image_size=image_size, cache=scratch / "cache"
    )
    rows, num_classes = data.manifest.rows, data.manifest.num_classes
    parts = {
        split: data.examples_of(rows[rows["split"] == split].reset_index(drop=True), image_size)
        for split in splits.SHARES
    }
    encoder = features.build_encoder(BACKBONE, image_size)
    shown = {split: features.extract(encoder, parts[split]) for split in ("train", "val")}
    best = features.fit_head(shown["train"], parts["train"].labels, num_classes)
    start = features.fit_start(shown["train"], parts["train"].labels, num_classes)

    def make_trainer(num_epochs: int) -> Trainer:
        device = set_up("auto", precision="float32")
        return Trainer(
            data, device, num_epochs=num_epochs, seed=number, heads=lambda _name, _size: start
        )

    frozen = score(parts["val"].labels, best.probabilities(shown["val"]), temperature=1.0)
    return Division(name, num_classes, parts, make_trainer, frozen)


def run_division(
    division: Division, recipes: Mapping[str, Recipe], num_epochs: int, scores: dict[str, Any]
) -> None:
    """Fine-tune recipes on one division, and note their scores."""
    parts, trainer = division.parts, division.make_trainer(num_epochs)
    scores["frozen features"] = {"val": division.frozen}
    for name, recipe in recipes.items():
        state = train_to_end(trainer, recipe, num_epochs, parts["train"])
        predicted = {
            split: trainer.predict(recipe, state, parts[split]) for split in ("val", "test")
        }
        temperature = fit_temperature(parts["val"].labels, predicted["val"])
        scores[name] = {
            split: score(parts[split].labels, probabilities, temperature)
            for split, probabilities in predicted.items()
        }
        print(division.name, name, scores[name], flush=True)


def train_to_end(
    trainer: Trainer, recipe: Recipe, num_epochs: int, examples: Examples, seed_number: int = 0
) -> State:
    """Return what predicts, after the last epoch."""
    last: State = {}

    def keep(record: EpochRecord, get_state: Callable[[], State]) -> None:
        if record.epoch == num_epochs - 1:
            last.update(model_part(get_state()))

    images = TrainingImages(train=examples, val=None)
    trainer.train(recipe, 0, num_epochs, None, keep, images=images, seed_number=seed_number)
    return last


def score(labels: np.ndarray, probabilities: np.ndarray, temperature: float) -> dict[str, float]:
    """Return what is known of predictions, at a temperature and without one."""
    tempered = temper(probabilities, temperature)
    return {
        "macro_f1": round(metrics.macro_f1(labels, probabilities), 4),
        "log_loss": round(metrics.log_loss(labels, probabilities), 4),
        "calibrated_log_loss": round(metrics.log_loss(labels, tempered), 4),
    }


def summarise(runs: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """Return every recipe's mean scores on each data set, and what picking by each is worth.

    Args:
        runs: By data set, division and recipe. A recipe that lacks a division is left out.
    """
    every = [scores for divisions in runs.values() for scores in divisions.values()]
    complete = [name for name in RECIPES if all(name in scores for scores in every)]
    if not complete:
        return {}

    def mean(name: str, split: str, metric: str) -> dict[str, float]:
        return {
            dataset: round(statistics.mean(s[name][split][metric] for s in of.values()), 4)
            for dataset, of in runs.items()
        }

    val = {
        name: {metric: mean(name, "val", metric) for metric in PICKED_BY}
        for name in ("frozen features", *complete)
    }
    test = {name: mean(name, "test", "macro_f1") for name in complete}
    picked = {
        metric: {
            dataset: round(
                statistics.mean(picked_score(s, complete, metric) for s in divisions.values()), 4
            )
            for dataset, divisions in runs.items()
        }
        for metric in PICKED_BY
    }
    return {"val": val, "test_macro_f1": test, "test_macro_f1_of_picked": picked}


def picked_score(scores: Mapping[str, Any], names: Sequence[str], metric: str) -> float:
    """Return the test macro F1 of the recipe that a metric picks on val."""
    sign = PICKED_BY[metric]
    best = max(names, key=lambda name: sign * scores[name]["val"][metric])
    return float(scores[best]["test"]["macro_f1"])


def main() -> None:
    """Run what has not been run yet, and write all scores after every division."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="+", required=True, type=address_and_size)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--divisions", type=int, default=3)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    runs: dict[str, Any] = read_json(given.out)["runs"] if given.out.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        for number, (address, size) in itertools.product(range(given.divisions), given.data):
            divisions = runs.setdefault(f"{Path(address).name} at {size} px", {})
            scores = divisions.setdefault(str(number), {})
            missing = {
                name: make_recipe(RECIPES[name], size)
                for name in given.recipes
                if name not in scores
            }
            if missing:
                division = divide(address, number, size, Path(scratch))
                run_division(division, missing, given.epochs, scores)
            write_json(
                given.out,
                {
                    "environment": describe_environment(),
                    "epochs": given.epochs,
                    "mean": summarise(runs),
                    "runs": runs,
                },
            )
    print(json.dumps(summarise(runs), indent=2))


if __name__ == "__main__":
    main()
