"""A blend in operations of Keras: what `ensembles.blend` does with arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from ensembles.blend import Blend
from ensembles.metrics import LOG_LOSS_FLOOR


def apply(blend: Blend, members: Sequence[Any]) -> Any:
    """Return blended probabilities, as `ensembles.blend.apply_blend` does.

    Args:
        blend: How to blend.
        members: Probabilities of one member each, float32, `(batch, num_classes)`.
    """
    tempered = [
        _temper(member, temperature)
        for member, temperature in zip(members, blend.temperatures, strict=True)
    ]
    if blend.kind == "geometric":
        mixed = _geometric_mean(tempered, blend.weights)
    else:
        mixed = _weighted_sum(tempered, blend.weights)
    if blend.prior is not None and blend.prior_exponent:
        factors = np.asarray(blend.prior) ** -blend.prior_exponent
        mixed = ops.multiply(mixed, (factors / factors.max()).astype(np.float32))
    return _temper(_normalise(mixed), blend.global_temperature)


def arithmetic_mean(tensors: Sequence[Any]) -> Any:
    """Return the mean of probabilities."""
    return _weighted_sum(tensors, [1 / len(tensors)] * len(tensors))


def geometric_mean(tensors: Sequence[Any]) -> Any:
    """Return the normalised geometric mean of probabilities; of one, itself."""
    if len(tensors) == 1:
        return tensors[0]
    return _geometric_mean(tensors, [1 / len(tensors)] * len(tensors))


def _geometric_mean(tensors: Sequence[Any], weights: Sequence[float]) -> Any:
    logs = [ops.log(ops.maximum(tensor, LOG_LOSS_FLOOR)) for tensor in tensors]
    return ops.softmax(_weighted_sum(logs, weights))


def _temper(probabilities: Any, temperature: float) -> Any:
    if temperature == 1.0:
        return probabilities
    relative = ops.divide(probabilities, ops.max(probabilities, axis=-1, keepdims=True))
    return _normalise(ops.power(relative, 1 / temperature))


def _normalise(values: Any) -> Any:
    return ops.divide(values, ops.sum(values, axis=-1, keepdims=True))


def _weighted_sum(tensors: Sequence[Any], weights: Sequence[float]) -> Any:
    total = None
    for tensor, weight in zip(tensors, weights, strict=True):
        term = tensor if weight == 1 else ops.multiply(tensor, weight)
        total = term if total is None else ops.add(total, term)
    return total
