"""The images that members are made of."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from automl_flowers.blending.fits import Images
from automl_flowers.data import copies
from automl_flowers.data.cache import content_hash
from automl_flowers.data.leaks import Policy, leaks_within
from automl_flowers.data.prepare import ImageData


@dataclass(frozen=True)
class Material:
    """The images that members may be made of.

    Attributes:
        train: Every member trains on them.
        val: Every member is scored on them.
        external: Join `train` where that does not lower the score; None for none.
        everything: All labelled images of ours that new images may be predicted from; None to
            predict them with what the scores were measured on.
    """

    train: Images
    val: Images
    external: Images | None = None
    everything: Images | None = None


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
        parts = rows["split"].replace({"val": "train", "blend": "train"})
        found = copies.find_copies_within(data.fingerprints(), data.on_progress)
        copied = tuple(leak.file for leak in leaks_within(found, list(rows["id"]), list(parts), ""))
    labelled = data.manifest.split("train", "val", "blend")
    return labelled[~labelled["id"].isin(copied)].reset_index(drop=True)
