"""From members to `blend.json`: predict once, in order, with ids; weigh; score; write."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.blending.fits import Fit, Images, load_weights
from automl_flowers.blending.material import Material
from automl_flowers.blending.retrain import Member, digits, digits_of
from automl_flowers.tuning.trainer import Trainer
from ensembles import metrics, predictions, validation
from ensembles.averaging import average, uniform_weights
from ensembles.optimize import fit_weights
from ensembles.predictions import AlignedPredictions, Predictions

SPLITS = ("val", "blend", "test")


def predict_members(
    trainer: Trainer,
    members: Sequence[Member],
    material: Material,
    members_folder: Path,
    folder: Path,
) -> dict[str, AlignedPredictions]:
    """Predict every split with every member and write one file each.

    A file that exists is used again if it was made by the same training on the same images.

    Args:
        trainer: On the run's data.
        members: Retrained models.
        material: What they were made of; the images that are predicted, too.
        members_folder: Where their weights lie.
        folder: Where predictions are written.

    Returns:
        For each split that has images, the members' predictions in one order.
    """
    splits = [split for split in SPLITS if _predicted_by(members[0], material, split)]
    return {
        split: predictions.align(
            [
                _predict(trainer, member, material, split, members_folder, folder)
                for member in members
            ]
        )
        for split in splits
    }


def predictions_file(member: Member, material: Material, split: str) -> str:
    """Return the name of the file with a member's predictions of a split.

    It changes with what the member was trained on and with the images, so predictions are never
    read for data that they were not made on.
    """
    fits = tuple(one for _, some in _predicted_by(member, material, split) for one in some)
    content = _content(member, material, split)
    return f"{member.name}.{split}.{digits_of(fits)}-{content}.npz"


def _predicted_by(
    member: Member, material: Material, split: str
) -> list[tuple[Images, tuple[Fit, ...]]]:
    """Return the images of a split, each with the fits that have not seen them."""
    if split == "test":
        return [(material.test, member.final_fits)] if material.test else []
    return [
        (part.held_out[split], fits)
        for part, fits in zip(material.parts, member.fits, strict=True)
        if split in part.held_out
    ]


def _content(member: Member, material: Material, split: str) -> str:
    """Return digits of what the images of a split show."""
    shown = [images.content for images, _ in _predicted_by(member, material, split)]
    return shown[0] if len(shown) == 1 else digits("+".join(shown))


def _predict(
    trainer: Trainer,
    member: Member,
    material: Material,
    split: str,
    members_folder: Path,
    folder: Path,
) -> Predictions:
    path = folder / predictions_file(member, material, split)
    if path.exists():
        with contextlib.suppress(ValueError):  # the file is damaged, so predict again
            return predictions.load_predictions(path)
    shown, made = [], []
    for images, fits in _predicted_by(member, material, split):
        examples = images.at(member.recipe.image_size)
        weights = (load_weights(members_folder, fit.name) for fit in fits)
        made_by = [trainer.predict(member.recipe, each, examples) for each in weights]
        shown.append(examples)
        made.append(average(np.stack(made_by)).astype(np.float32))
    predicted = Predictions(
        member=member.name,
        split=split,
        ids=np.concatenate([examples.ids for examples in shown]),
        labels=np.concatenate([examples.labels for examples in shown]),
        probabilities=np.concatenate(made),
        class_names=trainer.data.manifest.class_names,
        data_hash=_content(member, material, split),
    )
    folder.mkdir(parents=True, exist_ok=True)
    predictions.save_predictions(path, predicted)
    return predicted


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
