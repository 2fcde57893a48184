"""From an ensemble to one Keras model of plain layers: images in, blended probabilities out.

What only training needs is left out (dropout, hyperparameters in variables), and nothing of this
package stays inside, so the model loads wherever Keras does. Members of one architecture share
what its frozen part makes of an image, as they do when they predict.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from automl_flowers.blending.predictor import Predictor, Turn
from automl_flowers.errors import UserError
from automl_flowers.exporting import mixing
from automl_flowers.exporting.pixels import resize, show
from automl_flowers.modeling.classifier import BOUNDARY
from automl_flowers.modeling.layers import (
    LARGEST_HALF,
    AdjustableDense,
    AdjustableDropout,
    FromHalf,
    InputNormalisation,
    ToHalf,
)

Step = Callable[[Any], Any]
"""From a tensor to the next one. Called again, it uses the same weights."""


def build_ensemble(predictor: Predictor) -> keras.Model:
    """Return a model that gives what a predictor gives.

    Its input is RGB pixels, uint8, `(batch, size, size, 3)`, of the largest size that a member
    looks at; its output probabilities, float32, `(batch, num_classes)`. For smaller members the
    images are resized inside.

    Args:
        predictor: Of float32. Its programs are left with the weights of their last fit.

    Raises:
        UserError: If a person's own backbone cannot be copied.
    """
    ensemble = predictor.ensemble
    size = max(ensemble.image_sizes)
    images = keras.Input((size, size, 3), dtype="uint8", name="images")
    pixels = ops.cast(images, "float32")
    at_size = {smaller: resize(pixels, size, smaller) for smaller in ensemble.image_sizes}
    fits: list[list[Any]] = [[] for _ in ensemble.members]
    for number, turn in enumerate(predictor.turns):
        said = _predict_fits(turn, at_size[turn.image_size], f"part{number}")
        for member, probabilities in zip(turn.members, said, strict=True):
            fits[member].append(probabilities)
    members = [mixing.arithmetic_mean(of_member) for of_member in fits]
    model = keras.Model(images, mixing.apply(ensemble.blend, members), name="ensemble")
    model.trainable = False
    return model


def _predict_fits(turn: Turn, pixels: Any, name: str) -> list[Any]:
    """Return the probabilities of each fit of a program, its views averaged.

    What comes before the boundary is the same for all fits, and computed once a view.
    """
    layers = turn.program.model.layers[1:]  # without the input
    names = [layer.name for layer in layers]
    num_shared = names.index(BOUNDARY) + 1 if BOUNDARY in names else 0
    shared = [_copy(layer, f"{name}_{layer.name}") for layer in layers[:num_shared]]
    views = [
        _run(shared, show(pixels, turn.image_size, view, f"{name}_view{view}"))
        for view in range(max(turn.num_views))
    ]
    said = []
    for fit, (state, num_views) in enumerate(zip(turn.states, turn.num_views, strict=True)):
        turn.program.set_model_state(state)
        own = [_copy(layer, f"{name}_fit{fit}_{layer.name}") for layer in layers[num_shared:]]
        said.append(mixing.geometric_mean([_run(own, view) for view in views[:num_views]]))
    return said


def _run(steps: Sequence[Step], tensor: Any) -> Any:
    return functools.reduce(lambda before, step: step(before), steps, tensor)


def _copy(layer: Any, name: str) -> Step:
    """Return what a layer of a classifier does, in plain layers, with the weights it has now."""
    if isinstance(layer, InputNormalisation):
        return functools.partial(_normalise, layer)
    if isinstance(layer, ToHalf):
        return lambda inputs: ops.cast(ops.clip(inputs, -LARGEST_HALF, LARGEST_HALF), "float16")
    if isinstance(layer, FromHalf):
        return lambda inputs: ops.cast(inputs, "float32")
    if isinstance(layer, AdjustableDropout):
        return lambda inputs: inputs
    if isinstance(layer, AdjustableDense):
        return _copy_head(layer, name)
    if isinstance(layer, keras.Model):
        return _copy_model(layer, name)
    return type(layer).from_config({**layer.get_config(), "name": name})  # type: ignore[no-any-return]


def _normalise(layer: InputNormalisation, pixels: Any) -> Any:
    if layer.channel_order == "bgr":
        pixels = ops.flip(pixels, axis=-1)
    scale = (1 / np.asarray(layer.std)).astype(np.float32)
    return ops.multiply(ops.subtract(pixels, np.asarray(layer.mean, np.float32)), scale)


def _copy_head(layer: AdjustableDense, name: str) -> Step:
    kernel, bias = np.asarray(layer.kernel), np.asarray(layer.bias)
    dense = keras.layers.Dense(layer.units, activation="softmax", name=name)
    dense.build((None, len(kernel)))
    dense.set_weights([kernel, bias])
    return dense  # type: ignore[no-any-return]


def _copy_model(model: keras.Model, name: str) -> Step:
    try:
        copy = keras.models.clone_model(model, clone_function=_copy_layer)
        copy.name = name
        for ours, theirs in zip(model.layers, copy.layers, strict=True):
            if theirs.weights:
                theirs.set_weights(ours.get_weights())
    except (NotImplementedError, TypeError, ValueError) as error:
        raise UserError(
            f"The model {model.name!r} cannot be copied: {error}",
            hint="let a backbone of your own be a functional `keras.Model`",
        ) from error
    return lambda inputs: copy(inputs, training=False)


def _copy_layer(layer: Any) -> Any:
    if isinstance(layer, keras.layers.Normalization):
        # its statistics are tensors beside its weights, which become inputs of an ONNX file
        deviation = np.maximum(np.sqrt(np.ravel(layer.variance)), keras.config.epsilon())
        offset = -np.ravel(layer.mean) / deviation
        return keras.layers.Rescaling((1 / deviation).tolist(), offset.tolist(), name=layer.name)
    return type(layer).from_config(layer.get_config())
