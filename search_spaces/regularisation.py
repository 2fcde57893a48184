"""Regularisation space: dropout, L2, label smoothing and class weighting."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from search_spaces.parameters import Parameter, unknown_name

ClassWeighting = Literal["none", "balanced", "square_root"]

CLASS_WEIGHTINGS: tuple[ClassWeighting, ...] = ("none", "balanced", "square_root")

PARAMETERS = (
    Parameter("dropout", "float", 0.2, 0.0, 0.9),
    Parameter("l2", "float", 1e-6, 0.0, 1.0),
    Parameter("label_smoothing", "float", 0.0, 0.0, 0.5),
    Parameter("class_weighting", "name", "none", options=CLASS_WEIGHTINGS),
)


def class_weights(
    class_counts: npt.NDArray[np.int64], weighting: ClassWeighting
) -> npt.NDArray[np.float32]:
    """Return the weight of each class in the loss.

    `balanced` is `N / (K * count)`, `square_root` its square root; either is scaled so that the
    weights average 1 over the training images, which keeps the size of the loss, and with it
    the best learning rate, where it was. The counts are those of the data trained on: public
    notebooks kept a constant from another data set and shrank their loss.

    Args:
        class_counts: Training images of each class, integer, shape `(num_classes,)`.
        weighting: One of `CLASS_WEIGHTINGS`.

    Returns:
        float32, shape `(num_classes,)`; 0 for a class without an image, unless `none`.

    Raises:
        ValueError: If there is no such weighting, or no image at all.
    """
    if weighting not in CLASS_WEIGHTINGS:
        raise ValueError(unknown_name("class weighting", weighting, CLASS_WEIGHTINGS))
    if not np.any(class_counts):
        raise ValueError("`class_counts` must hold at least one image, got none.")
    if weighting == "none":
        return np.ones(len(class_counts), dtype=np.float32)
    present = class_counts > 0
    power = 1.0 if weighting == "balanced" else 0.5
    weights = np.where(present, np.maximum(class_counts, 1.0) ** -power, 0.0)
    mean = (weights * class_counts).sum() / class_counts.sum()
    return np.asarray(weights / mean, dtype=np.float32)
