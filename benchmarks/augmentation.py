"""How many images a second each strength of augmentation makes on this machine.

    python benchmarks/augmentation.py --out FILE.json
    python benchmarks/augmentation.py --image-size 512 --names light,strong --out FILE.json

Augments and mixes the same batches of noise with one strength after the other, round after round,
and writes medians. A machine that slows down meanwhile so slows down all of them alike. Beside the
images a second stand the microseconds of CPU time that an image takes, which other work on the
machine changes less.
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
import numpy.typing as npt

from automl_flowers.data.augmentation import augment, mix, sample_parameters
from search_spaces.augmentation import TRAINABLE, AugmentationStrength, get_augmentation

CLASSES, BATCHES = 104, 4

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

Step = Callable[[Images, Floats], Any]
"""From images and their numbers to whatever is trained on."""


def make_step(strength: AugmentationStrength) -> Step:
    """Return what training does to its batches, without the reading."""

    def step(images: Images, rows: Floats) -> Any:
        weights = np.ones(len(images), np.float32)
        labels = np.full((len(images), CLASSES), 1 / CLASSES, np.float32)
        return mix(augment(images, rows, strength), labels, weights, rows, strength)

    return step


def measure(
    steps: Mapping[str, Step], *, image_size: int, batch_size: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Return images a second and CPU microseconds an image, medians over rounds in turn."""
    shape = (batch_size, image_size, image_size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    tables = [sample_parameters(batch_size, seed=0, epoch=e).numpy() for e in range(BATCHES)]
    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            started = time.perf_counter(), time.process_time()
            for rows in tables:
                step(images, rows)
            wall[name].append(time.perf_counter() - started[0])
            cpu[name].append(time.process_time() - started[1])
    made = BATCHES * batch_size
    return {
        "images_per_second": {n: round(made / statistics.median(s), 1) for n, s in wall.items()},
        "cpu_microseconds_per_image": {
            n: round(1e6 * statistics.median(s) / made, 1) for n, s in cpu.items()
        },
    }


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
    result = {**sizes, "cores": os.cpu_count(), **measure(steps, **sizes)}
    print(json.dumps(result, indent=2))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
