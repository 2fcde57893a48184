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
from .honesty import Division, standard_error

OURS = "chooser"
"""The way that all others are held against."""


def worlds(num_repeats: int, num_models: int, num_images: int, num_test: int) -> Iterator[Division]:
    """Yield divisions of simulated members, other members each time."""
    for seed in range(num_repeats):
        world = simulate.make_world(seed, num_models)
        sides = [simulate.draw_labels(number) for number in (num_images, num_test)]
        stacks = [simulate.predict(world, side, seed=1 + k) for k, side in enumerate(sides)]
        yield Division(sides[0], stacks[0], sides[1], stacks[1])


def compare(divisions: Iterator[Division], environment: Path | None) -> dict[str, Any]:
    """Return means and standard errors of each way; without an environment no rivals.

    What could not run is in the result with the reason.
    """
    found: dict[str, dict[int, dict[str, float]]] = defaultdict(dict)
    failures: dict[str, list[str]] = defaultdict(list)
    for number, division in enumerate(divisions):
        baseline = macro_f1(division.test_labels, division.test.mean(axis=0))
        for name in contestants.WAYS:
            try:
                fitted = contestants.fit(name, division.blend_labels, division.blend)
            except ImportError as error:
                failures[name].append(str(error))
                continue
            test = macro_f1(division.test_labels, apply_blend(fitted.blend, division.test))
            found[name][number] = _row(test, fitted.reported, fitted.seconds, baseline)
        for name in rivals.RIVALS if environment else ():
            fit = rivals.fit(name, division.blend_labels, division.blend, environment)
            if isinstance(fit, str):
                failures[name].append(fit)
                continue
            blended = np.tensordot(fit.weights, division.test, axes=1)
            test = macro_f1(division.test_labels, blended)
            found[name][number] = _row(test, fit.reported, fit.seconds, baseline)
    summaries = {name: _summary(rows, found[OURS]) for name, rows in found.items()}
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


def _summary(
    rows: dict[int, dict[str, float]], ours: dict[int, dict[str, float]]
) -> dict[str, Any]:
    """Return means over divisions; differences are taken division by division."""
    values = {
        name: np.array([row[name] for row in rows.values()]) for name in next(iter(rows.values()))
    }
    ahead = np.array([ours[number]["gain"] - row["gain"] for number, row in rows.items()])
    return {
        "repeats": len(rows),
        "test_macro_f1": round(float(values["test"].mean()), 4),
        "over_plain_mean_points": round(float(values["gain"].mean()), 2),
        "standard_error_points": round(standard_error(values["gain"]), 2),
        "chooser_ahead_points": round(float(ahead.mean()), 2),
        "chooser_ahead_standard_error_points": round(standard_error(ahead), 2),
        "optimism_points": round(float(values["optimism"].mean()), 2),
        "seconds": round(float(np.median(values["seconds"])), 2),
    }
