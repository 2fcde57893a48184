"""What the page's tables say, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from automl_flowers.ledger import TrialRecord
from automl_flowers.reports.standings import METRICS, Standing, constant, finite, varying
from automl_flowers.reports.summary import Facts
from automl_flowers.reports.words import OBJECTIVES, counted, duration, heading, short
from automl_flowers.tuning.probe_rule import MAX_GAP
from search_spaces.backbones import BACKBONES
from search_spaces.schedules import SCHEDULES

HEADINGS = {
    "image_size": "px",
    "trainable_blocks": "blocks",
    "learning_rate": "peak rate",
    "label_smoothing": "smoothing",
    "class_weighting": "class weights",
    "batch_size": "batch",
    "l2": "L2",
}
"""Short headings of hyperparameters."""

_OF_SCHEDULES = {p.name for kind in SCHEDULES.values() for p in kind.parameters}
_SPLITS = ("train", "val", "blend", "test")
_MOST_NAMES = 6


@dataclass(frozen=True)
class Cell:
    """One value of a table.

    Attributes:
        text: What stands there.
        value: What it is sorted by.
        is_number: Whether it stands on the right.
    """

    text: str
    value: float | str = ""
    is_number: bool = False


@dataclass(frozen=True)
class Row:
    """One trial in the leaderboard.

    Attributes:
        trial: The trial.
        span: Its epochs, such as `3-6`.
        scores: On `val` after its last epoch, by metric.
        seconds: Its own training, or for the trial that speaks for a recipe, all of it.
    """

    trial: TrialRecord
    span: str
    scores: Mapping[str, float | None]
    seconds: float


@dataclass(frozen=True)
class Group:
    """A recipe in the leaderboard.

    Attributes:
        standing: The recipe.
        cells: Values of the hyperparameters that vary.
        first: The trial that speaks for it.
        others: Its other trials.
    """

    standing: Standing
    cells: tuple[Cell, ...]
    first: Row
    others: tuple[Row, ...]


@dataclass(frozen=True)
class Leaderboard:
    """The leaderboard.

    Attributes:
        headings: Of the hyperparameters that vary: heading, whether numbers.
        constants: Hyperparameters that all recipes have in common.
        groups: One a recipe.
    """

    headings: tuple[tuple[str, bool], ...]
    constants: tuple[str, ...]
    groups: tuple[Group, ...]


def leaderboard(standings: Sequence[Standing]) -> Leaderboard:
    """Return a leaderboard with a column for each hyperparameter that varies.

    The backbone is left out, because it is part of a recipe's name; the parameters of a schedule
    stand with its name.
    """
    names = varying(standings)
    columns = [n for n in names if n != "backbone" and n not in _OF_SCHEDULES]
    if "schedule" not in names and any(name in _OF_SCHEDULES for name in names):
        columns.append("schedule")
    groups = tuple(_group(standing, columns) for standing in standings)
    common = constant(standings)
    return Leaderboard(
        headings=tuple((_heading(name), _is_numeric(name, standings)) for name in columns),
        constants=tuple(
            f"{heading(name)} {short(value)}"
            for name, value in common.items()
            if name not in columns and name != "backbone" and len(standings) > 1
        ),
        groups=groups,
    )


def _heading(name: str) -> str:
    return HEADINGS.get(name, name.replace("_", " "))


def _is_numeric(name: str, standings: Sequence[Standing]) -> bool:
    return all(isinstance(one.recipe.get(name, 0), int | float) for one in standings)


def _group(standing: Standing, columns: Sequence[str]) -> Group:
    return Group(
        standing=standing,
        cells=tuple(_cell(name, standing.recipe) for name in columns),
        first=_row(standing.trial, standing.seconds),
        others=tuple(
            _row(trial, sum(record.seconds for record in trial.epochs)) for trial in standing.others
        ),
    )


def _cell(name: str, recipe: Mapping[str, Any]) -> Cell:
    value = recipe.get(name)
    if name == "schedule":
        parameters = [f"{p} {short(v)}" for p, v in recipe.items() if p in _OF_SCHEDULES]
        text = ", ".join([short(value), *parameters])
        return Cell(text, text)
    if value is None:
        return Cell("")
    return Cell(short(value), value, isinstance(value, int | float))


def _row(trial: TrialRecord, seconds: float) -> Row:
    last = trial.epochs[-1] if trial.epochs else None
    until = trial.epochs_trained if trial.status == "completed" else trial.last_epoch
    return Row(
        trial=trial,
        span=f"{trial.first_epoch + 1}-{until}",
        scores={name: finite(getattr(last, name, None)) for name in METRICS},
        seconds=seconds,
    )


@dataclass(frozen=True)
class ModelSummary:
    """What the model of a recipe is made of.

    Attributes:
        size: Layers and parameters, all and trainable, as recorded.
        num_blocks: Of the backbone; None if this version does not know it.
        trained_blocks: Names of the blocks that train, from the input to the output.
    """

    size: Mapping[str, int]
    num_blocks: int | None
    trained_blocks: tuple[str, ...]


def model(standing: Standing) -> ModelSummary:
    """Return what the model of a recipe is made of."""
    backbone = BACKBONES.get(standing.recipe["backbone"])
    blocks = backbone.blocks if backbone else ()
    trained = blocks[len(blocks) - standing.recipe["trainable_blocks"] :] if blocks else ()
    return ModelSummary(
        standing.trial.size,
        backbone.num_blocks if backbone else None,
        tuple(b.rstrip("_") for b in trained),
    )


def overview(facts: Facts) -> list[tuple[str, str]]:
    """Return what ran on which data, as terms and descriptions."""
    images = ", ".join(f"{number:,} {split}" for split, number in facts.images.items())
    num_classes = len(facts.data.get("class_names", []))
    seconds = sum(standing.seconds for standing in facts.standings)
    listed = [
        ("data", facts.settings.get("data") or "the embedded default: drawn flowers"),
        ("classes", f"{num_classes}" if num_classes else ""),
        ("images", images),
        ("space", _space(facts.settings.get("space"))),
        ("frozen features", _probes(facts)),
        ("search", _search(facts)),
        ("objective", f"{OBJECTIVES[facts.objective]} on val"),
        ("device", f"{facts.environment.get('device', '')}, {_precision(facts)}".strip(", ")),
        ("smaller batches", _smaller_batches(facts.trials)),
        ("when", _when(facts.trials)),
        ("training", f"{duration(seconds)} in the search" if facts.trials else ""),
    ]
    return [(term, description) for term, description in listed if description]


def _space(space: Any) -> str:
    """Return the name of a space; one that was given by its content has none."""
    return space if isinstance(space, str) else "custom" if space else ""


def _probes(facts: Facts) -> str:
    """Return how far linear heads got without any fine-tuning, and who was left out for it."""
    told = [f"{p.backbone} {p.image_size} px {p.macro_f1:.3f}" for p in facts.probes]
    scores = f"val macro F1 of {', '.join(told)}" if told else ""
    if not facts.left_out:
        return scores
    return f"{scores}; more than {MAX_GAP:.2f} behind, so not searched: {', '.join(facts.left_out)}"


def _search(facts: Facts) -> str:
    if not facts.trials:
        return ""
    recipes, statuses = counted(len(facts.standings), "recipe"), facts.statuses.items()
    ended = ", ".join(f"{number} {status}" for status, number in statuses)
    return f"{recipes} in {len(facts.trials)} of {facts.planned_trials} planned trials ({ended})"


def _smaller_batches(trials: Sequence[TrialRecord]) -> str:
    """Return which recipes trained in smaller batches than planned."""
    told = {
        f"{trial.recipe['backbone']}-{trial.identity[:6]} in batches of "
        f"{trial.size['fitting_batch_size']} instead of {trial.recipe['batch_size']}"
        for trial in trials
        if "fitting_batch_size" in trial.size
    }
    return f"for want of memory, {', '.join(sorted(told))}" if told else ""


def _precision(facts: Facts) -> str:
    replicas = facts.environment.get("replicas") or 1
    precision = str(facts.environment.get("precision", ""))
    return precision if replicas == 1 else f"{replicas} replicas, {precision}"


def _when(trials: Sequence[TrialRecord]) -> str:
    started = [trial.started for trial in trials if trial.started]
    if not started:
        return ""
    first, last = min(started), max([*started, *(trial.ended or 0 for trial in trials)])
    begin, end = datetime.fromtimestamp(first, UTC), datetime.fromtimestamp(last, UTC)
    until = f"{end:%H:%M}" if begin.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{begin:%Y-%m-%d %H:%M} to {until} UTC"


def absent_classes(facts: Facts) -> str:
    """Return a sentence on the classes that have no image in a split; empty if unknown."""
    names = facts.data.get("class_names", [])
    missing = {
        split: [name for name, number in zip(names, counts, strict=False) if not number]
        for split, counts in facts.data.get("images_per_class", {}).items()
    }
    labelled = [split for split in _SPLITS if len(missing.get(split, names)) < len(names)]
    if not labelled:
        return ""
    lacking = [f"{split} {_some(missing[split])}" for split in labelled if missing[split]]
    if not lacking:
        return f"Every class has images in {', '.join(labelled)}."
    return f"Classes without an image: {'; '.join(lacking)}."


def _some(names: Sequence[str]) -> str:
    more = ", …" if len(names) > _MOST_NAMES else ""
    return f"{len(names)} ({', '.join(names[:_MOST_NAMES])}{more})"
