"""What keeping the output of frozen layers saves, and what few views of an image cost.

    python benchmarks/feature_bank.py [--data DIR] --out FILE.json
    python benchmarks/feature_bank.py [--data DIR] --scores --out FILE.json

Trains EfficientNet-Lite0 on the embedded default or another data set, with different parts of it
frozen and different numbers of views, with and without a feature bank in turn, and writes medians
of the seconds. A bank begins empty every time, so filling it counts. Tracing the programs counts
in `first_epoch_seconds` only. All trainings of a case must have the same curve. With `--scores` it
writes macro F1 on the images that are not trained on, by the number of views, instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.data.pipeline import Examples
from automl_flowers.data.prepare import ImageData, prepare
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.feature_bank import FeatureBank
from automl_flowers.modeling.program import Program
from automl_flowers.tuning import trial
from ensembles.metrics import macro_f1
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

BLOCKS, VIEWS, LIMIT = (0, 2, 4, 8), (1, 4), 4 * 10**9
SCORED_VIEWS = (0, 1, 2, 4, 8)


def make_recipe(image_size: int, trainable_blocks: int, views: int) -> Recipe:
    """Return a recipe that differs from the others in these three only."""
    return Recipe(
        backbone="efficientnet_lite0",
        image_size=image_size,
        trainable_blocks=trainable_blocks,
        dropout=0.2,
        l2=1e-6,
        label_smoothing=0.1,
        class_weighting="none",
        augmentation="medium",
        optimizer="adam",
        batch_size=32,
        schedule=Schedule("cosine", 1e-3 if trainable_blocks else 3e-3, {"warmup": 0.1}),
        views=views,
    )


def build(recipe: Recipe, data: ImageData, num_epochs: int) -> Program:
    """Return the program of a recipe; those that differ in views alone may share it."""
    num_steps = -(-len(data.examples("train", recipe.image_size)) // recipe.batch_size)
    return Program(
        Architecture.of(
            recipe,
            batch_size=recipe.batch_size,
            num_classes=data.manifest.num_classes,
            precision="float32",
            num_steps=num_steps * num_epochs,
            weights="imagenet",
        )
    )


def train(
    program: Program,
    recipe: Recipe,
    data: ImageData,
    num_epochs: int,
    bank: FeatureBank | None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return the curve and the seconds of a training."""
    records: list[Any] = []
    started = time.perf_counter()
    trial.train(
        program,
        recipe,
        trial.Plan(0, num_epochs, num_epochs, seed=seed, view_seed=seed),
        data.examples("train", recipe.image_size),
        data.examples("val", recipe.image_size),
        on_epoch=lambda record, _state: records.append(record),
        bank=bank,
    )
    return {
        "seconds": time.perf_counter() - started,
        "epochs": [record.seconds for record in records],
        "curve": [(record.loss, record.macro_f1, record.log_loss) for record in records],
    }


def measure(data: ImageData, recipe: Recipe, num_epochs: int, repeats: int) -> dict[str, Any]:
    """Return medians of the seconds with and without a bank."""
    program = build(recipe, data, num_epochs)
    runs: dict[str, list[dict[str, Any]]] = {"off": [], "on": []}
    first: dict[str, float] = {}
    num_files, num_bytes = 0, 0
    for repeat in range(repeats + 1):
        for switch, measured in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                bank = FeatureBank(Path(folder), LIMIT) if switch == "on" else None
                run = train(program, recipe, data, num_epochs if repeat else 1, bank)
                files = list(Path(folder).glob("*.npy"))
                num_files, num_bytes = len(files), sum(file.stat().st_size for file in files)
            if repeat:
                measured.append(run)
            else:
                first[switch] = round(run["seconds"], 2)
    curves = [run["curve"] for run in (*runs["off"], *runs["on"])]
    later = {s: [e for run in r for e in run["epochs"][1:]] for s, r in runs.items()}
    epoch = {switch: statistics.median(seconds) for switch, seconds in later.items()}
    whole = {s: statistics.median(run["seconds"] for run in r) for s, r in runs.items()}
    return {
        "image_size": recipe.image_size,
        "trainable_blocks": recipe.trainable_blocks,
        "views": recipe.views,
        "files": num_files,
        "megabytes": round(num_bytes / 1e6, 1),
        "first_epoch_seconds": first,
        "epoch_seconds": {switch: round(seconds, 3) for switch, seconds in epoch.items()},
        "training_seconds": {switch: round(seconds, 2) for switch, seconds in whole.items()},
        "epoch_ratio": round(epoch["on"] / epoch["off"], 3),
        "training_ratio": round(whole["on"] / whole["off"], 3),
        "same_curve": all(curve == curves[0] for curve in curves),
    }


def held_out(data: ImageData, image_size: int) -> Examples:
    """Return all labelled images that are not trained on."""
    rows = data.manifest.split("val", "blend", "test")
    return data.examples_of(rows[rows["label"] >= 0], image_size)


def score(
    data: ImageData, image_size: int, trainable_blocks: int, num_epochs: int, seeds: int
) -> dict[str, Any]:
    """Return macro F1 on held-out images by the number of views, of several seeds."""
    program = build(make_recipe(image_size, trainable_blocks, 0), data, num_epochs)
    examples = held_out(data, image_size)
    scores: dict[str, list[float]] = {}
    for views, seed in itertools.product(SCORED_VIEWS, range(seeds)):
        recipe = make_recipe(image_size, trainable_blocks, views)
        with tempfile.TemporaryDirectory() as folder:
            train(program, recipe, data, num_epochs, FeatureBank(Path(folder), LIMIT), seed)
        probabilities = trial.predict(program, examples)
        found = macro_f1(examples.labels, probabilities)
        scores.setdefault(str(views), []).append(round(found, 4))
    return {
        "image_size": image_size,
        "trainable_blocks": trainable_blocks,
        "epochs": num_epochs,
        "held_out_images": len(examples),
        "macro_f1": scores,
        "mean": {views: round(float(np.mean(found)), 4) for views, found in scores.items()},
    }


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--scores", action="store_true")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    size = given.image_size
    result: dict[str, Any] = {"cases": [], "scores": []}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        address = given.data or str(embedded_default())
        data = prepare(address, seed=0, image_size=size, cache=Path(temporary))
        result["images"] = data.manifest.count_images()
        for blocks, views in () if given.scores else itertools.product(BLOCKS, VIEWS):
            recipe = make_recipe(size, blocks, views)
            result["cases"].append(measure(data, recipe, given.epochs, given.repeats))
            print(json.dumps(result["cases"][-1]), flush=True)
        for blocks in (0, 4) if given.scores else ():
            result["scores"].append(score(data, size, blocks, given.epochs, given.seeds))
            print(json.dumps(result["scores"][-1]), flush=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
