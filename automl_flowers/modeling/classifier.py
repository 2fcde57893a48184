"""From an architecture to a classifier: normalisation, backbone, pooling, head.

Where the frozen part of the backbone hands over to the part that trains, there is a boundary:
one tensor, rounded to float16. What comes before it never changes, so `feature_bank.py` may
compute it once; because the rounding is always there, numbers are the same with and without.

An architecture is the part of a recipe that changes the compiled graph. Everything else lives
in variables (see `program.py`), so trials that share an architecture share a program.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from automl_flowers.modeling import backbones
from automl_flowers.modeling.blocks import divide, set_trainable_blocks
from automl_flowers.modeling.fused_batch_norm import fuse
from automl_flowers.modeling.layers import (
    AdjustableDense,
    AdjustableDropout,
    FromHalf,
    InputNormalisation,
    ToHalf,
)
from search_spaces.recipe import Recipe

BOUNDARY = "boundary"
"""Name of the layer that puts out what the frozen part of a classifier ends with."""

SHORTEST_TABLE = 4096
"""Learning rates that a program has room for at least, 16 kB."""


@dataclass(frozen=True)
class Architecture:
    """What has to be equal for two trials to share a compiled program.

    Attributes:
        backbone: Registry name.
        image_size: Height and width of the images, in pixels.
        trainable_blocks: Blocks of the backbone that train, counted from the top.
        optimizer: Update rule.
        batch_size: Images a step, over all replicas.
        num_classes: Outputs.
        precision: Keras dtype policy.
        num_steps: Length of the learning-rate table: at least the steps of the full horizon.
        weights: What the backbone starts from: `"imagenet"`, `"none"` or the path of a file.
        ema: Momentum, a step, of the moving average of weights that predicts; 0 for none.
    """

    backbone: str
    image_size: int
    trainable_blocks: int
    optimizer: str
    batch_size: int
    num_classes: int
    precision: str
    num_steps: int
    weights: str
    ema: float = 0.0

    @classmethod
    def of(
        cls,
        recipe: Recipe,
        *,
        batch_size: int,
        num_classes: int,
        precision: str,
        num_steps: int,
        weights: str,
        ema: float = 0.0,
    ) -> Architecture:
        """Return the architecture that a recipe needs on the given data and device.

        The length of the table is rounded up to a power of two and at least `SHORTEST_TABLE`, so
        that a few more images or epochs do not make another program.
        """
        return cls(
            backbone=recipe.backbone,
            image_size=recipe.image_size,
            trainable_blocks=recipe.trainable_blocks,
            optimizer=recipe.optimizer,
            batch_size=batch_size,
            num_classes=num_classes,
            precision=precision,
            num_steps=1 << (max(num_steps, SHORTEST_TABLE) - 1).bit_length(),
            weights=weights,
            ema=ema,
        )


def build_classifier(architecture: Architecture) -> keras.Model:
    """Return an uncompiled classifier.

    Its input is RGB pixels, uint8, `(batch, image_size, image_size, 3)`; its output class
    probabilities, float32 whatever the precision, `(batch, num_classes)`.

    Args:
        architecture: What to build. The head is glorot-uniform; a trial assigns its own.
    """
    entry = backbones.find_entry(architecture.backbone)
    size = architecture.image_size
    with _seeded(), _dtype_policy(architecture.precision):
        encoder = backbones.build_backbone(entry, size)
        backbones.load_weights(encoder, entry, architecture.weights)
        set_trainable_blocks(encoder, entry, architecture.trainable_blocks)
        fuse(encoder)
        images = keras.Input((size, size, 3), dtype="uint8", name="images")
        pixels = InputNormalisation.from_convention(entry.input_convention)(images)
        pooled = _encode(pixels, *divide(encoder, entry, architecture.trainable_blocks))
        kept = AdjustableDropout(name="dropout")(pooled)
        probabilities = AdjustableDense(architecture.num_classes, dtype="float32", name="head")(
            kept
        )
    return keras.Model(images, probabilities, name=architecture.backbone)


def _encode(pixels: Any, frozen: keras.Model | None, trained: keras.Model | None) -> Any:
    """Return pooled features, with the boundary where the frozen part ends."""
    activations = pixels if frozen is None else frozen(pixels, training=False)
    if trained is None:
        return _boundary(backbones.pool_features(activations))
    if frozen is not None:
        activations = _boundary(activations)
    return backbones.pool_features(trained(activations))


def _boundary(activations: Any) -> Any:
    return FromHalf()(ToHalf(name=BOUNDARY)(activations))


def split_at_boundary(model: keras.Model) -> tuple[keras.Model, keras.Model] | None:
    """Return a classifier as two models that share its layers, or None if it has no boundary.

    The first takes images to activations at the boundary, float16; the second takes these to
    class probabilities.
    """
    layers = {layer.name: layer for layer in model.layers}
    if BOUNDARY not in layers:
        return None
    activations = layers[BOUNDARY].output
    return (
        keras.Model(model.input, activations, name=f"{model.name}_before"),
        keras.Model(activations, model.output, name=f"{model.name}_after"),
    )


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """Draw what is random and frozen alike in every process, and no number of the user's.

    TensorFlow and Keras keep the seed: theirs cannot be read and set back.
    """
    pythons, numpys = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's
    keras.utils.set_random_seed(0)
    try:
        yield
    finally:
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002


@contextlib.contextmanager
def _dtype_policy(name: str) -> Iterator[None]:
    """Set Keras' global dtype policy inside a `with` block."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def initial_head(num_features: int, num_classes: int, seed: int) -> np.ndarray:
    """Return a glorot-uniform kernel, float32, `(num_features, num_classes)`.

    Drawn on the host, so that a trial's start depends on its seed alone, not on what its
    program trained before.
    """
    limit = math.sqrt(6 / (num_features + num_classes))
    generator = np.random.default_rng(seed)
    return generator.uniform(-limit, limit, (num_features, num_classes)).astype(np.float32)


def describe(model: keras.Model) -> dict[str, int]:
    """Count what trains: `layers`, `trainable_layers`, `parameters`, `trainable_parameters`.

    Layers are those with weights, the head's included; the adjustable hyperparameters do not
    count as parameters.
    """
    layers = [layer for layer in model._flatten_layers(include_self=False) if _own_weights(layer)]
    return {
        "layers": len(layers),
        "trainable_layers": sum(bool(layer.trainable) for layer in layers),
        "parameters": sum(math.prod(weight.shape) for weight in model.weights if weight.shape),
        "trainable_parameters": sum(math.prod(w.shape) for w in model.trainable_weights),
    }


def _own_weights(layer: keras.Layer) -> bool:
    return not isinstance(layer, keras.Model) and any(weight.shape for weight in layer.weights)
