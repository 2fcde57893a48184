"""Test macro F1, optimism and seconds of every way to blend, over divisions of the images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ensembles.blend import apply_blend
from ensembles.metrics import macro_f1

from . import contestants, rivals, simulate
from .honesty import Division


def worlds(num_repeats: int, num_models: int, num_images: int, num_test: int) -> Iterator[Division]:
    """Yield divisions of simulated members, other members each time."""
    for seed in range(num_repeats):
        world = simulate.make_world(seed, num_models)
        sides = [simulate.draw_labels(number) for number in (num_images, num_test)]
        stacks = [simulate.predict(world, side, seed=1 + k) for k, side in enumerate(sides)]
        yield Division(sides[0], stacks[0], sides[1], stacks[1])


def compare(divisions: Iterator[Division], environment: Path | None) -> dict[str, Any]:
    """Return means and standard errors of each way; without an environment no rivals."""
    found: dict[str, list[dict[str, float]]] = defaultdict(list)
    failures: dict[str, list[str]] = defaultdict(list)
    for division in divisions:
        baseline = macro_f1(division.test_labels, division.test.mean(axis=0))
        for name in contestants.WAYS:
            fitted = contestants.fit(name, division.blend_labels, division.blend)
            test = macro_f1(division.test_labels, apply_blend(fitted.blend, division.test))
            found[name].append(_row(test, fitted.reported, fitted.seconds, baseline))
        for name in rivals.RIVALS if environment else ():
            fit = rivals.fit(name, division.blend_labels, division.blend, environment)
            if isinstance(fit, str):
                failures[name].append(fit)
                continue
            blended = np.tensordot(fit.weights, division.test, axes=1)
            test = macro_f1(division.test_labels, blended)
            found[name].append(_row(test, fit.reported, fit.seconds, baseline))
    summaries = {name: _summary(rows) for name, rows in found.items()}
    return summaries | {
        name: {**summaries.get(name, {}), "failed": reasons[-1], "failures": len(reasons)}
        for name, reasons in failures.items()
    }


def _row(test: float, reported: float, seconds: float, baseline: float) -> dict[str, float]:
    return {
        "test": test,
        "gain": 100.0 * (test - baseline),
        "optimism": 100.0 * (reported - test),
        "seconds": seconds,
    }


def _summary(rows: list[dict[str, float]]) -> dict[str, Any]:
    values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    error = np.sqrt(max(len(rows), 1))
    return {
        "repeats": len(rows),
        "test_macro_f1": round(float(values["test"].mean()), 4),
        "over_plain_mean_points": round(float(values["gain"].mean()), 2),
        "standard_error_points": round(float(values["gain"].std(ddof=len(rows) > 1) / error), 2),
        "optimism_points": round(float(values["optimism"].mean()), 2),
        "seconds": round(float(np.median(values["seconds"])), 2),
    }
