"""Members' predictions prepared for being blended many times on changing sets of examples.

A temperature is fitted again whenever the examples change. So each example's log loss is
tabulated once for a row of temperatures; the best one for some examples is then the minimum of
a sum over them. Members are tempered in one copy of the input, where only those whose
temperature has changed are made again.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ensembles.averaging import uniform_weights
from ensembles.blend import Blend, mix, plain_blend
from ensembles.calibration import temper
from ensembles.metrics import LOG_LOSS_FLOOR
from ensembles.selection import votes_of

_LOG2_TEMPERATURES = np.arange(-2.5, 2.75, 0.25)
_STEPS_PER_OCTAVE = 16
"""Temperatures are rounded to these, 4 %, so that most stay what they are from fold to fold."""


class Members:
    """Labelled predictions of several members.

    Attributes:
        labels: True class indices, shape `(num_examples,)`.
        probabilities: Float32, shape `(num_models, num_examples, num_classes)`.
        votes: Each member's predicted classes, shape `(num_models, num_examples)`.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        self.labels = labels
        self.probabilities = probabilities
        self.votes = votes_of(probabilities)
        self._examples = np.arange(len(labels))
        self._losses: np.ndarray | None = None
        self._tempered: np.ndarray | None = None
        self._temperatures = np.full(len(probabilities), np.nan)
        self._uniform: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def num_classes(self) -> int:
        """Classes that are distinguished."""
        return int(self.probabilities.shape[2])

    def fit_temperatures(self, rows: np.ndarray) -> np.ndarray:
        """Return each member's temperature by log loss of some examples, `(num_models,)`."""
        if self._losses is None:
            self._losses = np.stack([self._losses_of(member) for member in self.probabilities])
        chosen = np.zeros(len(self.labels), dtype=np.float32)
        chosen[rows] = 1.0 / len(rows)
        log2 = np.array([_lowest(losses) for losses in self._losses @ chosen])
        return np.asarray(2.0 ** (np.round(log2 * _STEPS_PER_OCTAVE) / _STEPS_PER_OCTAVE))

    def tempered(self, temperatures: np.ndarray) -> np.ndarray:
        """Return the tempered members, which stay valid until the next call."""
        if self._tempered is None:
            self._tempered = np.empty_like(self.probabilities)
        for m in np.flatnonzero(self._temperatures != temperatures):
            self._tempered[m] = temper(self.probabilities[m], float(temperatures[m]))
        self._temperatures = np.array(temperatures)
        return self._tempered

    def true_class(self, stack: np.ndarray) -> np.ndarray:
        """Return what members, tempered or not, give the true classes, `(num_models, -1)`."""
        return stack[:, self._examples, self.labels]

    def mixed(self, blend: Blend) -> np.ndarray:
        """Return what `ensembles.blend.mix` makes of all examples; not to be changed."""
        if blend == plain_blend(uniform_weights(len(self))):
            if self._uniform is None:
                self._uniform = mix(blend, self.probabilities)
            return self._uniform
        members: Iterable[np.ndarray] = self.probabilities
        if set(blend.temperatures) != {1.0}:
            members = self.tempered(np.asarray(blend.temperatures))
        return mix(blend, members)

    def _losses_of(self, member: np.ndarray) -> np.ndarray:
        """Return log loss at every temperature, shape `(num_temperatures, num_examples)`.

        In it is a share of the example of any class that `fit_temperature` supposes, too.
        """
        relative = np.log(np.maximum(member, np.float32(LOG_LOSS_FLOOR)))
        relative -= relative.max(axis=-1, keepdims=True)
        share = np.float32(1.0 / len(member))
        target = relative[self._examples, self.labels] + share * relative.mean(axis=-1)
        losses = np.empty((len(_LOG2_TEMPERATURES), len(member)), dtype=np.float32)
        scaled = np.empty_like(relative)
        for loss, inverse in zip(losses, np.float32(2.0) ** -_LOG2_TEMPERATURES, strict=True):
            np.multiply(relative, np.float32(inverse), out=scaled)
            np.exp(scaled, out=scaled)
            loss[:] = (1.0 + share) * np.log(scaled.sum(axis=-1)) - np.float32(inverse) * target
        return losses


def _lowest(losses: np.ndarray) -> float:
    """Return where the parabola through the least loss and its neighbours is lowest."""
    k = int(losses.argmin())
    if k in (0, len(losses) - 1):
        return float(_LOG2_TEMPERATURES[k])
    left, middle, right = (float(loss) for loss in losses[k - 1 : k + 2])
    curvature = left - 2.0 * middle + right
    step = 0.5 * (left - right) / curvature if curvature > 0.0 else 0.0
    spacing = float(_LOG2_TEMPERATURES[1] - _LOG2_TEMPERATURES[0])
    return float(_LOG2_TEMPERATURES[k]) + step * spacing
