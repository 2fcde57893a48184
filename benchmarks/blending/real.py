"""Members of real images: read from saved predictions, or heads on frozen features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ensembles.predictions import align, load_predictions

BACKBONES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
NUM_FOLDS = 5

HEADS: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {
        "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression(C=0.01)),
        "neighbours": lambda: KNeighborsClassifier(15, weights="distance", metric="cosine"),
        "trees": lambda: ExtraTreesClassifier(200, random_state=0),
    }
)


@dataclass(frozen=True, eq=False)
class Members:
    """What members say of images that they were not trained on.

    Attributes:
        labels: True class indices, shape `(num_images,)`.
        stack: Probabilities, float32, shape `(num_members, num_images, num_classes)`.
        groups: Group of copies of each image, which stay together when images are divided.
    """

    labels: np.ndarray
    stack: np.ndarray
    groups: np.ndarray


def read_folder(folder: Path) -> Members:
    """Return the members whose files are in a folder; every image is a group of its own."""
    aligned = align([load_predictions(path) for path in sorted(folder.glob("*.npz"))])
    known = aligned.labels >= 0
    stack = aligned.probabilities[:, known].astype(np.float32)
    return Members(aligned.labels[known], stack, np.arange(known.sum()))


def make_from_images(address: str, image_size: int, cache: Path) -> Members:
    """Return nine members' out-of-fold predictions of all labelled images, copies in one fold."""
    from automl_flowers.data import copies, prepare
    from automl_flowers.data.copies.fingerprints import load_fingerprints
    from automl_flowers.data.splits import deal_folds
    from automl_flowers.modeling import features

    data = prepare.read(address, image_size=image_size, cache=cache)
    rows = data.manifest.rows[data.manifest.rows["label"] >= 0].reset_index(drop=True)
    prints = load_fingerprints(data.manifest.rows, cache).of(rows["id"])
    groups = copies.group_copies(copies.find_copies_within(prints), len(rows))
    examples = data.examples_of(rows, image_size)
    folds = deal_folds(rows, groups, NUM_FOLDS, seed=0)
    members = []
    for backbone in BACKBONES:
        encoder = features.build_encoder(backbone, image_size)
        seen = features.extract(encoder, examples)
        members += [
            predict_out_of_fold(make(), seen, examples.labels, folds) for make in HEADS.values()
        ]
    return Members(examples.labels, np.stack(members), groups)


def predict_out_of_fold(
    head: Any, seen: np.ndarray, labels: np.ndarray, folds: np.ndarray
) -> np.ndarray:
    """Return probabilities, float32, of a head fitted on the other folds."""
    said = np.zeros((len(labels), int(labels.max()) + 1), np.float32)
    for fold in np.unique(folds):
        held_out = folds == fold
        head.fit(seen[~held_out], labels[~held_out])
        said[np.ix_(held_out, head.classes_)] = head.predict_proba(seen[held_out])
    return said / said.sum(axis=1, keepdims=True)
