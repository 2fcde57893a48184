"""The figures of a search: learning curves, the best learning rate, the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from automl_flowers.reports import style
from automl_flowers.reports.standings import Standing
from automl_flowers.reports.style import ACCENT, FAINT, HIGHLIGHTS, MUTED, NUM_HIGHLIGHTED, label
from automl_flowers.reports.words import scientific
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

_RATE_TITLE = {"text": "learning rate", "standoff": 8}
_CURVE_POINTS = 241
_MOST_DOTTED = 24
_MOST_NAMED_CLASSES = 32


def learning_curves(standings: Sequence[Standing], horizon: int) -> go.Figure:
    """Return macro F1 on val of every recipe over absolute epochs.

    Promoted trials continue their parent's line. The best few are coloured, and the learning
    rate that the best one follows over the horizon is on a second axis.
    """
    made = style.figure(430, showlegend=True, margin={"l": 56, "r": 64, "t": 12, "b": 44})
    drawn = [standing for standing in standings if standing.curve]
    for standing in reversed(drawn):
        made.add_trace(_curve(standing, is_crowded=len(drawn) > _MOST_DOTTED))
    if standings and standings[0].rank is not None:
        made.add_trace(_planned_rates(standings[0], horizon))
    made.update_xaxes(
        title_text="epoch", range=[0, horizon * 1.02], dtick=style.epoch_step(horizon)
    )
    made.update_yaxes(title_text="macro F1 on val")
    made.update_layout(yaxis2={**_rate_axis_of_best(standings, horizon), "title": _RATE_TITLE})
    return made


def _rate_axis_of_best(standings: Sequence[Standing], horizon: int) -> dict[str, Any]:
    if not standings or standings[0].rank is None:
        return {"overlaying": "y", "visible": False}
    return style.second_axis(_rates(_schedule(standings[0]), horizon)[1])


def _curve(standing: Standing, *, is_crowded: bool) -> go.Scatter:
    place = (standing.rank or len(HIGHLIGHTS) + 1) - 1
    is_best = place < NUM_HIGHLIGHTED
    ends = {t.epochs[-1].epoch: t.status for t in (standing.trial, *standing.others) if t.epochs}
    statuses = [ends.get(record.epoch) for record in standing.curve]
    broken = ("failed", "infeasible")
    small = 0 if is_crowded and not is_best else 4
    return go.Scatter(
        x=[record.epoch + 1 for record in standing.curve],
        y=style.numbers(record.macro_f1 for record in standing.curve),
        name=label(standing.name),
        mode="lines+markers",
        line={"width": 2.6 if is_best else 1.2, "color": HIGHLIGHTS[place] if is_best else FAINT},
        marker={
            "size": [8 if status else small for status in statuses],
            "symbol": ["x" if status in broken else "circle" for status in statuses],
            "color": HIGHLIGHTS[place] if is_best else MUTED,
            "opacity": 1 if is_best else 0.7,
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
        line={"dash": "dot", "width": 1.3, "color": ACCENT},
        opacity=0.75,
        yaxis="y2",
        legendrank=NUM_HIGHLIGHTED,
        hovertemplate="learning rate %{y:.2e} at epoch %{x:.1f}<extra></extra>",
    )


def _schedule(standing: Standing) -> Schedule:
    return Recipe.from_dict(standing.trial.recipe).schedule


def _rates(schedule: Schedule, horizon: int) -> tuple[list[float], list[float]]:
    epochs = [horizon * step / (_CURVE_POINTS - 1) for step in range(_CURVE_POINTS)]
    return epochs, [schedule.learning_rate(epoch, horizon) for epoch in epochs]


def learning_rate(standing: Standing, horizon: int) -> go.Figure:
    """Return the learning rate of a recipe over its full horizon, and what training recorded."""
    epochs, rates = _rates(_schedule(standing), horizon)
    made = style.figure(300, margin={"l": 64, "r": 24, "t": 12, "b": 44})
    made.add_scatter(
        x=epochs,
        y=rates,
        mode="lines",
        line={"color": ACCENT, "width": 2.4},
        cliponaxis=False,
        hovertemplate="%{y:.3e} at epoch %{x:.2f}<extra></extra>",
    )
    made.add_scatter(
        x=[record.epoch + 1 for record in standing.curve],
        y=style.numbers(record.learning_rate for record in standing.curve),
        mode="markers",
        marker={"color": ACCENT, "size": 8, "symbol": "circle-open", "line": {"width": 2}},
        cliponaxis=False,
        hovertemplate="%{y:.3e} recorded in the last step of epoch %{x}<extra></extra>",
    )
    for place, words, anchor in landmarks(rates):
        is_high = rates[place] > max(rates) / 2
        made.add_annotation(
            x=epochs[place],
            y=rates[place],
            text=words,
            showarrow=False,
            xanchor=anchor,
            yanchor="bottom" if is_high else "top",
            yshift=6 if is_high else -6,
        )
    made.update_xaxes(
        title_text="epoch", range=[0, horizon * 1.01], dtick=style.epoch_step(horizon)
    )
    made.update_yaxes(title_text="learning rate", **style.rate_axis(rates, margin=0.15))
    return made


def landmarks(rates: Sequence[float]) -> list[tuple[int, str, str]]:
    """Return what to write on a learning-rate curve: index, words, side that they hang on.

    Start, peak and end; fewer where they are the same, as in a constant rate.
    """
    last = len(rates) - 1
    peak = max(range(len(rates)), key=rates.__getitem__)
    value = scientific
    if min(rates) == max(rates):
        return [(last // 2, f"{value(rates[0])} throughout", "center")]
    found = [(peak, f"start and peak {value(rates[0])}", "left")]
    if peak > 0:
        side = "center" if 0.12 * last < peak < 0.88 * last else ("left", "right")[peak > last / 2]
        found = [
            (0, f"start {value(rates[0])}", "left"),
            (peak, f"peak {value(rates[peak])}", side),
        ]
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
