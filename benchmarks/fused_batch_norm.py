"""A training step and a prediction with fused BatchNormalization, beside Keras' own.

    python benchmarks/fused_batch_norm.py [--backbones NAME ...] [--repeats 5] --out FILE.json

For each backbone two models with equal random weights, half of their blocks frozen, on one batch
of 32 noise images at 128 px. They take turns, a few steps each, `--repeats` times; a ratio above
1 says how many times the plain one takes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from automl_flowers.environment import describe_environment
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from search_spaces.backbones import get_backbone

BACKBONES = ("efficientnet_lite0", "efficientnet_b0", "mobilenet_v2", "resnet50", "densenet121")
IMAGE_SIZE, BATCH_SIZE, NUM_CLASSES = 128, 32, 104
STEPS = 10
"""Of one model before the other takes over."""


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", nargs="+", default=BACKBONES)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    result = {
        "environment": describe_environment(),
        "backbones": {name: measure(name, arguments.repeats) for name in arguments.backbones},
    }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(name: str, repeats: int) -> dict[str, Any]:
    """Return the median seconds of a step and of a prediction, and how many times plain takes."""
    programs = {"plain": make_program(name, fused=False), "fused": make_program(name, fused=True)}
    result: dict[str, Any] = {}
    for what, make in {"train": train_step, "predict": prediction}.items():
        run = {kind: make(program) for kind, program in programs.items()}
        seconds: dict[str, list[float]] = {kind: [] for kind in programs}
        for once in run.values():  # traces, and reaches the usual speed
            time_each(once, STEPS)
        for _ in range(repeats):
            for kind, once in run.items():
                seconds[kind] += time_each(once, STEPS)
        medians = {kind: statistics.median(taken) for kind, taken in seconds.items()}
        result[f"{what}_seconds"] = {kind: round(value, 4) for kind, value in medians.items()}
        result[f"ratio.{what}"] = round(medians["plain"] / medians["fused"], 2)
    return result


def make_program(name: str, *, fused: bool) -> Program:
    """Return a program; without `fused` its layers call what Keras has them call."""
    program = Program(
        Architecture(
            backbone=name,
            image_size=IMAGE_SIZE,
            trainable_blocks=get_backbone(name).num_blocks // 2,
            optimizer="adam",
            batch_size=BATCH_SIZE,
            num_classes=NUM_CLASSES,
            precision="float32",
            num_steps=1,
            weights="none",
        )
    )
    if not fused:
        for layer in program.model._flatten_layers(include_self=False):
            vars(layer).pop("call", None)
    return program


def train_step(program: Program) -> Callable[[], Any]:
    """Return a function that takes one step."""
    labels = np.eye(NUM_CLASSES, dtype=np.float32)[np.arange(BATCH_SIZE) % NUM_CLASSES]
    batch = (noise(), labels, np.ones(BATCH_SIZE, np.float32))
    batches = iter(tf.data.Dataset.from_tensors(batch).repeat())
    program.model.make_train_function()
    return lambda: program.model.train_function(batches)


def prediction(program: Program) -> Callable[[], Any]:
    """Return a function that predicts one batch."""
    batches = tf.data.Dataset.from_tensors(noise()).repeat()
    outputs = program.outputs_of(program.model, batches)
    return lambda: next(outputs)


def noise() -> np.ndarray:
    """Return a batch of images, uint8."""
    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (BATCH_SIZE, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)


def time_each(once: Callable[[], Any], number: int) -> list[float]:
    """Return the seconds that each call took."""
    seconds = []
    for _ in range(number):
        started = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - started)
    return seconds


if __name__ == "__main__":
    main()
