"""The figures of a search: curves, hyperparameters, backbones, learning rate, classes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from automl_flowers.reports import style
from automl_flowers.reports.standings import Standing, varying
from automl_flowers.reports.style import ACCENT, FAINT, HIGHLIGHTS, MUTED, NUM_HIGHLIGHTED, label
from search_spaces.augmentation import AUGMENTATIONS
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

OBJECTIVES = {"macro_f1": "macro F1", "accuracy": "accuracy", "log_loss": "log loss"}
_ORDERS = {"augmentation": tuple(AUGMENTATIONS)}
"""Hyperparameters whose words have an order."""
_CURVE_POINTS = 241
_MOST_TICKS = 8
_GOLDEN = 0.618034
_MOST_NAMED_CLASSES = 32


def learning_curves(standings: Sequence[Standing], horizon: int) -> go.Figure:
    """Return macro F1 on val of every recipe over absolute epochs.

    Promoted trials continue their parent's line. The best few are coloured, and the learning
    rate that the best one follows over the horizon is on a second axis.
    """
    made = style.figure(430, showlegend=True, margin={"l": 56, "r": 64, "t": 12, "b": 44})
    for standing in reversed([one for one in standings if one.curve]):
        made.add_trace(_curve(standing))
    if standings and standings[0].rank is not None:
        made.add_trace(_planned_rates(standings[0], horizon))
    made.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "zeroline": False,
            "rangemode": "tozero",
            "tickformat": ".1e",
            "automargin": True,
            "title": {"text": "learning rate", "standoff": 8},
        }
    )
    made.update_xaxes(title_text="epoch", range=[0, horizon * 1.02], dtick=_epoch_step(horizon))
    made.update_yaxes(title_text="macro F1 on val", selector={"overlaying": None})
    return made


def _curve(standing: Standing) -> go.Scatter:
    place = (standing.rank or len(HIGHLIGHTS) + 1) - 1
    is_best = place < NUM_HIGHLIGHTED
    ends = {t.epochs[-1].epoch: t.status for t in (standing.trial, *standing.others) if t.epochs}
    statuses = [ends.get(record.epoch) for record in standing.curve]
    broken = ("failed", "infeasible")
    return go.Scatter(
        x=[record.epoch + 1 for record in standing.curve],
        y=style.numbers(record.macro_f1 for record in standing.curve),
        name=label(standing.name),
        mode="lines+markers",
        line={"width": 2.6 if is_best else 1.2, "color": HIGHLIGHTS[place] if is_best else FAINT},
        marker={
            "size": [8 if status else 4 for status in statuses],
            "symbol": ["x" if status in broken else "circle" for status in statuses],
            "color": HIGHLIGHTS[place] if is_best else MUTED,
            "opacity": 1 if is_best else 0.75,
        },
        showlegend=is_best,
        legendrank=place,
        hovertemplate="%{y:.4f} after epoch %{x}",
    )


def _planned_rates(standing: Standing, horizon: int) -> go.Scatter:
    epochs, rates = _rates(_schedule(standing), horizon)
    return go.Scatter(
        x=epochs,
        y=rates,
        name="learning rate of the best",
        mode="lines",
        line={"dash": "dot", "width": 1.5, "color": ACCENT},
        yaxis="y2",
        legendrank=NUM_HIGHLIGHTED,
        hovertemplate="learning rate %{y:.2e} at epoch %{x:.1f}<extra></extra>",
    )


def _schedule(standing: Standing) -> Schedule:
    return Recipe.from_dict(standing.trial.recipe).schedule


def _rates(schedule: Schedule, horizon: int) -> tuple[list[float], list[float]]:
    epochs = [horizon * step / (_CURVE_POINTS - 1) for step in range(_CURVE_POINTS)]
    return epochs, [schedule.learning_rate(epoch, horizon) for epoch in epochs]


def _epoch_step(horizon: int) -> int:
    return max(1, -(-horizon // 12))


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
    if not all(isinstance(value, int | float) for value in values):
        return strips(name, here, horizon)
    made = style.figure(220)
    made.add_trace(_points(values, here, horizon))
    made.update_xaxes(**_numeric_axis(values, is_logarithmic))
    return made


def _numeric_axis(values: Sequence[float], is_logarithmic: bool) -> dict[str, Any]:
    if is_logarithmic and min(values) > 0:
        return style.log_axis(values)
    distinct = sorted(set(values))
    if len(distinct) > _MOST_TICKS:
        return {"nticks": _MOST_TICKS}
    margin = 0.08 * (distinct[-1] - distinct[0])
    return {
        "tickvals": distinct,
        "ticktext": [style.short(value) for value in distinct],
        "range": [distinct[0] - margin, distinct[-1] + margin],
    }


def strips(name: str, standings: Sequence[Standing], horizon: int, height: int = 220) -> go.Figure:
    """Return a strip of scores for each word that a hyperparameter was set to.

    Points are spread sideways so that they do not hide one another; a short line is the median
    of the recipes that trained longest.
    """
    words = _in_order(name, {str(standing.recipe[name]) for standing in standings})
    made = style.figure(height)
    seen = dict.fromkeys(words, 0)
    places = []
    for standing in standings:
        word = str(standing.recipe[name])
        seen[word] += 1
        places.append(words.index(word) + (seen[word] * _GOLDEN % 1 - 0.5) * 0.36)
    made.add_trace(_points(places, standings, horizon))
    made.add_trace(_medians(name, words, standings))
    made.update_xaxes(
        tickvals=list(range(len(words))),
        ticktext=[label(word.replace("_", " "), 22) for word in words],
        range=[-0.6, len(words) - 0.4],
        showgrid=False,
    )
    return made


def _in_order(name: str, words: set[str]) -> list[str]:
    order = _ORDERS.get(name, ())
    return sorted(words, key=lambda word: (order.index(word) if word in order else -1, word))


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
        f"{recipe['trainable_blocks']} blocks, {label(style.short(recipe['schedule']))} "
        f"{style.scientific(recipe['learning_rate'])}, {label(recipe['augmentation'])}"
    )


def _medians(name: str, words: Sequence[str], standings: Sequence[Standing]) -> go.Scatter:
    longest = max((standing.epochs for standing in standings), default=0)
    x: list[float | None] = []
    y: list[float | None] = []
    for place, word in enumerate(words):
        scores = [
            standing.score
            for standing in standings
            if str(standing.recipe[name]) == word
            and standing.epochs == longest
            and standing.score is not None
        ]
        if len(scores) > 1:
            median = statistics.median(scores)
            x += [place - 0.32, place + 0.32, None]
            y += [median, median, None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": ACCENT, "width": 2},
        hovertemplate="median %{y:.4f}<extra></extra>",
    )


def learning_rate(standing: Standing, horizon: int) -> go.Figure:
    """Return the learning rate of a recipe over its full horizon, and what training recorded."""
    epochs, rates = _rates(_schedule(standing), horizon)
    made = style.figure(300, margin={"l": 64, "r": 24, "t": 34, "b": 44})
    made.add_scatter(
        x=epochs,
        y=rates,
        mode="lines",
        line={"color": ACCENT, "width": 2.4},
        hovertemplate="%{y:.3e} at epoch %{x:.2f}<extra></extra>",
    )
    made.add_scatter(
        x=[record.epoch + 1 for record in standing.curve],
        y=style.numbers(record.learning_rate for record in standing.curve),
        mode="markers",
        marker={"color": ACCENT, "size": 8, "symbol": "circle-open", "line": {"width": 2}},
        hovertemplate="%{y:.3e} recorded in the last step of epoch %{x}<extra></extra>",
    )
    for place, words, anchor in landmarks(rates):
        made.add_annotation(
            x=epochs[place],
            y=rates[place],
            text=words,
            showarrow=False,
            xanchor=anchor,
            yanchor="bottom",
            yshift=6,
        )
    made.update_xaxes(title_text="epoch", range=[0, horizon * 1.01], dtick=_epoch_step(horizon))
    made.update_yaxes(title_text="learning rate", tickformat=".1e", range=[0, max(rates) * 1.16])
    return made


def landmarks(rates: Sequence[float]) -> list[tuple[int, str, str]]:
    """Return what to write on a learning-rate curve: index, words, side that they hang on.

    Start, peak and end; fewer where they are the same, as in a constant rate.
    """
    last = len(rates) - 1
    peak = max(range(len(rates)), key=rates.__getitem__)
    value = style.scientific
    if min(rates) == max(rates):
        return [(last // 2, f"{value(rates[0])} throughout", "center")]
    found = [(peak, f"start and peak {value(rates[0])}", "left")]
    if peak > 0:
        side = "center" if 0.12 * last < peak < 0.88 * last else ("left", "right")[peak > last / 2]
        found = [(0, f"start {value(rates[0])}", "left"), (peak, f"peak {value(rates[peak])}", side)]
    return found if peak == last else [*found, (last, f"end {value(rates[last])}", "right")]


def images_per_class(names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> go.Figure | None:
    """Return the number of training images of each class, most first; None if unknown."""
    train = list(counts.get("train", ()))
    if not names or len(train) != len(names):
        return None
    order = sorted(range(len(names)), key=lambda index: (-train[index], index))
    made = style.figure(250, bargap=0.18)
    made.add_bar(
        x=list(range(len(order))),
        y=[train[index] for index in order],
        marker={"color": style.NEUTRAL},
        text=[label(names[index]) for index in order],
        textposition="none",
        hovertemplate="%{text}: %{y}<extra></extra>",
    )
    is_named = len(names) <= _MOST_NAMED_CLASSES
    made.update_xaxes(
        showgrid=False,
        tickvals=list(range(len(order))) if is_named else [],
        ticktext=[label(names[index], 18) for index in order] if is_named else [],
        tickangle=-45,
    )
    made.update_yaxes(title_text="training images", rangemode="tozero")
    return made
