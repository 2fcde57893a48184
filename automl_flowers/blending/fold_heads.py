"""What fits of a fold start from: heads that have not seen the images that the fold holds out.

The search's own heads were fitted on `train`, and folds hold out images of it. A fit that starts
from such a head has seen what it is scored on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd

from automl_flowers.blending.material import HeadsOfFold
from automl_flowers.data.prepare import ImageData
from automl_flowers.modeling import features
from automl_flowers.modeling.features import Head
from automl_flowers.starting_weights import Weights, weights_of
from automl_flowers.tuning.trainer import StartingHeads


def make_heads_of_fold(
    data: ImageData, weights: Weights, is_probed: Callable[[str, int], bool]
) -> HeadsOfFold:
    """Return a function from a fold to what its fits start from.

    Frozen features of all rows are computed once for all folds, when the first fit asks. Fits of a
    fold that trains on one class start from random heads.

    Args:
        data: The run's images.
        weights: What backbones start from.
        is_probed: Whether trials of a backbone at an image size start from a head; if not, fits
            of folds do not either.
    """

    @functools.lru_cache(maxsize=1)
    def features_of(ids: tuple[str, ...], backbone: str, size: int) -> npt.NDArray[np.float32]:
        encoder = features.build_encoder(backbone, size, weights_of(weights, backbone))
        rows = data.manifest.rows.set_index("id").loc[list(ids)].reset_index()
        return features.extract(encoder, data.examples_of(rows, size))

    def heads_of_fold(rows: pd.DataFrame, is_train: npt.NDArray[np.bool_]) -> StartingHeads:
        labels = rows["label"].to_numpy(np.int64)[is_train]

        def head(backbone: str, image_size: int) -> Head | None:
            if not is_probed(backbone, image_size) or len(np.unique(labels)) < 2:
                return None  # of one class alone nothing can be learnt
            shown = features_of(tuple(rows["id"]), backbone, image_size)
            return features.fit_start(shown[is_train], labels, data.manifest.num_classes)

        return head

    return heads_of_fold
