"""Small figures side by side: what each hyperparameter did to the score."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from automl_flowers.reports import style
from automl_flowers.reports.standings import Standing, varying
from automl_flowers.reports.style import ACCENT, MUTED, label
from automl_flowers.reports.words import scientific, short
from search_spaces.augmentation import AUGMENTATIONS

_ORDERS = {"augmentation": tuple(AUGMENTATIONS)}
"""Hyperparameters whose words have an order."""
_HEIGHT = 230
_MOST_STRIPS = 8
_MOST_LETTERS = 44
_GOLDEN = 0.618034


@dataclass(frozen=True)
class Panel:
    """One of several small figures.

    Attributes:
        name: What it shows, for its caption.
        figure: The figure.
    """

    name: str
    figure: go.Figure


def hyperparameters(
    standings: Sequence[Standing], log_sampled: frozenset[str], horizon: int
) -> list[Panel]:
    """Return a panel for each hyperparameter that varied: its values against the score.

    Args:
        standings: Ranked.
        log_sampled: Hyperparameters whose axis is logarithmic.
        horizon: Epochs of a trial that survives every round.
    """
    return [
        Panel(name, _panel(name, standings, name in log_sampled, horizon))
        for name in varying(standings)
    ]


def _panel(
    name: str, standings: Sequence[Standing], is_logarithmic: bool, horizon: int
) -> go.Figure:
    here = [standing for standing in standings if name in standing.recipe]
    values = [standing.recipe[name] for standing in here]
    if _is_continuous(values, is_logarithmic):
        made = style.figure(_HEIGHT)
        made.add_trace(_points(values, here, horizon))
        made.update_xaxes(**(style.log_axis(values) if is_logarithmic else {"nticks": 8}))
    else:
        made = strips(name, here, horizon)
    made.update_yaxes(range=_score_range(standings))
    return made


def _score_range(standings: Sequence[Standing]) -> list[float]:
    """Return one range for all panels, so that they can be compared."""
    scores = [standing.score for standing in standings if standing.score is not None]
    margin = 0.08 * (max(scores) - min(scores)) or 0.01
    return [min(scores) - margin, max(scores) + margin]


def _is_continuous(values: Sequence[Any], is_logarithmic: bool) -> bool:
    """Say whether values belong on an axis of numbers; few that repeat are words to us."""
    if not all(isinstance(value, int | float) for value in values):
        return False
    if is_logarithmic:
        return bool(min(values) > 0)
    distinct = len(set(values))
    return distinct > _MOST_STRIPS or distinct == len(values) > 2


def strips(name: str, standings: Sequence[Standing], horizon: int) -> go.Figure:
    """Return a strip of scores for each value that a hyperparameter was set to.

    Points are spread sideways so that they do not hide one another; a short line is the median
    of the recipes that trained longest.
    """
    values = _in_order(name, {standing.recipe[name] for standing in standings})
    made = style.figure(_HEIGHT)
    seen = dict.fromkeys(values, 0)
    places = []
    for standing in standings:
        value = standing.recipe[name]
        seen[value] += 1
        places.append(values.index(value) + (seen[value] * _GOLDEN % 1 - 0.5) * 0.36)
    made.add_trace(_points(places, standings, horizon))
    made.add_trace(_medians(name, values, standings))
    made.update_xaxes(range=[-0.6, len(values) - 0.4], showgrid=False, **_ticks(values))
    return made


def _in_order(name: str, values: set[Any]) -> list[Any]:
    order = _ORDERS.get(name, ())
    return sorted(values, key=lambda value: (order.index(value) if value in order else -1, value))


def _ticks(values: Sequence[Any]) -> dict[str, Any]:
    """Return a tick for each value: lines broken between words, or turned if they are many."""
    names = [style.wrapped(short(value)) for value in values]
    widest = max(len(line) for name in names for line in name.split("<br>"))
    is_crowded = widest * len(values) > _MOST_LETTERS
    return {
        "tickvals": list(range(len(values))),
        "ticktext": [label(short(v), 18) for v in values] if is_crowded else names,
        "tickangle": -35 if is_crowded else 0,
    }


def _points(places: Sequence[float], standings: Sequence[Standing], horizon: int) -> go.Scatter:
    return go.Scatter(
        x=list(places),
        y=style.numbers(standing.score for standing in standings),
        mode="markers",
        marker={
            "size": 9,
            "color": [standing.epochs for standing in standings],
            "cmin": 0,
            "cmax": horizon,
            "colorscale": [[0, MUTED], [0.5, MUTED], [1, ACCENT]],
            "opacity": 0.85,
        },
        text=[_about(standing) for standing in standings],
        hovertemplate="%{y:.4f}  %{text}<extra></extra>",
    )


def _about(standing: Standing) -> str:
    recipe = standing.recipe
    return (
        f"{label(standing.name)}<br>{standing.epochs} epochs, {recipe['image_size']} px, "
        f"{recipe['trainable_blocks']} blocks, {label(short(recipe['schedule']))} "
        f"{scientific(recipe['learning_rate'])}, {label(recipe['augmentation'])}"
    )


def _medians(name: str, values: Sequence[Any], standings: Sequence[Standing]) -> go.Scatter:
    longest = max((standing.epochs for standing in standings), default=0)
    x: list[float | None] = []
    y: list[float | None] = []
    for place, value in enumerate(values):
        here = [s for s in standings if s.recipe[name] == value and s.epochs == longest]
        if len(here) > 1:
            median = statistics.median(s.score for s in here if s.score is not None)
            x += [place - 0.32, place + 0.32, None]
            y += [median, median, None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": ACCENT, "width": 2},
        hovertemplate="median %{y:.4f}<extra></extra>",
    )
