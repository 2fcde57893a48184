"""How many images a second each strength of augmentation makes on this machine.

    python benchmarks/augmentation.py --out FILE.json
    python benchmarks/augmentation.py --image-size 512 --names light,strong --out FILE.json

Augments and mixes the same batches of noise with one strength after the other, round after round,
as the graph functions that training maps over its data set, and writes medians. A machine that
slows down meanwhile so slows down all of them alike. Tracing is not counted.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from automl_flowers.data.augmentation import augment, mix, sample_parameters
from search_spaces.augmentation import TRAINABLE, AugmentationStrength, get_augmentation

CLASSES, BATCHES = 104, 4

Step = Callable[[tf.Tensor, tf.Tensor], Any]
"""From images and their numbers to whatever is trained on."""


def make_step(strength: AugmentationStrength) -> Step:
    """Return what training maps over its batches, without the reading."""

    def step(images: tf.Tensor, rows: tf.Tensor) -> Any:
        weights = tf.ones_like(rows[:, 0])
        labels = tf.tile(weights[:, tf.newaxis] / CLASSES, [1, CLASSES])
        return mix(augment(images, rows, strength), labels, weights, rows, strength)

    return tf.function(step, autograph=False)


def measure(
    steps: Mapping[str, Step], *, image_size: int, batch_size: int, rounds: int
) -> dict[str, float]:
    """Return images a second of each step, medians over rounds in turn."""
    shape = (batch_size, image_size, image_size, 3)
    images = tf.constant(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    tables = [sample_parameters(batch_size, seed=0, epoch=epoch) for epoch in range(BATCHES)]
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        tf.nest.map_structure(np.asarray, step(images, tables[0]))
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter()
            for rows in tables:
                tf.nest.map_structure(np.asarray, step(images, rows))
            seconds[name].append(time.perf_counter() - started)
    made = BATCHES * batch_size
    return {name: round(made / statistics.median(taken), 1) for name, taken in seconds.items()}


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--names", type=functools.partial(str.split, sep=","), default=TRAINABLE)
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    sizes = {name: getattr(given, name) for name in ("image_size", "batch_size", "rounds")}
    steps = {name: make_step(get_augmentation(name)) for name in given.names}
    with tf.device("CPU"):
        result = {**sizes, "cores": os.cpu_count(), "images_per_second": measure(steps, **sizes)}
    print(json.dumps(result, indent=2))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
