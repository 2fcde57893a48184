"""Recipes that did well before, and recipes near others: where a search looks first.

Random recipes of a wide space are mostly poor. A search starts from a few known good ones,
fitted into its space, and later draws half of its recipes near the best so far (after PriorBand,
Mallik et al. 2023, https://arxiv.org/abs/2306.12370; portfolios: Oeztuerk et al. 2022,
https://arxiv.org/abs/2206.08476).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from search_spaces.augmentation import LADDER
from search_spaces.hyperparameters import Value
from search_spaces.parameters import Choice, Domain, Range, unknown_name
from search_spaces.schedules import SCHEDULES
from search_spaces.spaces import PARAMETERS, Space

BOLD: Mapping[str, Value] = {
    "trainable_fraction": 0.5,
    "learning_rate": 2e-3,
    "dropout": 0.2,
    "l2": 1e-6,
    "label_smoothing": 0.1,
    "augmentation": "medium",
    "schedule": "cosine",
    "cosine/warmup": 0.1,
}
"""Changes what the backbone has learnt a lot."""

GENTLE: Mapping[str, Value] = {
    "trainable_fraction": 0.5,
    "learning_rate": 1e-3,
    "dropout": 0.1,
    "l2": 1e-5,
    "label_smoothing": 0.05,
    "augmentation": "light",
    "schedule": "cosine",
    "cosine/warmup": 0.0,
}
"""Changes it less."""

PORTFOLIO: tuple[Mapping[str, Value], ...] = (
    BOLD,
    GENTLE,
    {
        "trainable_fraction": 1.0,
        "learning_rate": 5e-4,
        "dropout": 0.3,
        "l2": 1e-6,
        "label_smoothing": 0.1,
        "augmentation": "strong",
        "schedule": "one_cycle",
        "one_cycle/warmup": 0.3,
    },
)
"""The best first, but the one that trains all blocks, and so takes longest, last. What an entry
does not name is the first value of the space."""

GENTLE_FROM = 0.85
"""Macro F1 on val of a head on frozen features from which the gentle recipe comes before the bold
one: what tells the classes apart already needs little change (docs/benchmarks/portfolio.md)."""

CHANGED_SHARE = 0.3
"""Share of the hyperparameters that a recipe near another one has changed."""

_LADDER = tuple(LADDER)
"""Words that have an order: the strengths of augmentation, weakest first."""

_STEP = 0.2
"""Typical move of a number, as a share of its range."""


def first_recipes(
    space: Space, backbones: Sequence[str], frozen: Mapping[str, float] = MappingProxyType({})
) -> list[dict[str, Value]]:
    """Return the values of the recipes that a search of a space starts with.

    The whole portfolio for the first backbone, and its best entry for the others.

    Args:
        space: What may be chosen.
        backbones: Those of the space, the most promising first.
        frozen: For those that were probed, macro F1 of a head on frozen features.

    Returns:
        Values as on `hp`, with only the parameters of the schedule that each chooses.
    """

    def ranked(backbone: str) -> list[dict[str, Value]]:
        entries = list(PORTFOLIO)
        if frozen.get(backbone, 0.0) >= GENTLE_FROM:
            entries.sort(key=lambda entry: entry is not GENTLE)
        return [{**entry, "backbone": backbone} for entry in entries]

    first, *others = backbones
    wanted = ranked(first)
    wanted[1:1] = [ranked(name)[0] for name in others]
    return [fit_into(space, entry) for entry in wanted]


def fit_into(space: Space, wanted: Mapping[str, Value]) -> dict[str, Value]:
    """Return the values of a space that are nearest to wanted ones.

    Args:
        space: What may be chosen.
        wanted: Values as on `hp`; those left out are the first of their domain.
    """
    values = {n: nearest(domain, wanted.get(n)) for n, domain in space.domains.items()}
    kind = str(nearest(Choice(tuple(space.schedules)), wanted.get("schedule")))
    values["schedule"] = kind
    for name, domain in space.schedules[kind].items():
        values[f"{kind}/{name}"] = nearest(domain, wanted.get(f"{kind}/{name}"))
    return values


def nearest(domain: Domain, wanted: Value | None) -> Value:
    """Return the value of a domain that is nearest to a wanted one.

    Args:
        domain: What may be chosen.
        wanted: A number or a word; None for the first value, or the middle of a range. Of words
            only strengths of augmentation are near one another.
    """
    if isinstance(domain, Range):
        if domain.step is not None:
            return nearest(Choice(domain.values()), wanted)
        number = _middle(domain) if wanted is None else float(wanted)
        return min(max(number, domain.low), domain.high)
    if wanted in domain.values:
        return next(value for value in domain.values if value == wanted)
    if wanted in _LADDER and set(domain.values) <= set(_LADDER):
        rung = _LADDER.index(str(wanted))
        return min(domain.values, key=lambda value: abs(_LADDER.index(str(value)) - rung))
    if wanted is None or isinstance(wanted, str) or isinstance(domain.values[0], str):
        return domain.values[0]
    return min(domain.values, key=lambda value: abs(float(value) - float(wanted)))


def _middle(domain: Range) -> float:
    if domain.sampling == "log":
        return math.sqrt(domain.low * domain.high)
    return (domain.low + domain.high) / 2


def vary(
    space: Space, values: Mapping[str, Value], generator: np.random.Generator
) -> dict[str, Value]:
    """Return values near others: some hyperparameters moved, at least one.

    Args:
        space: What may be chosen.
        values: Of a recipe of the space.
        generator: Decides what moves, and where to.
    """
    near = fit_into(space, values)
    domains: dict[str, Domain] = {**space.domains, "schedule": Choice(tuple(space.schedules))}
    domains |= {
        f"{near['schedule']}/{name}": domain
        for name, domain in space.schedules[str(near["schedule"])].items()
    }
    free = [name for name, domain in domains.items() if _has_several(domain)]
    if not free:
        return near
    chosen = generator.random(len(free)) < CHANGED_SHARE
    chosen[generator.integers(len(free))] = True
    for name, moves in zip(free, chosen, strict=True):
        if moves:
            near[name] = _move(domains[name], near[name], generator)
    return fit_into(space, near)


def _has_several(domain: Domain) -> bool:
    return isinstance(domain, Range) or len(domain.values) > 1


def _move(domain: Domain, value: Value, generator: np.random.Generator) -> Value:
    """Return another value of a domain: for numbers one that is near."""
    if isinstance(domain, Range) and domain.step is None:
        return _move_within(domain, float(value), generator)
    values = list(domain.values() if isinstance(domain, Range) else domain.values)
    if any(isinstance(item, str) for item in values):
        others = [item for item in values if item != value]
        return others[generator.integers(len(others))]
    ranked = sorted(values, key=float)
    place = ranked.index(value)
    around = [place + move for move in (-1, 1) if 0 <= place + move < len(ranked)]
    return ranked[around[generator.integers(len(around))]]


def _move_within(domain: Range, value: float, generator: np.random.Generator) -> float:
    low, high = domain.low, domain.high
    if domain.sampling == "log":
        low, high, value = math.log(low), math.log(high), math.log(value)
    moved = value + _STEP * (high - low) * float(generator.normal())
    moved = min(max(moved, low), high)
    if domain.sampling == "log":
        moved = math.exp(moved)
    return min(max(moved, domain.low), domain.high)


def parse_recipes(entries: object, space: Space) -> list[dict[str, Value]]:
    """Return the values of the recipes that a person wrote.

    Each is a mapping as in a space's YAML file, with one value for each hyperparameter; a
    schedule's parameters stand below it. A value need not be in the space, only exist; what an
    entry leaves out is that of the portfolio's best.

    Args:
        entries: Content of a YAML file: a list of such mappings.
        space: What the search chooses from.

    Raises:
        ValueError: If an entry is unknown or does not hold up.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise ValueError(
            "Recipes to begin with must be a list of mappings from hyperparameters to values, "
            f"got {type(entries).__name__}."
        )
    return [_parse_recipe(entry, space) for entry in entries]


def _parse_recipe(entry: Mapping[str, object], space: Space) -> dict[str, Value]:
    values = fit_into(space, PORTFOLIO[0])
    for name, value in entry.items():
        if name == "schedule":
            continue
        if name not in PARAMETERS:
            raise ValueError(unknown_name("hyperparameter", name, (*PARAMETERS, "schedule")))
        values[name] = PARAMETERS[name].check(value)
    schedule = entry.get("schedule")
    if schedule is None:
        return values
    kind, given = _one_schedule(schedule)
    values = {name: value for name, value in values.items() if "/" not in name}
    values["schedule"] = kind
    for parameter in SCHEDULES[kind].parameters:
        value = given.pop(parameter.name, parameter.default)
        values[f"{kind}/{parameter.name}"] = parameter.check(value)
    if given:
        names = [parameter.name for parameter in SCHEDULES[kind].parameters]
        raise ValueError(unknown_name(f"parameter of schedule {kind!r}:", next(iter(given)), names))
    return values


def _one_schedule(entry: object) -> tuple[str, dict[str, object]]:
    kind, given = next(iter(entry.items())) if isinstance(entry, Mapping) and entry else (entry, {})
    if kind not in SCHEDULES:
        raise ValueError(unknown_name("schedule", kind, SCHEDULES))
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(f"Schedule {kind!r} must be followed by its parameters, got {given!r}.")
    return str(kind), dict(given or {})
