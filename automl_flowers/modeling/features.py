"""Frozen features: what a pretrained backbone says of an image before any training.

A logistic regression on them takes seconds and is a fair first judge: of how far the classes
lie apart, and of whether another data set's class shows the same thing as ours.
"""

from __future__ import annotations

import keras
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from automl_flowers.data.pipeline import Examples, evaluation_batches
from automl_flowers.modeling import backbones
from automl_flowers.modeling.layers import InputNormalisation
from automl_flowers.starting_weights import IMAGENET
from search_spaces.backbones import get_backbone

BATCH_SIZE = 32
PROBE_STRENGTH = 0.1
"""Inverse L2 penalty of the probe; between 0.01 and 1 the score changes by under a point."""


def build_encoder(backbone: str, image_size: int, weights: str = IMAGENET) -> keras.Model:
    """Return a model from uint8 images to pooled features.

    Args:
        backbone: Registry name.
        image_size: Height and width, in pixels.
        weights: `"imagenet"`, or the path of a file.
    """
    entry = get_backbone(backbone)
    encoder = backbones.build_backbone(entry, image_size)
    backbones.load_weights(encoder, entry, weights)
    images = keras.Input((image_size, image_size, 3), dtype="uint8")
    pixels = InputNormalisation.from_convention(entry.input_convention)(images)
    pooled = keras.layers.GlobalAveragePooling2D()(encoder(pixels, training=False))
    return keras.Model(images, pooled)


def extract(encoder: keras.Model, examples: Examples) -> npt.NDArray[np.float32]:
    """Return pooled features, float32, `(len(examples), num_features)`, in order."""
    features = encoder.predict(evaluation_batches(examples, BATCH_SIZE), verbose=0)
    return np.asarray(features[: len(examples)], dtype=np.float32)


def fit_probe(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> Pipeline:
    """Return a logistic regression fitted on standardised features."""
    classifier = LogisticRegression(C=PROBE_STRENGTH, max_iter=1000)
    return make_pipeline(StandardScaler(), classifier).fit(features, labels)
