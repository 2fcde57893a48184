"""Seconds from the start of a trial to its first finished step, on a new program and a reused one.

    python benchmarks/program_reuse.py [--data DIR] [--repeats 5] --out FILE.json

EfficientNet-Lite0 at 128 px in batches of 32, on the embedded default or another data set. Each
repeat begins without a program: its first trial builds, traces and compiles one, the later ones,
of other recipes, reuse it. Pictures are decoded, and TensorFlow has trained another architecture,
before anything is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from automl_flowers.accelerators import set_up
from automl_flowers.data.prepare import prepare
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.environment import describe_environment
from automl_flowers.tuning.trainer import Trainer
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

FIRST = Recipe(
    backbone="efficientnet_lite0",
    image_size=128,
    trainable_blocks=9,
    dropout=0.2,
    l2=1e-6,
    label_smoothing=0.0,
    class_weighting="none",
    augmentation="light",
    optimizer="adam",
    batch_size=32,
    schedule=Schedule("cosine", 1.5e-3, {"warmup": 0.1}),
)
LATER = (
    replace(FIRST, dropout=0.4, l2=1e-4, schedule=Schedule("constant", 1e-3)),
    replace(FIRST, dropout=0.0, label_smoothing=0.1),
    replace(FIRST, l2=1e-5, class_weighting="balanced"),
)
WARM_UP = replace(FIRST, trainable_blocks=1)
STEPS = 5
"""A trial is stopped after so many."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """The trial has taken its steps."""


class Stopwatch(keras.callbacks.Callback):
    """Notes when steps end, and stops the trial.

    Args:
        ends: Where to.
    """

    def __init__(self, ends: list[float]) -> None:
        super().__init__()
        self._ends = ends

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the time."""
        self._ends.append(time.perf_counter())
        if len(self._ends) == STEPS:
            raise Stopped


class Clock:
    """Trains recipes for a few steps, timed.

    Args:
        data: The images.
        image_size: Pixels.
    """

    def __init__(self, data: Any, image_size: int) -> None:
        self._ends: list[float] = []
        self._trainer = Trainer(
            data, set_up("auto"), num_epochs=4, seed=0, callbacks=[lambda: Stopwatch(self._ends)]
        )
        for split in ("train", "val"):
            self._trainer.examples(split, image_size)

    def time(self, recipe: Recipe) -> tuple[float, list[float]]:
        """Return the seconds to the first finished step, and those of each step after it."""
        self._ends.clear()
        gc.collect()
        started = time.perf_counter()
        with contextlib.suppress(Stopped):
            self._trainer.train(recipe, 0, 1, None, lambda record, state: None)
        steps = [b - a for a, b in zip(self._ends, self._ends[1:], strict=False)]
        return self._ends[0] - started, steps


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        address = arguments.data or str(embedded_default())
        data = prepare(address, seed=0, image_size=FIRST.image_size, cache=Path(temporary))
        result = {"data": Path(address).name, **measure(data, arguments.repeats)}
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(data: Any, repeats: int) -> dict[str, Any]:
    """Return seconds and their ratios: of the whole, and of what comes before the step's work."""
    first, later, steps = [], [], []
    load = [round(value, 1) for value in os.getloadavg()]
    Clock(data, FIRST.image_size).time(WARM_UP)
    for _ in range(repeats):
        clock = Clock(data, FIRST.image_size)
        first.append(clock.time(FIRST)[0])
        for recipe in LATER:
            seconds, step_seconds = clock.time(recipe)
            later.append(seconds)
            steps += step_seconds
    new, reused, step = map(statistics.median, (first, later, steps))
    return {
        "recipe": FIRST.to_dict(),
        "environment": describe_environment(),
        "load_average": load,
        "first": summarise(first),
        "second": summarise(later),
        "step": {"seconds": round(step, 3)},
        "ratio": round(new / reused, 1),
        "ratio_without_the_step": round((new - step) / (reused - step), 1),
    }


def summarise(seconds: list[float]) -> dict[str, Any]:
    """Return the median and all values."""
    return {
        "seconds": round(statistics.median(seconds), 3),
        "all": [round(value, 3) for value in seconds],
    }


if __name__ == "__main__":
    main()
