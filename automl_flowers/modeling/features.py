"""Frozen features: what a pretrained backbone says of an image before any training.

A logistic regression on them takes seconds and is a fair first judge: of how far the classes
lie apart, and of whether another data set's class shows the same thing as ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import numpy.typing as npt
import scipy.special
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from automl_flowers.data.pipeline import Examples, evaluation_batches
from automl_flowers.modeling import backbones
from automl_flowers.modeling.fused_batch_norm import fuse
from automl_flowers.modeling.layers import InputNormalisation
from automl_flowers.modeling.traced_gradients import forget_gradients
from automl_flowers.starting_weights import IMAGENET
from ensembles.metrics import log_loss, macro_f1
from ensembles.validation import stratified_folds

BATCH_SIZE = 32
STRENGTHS = (0.001, 0.01, 0.1, 1.0)
"""Inverse L2 penalties of a head, among which one is chosen."""

START_STRENGTH = 0.01
"""Inverse L2 penalty of a head that fine-tuning starts from."""

HELD_OUT_FOLDS = 5
"""One part in so many of the training examples chooses the penalty."""

_LARGE = 2**30
"""Multiplications of a step of a fit that are worth several threads."""

_ABSENT_LOGIT = 5.0
"""How far below every other bias that of a class without an example lies."""


def build_encoder(backbone: str, image_size: int, weights: str = IMAGENET) -> keras.Model:
    """Return a model from uint8 images to pooled features.

    Args:
        backbone: Registry name.
        image_size: Height and width, in pixels.
        weights: `"imagenet"`, or the path of a file.
    """
    entry = backbones.find_entry(backbone)
    encoder = backbones.build_backbone(entry, image_size)
    backbones.load_weights(encoder, entry, weights)
    fuse(encoder)
    images = keras.Input((image_size, image_size, 3), dtype="uint8")
    pixels = InputNormalisation.from_convention(entry.input_convention)(images)
    pooled = backbones.pool_features(encoder(pixels, training=False))
    return keras.Model(images, pooled)


def extract(encoder: keras.Model, examples: Examples) -> npt.NDArray[np.float32]:
    """Return pooled features, float32, `(len(examples), num_features)`, in order."""
    with forget_gradients():
        features = encoder.predict(evaluation_batches(examples, BATCH_SIZE), verbose=0)
    return np.asarray(features[: len(examples)], dtype=np.float32)


@dataclass(frozen=True)
class Head:
    """A linear classifier on pooled features.

    Attributes:
        kernel: Float32, `(num_features, num_classes)`.
        bias: Float32, `(num_classes,)`.
        strength: Inverse L2 penalty that it was fitted with.
    """

    kernel: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]
    strength: float

    def probabilities(self, features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return class probabilities, float64, `(num_examples, num_classes)`."""
        logits = features.astype(np.float64) @ self.kernel + self.bias
        return np.asarray(scipy.special.softmax(logits, axis=1))


def fit_head(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], num_classes: int
) -> Head:
    """Return a logistic regression, its penalty chosen on held-out examples.

    Args:
        features: Float32, `(num_examples, num_features)`.
        labels: Integer, `(num_examples,)`, at least two classes.
        num_classes: Outputs of the head; classes without an example get hardly any probability.
    """
    strength = _choose_strength(features, labels, num_classes)
    [head] = _fit(features, labels, num_classes, [strength])
    return head


def _choose_strength(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], num_classes: int
) -> float:
    """Return the penalty of the best macro F1 on held-out examples, by log loss among equals.

    Where the others are of one class, nothing can be fitted to them and nothing is chosen.
    """
    held_out = stratified_folds(labels, num_folds=HELD_OUT_FOLDS) == 0
    if len(np.unique(labels[~held_out])) < 2:
        return START_STRENGTH

    def score(head: Head) -> tuple[float, float]:
        probabilities = head.probabilities(features[held_out])
        return macro_f1(labels[held_out], probabilities), -log_loss(labels[held_out], probabilities)

    tried = _fit(features[~held_out], labels[~held_out], num_classes, STRENGTHS)
    return max(tried, key=score).strength


def fit_start(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], num_classes: int
) -> Head:
    """Return the logistic regression that fine-tuning starts from: one of small weights.

    The head that predicts best has larger weights, and after an epoch is behind this one, because
    the features change under it; later they are level (docs/benchmarks/starting_head.md).

    Args:
        features: Float32, `(num_examples, num_features)`.
        labels: Integer, `(num_examples,)`, at least two classes.
        num_classes: Outputs of the head; classes without an example get hardly any probability.
    """
    [head] = _fit(features, labels, num_classes, [START_STRENGTH])
    return head


def _fit(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int64],
    num_classes: int,
    strengths: Sequence[float],
) -> list[Head]:
    """Return a head for each strength, every fit going on from the one before."""
    mean, scale = features.mean(axis=0, dtype=np.float64), _scale(features)
    scaled = ((features - mean) / scale).astype(np.float32)
    classifier = LogisticRegression(max_iter=300, tol=1e-3, warm_start=True)
    heads = []
    # Small products are faster on one thread, and on a busy machine many times so.
    with threadpool_limits(1 if scaled.size * num_classes < _LARGE else None):
        for strength in strengths:
            classifier.set_params(C=strength).fit(scaled, labels)
            heads.append(_head_of(classifier, mean, scale, num_classes))
    return heads


def _head_of(
    classifier: LogisticRegression,
    mean: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    num_classes: int,
) -> Head:
    weights, bias = classifier.coef_.T, classifier.intercept_
    if weights.shape[1] == 1:  # two classes share one logit
        weights, bias = np.hstack([-weights, weights]) / 2, np.hstack([-bias, bias]) / 2
    weights = weights / scale[:, None]
    bias = bias - mean @ weights
    kernel = np.zeros((len(mean), num_classes), np.float32)
    biases = np.full(num_classes, bias.min() - _ABSENT_LOGIT, np.float32)
    kernel[:, classifier.classes_] = weights
    biases[classifier.classes_] = bias
    return Head(kernel, biases, classifier.C)


def _scale(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return what to divide each feature by: its spread, at least that of the median feature.

    A feature that hardly varies in these images would get huge weights otherwise, and varies as
    soon as the backbone trains.
    """
    spread = features.std(axis=0, dtype=np.float64)
    middle = np.median(spread[spread > 0]) if spread.any() else 1.0
    return np.asarray(np.maximum(spread, middle))
