"""What members predict: once, in order, with ids, kept in files.

Several views of each image are shown to a member where that lowers its log loss on the images
that also decided what it was trained on; `blend` images decide nothing here unless they are all
that there is, with folds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from automl_flowers.blending.fits import Fit, ImageSet, load_weights
from automl_flowers.blending.material import Material
from automl_flowers.blending.retrain import Member, TriedViews, digits_of
from automl_flowers.blending.soup_records import digits
from automl_flowers.errors import RunError
from automl_flowers.tuning.trainer import Trainer
from ensembles import metrics, predictions
from ensembles.averaging import average
from ensembles.predictions import AlignedPredictions, Predictions

SPLITS = ("val", "blend", "test")


def try_views(
    trainer: Trainer,
    member: Member,
    material: Material,
    num_views: int,
    members_folder: Path,
    folder: Path,
) -> Member:
    """Return a member with several views of each image, if they lower its log loss.

    Log loss, because on few images macro F1 moves in steps that are larger than the gain.

    Args:
        trainer: On the run's data.
        member: Without views.
        material: What it was made of.
        num_views: How many to try (`automl_flowers.data.views`); 1 tries none.
        members_folder: Where weights lie.
        folder: Where predictions are written.
    """
    if num_views == 1:
        return member
    split = decided_on(member, material)
    several = replace(member, num_views=num_views)
    one, many = (
        scores_of(predict_member(trainer, each, material, split, members_folder, folder))
        for each in (member, several)
    )
    tried = TriedViews(num_views, split, without=one, with_views=many)
    better = several if many["log_loss"] < one["log_loss"] else member
    return replace(better, tried_views=tried)


def decided_on(member: Member, material: Material) -> str:
    """Return the split by which is decided how a member predicts."""
    return next(split for split in SPLITS if _predicted_by(member, material, split))


def scores_of(predicted: Predictions) -> dict[str, float]:
    """Return macro F1 and log loss of what a member predicts of labelled images."""
    return scores(predicted.labels, predicted.probabilities)


def scores(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Return macro F1 and log loss.

    Args:
        labels: Of images, integers of shape `(num_images,)`.
        probabilities: What is predicted of them, `(num_images, num_classes)`.
    """
    return {
        "macro_f1": metrics.macro_f1(labels, probabilities),
        "log_loss": metrics.log_loss(labels, probabilities),
    }


def predict_members(
    trainer: Trainer,
    members: Sequence[Member],
    material: Material,
    members_folder: Path,
    folder: Path,
) -> dict[str, AlignedPredictions]:
    """Predict every split with every member and write one file each.

    A file that exists is used again if it was made by the same training on the same images. One
    that is damaged, or is of other classes, images or fewer of them, is made again.

    Args:
        trainer: On the run's data.
        members: Retrained models.
        material: What they were made of; the images that are predicted, too.
        members_folder: Where their weights lie.
        folder: Where predictions are written.

    Returns:
        For each split that has images, the members' predictions in one order.

    Raises:
        RunError: If files of several members that were there do not fit together.
    """
    splits = [split for split in SPLITS if _predicted_by(members[0], material, split)]
    aligned = {}
    for split in splits:
        aligned[split] = predict_together(trainer, members, material, split, members_folder, folder)
    return aligned


def predict_together(
    trainer: Trainer,
    members: Sequence[Member],
    material: Material,
    split: str,
    members_folder: Path,
    folder: Path,
) -> AlignedPredictions:
    """Return what members say of a split, in one order; see `predict_members`.

    Args:
        trainer: On the run's data.
        members: Retrained models.
        material: What they were made of.
        split: One that has images.
        members_folder: Where their weights lie.
        folder: Where predictions are written.

    Raises:
        RunError: If files of several members that were there do not fit together.
    """
    each = [
        predict_member(trainer, member, material, split, members_folder, folder)
        for member in members
    ]
    try:
        return predictions.align(each)
    except ValueError as error:
        raise RunError(
            f"The predictions in `{folder}` do not fit together: {error}",
            hint="remove that folder, and they are made again",
        ) from error


def predict_test_by_part(
    trainer: Trainer,
    members: Sequence[Member],
    material: Material,
    members_folder: Path,
    folder: Path,
) -> list[AlignedPredictions]:
    """Return what the fits of each part say of the test images, those of no other part.

    Files are used again as by `predict_members`.

    Args:
        trainer: On the run's data.
        members: Retrained models.
        material: What they were made of; it has test images.
        members_folder: Where their weights lie.
        folder: Where predictions are written.
    """
    each_part = (
        [replace(member, final_fits=member.fits[number]) for member in members]
        for number in range(len(material.parts))
    )
    return [
        predict_together(trainer, of_part, material, "test", members_folder, folder)
        for of_part in each_part
    ]


def predictions_file(member: Member, material: Material, split: str) -> str:
    """Return the name of the file with a member's predictions of a split.

    It changes with what the member was trained on and with the images, so predictions are never
    read for data that they were not made on.
    """
    fits = tuple(one for _, some in _predicted_by(member, material, split) for one in some)
    content = _content(member, material, split)
    views = f".{member.num_views}views" if member.num_views > 1 else ""
    return f"{member.name}.{split}{views}.{digits_of(fits)}-{content}.npz"


def _predicted_by(
    member: Member, material: Material, split: str
) -> list[tuple[ImageSet, tuple[Fit, ...]]]:
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


def predict_member(
    trainer: Trainer,
    member: Member,
    material: Material,
    split: str,
    members_folder: Path,
    folder: Path,
) -> Predictions:
    """Predict a split with a member and write the file, or read it.

    Args:
        trainer: On the run's data.
        member: A retrained model.
        material: What it was made of.
        split: One that has images.
        members_folder: Where weights lie.
        folder: Where predictions are written.
    """
    path = folder / predictions_file(member, material, split)
    class_names = trainer.data.manifest.class_names
    before = _made_before(path, member, material, split, class_names)
    if before is not None:
        return before
    shown, made = [], []
    for images, fits in _predicted_by(member, material, split):
        examples = images.at(member.recipe.image_size)
        weights = (load_weights(members_folder, fit.name) for fit in fits)
        made_by = [
            trainer.predict(member.predicts_as, each, examples, member.num_views)
            for each in weights
        ]
        shown.append(examples)
        made.append(average(np.stack(made_by)).astype(np.float32))
    predicted = Predictions(
        member=member.name,
        split=split,
        ids=np.concatenate([examples.ids for examples in shown]),
        labels=np.concatenate([examples.labels for examples in shown]),
        probabilities=np.concatenate(made),
        class_names=class_names,
        data_hash=_content(member, material, split),
    )
    folder.mkdir(parents=True, exist_ok=True)
    predictions.save_predictions(path, predicted)
    return predicted


def _made_before(
    path: Path, member: Member, material: Material, split: str, class_names: Sequence[str]
) -> Predictions | None:
    """Return what is in a file, or None if there is none that holds what it should."""
    if not path.exists():
        return None
    try:
        found = predictions.load_predictions(path)
    except ValueError:
        return None
    count = sum(images.count for images, _ in _predicted_by(member, material, split))
    expected = (member.name, split, _content(member, material, split), count, set(class_names))
    holds = (found.member, found.split, found.data_hash, len(found.ids), set(found.class_names))
    return found if holds == expected else None
