"""The images that members are made of, and those that they are scored on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.blending.fits import ImageSet
from automl_flowers.data import copies, splits
from automl_flowers.data.cache import content_hash
from automl_flowers.data.leaks import Policy, leaks_within
from automl_flowers.data.prepare import ImageData
from automl_flowers.errors import ConfigError
from automl_flowers.tuning.trainer import StartingHeads

ALL_LABELLED = ("train", "val", "blend")
"""Splits whose images are dealt into folds, and that a final fit trains on."""

HeadsOfFold = Callable[[pd.DataFrame, npt.NDArray[np.bool_]], StartingHeads]
"""Called with manifest rows and which of them a fold trains on."""


@dataclass(frozen=True)
class Part:
    """A division of our images; every member has fits of its own on each.

    Attributes:
        train: Its fits train on them.
        val: Its fits are scored on them after every epoch.
        held_out: Images that its fits predict, by the name of the split that they count to.
        suffix: What the names of its fits add.
        heads: What its fits start from; None for what trials of the search start from.
        pseudo: Test images with the labels that fits of this part gave them in a first ensemble,
            which join where that does not lower the score; None for none.
    """

    train: ImageSet
    val: ImageSet
    held_out: Mapping[str, ImageSet] = field(default_factory=dict)
    suffix: str = ""
    heads: StartingHeads | None = None
    pseudo: ImageSet | None = None


@dataclass(frozen=True)
class Material:
    """The images that members may be made of.

    Attributes:
        parts: The run's own division, or one a fold.
        test: New images, which every fit of a member predicts; None for none.
        external: Join what is trained on where that does not lower the score; None for none.
        everything: All labelled images of ours that new images may be predicted from; None to
            predict them with what the scores were measured on.
    """

    parts: tuple[Part, ...]
    test: ImageSet | None = None
    external: ImageSet | None = None
    everything: ImageSet | None = None


def collect(
    data: ImageData,
    image_size: int,
    *,
    external: ImageSet | None = None,
    final_fit: bool = False,
    leaks: Policy = "drop",
    num_folds: int | None = None,
    seed: int = 0,
    heads_of_fold: HeadsOfFold | None = None,
) -> Material:
    """Return what members of a run are made of.

    Args:
        data: The run's images.
        image_size: A size at which they are decoded already.
        external: Images that may join.
        final_fit: Whether new images are predicted by models that were trained on all of ours.
        leaks: What is done with copies of evaluation images.
        num_folds: Folds of all labelled images, copies together; None for the run's own division.
        seed: Of the folds.
        heads_of_fold: Returns what fits of a fold start from. The heads of the search will not do:
            they were fitted on images that folds hold out.
    """
    rows = labelled_rows(data, leaks) if final_fit or num_folds else None
    test = data.manifest.split("test")
    return Material(
        _folds(data, rows, num_folds, image_size, seed, heads_of_fold)
        if num_folds and rows is not None
        else (_own_division(data, image_size),),
        test=images_of(data, test, image_size) if len(test) else None,
        external=external,
        everything=images_of(data, rows, image_size) if final_fit and rows is not None else None,
    )


def _own_division(data: ImageData, image_size: int) -> Part:
    train, val, blend = (
        images_of(data, data.manifest.split(split), image_size) for split in ALL_LABELLED
    )
    return Part(train, val, {"val": val, "blend": blend})


def _folds(
    data: ImageData,
    rows: pd.DataFrame,
    num_folds: int,
    image_size: int,
    seed: int,
    heads_of_fold: HeadsOfFold | None,
) -> tuple[Part, ...]:
    fold_of = _deal_folds(data, rows, num_folds, seed)
    parts = []
    for number in range(num_folds):
        is_train = fold_of != number
        train, held_out = (
            images_of(data, rows[chosen].reset_index(drop=True), image_size)
            for chosen in (is_train, ~is_train)
        )
        suffix = f".fold{number + 1}of{num_folds}"
        heads = heads_of_fold(rows, is_train) if heads_of_fold else None
        parts.append(Part(train, held_out, {"blend": held_out}, suffix, heads))
    return tuple(parts)


def _deal_folds(
    data: ImageData, rows: pd.DataFrame, num_folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Return a fold for each row."""
    found = copies.find_copies_within(data.fingerprints(), data.on_progress)
    chosen = data.manifest.rows["id"].isin(rows["id"]).to_numpy()
    pairs = found.take(chosen[found.left] & chosen[found.right])
    groups = copies.group_copies(pairs, len(chosen))[chosen]
    return splits.deal_folds(rows, groups, num_folds, seed=seed)


def images_of(data: ImageData, rows: pd.DataFrame, image_size: int) -> ImageSet:
    """Return the images of some manifest rows.

    Args:
        data: The run's images.
        rows: Of its manifest.
        image_size: A size at which they are decoded already.
    """
    content = content_hash(data.pictures(image_size), rows)
    return ImageSet(lambda size: data.examples_of(rows, size), content, len(rows))


def copies_of_scored(data: ImageData, scored_on: Sequence[str]) -> frozenset[str]:
    """Return the ids of the test images that are copies of images that scores are taken on.

    They get no pseudo-labels: through them, a score would be taken on what was trained on.

    Args:
        data: The run's images.
        scored_on: Splits that scores are taken on; folds are scored on all that has a label.
    """
    scored = dict.fromkeys(ALL_LABELLED, "none") | dict.fromkeys(scored_on, "val")
    parts = data.manifest.rows["split"].replace({**scored, "test": "train"})
    return frozenset(_copies(data, parts))


def pseudo_labelled(
    data: ImageData,
    ids: npt.NDArray[np.str_],
    probabilities: npt.NDArray[np.float64],
    confidence: float,
    image_size: int,
    *,
    left_out: Collection[str],
) -> ImageSet | None:
    """Return the test images of which an ensemble is sure, with the labels that it gave them.

    Its fits must not have seen the labels of images that scores are taken on: a training on what
    they say would know them second hand.

    Args:
        data: The run's images.
        ids: Of the test images.
        probabilities: What the ensemble says of them, `(num_images, num_classes)`.
        confidence: Least probability of the class, in (0, 1].
        image_size: A size at which they are decoded already.
        left_out: Ids of test images that get no label, from `copies_of_scored`.

    Returns:
        None if it is sure of none.
    """
    rows = data.manifest.split("test")
    label_of = dict(zip(ids, probabilities.argmax(axis=1), strict=True))
    sure = set(ids[probabilities.max(axis=1) >= confidence]).difference(left_out)
    rows = rows[rows["id"].isin(sure)].reset_index(drop=True)
    rows = rows.assign(label=rows["id"].map(label_of).astype(np.int64))
    return images_of(data, rows, image_size) if len(rows) else None


def check_unlabelled_test(data: ImageData) -> None:
    """Refuse pseudo-labels for images that there are none of, or that scores are taken on.

    Raises:
        ConfigError: If there are no test images, or they have labels.
    """
    labels = data.manifest.split("test")["label"]
    if len(labels) and (labels < 0).all():
        return
    found = "have labels, so they are there to be scored on" if len(labels) else "are missing"
    raise ConfigError(
        f"`pseudo_labels` needs test images without labels, but they {found}.",
        hint="leave `--pseudo-labels` out",
    )


def labelled_rows(data: ImageData, leaks: Policy) -> pd.DataFrame:
    """Return the rows that may be trained on to predict new images: train, val and blend.

    Those of val and blend that are copies of test images are left out, as those of train are,
    unless leaks are kept or only warned of.

    Args:
        data: The run's images.
        leaks: What is done with copies of evaluation images.
    """
    rows = data.manifest.rows
    copied: tuple[str, ...] = ()
    if leaks in ("drop", "fail") and (rows["split"] == "test").any():
        copied = _copies(data, rows["split"].replace({"val": "train", "blend": "train"}))
    labelled = data.manifest.split(*ALL_LABELLED)
    return labelled[~labelled["id"].isin(copied)].reset_index(drop=True)


def _copies(data: ImageData, parts: pd.Series) -> tuple[str, ...]:
    """Return the ids of the images in `train` that are copies of evaluation images.

    Args:
        data: The run's images.
        parts: The split that each image is taken to be in.
    """
    leaking = leaks_within(data.fingerprints(), parts.tolist(), "", data.on_progress)
    return tuple(leak.file for leak in leaking)
