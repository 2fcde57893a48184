"""From members' predictions to what `blend.json` says: weigh, score."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from automl_flowers.blending.predict_members import SPLITS
from automl_flowers.blending.retrain import Member
from ensembles import metrics, validation
from ensembles.averaging import average, uniform_weights
from ensembles.optimize import fit_weights
from ensembles.predictions import AlignedPredictions


def weigh(aligned: AlignedPredictions, rule: str) -> validation.WeightChoice:
    """Return the blend weights.

    Args:
        aligned: The members' predictions on the `blend` split.
        rule: `uniform`; `optimized`, with as few as two images a class, unless these weights are
            worse when cross-fitted; or `auto`, the same with ten images a class.
    """
    labels, probabilities = aligned.labels, aligned.probabilities
    if rule == "uniform" and len(probabilities) > 1:
        known = labels >= 0
        score = metrics.macro_f1(labels[known], average(probabilities[:, known]))
        return validation.WeightChoice(
            weights=uniform_weights(len(probabilities)),
            rule="uniform",
            reason=f"As asked for, the {len(probabilities)} members count equally.",
            naive_score=score,
            cross_fitted_score=score,
        )
    fewest = 10 if rule == "auto" else 2
    return validation.choose_weights(labels, probabilities, min_images_per_class=fewest)


def summarise(
    members: Sequence[Member],
    aligned: Mapping[str, AlignedPredictions],
    choice: validation.WeightChoice,
    *,
    files: Sequence[Mapping[str, str]],
    external: Sequence[Mapping[str, Any]],
    left_out: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """Return what `blend.json` says.

    Args:
        members: In the order of the weights.
        aligned: Their predictions on each split.
        choice: Their weights.
        files: For each member, its file of predictions of each split.
        external: What of each external data set was used.
        left_out: Picked recipes that could not be retrained, `name` and `reason`.
    """
    blended = {s: average(a.probabilities, choice.weights) for s, a in aligned.items()}
    scores: dict[str, Any] = {
        split: _scores(aligned[split].labels, blended[split]) if split in aligned else None
        for split in SPLITS
    }
    scores["test"] = scores["test"] or {"macro_f1": None, "accuracy": None, "log_loss": None}
    scores["blend"] |= {
        "naive_macro_f1": choice.naive_score,
        "cross_fitted_macro_f1": choice.cross_fitted_score,
        "interval_90": list(_interval(aligned["blend"], choice)),
    }
    return {
        "class_names": list(aligned["blend"].class_names),
        "rule": choice.rule,
        "reason": choice.reason,
        "weights_fitted_on": "blend" if choice.rule == "optimized" else None,
        "members": [
            {**_member_entry(member, float(weight), aligned, number), "predictions": files[number]}
            for number, (member, weight) in enumerate(zip(members, choice.weights, strict=True))
        ],
        "scores": scores,
        "images": {split: len(one.ids) for split, one in aligned.items()},
        "absent_classes": {
            split: len(metrics.absent_classes(a.labels[a.labels >= 0], len(a.class_names)))
            for split, a in aligned.items()
            if (a.labels >= 0).any()
        },
        "external": list(external),
        "left_out": list(left_out),
    }


def _interval(aligned: AlignedPredictions, choice: validation.WeightChoice) -> tuple[float, float]:
    """Return the 90% interval of the cross-fitted score, or of the score if nothing was fitted."""
    known = aligned.labels >= 0
    labels, probabilities = aligned.labels[known], aligned.probabilities[:, known]
    if choice.rule == "optimized":
        blended = validation.cross_fitted_predictions(labels, probabilities, fit_weights)
    else:
        blended = average(probabilities, choice.weights)
    return validation.bootstrap_interval(labels, blended, metrics.macro_f1)


def _member_entry(
    member: Member, weight: float, aligned: Mapping[str, AlignedPredictions], number: int
) -> dict[str, Any]:
    return {
        "name": member.name,
        "weight": weight,
        "recipe": member.recipe.to_dict(),
        "size": member.size,
        "scores": {s: _scores(a.labels, a.probabilities[number]) for s, a in aligned.items()},
        "val_macro_f1_without_external": member.score_without_external,
        "val_macro_f1_with_external": member.score_with_external,
        "external_failure": member.external_failure,
        "val_macro_f1_with_pseudo_labels": member.score_with_pseudo_labels,
        "views": member.num_views,
        "tried_views": dataclasses.asdict(member.tried_views) if member.tried_views else None,
        "fits": [fit.name for fit in member.all_fits],
        "final_fits": [fit.name for fit in member.final_fits],
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
    }
