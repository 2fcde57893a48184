"""BatchNormalization in one operation instead of a dozen.

Keras 3 writes a BatchNormalization as means, differences, products and sums of whole activations,
each of which reads and writes all of them. TensorFlow has one operation for it, forward and
backward. On a CPU, where nothing merges the many into one, the difference is up to a quarter of
a training step (`benchmarks/fused_batch_norm.py`). XLA, which compiles for GPUs and TPUs, merges
them, and has an operation of its own for the fused one; nothing was measured there.

The layers stay Keras' own, with their variables, names and settings. Only what they call is another
function, so that what is saved or exported is a plain Keras model.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

SMALLEST_EPSILON = 1.001e-5
"""Of the fused operation, where an accelerator's library runs it."""


def fuse(model: keras.Model) -> None:
    """Let every BatchNormalization of a model, whose call can be fused, call the fused operation.

    Left alone are all on another backend than TensorFlow, and those over another axis than the
    last of four, with renormalisation, synchronised over replicas, or with a smaller epsilon.

    Args:
        model: Changed in place. Its weights are not.
    """
    if keras.backend.backend() != "tensorflow":
        return
    for layer in model._flatten_layers(include_self=False):
        if _can_be_fused(layer):
            layer.call = _fused_call(layer)


def _can_be_fused(layer: keras.Layer) -> bool:
    return (
        type(layer) is keras.layers.BatchNormalization
        and layer.built
        and layer.input_spec.ndim == 4
        and layer.axis in (-1, 3)
        and layer.epsilon >= SMALLEST_EPSILON
        and not (layer.renorm or layer.synchronized)
    )


def _fused_call(layer: keras.layers.BatchNormalization) -> Callable[..., Any]:
    """Return what a layer may call instead of its own `call`."""

    def call(inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        if mask is not None:
            return type(layer).call(layer, inputs, training=training, mask=mask)
        if training and layer.trainable:
            outputs, mean, variance = _normalise(layer, inputs)
            _follow(layer.moving_mean, mean, layer.momentum)
            _follow(layer.moving_variance, _without_correction(variance, inputs), layer.momentum)
        else:
            statistics = (layer.moving_mean, layer.moving_variance)
            outputs, _, _ = _normalise(layer, inputs, *statistics)
        return ops.cast(outputs, layer.compute_dtype)

    return call


def _normalise(
    layer: keras.layers.BatchNormalization, inputs: Any, mean: Any = None, variance: Any = None
) -> tuple[Any, Any, Any]:
    """Return normalised inputs, with the mean and the variance that were used, all float32.

    Without `mean` and `variance` those of the batch are used, and the variance that is returned is
    the sample's: divided by one less than the number of values.
    """
    import tensorflow as tf

    channels = inputs.shape[-1]
    nothing = tf.zeros(0)
    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=ops.cast(inputs, "float32"),
        scale=layer.gamma if layer.scale else tf.ones(channels),
        offset=layer.beta if layer.center else tf.zeros(channels),
        mean=nothing if mean is None else mean,
        variance=nothing if variance is None else variance,
        epsilon=layer.epsilon,
        is_training=mean is None,
    )
    return outputs, mean, variance


def _without_correction(variance: Any, inputs: Any) -> Any:
    """Return the variance divided by the number of values, as Keras has it, from the sample's."""
    number = ops.cast(ops.size(inputs) // inputs.shape[-1], "float32")
    return variance * ((number - 1.0) / number)


def _follow(moving: Any, value: Any, momentum: float) -> None:
    """Move a moving statistic towards the value of a batch."""
    moving.assign(moving * momentum + value * (1.0 - momentum))
