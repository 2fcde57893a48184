"""Learning-rate schedules: pure functions of the absolute epoch over the full horizon.

A schedule's shape maps an epoch, counted from the start of the trial and fractional within an
epoch, to a fraction of the peak learning rate. It never depends on where a `fit` call began,
so a trial that Hyperband promotes continues on the same curve instead of warming up again
(keras-team/keras-tuner finding: step-based schedules restart at every promotion).

The shapes are data in `SCHEDULES`; `learning_rate_table` turns one into the table of values,
one a step, that training reads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from search_spaces.parameters import Parameter, unknown_name

RAMP_FLOOR = 0.025
"""Start and floor of the competition's ramp, relative to its peak: 1e-5 of 4e-4."""


def ramp(epoch: float, *, num_epochs: float, warmup: float, sustain: float, decay: float) -> float:
    """Return the competition's ramp-up, sustain, exponential decay, as a fraction of the peak.

    Args:
        epoch: Epochs completed, in [0, num_epochs].
        num_epochs: Full horizon of the trial, in epochs.
        warmup: Length of the linear rise from `RAMP_FLOOR`, as a fraction of the horizon.
        sustain: Length of the plateau, as a fraction of the horizon.
        decay: Factor per epoch of what lies above `RAMP_FLOOR`, after the plateau.

    Returns:
        Fraction of the peak, in [RAMP_FLOOR, 1].

    Reference:
        Goerner's "TPU schedule", used by most notebooks of the competition.
    """
    rise, plateau = warmup * num_epochs, sustain * num_epochs
    if epoch < rise:
        return RAMP_FLOOR + (1 - RAMP_FLOOR) * epoch / rise
    fallen = max(epoch - rise - plateau, 0.0)
    return float(RAMP_FLOOR + (1 - RAMP_FLOOR) * decay**fallen)


def one_cycle(epoch: float, *, num_epochs: float, warmup: float) -> float:
    """Return a half cosine up from 1/25, then a half cosine down to nearly zero.

    Args:
        epoch: Epochs completed, in [0, num_epochs].
        num_epochs: Full horizon of the trial, in epochs.
        warmup: Where the peak lies, as a fraction of the horizon.

    Returns:
        Fraction of the peak, in [4e-6, 1].

    Reference:
        Smith & Topin, "Super-Convergence", 2018, https://arxiv.org/abs/1708.07120
    """
    rise = warmup * num_epochs
    if epoch < rise:
        return _half_cosine(epoch / rise, start=1 / 25, end=1.0)
    return _half_cosine((epoch - rise) / (num_epochs - rise), start=1.0, end=1 / 25e4)


def cosine(epoch: float, *, num_epochs: float, warmup: float) -> float:
    """Return a linear rise from zero, then half a cosine back to zero.

    Args:
        epoch: Epochs completed, in [0, num_epochs].
        num_epochs: Full horizon of the trial, in epochs.
        warmup: Length of the rise, as a fraction of the horizon; 0 for none.

    Returns:
        Fraction of the peak, in [0, 1].

    Reference:
        Loshchilov & Hutter, "SGDR", ICLR 2017, https://arxiv.org/abs/1608.03983
    """
    rise = warmup * num_epochs
    if epoch < rise:
        return epoch / rise
    return _half_cosine((epoch - rise) / (num_epochs - rise), start=1.0, end=0.0)


def cosine_restarts(epoch: float, *, num_epochs: float, cycles: float) -> float:
    """Return `cycles` equal half cosines, each from the peak to zero.

    Args:
        epoch: Epochs completed, in [0, num_epochs].
        num_epochs: Full horizon of the trial, in epochs.
        cycles: How many times the rate falls, a whole number of at least 1.

    Returns:
        Fraction of the peak, in [0, 1].

    Reference:
        Loshchilov & Hutter, "SGDR", ICLR 2017, https://arxiv.org/abs/1608.03983, with
        `T_mult = 1`.
    """
    position = min(epoch / num_epochs, 1.0) * cycles
    within = position - math.floor(position) if epoch < num_epochs else 1.0
    return _half_cosine(within, start=1.0, end=0.0)


def constant(epoch: float, *, num_epochs: float) -> float:
    """Return 1: the peak throughout."""
    return 1.0


def _half_cosine(progress: float, *, start: float, end: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))


@dataclass(frozen=True)
class ScheduleKind:
    """One family of schedules.

    Attributes:
        name: Key used in hyperparameters, records and reports.
        shape: Maps an epoch to a fraction of the peak.
        parameters: What a space may choose for it.
    """

    name: str
    shape: Callable[..., float]
    parameters: tuple[Parameter, ...]


def _warmup(default: float) -> Parameter:
    return Parameter("warmup", "float", default, 0.0, 0.9)


SCHEDULES: Mapping[str, ScheduleKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            ScheduleKind(
                "ramp",
                ramp,
                (
                    _warmup(0.2),
                    Parameter("sustain", "float", 0.0, 0.0, 0.9),
                    Parameter("decay", "float", 0.8, 0.01, 1.0),
                ),
            ),
            ScheduleKind("one_cycle", one_cycle, (_warmup(0.3),)),
            ScheduleKind("cosine", cosine, (_warmup(0.1),)),
            ScheduleKind(
                "cosine_restarts", cosine_restarts, (Parameter("cycles", "int", 2, 1, 10),)
            ),
            ScheduleKind("constant", constant, ()),
        )
    }
)


@dataclass(frozen=True)
class Schedule:
    """A chosen schedule.

    Attributes:
        kind: Key of `SCHEDULES`.
        peak_learning_rate: Highest value, per optimizer step.
        parameters: The kind's own parameters, name and value.
    """

    kind: str
    peak_learning_rate: float
    parameters: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in SCHEDULES:
            raise ValueError(unknown_name("schedule", self.kind, SCHEDULES))
        if not 0 < self.peak_learning_rate < math.inf:
            raise ValueError(
                f"`peak_learning_rate` must be above 0, got {self.peak_learning_rate}."
            )
        expected = {parameter.name: parameter for parameter in SCHEDULES[self.kind].parameters}
        if set(self.parameters) != set(expected):
            raise ValueError(
                f"Schedule {self.kind!r} takes {sorted(expected)}, got {sorted(self.parameters)}."
            )
        for name, parameter in expected.items():
            parameter.check(self.parameters[name])

    def __hash__(self) -> int:
        return hash((self.kind, self.peak_learning_rate, tuple(sorted(self.parameters.items()))))

    def learning_rate(self, epoch: float, num_epochs: float) -> float:
        """Return the learning rate at `epoch` of a trial of `num_epochs`.

        Args:
            epoch: Epochs completed, fractional within an epoch, in [0, num_epochs].
            num_epochs: Full horizon of the trial, above 0.

        Returns:
            Learning rate in [0, peak_learning_rate].

        Raises:
            ValueError: If `epoch` is out of range.
        """
        if not 0 <= epoch <= num_epochs:
            raise ValueError(f"`epoch` must lie in [0, {num_epochs}], got {epoch}.")
        shape = SCHEDULES[self.kind].shape
        return self.peak_learning_rate * shape(epoch, num_epochs=num_epochs, **self.parameters)


def learning_rate_table(
    schedule: Schedule, *, steps_per_epoch: int, num_epochs: int
) -> npt.NDArray[np.float32]:
    """Return the learning rate of every step of a whole trial.

    The value of a step is taken in the middle of it, so a rise from zero does not waste its
    first step and a fall to zero does not waste its last.

    Args:
        schedule: The chosen schedule.
        steps_per_epoch: Optimizer steps in an epoch.
        num_epochs: Full horizon of the trial, in epochs.

    Returns:
        float32, shape `(steps_per_epoch * num_epochs,)`.
    """
    epochs = (np.arange(steps_per_epoch * num_epochs) + 0.5) / steps_per_epoch
    return np.array([schedule.learning_rate(e, num_epochs) for e in epochs], dtype=np.float32)
