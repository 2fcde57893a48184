"""From members' predictions to what `blend.json` says: choose a blend, score it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl_flowers.blending.predict_members import SPLITS
from automl_flowers.blending.retrain import Member
from automl_flowers.blending.soup_records import digits
from ensembles import metrics
from ensembles.blend import apply_blend
from ensembles.calibration import calibration_error
from ensembles.chooser import Choice, choose_blend, uniform_choice
from ensembles.intervals import Interval
from ensembles.predictions import AlignedPredictions

METRICS = ("macro_f1", "accuracy", "log_loss", "calibration_error")
"""That are taken on every split."""

_FEWEST_IMAGES = {"auto": 10, "optimized": 2}
"""Images a class, on average, below which nothing is fitted."""


def weigh(aligned: Mapping[str, AlignedPredictions], rule: str) -> Choice:
    """Return the blend, chosen by the `blend` split.

    Args:
        aligned: The members' predictions on each split.
        rule: `uniform`; `optimized`, which fits what there is to fit from two images a class;
            or `auto`, the same from ten images a class.
    """
    labels, probabilities = aligned["blend"].labels, aligned["blend"].probabilities
    num_new = len(aligned["test"].ids) if "test" in aligned else None
    if rule == "uniform" and len(probabilities) > 1:
        reason = f"As asked for, the {len(probabilities)} members count equally."
        return uniform_choice(labels, probabilities, reason, num_new=num_new)
    fewest = _FEWEST_IMAGES.get(rule, 10)
    return choose_blend(labels, probabilities, num_new=num_new, min_images_per_class=fewest)


def summarise(
    members: Sequence[Member],
    aligned: Mapping[str, AlignedPredictions],
    choice: Choice,
    *,
    files: Sequence[Mapping[str, str]],
    external: Sequence[Mapping[str, Any]],
    without_external: tuple[AlignedPredictions, Choice] | None = None,
    left_out: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return what `blend.json` says.

    Args:
        members: In the order of the weights.
        aligned: Their predictions on each split.
        choice: How they are blended.
        files: For each member, its file of predictions of each split.
        external: What of each external data set was used.
        without_external: What the members would say of `blend` without external images, and how
            that would be blended; None where there is nothing to compare.
        left_out: Picked recipes that could not be retrained, `name` and `reason`.
    """
    blended = {s: apply_blend(choice.blend, a.probabilities) for s, a in aligned.items()}
    scores: dict[str, Any] = {
        split: _scores(aligned[split].labels, blended[split]) if split in aligned else None
        for split in SPLITS
    }
    scores["test"] = scores["test"] or dict.fromkeys(METRICS)
    scores["blend"] |= _with_interval("naive", choice.naive) | _with_interval(
        "nested", choice.nested
    )
    return {
        "class_names": list(aligned["blend"].class_names),
        "rule": choice.rule,
        "reason": choice.reason,
        "weights_fitted_on": "blend" if choice.is_fitted else None,
        "temperature_fitted_on": "blend" if choice.is_calibrated else None,
        "blend": choice.blend.to_dict(),
        "members": [
            _member_entry(member, choice, aligned, number) | {"predictions": files[number]}
            for number, member in enumerate(members)
        ],
        "scores": scores,
        "expected": {"images": choice.num_new, **_with_interval("test", choice.expected)},
        "candidates": [dataclasses.asdict(way) for way in choice.ways],
        "diversity": {
            "disagreement": choice.diversity.disagreement if choice.diversity else None,
            "both_wrong": choice.diversity.both_wrong if choice.diversity else None,
        },
        "images": {split: len(one.ids) for split, one in aligned.items()},
        "absent_classes": {
            split: len(metrics.absent_classes(a.labels[a.labels >= 0], len(a.class_names)))
            for split, a in aligned.items()
            if (a.labels >= 0).any()
        },
        "external": list(external),
        "without_external": _scores_of_other(*without_external) if without_external else None,
        "left_out": list(left_out),
    }


def _scores_of_other(aligned: AlignedPredictions, choice: Choice) -> dict[str, Any] | None:
    """Return what the images of `blend` say of another blend."""
    scores = _scores(aligned.labels, apply_blend(choice.blend, aligned.probabilities))
    return scores and {**scores, **_with_interval("nested", choice.nested)}


def _with_interval(name: str, interval: Interval | None) -> dict[str, Any]:
    return {
        f"{name}_macro_f1": interval.score if interval else None,
        f"{name}_interval_90": [interval.low, interval.high] if interval else None,
    }


def _member_entry(
    member: Member, choice: Choice, aligned: Mapping[str, AlignedPredictions], number: int
) -> dict[str, Any]:
    without = choice.without_members[number] if choice.without_members else None
    differs = choice.diversity.of_members if choice.diversity else ()
    return {
        "name": member.name,
        "weight": choice.blend.weights[number],
        "gain": None if without is None else (choice.with_members or 0.0) - without,
        "disagreement": differs[number] if differs else None,
        "recipe": member.recipe.to_dict(),
        "size": member.size,
        "scores": {s: _scores(a.labels, a.probabilities[number]) for s, a in aligned.items()},
        "val_macro_f1_without_external": member.score_without_external,
        "val_macro_f1_with_external": member.score_with_external,
        "external_failure": member.external_failure,
        "val_macro_f1_with_pseudo_labels": member.score_with_pseudo_labels,
        "views": member.num_views,
        "tried_views": dataclasses.asdict(member.tried_views) if member.tried_views else None,
        "tried_soup": dataclasses.asdict(member.tried_soup) if member.tried_soup else None,
        "others": [other.to_dict() for other in member.others],
        "form": member.form.to_dict() if member.form else None,
        "tried_recipes": (
            dataclasses.asdict(member.tried_recipes) if member.tried_recipes else None
        ),
        "fits": [fit.name for fit in member.all_fits],
        "final_fits": [fit.name for fit in member.final_fits],
        "trained_on": [digits(fit.trained_on) for fit in member.final_fits],
    }


def _scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float] | None:
    """Return the scores on the labelled images, or None if there are none."""
    known = labels >= 0
    if not known.any():
        return None
    labels, probabilities = labels[known], probabilities[known]
    return {
        "macro_f1": metrics.macro_f1(labels, probabilities),
        "accuracy": metrics.accuracy(labels, probabilities),
        "log_loss": metrics.log_loss(labels, probabilities),
        "calibration_error": calibration_error(labels, probabilities),
    }
