"""What a space may say about one hyperparameter, and how it says it on `hp`.

A `Parameter` is a name that exists, with its type, range and default. A `Domain` is what one
space lets it be: a choice among values, or a range. In a space's YAML file

    dropout: 0.2                                  one value
    dropout: [0.0, 0.2, 0.4]                      a choice
    dropout: {min: 0.0, max: 0.5, step: 0.1}      a range
    l2: {min: 1e-6, max: 1e-3, sampling: log}     a range, uniform in the logarithm
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from search_spaces.hyperparameters import HyperParameters, Value

MAX_STEPS = 10_000
"""How fine a range may be divided."""


def unknown_name(what: str, name: object, valid: Iterable[str]) -> str:
    """Return the sentence that answers a name which does not exist, with the nearest that does."""
    names = sorted(valid)
    close = difflib.get_close_matches(str(name), names, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    return f"Unknown {what} {name!r}, expected one of: {', '.join(names)}.{suggestion}"


@dataclass(frozen=True)
class Parameter:
    """A hyperparameter that exists.

    Attributes:
        name: As in a space's YAML file and on `hp`.
        kind: Type of its values; `"name"` is a word from `options`.
        default: Its value where a space does not mention it.
        low: Smallest value allowed, for numbers.
        high: Largest value allowed, for numbers.
        options: Words allowed, for names.
        refused: Words that exist but are not allowed, with the sentence that says why.
    """

    name: str
    kind: Literal["float", "int", "name"]
    default: Value
    low: float | None = None
    high: float | None = None
    options: Collection[str] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

    def check(self, value: object) -> Value:
        """Return `value` in the parameter's type.

        Raises:
            ValueError: If it has another type or lies outside the range or the options.
        """
        if self.kind == "name":
            if value is False and "none" in self.options:  # YAML reads a bare `no` or `off` so
                value = "none"
            if isinstance(value, str) and value in self.refused:
                raise ValueError(self.refused[value])
            if value not in self.options:
                raise ValueError(unknown_name(f"`{self.name}`", value, self.options))
            return str(value)
        return self._check_number(value)

    def _check_number(self, value: object) -> Value:
        number = _to_number(value)
        if number is None or (self.kind == "int" and not number.is_integer()):
            wanted = "a whole number" if self.kind == "int" else "a number"
            raise ValueError(f"`{self.name}` must be {wanted}, got {value!r}.")
        low = -float("inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        if not low <= number <= high:
            raise ValueError(f"`{self.name}` must lie in [{low:g}, {high:g}], got {value!r}.")
        return int(number) if self.kind == "int" else number


def _to_number(value: object) -> float | None:
    """Return a float, or None; YAML 1.1 reads `1e-6` (no dot) as a string, so words may count."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


@dataclass(frozen=True)
class Choice:
    """A domain of listed values."""

    values: tuple[Value, ...]

    def declare(self, hp: HyperParameters, name: str) -> Any:
        """Declare the choice on `hp` and return the current value."""
        return hp.Choice(name, list(self.values))


@dataclass(frozen=True)
class Range:
    """A domain of numbers from `low` to `high`, both included.

    With a step it is the list of numbers that are whole steps from `low`.
    """

    low: float
    high: float
    step: float | None = None
    sampling: Literal["linear", "log"] = "linear"

    def values(self) -> tuple[float, ...]:
        """Return the numbers that a range with a step consists of."""
        if self.step is None:
            raise TypeError(f"A range without a step has no list of values: {self}.")
        num_steps = math.floor(round((self.high - self.low) / self.step, 9))
        return tuple(round(self.low + k * self.step, 12) for k in range(num_steps + 1))

    def declare(self, hp: HyperParameters, name: str) -> Any:
        """Declare the range on `hp` and return the current value.

        Steps are declared as a choice: Keras Tuner's own never reach `high` when the division
        rounds down (0.5 // 0.1 is 4), and give 0.30000000000000004 for 0.3.
        """
        if self.step is not None:
            return hp.Choice(name, list(self.values()))
        return hp.Float(name, self.low, self.high, sampling=self.sampling)


Domain = Choice | Range


def parse_domain(parameter: Parameter, entry: object) -> Domain:
    """Return the domain that an entry of a YAML file describes.

    Args:
        parameter: The hyperparameter it is for.
        entry: One value, a list of values, or a mapping with `min`, `max` and optionally
            `step` and `sampling`.

    Returns:
        The domain, every value checked.

    Raises:
        ValueError: If the entry is empty, contradictory, out of range or of another form.
    """
    if isinstance(entry, dict):
        return _parse_range(parameter, entry)
    values = entry if isinstance(entry, list) else [entry]
    if not values:
        raise ValueError(f"`{parameter.name}` needs at least one value, got an empty list.")
    checked = tuple(parameter.check(value) for value in values)
    if len(set(checked)) != len(checked):
        raise ValueError(f"`{parameter.name}` lists a value twice: {values}.")
    return Choice(checked)


def _parse_range(parameter: Parameter, entry: dict[Any, Any]) -> Range:
    for key in entry:
        if key not in ("min", "max", "step", "sampling"):
            keys = ("min", "max", "step", "sampling")
            raise ValueError(unknown_name(f"key of `{parameter.name}`", key, keys))
    if "min" not in entry or "max" not in entry:
        raise ValueError(f"A range for `{parameter.name}` needs `min` and `max`, got {entry}.")
    if parameter.kind != "float":
        raise ValueError(f"`{parameter.name}` takes a list of values, not a range; got {entry}.")
    low, high = float(parameter.check(entry["min"])), float(parameter.check(entry["max"]))
    sampling = entry.get("sampling", "linear")
    step = _to_number(entry["step"]) if "step" in entry else None
    if not low < high:
        raise ValueError(f"`{parameter.name}` needs min < max, got {low:g} and {high:g}.")
    if sampling not in ("linear", "log"):
        raise ValueError(
            unknown_name(f"sampling of `{parameter.name}`", sampling, ("linear", "log"))
        )
    if sampling == "log" and not low > 0:
        raise ValueError(f"`{parameter.name}` needs min > 0 with log sampling, got {low:g}.")
    if "step" in entry and sampling == "log":
        raise ValueError(f"`step` of `{parameter.name}` goes with linear sampling only.")
    if "step" in entry and not (step and (high - low) / MAX_STEPS <= step <= high - low):
        raise ValueError(
            f"`step` of `{parameter.name}` must be a number that divides the range into 1 to "
            f"{MAX_STEPS} steps, got {entry['step']!r}."
        )
    return Range(low, high, step, sampling)
