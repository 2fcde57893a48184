"""What is reported of a blend against what new images show, over many divisions.

Two widths stand for comparison, both of an interval for a share that contains both sampling
errors: the plain binomial one, as if macro F1 were the share of images that are right, and the
binomial one by class, which gives every class the same say, as macro F1 does. With classes of
equal size they are the same, and the plain one is what widths are held against.

With uneven classes it is the one by class. Macro F1 is a mean over `K` classes, each measured on
its own `n_k` images: where a share of `p` is right in every class, its variance is about
`p (1 - p) (sum of 1 / n_k) / K ** 2`, not `p (1 - p) / n`. With the class sizes of "Petals to the
Metal" (23 to 1,010 labelled images) that makes an interval 1.54 times as wide, so one that covers
what it should cannot be 1.3 plain widths or less. Both figures are kept.

Divisions of one group share images or members, so what is said of the mean is said over groups:
simulated members are drawn anew every 20 divisions. Halvings of real images all share the images;
their standard error says how well the mean over halvings is known, not what other photographs would
show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

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

REPEATS_A_WORLD = 20
"""Divisions for which the same simulated members stand."""

FEW_IMAGES = 8
"""Images a class where little is blended by: fewer than the ten from which blends are fitted."""


@dataclass(frozen=True, eq=False)
class Division:
    """Images to blend by and images to test on, and the group whose members it shares."""

    blend_labels: np.ndarray
    blend: np.ndarray
    test_labels: np.ndarray
    test: np.ndarray
    group: int = 0


def halved(members: Members, num_repeats: int) -> Iterator[Division]:
    """Yield random halvings, class by class, copies together; the halves swap sides in turn."""
    labels, stack = members.labels, members.stack
    rows = pd.DataFrame({"id": [str(k) for k in range(len(labels))], "label": labels})
    for seed in range(num_repeats):
        halves = splits.deal(rows, members.groups, {"0": 0.5, "1": 0.5}, seed=seed)
        is_blend = halves == str(seed % 2)
        halved_once = labels[is_blend], stack[:, is_blend], labels[~is_blend], stack[:, ~is_blend]
        yield Division(*halved_once, group=seed)


def few(members: Members, num_repeats: int, per_class: int = FEW_IMAGES) -> Iterator[Division]:
    """Yield the same halvings with so many images of each class left to blend by."""
    for division in halved(members, num_repeats):
        rng = np.random.default_rng(division.group)
        labels = division.blend_labels
        rows = _choose(labels, np.minimum(np.bincount(labels), per_class), rng)
        yield replace(division, blend_labels=labels[rows], blend=division.blend[:, rows])


def simulated(
    num_repeats: int, num_models: int, num_images: int, num_test: int, seed: int = 0
) -> Iterator[Division]:
    """Yield blend splits of simulated members, drawn from as many images as the test has.

    There are other members every `REPEATS_A_WORLD` times.
    """
    for group, first in enumerate(range(0, num_repeats, REPEATS_A_WORLD)):
        repeats = range(first, min(first + REPEATS_A_WORLD, num_repeats))
        world = simulate.make_world(seed + group, num_models)
        yield from _of_world(world, group, repeats, num_images, num_test)


def _of_world(
    world: simulate.World, group: int, repeats: range, num_images: int, num_test: int
) -> Iterator[Division]:
    labels = simulate.draw_labels(num_test)
    test, pool = (simulate.predict(world, labels, seed=1 + 2 * group + side) for side in (0, 1))
    wanted = np.bincount(simulate.draw_labels(num_images))
    for repeat in repeats:
        rows = _choose(labels, wanted, np.random.default_rng(repeat))
        yield Division(labels[rows], pool[:, rows], labels, test, group)


def _choose(labels: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return as many rows of each class as are wanted."""
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == k), n, replace=False) for k, n in enumerate(wanted)]
    )


def measure(
    divisions: Iterator[Division], width_beside: Literal["binomial", "binomial by class"]
) -> dict[str, Any]:
    """Return means over divisions: errors in points, coverage, widths, rules.

    Args:
        divisions: To blend by and to test on.
        width_beside: What the width is held against: with even classes the plain binomial one,
            else the one by class.
    """
    rows, groups = [], []
    for division in divisions:
        rows.append(_measure_one(division))
        groups.append(division.group)
    rules = [row.pop("rule") for row in rows]
    errors = {
        name: standard_error(_means_of_groups([row[name] for row in rows], groups))
        for name in _REPORTED
    }
    means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    width, plain, by_class = (means.pop(f"{name}width") for name in ("", "plain_", "class_"))
    return {
        "repeats": len(rows),
        "blend_images": int(means.pop("blend_images")),
        "test_images": int(means.pop("test_images")),
        "test_macro_f1": round(means.pop("test"), 4),
        **{f"{name}_minus_test_points": round(100 * means[name], 3) for name in _REPORTED},
        "groups": len(set(groups)),
        **{f"{name}_standard_error_points": round(100 * errors[name], 3) for name in _REPORTED},
        "coverage": round(means["covered"], 3),
        "width_points": round(100 * width, 2),
        "width_ratio": round(width / (plain if width_beside == "binomial" else by_class), 2),
        "width_ratio_beside": width_beside,
        "width_over_binomial": round(width / plain, 2),
        "width_over_binomial_by_class": round(width / by_class, 2),
        "blend_minus_single_points": round(100 * means["over_single"], 3),
        "rules": {rule: rules.count(rule) for rule in sorted(set(rules))},
    }


_REPORTED = ("expected", "nested", "naive")


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of a mean; 0 of a single value."""
    return float(values.std(ddof=len(values) > 1) / np.sqrt(len(values)))


def _means_of_groups(values: list[float], groups: list[int]) -> np.ndarray:
    return np.array(pd.Series(values).groupby(groups).mean())


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
