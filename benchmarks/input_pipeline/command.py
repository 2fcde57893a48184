"""Measure the pipelines in turn, then training with ours and with one batch again and again."""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from automl_flowers.data.pipeline import training_batches
from automl_flowers.data.prepare import ImageData, prepare
from automl_flowers.environment import describe_environment
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from search_spaces.augmentation import get_augmentation
from search_spaces.backbones import get_backbone
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule, learning_rate_table

from . import layers, notebook

BACKBONE = "efficientnet_lite0"
ENDLESS = 10**6
UNTIMED = 4
"""Batches before the clock starts: tracing, and whatever is made ahead."""

Make = Callable[[], tf.data.Dataset]


def make_recipe(image_size: int, batch_size: int, augmentation: str) -> Recipe:
    """Return a recipe that trains all of the backbone."""
    return Recipe(
        backbone=BACKBONE,
        image_size=image_size,
        trainable_blocks=get_backbone(BACKBONE).num_blocks,
        dropout=0.2,
        l2=1e-6,
        label_smoothing=0.1,
        class_weighting="none",
        augmentation=augmentation,
        optimizer="adam",
        batch_size=batch_size,
        schedule=Schedule("constant", 1e-4, {}),
    )


def our_batches(data: ImageData, recipe: Recipe) -> tf.data.Dataset:
    """Return endless batches as training takes them."""
    return training_batches(
        data.examples("train", recipe.image_size),
        recipe,
        num_classes=data.manifest.num_classes,
        batch_size=recipe.batch_size,
        seed=0,
        first_epoch=0,
        last_epoch=ENDLESS,
    )


def make_pipelines(data: ImageData, recipe: Recipe) -> dict[str, Make]:
    """Return what makes each pipeline anew; what one caches lasts from turn to turn."""
    usual = data.manifest.split("train"), recipe.image_size, recipe.batch_size
    strength = get_augmentation(recipe.augmentation)
    made = {
        "notebook": notebook.batches(*usual, strength),
        "notebook_cached": notebook.batches(*usual, strength, is_cached=True),
        "keras_layers": layers.batches(*usual, strength),
    }
    return {
        "ours": functools.partial(our_batches, data, recipe),
        **{name: functools.partial(_same, dataset) for name, dataset in made.items()},
    }


def _same(dataset: tf.data.Dataset) -> tf.data.Dataset:
    return dataset


def drain(batches: Iterable[Any], num_batches: int) -> tuple[float, float]:
    """Return the seconds and the CPU seconds of some batches, those before them not counted."""
    iterator = iter(batches)
    for _ in range(UNTIMED):
        next(iterator)
    began, busy = time.perf_counter(), time.process_time()
    for _ in range(num_batches):
        next(iterator)
    return time.perf_counter() - began, time.process_time() - busy


def measure_pipelines(
    pipelines: Mapping[str, Make], batch_size: int, num_batches: int, rounds: int
) -> dict[str, Any]:
    """Return images a second and CPU time of pipelines that take turns, medians over rounds."""
    seconds: dict[str, list[float]] = {name: [] for name in pipelines}
    busy: dict[str, list[float]] = {name: [] for name in pipelines}
    for number in range(rounds + 1):
        for name, make in pipelines.items():
            wall, cpu = drain(make(), num_batches)
            if number:  # the first round fills caches
                seconds[name].append(wall)
                busy[name].append(cpu)
    images = num_batches * batch_size
    return {
        "images_per_second": _per_second(images, seconds),
        "cpu_microseconds_per_image": _microseconds(images, busy),
        "ratio": {
            f"vs_{name}": round(_paired(values, seconds["ours"]), 2)
            for name, values in seconds.items()
            if name != "ours"
        },
    }


def measure_training(
    data: ImageData, recipe: Recipe, num_steps: int, rounds: int
) -> dict[str, Any]:
    """Return images a second of training on our batches, and on one batch again and again."""
    program = Program(
        Architecture.of(
            recipe,
            batch_size=recipe.batch_size,
            num_classes=data.manifest.num_classes,
            precision="float32",
            num_steps=num_steps,
            weights="imagenet",
        )
    )
    rates = learning_rate_table(recipe.schedule, steps_per_epoch=num_steps, num_epochs=1)
    program.start(recipe, rates, 0, None)
    program.set_epoch_length(program.model, num_steps)
    first = next(iter(our_batches(data, recipe)))
    feeds: dict[str, Make] = {
        "ours": functools.partial(our_batches, data, recipe),
        "constant_batch": functools.partial(_again_and_again, first),
    }
    seconds: dict[str, list[float]] = {name: [] for name in feeds}
    busy: dict[str, list[float]] = {name: [] for name in feeds}
    for number in range(rounds + 1):
        for name, make in feeds.items():
            began, cpu = time.perf_counter(), time.process_time()
            program.model.fit(make(), steps_per_epoch=num_steps, shuffle=False, verbose=0)
            if number:  # the first round traces
                seconds[name].append(time.perf_counter() - began)
                busy[name].append(time.process_time() - cpu)
    images = num_steps * recipe.batch_size
    return {
        "training_images_per_second": _per_second(images, seconds),
        "training_cpu_microseconds_per_image": _microseconds(images, busy),
        "ratio": {
            "training_vs_constant_batch": round(
                _paired(seconds["constant_batch"], seconds["ours"]), 3
            )
        },
    }


def _again_and_again(batch: Any) -> tf.data.Dataset:
    """Return one batch without end; without the autotuning that ours does without, too.

    Its thread would be waited for at the end of `fit`, for seconds.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensors(batch).repeat().with_options(options)


def _per_second(images: int, seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: round(images / statistics.median(s), 1) for name, s in seconds.items()}


def _microseconds(images: int, seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: round(1e6 * statistics.median(s) / images, 1) for name, s in seconds.items()}


def _paired(theirs: list[float], ours: list[float]) -> float:
    """Return the median over rounds of their seconds over ours."""
    return statistics.median(one / other for one, other in zip(theirs, ours, strict=True))


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--augmentation", default="medium")
    parser.add_argument("--batches", type=int, default=60, help="of a turn of a pipeline")
    parser.add_argument("--steps", type=int, default=40, help="of a turn of training")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recipe = make_recipe(given.image_size, given.batch_size, given.augmentation)
    with tempfile.TemporaryDirectory() as temporary:
        began = time.perf_counter()
        data = prepare(given.data, seed=0, image_size=given.image_size, cache=Path(temporary))
        prepared = time.perf_counter() - began
        pipelines = measure_pipelines(
            make_pipelines(data, recipe), recipe.batch_size, given.batches, given.rounds
        )
        training = measure_training(data, recipe, given.steps, given.rounds)
    result = {
        "data": Path(given.data).name,
        "environment": describe_environment(),
        **{name: getattr(given, name) for name in ("image_size", "batch_size", "augmentation")},
        **{name: getattr(given, name) for name in ("batches", "steps", "rounds")},
        "training_images": data.manifest.count_images()["train"],
        "seconds_to_prepare": round(prepared, 2),
        **pipelines,
        **training,
        "ratio": pipelines["ratio"] | training["ratio"],
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))
