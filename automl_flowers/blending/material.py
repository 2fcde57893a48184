"""The images that members are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.blending.fits import Images
from automl_flowers.data import copies
from automl_flowers.data.cache import content_hash
from automl_flowers.data.leaks import Policy, leaks_within
from automl_flowers.data.prepare import ImageData
from automl_flowers.errors import ConfigError


@dataclass(frozen=True)
class Material:
    """The images that members may be made of.

    Attributes:
        train: Every member trains on them.
        val: Every member is scored on them.
        external: Join `train` where that does not lower the score; None for none.
        everything: All labelled images of ours that new images may be predicted from; None to
            predict them with what the scores were measured on.
        pseudo: Test images with the labels that an ensemble gave them, which join where that does
            not lower the score; None for none.
    """

    train: Images
    val: Images
    external: Images | None = None
    everything: Images | None = None
    pseudo: Images | None = None


def collect(
    data: ImageData,
    image_size: int,
    *,
    external: Images | None = None,
    final_fit: bool = False,
    leaks: Policy = "drop",
) -> Material:
    """Return what members of a run are made of.

    Args:
        data: The run's images.
        image_size: A size at which they are decoded already.
        external: Images that may join.
        final_fit: Whether new images are predicted by models that were trained on all of ours.
        leaks: What is done with copies of evaluation images.
    """
    train, val = (images_of(data, data.manifest.split(s), image_size) for s in ("train", "val"))
    everything = images_of(data, labelled_rows(data, leaks), image_size) if final_fit else None
    return Material(train, val, external, everything)


def images_of(data: ImageData, rows: pd.DataFrame, image_size: int) -> Images:
    """Return the images of some manifest rows.

    Args:
        data: The run's images.
        rows: Of its manifest.
        image_size: A size at which they are decoded already.
    """
    content = content_hash(data.pictures(image_size), rows)
    return Images(lambda size: data.examples_of(rows, size), content, len(rows))


def pseudo_labelled(
    data: ImageData,
    ids: npt.NDArray[np.str_],
    probabilities: npt.NDArray[np.float64],
    confidence: float,
    image_size: int,
) -> Images | None:
    """Return the test images of which an ensemble is sure, with the labels that it gave them.

    Copies of `val` and `blend` images are not among them: through them, a score would be taken on
    what was trained on.

    Args:
        data: The run's images.
        ids: Of the test images.
        probabilities: What the ensemble says of them, `(num_images, num_classes)`.
        confidence: Least probability of the class, in (0, 1].
        image_size: A size at which they are decoded already.

    Returns:
        None if it is sure of none.
    """
    rows = data.manifest.split("test")
    label_of = dict(zip(ids, probabilities.argmax(axis=1), strict=True))
    sure = set(ids[probabilities.max(axis=1) >= confidence])
    parts = data.manifest.rows["split"].replace({"train": "none", "test": "train"})
    sure -= set(_copies(data, parts))
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
    labelled = data.manifest.split("train", "val", "blend")
    return labelled[~labelled["id"].isin(copied)].reset_index(drop=True)


def _copies(data: ImageData, parts: pd.Series) -> tuple[str, ...]:
    """Return the ids of the images in `train` that are copies of evaluation images.

    Args:
        data: The run's images.
        parts: The split that each image is taken to be in.
    """
    found = copies.find_copies_within(data.fingerprints(), data.on_progress)
    leaking = leaks_within(found, list(data.manifest.rows["id"]), list(parts), "")
    return tuple(leak.file for leak in leaking)
