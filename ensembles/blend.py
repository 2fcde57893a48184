"""A blend as plain data, and what it makes of members' probabilities.

A `Blend` is a handful of numbers that a file can hold and another program can apply:

1. each member `m` is tempered: `p_m ** (1 / temperatures[m])`, normalised;
2. members are averaged with `weights`, arithmetically or geometrically;
3. each class is multiplied by `prior ** -prior_exponent`, normalised: above 0 that favours
   rare classes, below 0 frequent ones;
4. the result is tempered by `global_temperature`, which changes no predicted class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np

from ensembles._checks import WEIGHT_SUM_TOLERANCE, as_stack
from ensembles.averaging import log_sum, softmax, weighted_sum
from ensembles.calibration import temper

Kind = Literal["arithmetic", "geometric"]


@dataclass(frozen=True)
class Blend:
    """How members' probabilities become one. Checked when it is made.

    Attributes:
        kind: Which mean: `"arithmetic"` or `"geometric"`.
        weights: Share of each member, non-negative, summing to 1.
        temperatures: Of each member, above 0; 1 leaves it as it is.
        global_temperature: Of the blend, above 0.
        prior_exponent: How far rare classes are favoured; 0 is not at all.
        prior: Frequency of each class, above 0, summing to 1; None if `prior_exponent` is 0.

    Raises:
        ValueError: If anything above does not hold.
    """

    kind: Kind
    weights: tuple[float, ...]
    temperatures: tuple[float, ...]
    global_temperature: float = 1.0
    prior_exponent: float = 0.0
    prior: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        complaint = (
            _complaint_about_kind(self.kind)
            or _complaint_about_shares("weights", self.weights, zero_allowed=True)
            or _complaint_about_temperatures(self)
            or _complaint_about_prior(self)
        )
        if complaint:
            raise ValueError(f"In a blend, {complaint}")

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; `from_dict` reads it."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Blend:
        """Return the blend that `to_dict` described.

        Raises:
            ValueError: If a key is missing or unknown, or a value is of the wrong kind or size.
        """
        expected = {field.name for field in fields(cls)}
        found = set(values) if isinstance(values, Mapping) else {"no keys at all"}
        if found != expected:
            raise ValueError(
                f"A blend must have the keys {', '.join(sorted(expected))}, got "
                f"{', '.join(sorted(map(str, found))) or 'none'}. Write it with `Blend.to_dict`."
            )
        return cls(
            kind=values["kind"],
            weights=_numbers("weights", values["weights"]),
            temperatures=_numbers("temperatures", values["temperatures"]),
            global_temperature=_number("global_temperature", values["global_temperature"]),
            prior_exponent=_number("prior_exponent", values["prior_exponent"]),
            prior=None if values["prior"] is None else _numbers("prior", values["prior"]),
        )


def plain_blend(weights: Sequence[float] | np.ndarray, kind: Kind = "arithmetic") -> Blend:
    """Return a weighted mean without temperatures or prior.

    Example:
        >>> plain_blend([0.5, 0.5]).temperatures
        (1.0, 1.0)
    """
    shares = tuple(float(weight) for weight in weights)
    return Blend(kind, shares, (1.0,) * len(shares))


def apply_blend(blend: Blend, probabilities: np.ndarray) -> np.ndarray:
    """Return the blended probabilities.

    Cost is a few passes over each member of weight above 0, one member at a time, so memory is
    the input and a few members more.

    Args:
        blend: How to blend.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`, members in the order of `blend.weights`.

    Returns:
        Probabilities, float64, shape `(num_examples, num_classes)`; each row sums to 1.

    Raises:
        ValueError: If a row of `probabilities` is no distribution, or there are not as many
            members or classes as the blend is for.

    Example:
        >>> members = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
        >>> apply_blend(plain_blend([0.25, 0.75]), members)
        array([[0.25, 0.75]])
    """
    probabilities = as_stack(probabilities)
    _check_fits(blend, probabilities)
    tempered = (
        temper(member.astype(np.float64), temperature) if weight else member
        for member, weight, temperature in zip(
            probabilities, blend.weights, blend.temperatures, strict=True
        )
    )
    return finish(blend, mix(blend, tempered))


def mix(blend: Blend, tempered: Iterable[np.ndarray]) -> np.ndarray:
    """Return the weighted mean of tempered members, up to a factor of each example.

    Args:
        blend: Its `kind` and `weights` count.
        tempered: Probabilities of one member each, float, shape
            `(num_examples, num_classes)`.
    """
    weights = np.asarray(blend.weights)
    if blend.kind == "arithmetic":
        return weighted_sum(tempered, weights)
    return softmax(log_sum(tempered, weights))


def finish(blend: Blend, mixed: np.ndarray) -> np.ndarray:
    """Return what `apply_blend` returns, from what `mix` returned."""
    if blend.prior is not None and blend.prior_exponent:
        mixed = mixed * np.asarray(blend.prior) ** -blend.prior_exponent
    mixed = mixed / mixed.sum(axis=-1, keepdims=True)
    return temper(mixed, blend.global_temperature)


def _check_fits(blend: Blend, probabilities: np.ndarray) -> None:
    num_models, _, num_classes = probabilities.shape
    if num_models != len(blend.weights):
        raise ValueError(
            f"The blend is of {len(blend.weights)} members, got probabilities of {num_models}. "
            "Pass those of every member, in the order they were blended in."
        )
    if blend.prior is not None and num_classes != len(blend.prior):
        raise ValueError(
            f"The blend is for {len(blend.prior)} classes, got probabilities of {num_classes}. "
            "Predict with the class list that the blend was made with."
        )


def _complaint_about_kind(kind: object) -> str | None:
    if kind in get_args(Kind):
        return None
    return f"`kind` must be one of {', '.join(get_args(Kind))}, got {kind!r}."


def _complaint_about_shares(
    name: str, shares: Sequence[float], *, zero_allowed: bool
) -> str | None:
    total = math.fsum(shares)
    allowed = all(share >= 0.0 if zero_allowed else share > 0.0 for share in shares)
    if allowed and abs(total - 1.0) <= WEIGHT_SUM_TOLERANCE:
        return None
    sign = "non-negative" if zero_allowed else "above 0"
    return (
        f"`{name}` must be {sign} and sum to 1, got {list(shares)} with sum {total:.6g}. Divide "
        "them by their sum."
    )


def _complaint_about_temperatures(blend: Blend) -> str | None:
    if len(blend.temperatures) != len(blend.weights):
        return (
            f"there must be a temperature for each of the {len(blend.weights)} weights, got "
            f"{len(blend.temperatures)}. Put 1.0 for a member that stays as it is."
        )
    temperatures = (*blend.temperatures, blend.global_temperature)
    if all(0.0 < temperature < math.inf for temperature in temperatures):
        return None
    return f"temperatures must be above 0 and finite, got {list(temperatures)}."


def _complaint_about_prior(blend: Blend) -> str | None:
    if not math.isfinite(blend.prior_exponent):
        return f"`prior_exponent` must be finite, got {blend.prior_exponent}."
    if blend.prior is not None:
        return _complaint_about_shares("prior", blend.prior, zero_allowed=False)
    if blend.prior_exponent != 0.0:
        return (
            f"`prior` must be given with a `prior_exponent` of {blend.prior_exponent}, got None. "
            "Pass the frequency of each class."
        )
    return None


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    if not isinstance(values, list | tuple):
        raise ValueError(f"In a blend, `{name}` must be a list of numbers, got {values!r}.")
    return tuple(_number(name, value) for value in values)


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"In a blend, `{name}` must hold numbers, got {value!r}.")
    return float(value)
