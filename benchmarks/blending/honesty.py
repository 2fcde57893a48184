"""What is reported of a blend against what new images show, over many divisions.

Two widths stand for comparison, both of an interval for a share that contains both sampling
errors: the plain binomial one, as if macro F1 were the share of images that are right, and the
binomial one by class, which gives every class the same say, as macro F1 does. With classes of
equal size they are the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from automl_flowers.data import splits
from ensembles.blend import apply_blend
from ensembles.chooser import choose_blend
from ensembles.metrics import macro_f1

from . import simulate
from .real import Members

LEVEL = 0.9
NORMAL_QUANTILE = 1.6449


@dataclass(frozen=True, eq=False)
class Division:
    """Images to blend by and images to test on."""

    blend_labels: np.ndarray
    blend: np.ndarray
    test_labels: np.ndarray
    test: np.ndarray


def halved(members: Members, num_repeats: int) -> Iterator[Division]:
    """Yield random halvings, class by class, copies together; the halves swap sides in turn."""
    labels, stack = members.labels, members.stack
    rows = pd.DataFrame({"id": [str(k) for k in range(len(labels))], "label": labels})
    for seed in range(num_repeats):
        halves = splits.deal(rows, members.groups, {"0": 0.5, "1": 0.5}, seed=seed)
        is_blend = halves == str(seed % 2)
        yield Division(labels[is_blend], stack[:, is_blend], labels[~is_blend], stack[:, ~is_blend])


def simulated(
    num_repeats: int, num_models: int, num_images: int, num_test: int, seed: int = 0
) -> Iterator[Division]:
    """Yield blend splits of simulated members, drawn from as many images as the test has."""
    world = simulate.make_world(seed, num_models)
    labels = simulate.draw_labels(num_test)
    test, pool = (simulate.predict(world, labels, seed=1 + side) for side in (0, 1))
    wanted = np.bincount(simulate.draw_labels(num_images))
    for repeat in range(num_repeats):
        rng = np.random.default_rng(repeat)
        rows = np.concatenate(
            [
                rng.choice(np.flatnonzero(labels == k), n, replace=False)
                for k, n in enumerate(wanted)
            ]
        )
        yield Division(labels[rows], pool[:, rows], labels, test)


def measure(divisions: Iterator[Division]) -> dict[str, Any]:
    """Return means over divisions: errors in points, coverage, widths, rules."""
    rows = [_measure_one(division) for division in divisions]
    rules = [row.pop("rule") for row in rows]
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    width, plain, by_class = (means.pop(f"{name}width") for name in ("", "plain_", "class_"))
    return {
        "repeats": len(rows),
        "blend_images": int(means.pop("blend_images")),
        "test_images": int(means.pop("test_images")),
        "test_macro_f1": round(means.pop("test"), 4),
        **{f"{name}_minus_test_points": round(100 * means[name], 3) for name in _REPORTED},
        "coverage": round(means["covered"], 3),
        "width_points": round(100 * width, 2),
        "width_over_binomial": round(width / plain, 2),
        "width_over_binomial_by_class": round(width / by_class, 2),
        "blend_minus_single_points": round(100 * means["over_single"], 3),
        "rules": {rule: rules.count(rule) for rule in sorted(set(rules))},
    }


_REPORTED = ("expected", "nested", "naive")


def _measure_one(division: Division) -> dict[str, Any]:
    choice = choose_blend(division.blend_labels, division.blend, num_new=len(division.test_labels))
    test = macro_f1(division.test_labels, apply_blend(choice.blend, division.test))
    alone = [macro_f1(division.blend_labels, member) for member in division.blend]
    single = macro_f1(division.test_labels, division.test[int(np.argmax(alone))])
    expected, nested, naive = choice.expected, choice.nested, choice.naive
    if expected is None or nested is None or naive is None:
        raise ValueError("There are no labels to blend by. Give out-of-fold predictions.")
    variance = test * (1.0 - test)
    sizes = [
        np.bincount(labels, minlength=division.blend.shape[-1])
        for labels in (division.blend_labels, division.test_labels)
    ]
    present = (sizes[0] > 0) & (sizes[1] > 0)
    by_class = sum((1.0 / size[present]).sum() for size in sizes) / present.sum() ** 2
    plain = sum(1.0 / size.sum() for size in sizes)
    return {
        "rule": choice.rule,
        "blend_images": len(division.blend_labels),
        "test_images": len(division.test_labels),
        "test": test,
        "expected": expected.score - test,
        "nested": nested.score - test,
        "naive": naive.score - test,
        "covered": expected.low <= test <= expected.high,
        "width": expected.high - expected.low,
        "plain_width": 2.0 * NORMAL_QUANTILE * np.sqrt(variance * plain),
        "class_width": 2.0 * NORMAL_QUANTILE * np.sqrt(variance * by_class),
        "over_single": test - single,
    }
