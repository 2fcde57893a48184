"""A search space: for every hyperparameter, what a search may choose.

A space is a YAML file (see `presets/`): one entry a hyperparameter, left-out ones keep their
default. Parameters of a schedule stand below it and are active only while it is chosen; this
is the single level of conditions. Everything is checked when the file is read, and an unknown
name is answered with the nearest one that exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from search_spaces import fine_tuning, regularisation
from search_spaces.augmentation import REFUSED, TRAINABLE
from search_spaces.backbones import get_backbone
from search_spaces.hyperparameters import HyperParameters, Value
from search_spaces.parameters import Choice, Domain, Parameter, parse_domain, unknown_name
from search_spaces.recipe import Recipe
from search_spaces.schedules import SCHEDULES

PRESETS_FOLDER = Path(__file__).parent / "presets"

MAX_VIEWS = 64
"""More than any search has epochs is the same as ever new ones."""

PARAMETERS: Mapping[str, Parameter] = {
    parameter.name: parameter
    for parameter in (
        *fine_tuning.PARAMETERS,
        *regularisation.PARAMETERS,
        Parameter("augmentation", "name", "light", options=TRAINABLE, refused=REFUSED),
        Parameter("views", "int", 0, 0, MAX_VIEWS),
    )
}
"""Every hyperparameter but the schedule, which has parameters of its own."""


@dataclass(frozen=True)
class Space:
    """What a search may choose.

    Attributes:
        name: Of the preset or the file.
        domains: One domain for each of `PARAMETERS`.
        schedules: For each schedule that may be chosen, the domains of its parameters.
    """

    name: str
    domains: Mapping[str, Domain]
    schedules: Mapping[str, Mapping[str, Domain]]

    def declare(self, hp: HyperParameters) -> Recipe:
        """Declare the whole space on `hp` and return the recipe that its current values mean."""
        values = {name: domain.declare(hp, name) for name, domain in self.domains.items()}
        values["schedule"] = hp.Choice("schedule", list(self.schedules))
        for kind, domains in self.schedules.items():
            with hp.conditional_scope("schedule", [kind]):
                for name, domain in domains.items():
                    values[f"{kind}/{name}"] = domain.declare(hp, f"{kind}/{name}")
        return Recipe.from_values(values)

    def choices(self, name: str) -> tuple[Value, ...]:
        """Return the listed values of a hyperparameter.

        Raises:
            TypeError: If its domain is a range.
        """
        domain = self.domains[name]
        if not isinstance(domain, Choice):
            raise TypeError(f"`{name}` of space {self.name!r} is a range, not a list of values.")
        return domain.values

    def restrict(self, **values: Sequence[Value]) -> Space:
        """Return a space in which the named hyperparameters have only the given values.

        Raises:
            ValueError: If a name or value does not exist or contradicts another entry.
        """
        for name in values:
            if name not in PARAMETERS:
                raise ValueError(unknown_name("hyperparameter", name, PARAMETERS))
        domains = {
            name: parse_domain(PARAMETERS[name], list(listed)) for name, listed in values.items()
        }
        space = replace(self, domains={**self.domains, **domains})
        _check_image_sizes(space)
        return space

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as in a YAML file, that `parse_space` reads back."""
        entries: dict[str, Any] = {n: _entry(domain) for n, domain in self.domains.items()}
        entries["schedule"] = {
            kind: {n: _entry(domain) for n, domain in domains.items()}
            for kind, domains in self.schedules.items()
        }
        return entries


def _entry(domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return list(domain.values)
    entry: dict[str, Any] = {"min": domain.low, "max": domain.high, "sampling": domain.sampling}
    if domain.step is not None:
        entry["step"] = domain.step
    return entry


def parse_space(name: str, entries: object) -> Space:
    """Return the space that a YAML file's content describes.

    Args:
        name: For messages and records.
        entries: The content of the file.

    Raises:
        ValueError: If an entry is unknown, out of range or contradictory; the sentence names it.
    """
    if not isinstance(entries, dict):
        raise ValueError(
            f"Space {name!r} must be a mapping from hyperparameters to values, got "
            f"{type(entries).__name__}."
        )
    valid = (*PARAMETERS, "schedule")
    for entry in entries:
        if entry not in valid:
            raise ValueError(unknown_name(f"entry in space {name!r}:", entry, valid))
    domains = {
        parameter.name: parse_domain(parameter, entries.get(parameter.name, parameter.default))
        for parameter in PARAMETERS.values()
    }
    space = Space(name, domains, _parse_schedules(entries.get("schedule", "cosine")))
    _check_image_sizes(space)
    return space


def _parse_schedules(entry: object) -> dict[str, dict[str, Domain]]:
    if isinstance(entry, dict):
        kinds = list(entry.items())
    else:
        kinds = [(kind, None) for kind in (entry if isinstance(entry, list) else [entry])]
    if not kinds:
        raise ValueError("`schedule` needs at least one kind, got none.")
    schedules: dict[str, dict[str, Domain]] = {}
    for kind, given in kinds:
        if not isinstance(kind, str) or kind not in SCHEDULES:
            raise ValueError(unknown_name("schedule", kind, SCHEDULES))
        if kind in schedules:
            raise ValueError(f"`schedule` lists a kind twice: {entry}.")
        schedules[kind] = _parse_schedule(kind, given)
    return schedules


def _parse_schedule(kind: str, given: object) -> dict[str, Domain]:
    parameters = {parameter.name: parameter for parameter in SCHEDULES[kind].parameters}
    given = {} if given is None else given
    if not isinstance(given, dict):
        raise ValueError(f"Schedule {kind!r} must be followed by its parameters, got {given!r}.")
    for name in given:
        if name not in parameters:
            raise ValueError(unknown_name(f"parameter of schedule {kind!r}:", name, parameters))
    return {
        name: parse_domain(parameter, given.get(name, parameter.default))
        for name, parameter in parameters.items()
    }


def _check_image_sizes(space: Space) -> None:
    smallest = min(int(size) for size in space.choices("image_size"))
    for name in space.choices("backbone"):
        backbone = get_backbone(str(name))
        if smallest < backbone.min_image_size:
            raise ValueError(
                f"`image_size` {smallest} and backbone {backbone.name!r} contradict each other: "
                f"it needs at least {backbone.min_image_size} pixels."
            )


def list_presets() -> list[str]:
    """Return the names of the spaces that ship with the project."""
    return sorted(path.stem for path in PRESETS_FOLDER.glob("*.yaml"))


def load_space(name_or_file: str) -> Space:
    """Return a preset, or the space in a YAML file.

    Args:
        name_or_file: One of `list_presets()`, or a path that ends in `.yaml` or `.yml`.

    Raises:
        ValueError: If there is no such preset or file, or its content does not hold up.
    """
    path = Path(name_or_file)
    if path.suffix not in (".yaml", ".yml"):
        if name_or_file not in list_presets():
            raise ValueError(
                unknown_name("space", name_or_file, list_presets())
                + " Or give a file that ends in .yaml."
            )
        path = PRESETS_FOLDER / f"{name_or_file}.yaml"
    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"There is no space file {name_or_file!r}.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"Space file {name_or_file!r} cannot be read: {error}") from error
    return parse_space(path.stem, entries)
