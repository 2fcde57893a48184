"""What a blend decides without one of its members, for each of them."""

from __future__ import annotations

import numpy as np

from ensembles.averaging import softmax, uniform_weights
from ensembles.blend import Blend, finish
from ensembles.calibration import temper
from ensembles.metrics import LOG_LOSS_FLOOR

_NOTHING_LEFT = 1e-9


def classes_without_each(blend: Blend, probabilities: np.ndarray) -> np.ndarray:
    """Return the predicted classes without each member.

    The others keep their proportions; where none has a weight left, they count equally. The sum
    over members is made once, and each member is taken out of it.

    Args:
        blend: Of at least two members.
        probabilities: Shape `(num_models, num_examples, num_classes)`. Not checked.

    Returns:
        Class indices, int64, shape `(num_models, num_examples)`.
    """
    weights = np.asarray(blend.weights)
    total = _sum(blend, probabilities, weights)
    return np.stack(
        [
            _decide(blend, _rest(blend, probabilities, weights, total, member))
            for member in range(len(weights))
        ]
    )


def _rest(
    blend: Blend, probabilities: np.ndarray, weights: np.ndarray, total: np.ndarray, member: int
) -> np.ndarray:
    weight = weights[member]
    if weight == 0.0:
        return total
    if weight < 1.0 - _NOTHING_LEFT:
        rest = total - weight * _part(blend, probabilities, member)
        return np.asarray(rest / (1.0 - weight))
    others = uniform_weights(len(weights) - 1)
    return _sum(blend, probabilities, np.insert(others, member, 0.0))


def _sum(blend: Blend, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    total = np.zeros(probabilities.shape[1:])
    for member in np.flatnonzero(weights):
        total += weights[member] * _part(blend, probabilities, int(member))
    return total


def _part(blend: Blend, probabilities: np.ndarray, member: int) -> np.ndarray:
    """Return what is summed of a member: its tempered probabilities, or their logarithms."""
    tempered = temper(probabilities[member].astype(np.float64), blend.temperatures[member])
    if blend.kind == "arithmetic":
        return tempered
    return np.asarray(np.log(np.maximum(tempered, LOG_LOSS_FLOOR)))


def _decide(blend: Blend, total: np.ndarray) -> np.ndarray:
    mixed = total if blend.kind == "arithmetic" else softmax(total)
    return np.asarray(finish(blend, mixed).argmax(axis=-1))
