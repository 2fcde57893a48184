"""The figures of a report, as Plotly figures.

Plotly reads some HTML in labels, so every word that comes from data goes through `_text`.
"""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from automl_flowers.ledger import TrialRecord
from automl_flowers.reports.summary import Confusion, Facts
from search_spaces.recipe import Recipe, flatten

ACCENT, MUTED, SECOND = "#c2417c", "#9aa3af", "#3f7d58"
NUM_HIGHLIGHTED = 3
_HEIGHT = 420
_PANELS_A_ROW = 3
_LOGARITHMIC = ("learning_rate", "l2")
_CURVE_POINTS = 400


def _text(words: object) -> str:
    return html.escape(str(words), quote=False)


def _styled(figure: go.Figure, height: int = _HEIGHT) -> go.Figure:
    figure.update_layout(
        height=height,
        margin={"l": 60, "r": 60, "t": 30, "b": 50},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13, "color": "#7b8494"},
        legend={"orientation": "h", "y": -0.2},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(gridcolor="rgba(128,128,128,.18)", zeroline=False)
    figure.update_yaxes(gridcolor="rgba(128,128,128,.18)", zeroline=False)
    return figure


def learning_curves(facts: Facts) -> go.Figure:
    """Return macro F1 on val of every recipe over its epochs, with the best one's learning rate."""
    figure = make_subplots(specs=[[{"secondary_y": True}]])
    for rank, candidate in reversed(list(enumerate(facts.ranking))):
        epochs = _lineage(facts, facts.trial(candidate.trial_id))
        best = rank < NUM_HIGHLIGHTED
        figure.add_scatter(
            x=[e.epoch + 1 for e in epochs],
            y=[e.macro_f1 for e in epochs],
            name=_text(candidate.recipe.name),
            mode="lines+markers",
            line={"width": 3 if best else 1.2, "color": _rank_colour(rank)},
            showlegend=best,
            hovertemplate="%{y:.4f} after epoch %{x}",
        )
    if facts.ranking:
        epochs = _lineage(facts, facts.trial(facts.ranking[0].trial_id))
        figure.add_scatter(
            x=[e.epoch + 1 for e in epochs],
            y=[e.learning_rate for e in epochs],
            name="learning rate of the best",
            mode="lines",
            line={"dash": "dot", "color": ACCENT, "width": 1.5},
            secondary_y=True,
        )
    figure.update_xaxes(title="epoch", dtick=1 if _longest(facts) <= 12 else None)
    figure.update_yaxes(title="macro F1 on val", secondary_y=False)
    figure.update_yaxes(title="learning rate", secondary_y=True, showgrid=False, exponentformat="e")
    return _styled(figure)


def _longest(facts: Facts) -> int:
    return max((trial.last_epoch for trial in facts.trials), default=0)


def _rank_colour(rank: int) -> str:
    return (ACCENT, SECOND, "#c98a2b")[rank] if rank < NUM_HIGHLIGHTED else "rgba(140,148,160,.55)"


def _lineage(facts: Facts, trial: TrialRecord) -> list[Any]:
    before = _lineage(facts, facts.trial(trial.parent)) if trial.parent else []
    return [*before, *trial.epochs]


def hyperparameters(facts: Facts) -> go.Figure | None:
    """Return a panel for each hyperparameter that varied: its values against the score."""
    rows = [(flatten(c.recipe.to_dict()), c.score, c.epochs) for c in facts.ranking]
    names = [name for name in _names(rows) if len({str(r.get(name)) for r, _, _ in rows}) > 1]
    if not names:
        return None
    num_rows = -(-len(names) // _PANELS_A_ROW)
    figure = make_subplots(
        rows=num_rows, cols=_PANELS_A_ROW, subplot_titles=[n.replace("_", " ") for n in names]
    )
    for number, name in enumerate(names):
        row, column = divmod(number, _PANELS_A_ROW)
        here = [(r[name], s, e) for r, s, e in rows if name in r]
        figure.add_scatter(
            x=[x if isinstance(x, float) else _text(x) for x, _, _ in here],
            y=[s for _, s, _ in here],
            mode="markers",
            marker={
                "color": [e for _, _, e in here],
                "colorscale": [[0, MUTED], [1, ACCENT]],
                "size": 9,
            },
            customdata=[e for _, _, e in here],
            hovertemplate="%{x}: %{y:.4f} after %{customdata} epochs<extra></extra>",
            row=row + 1,
            col=column + 1,
        )
        figure.update_xaxes(_axis(name, [x for x, _, _ in here]), row=row + 1, col=column + 1)
    figure.update_layout(showlegend=False)
    return _styled(figure, height=60 + 260 * num_rows)


def _axis(name: str, values: list[Any]) -> dict[str, Any]:
    """Return the kind of axis that a hyperparameter's values need."""
    if all(isinstance(value, float) for value in values):
        return {"type": "log" if name in _LOGARITHMIC and min(values) > 0 else "linear"}
    order = [_text(value) for value in sorted(set(values))]
    return {"type": "category", "categoryorder": "array", "categoryarray": order}


def _names(rows: Iterable[tuple[dict[str, Any], float, int]]) -> list[str]:
    names: dict[str, None] = {}
    for recipe, _, _ in rows:
        names |= dict.fromkeys(recipe)
    return list(names)


def backbones(facts: Facts) -> go.Figure:
    """Return the scores of each backbone's recipes side by side."""
    figure = go.Figure()
    names = sorted({candidate.recipe.backbone for candidate in facts.ranking})
    for name in names:
        here = [c for c in facts.ranking if c.recipe.backbone == name]
        figure.add_box(
            y=[c.score for c in here],
            name=_text(name),
            boxpoints="all",
            jitter=0.4,
            pointpos=0,
            marker={"color": ACCENT},
            line={"color": MUTED},
            fillcolor="rgba(0,0,0,0)",
            customdata=[c.epochs for c in here],
            hovertemplate="%{y:.4f} after %{customdata} epochs<extra></extra>",
        )
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title=_text(facts.objective.replace("_", " ")) + " on val")
    return _styled(figure)


def learning_rate(recipe: Recipe, num_epochs: int) -> go.Figure:
    """Return a recipe's learning rate over its full horizon, with start, peak and end."""
    epochs = np.linspace(0, num_epochs, _CURVE_POINTS)
    rates = [recipe.schedule.learning_rate(float(epoch), num_epochs) for epoch in epochs]
    figure = go.Figure(
        go.Scatter(x=epochs, y=rates, mode="lines", line={"color": ACCENT}, name="learning rate")
    )
    peak = int(np.argmax(rates))
    for name, place in (("start", 0), ("peak", peak), ("end", len(rates) - 1)):
        figure.add_annotation(x=epochs[place], y=rates[place], text=f"{name} {rates[place]:.2e}")
    figure.update_xaxes(title="epoch")
    figure.update_yaxes(title="learning rate", tickformat=".1e", rangemode="tozero")
    return _styled(figure, height=320)


def confusion(facts: Confusion) -> go.Figure:
    """Return the confusion matrix, rows normalised, with the counts under the pointer."""
    totals = facts.counts.sum(axis=1, keepdims=True)
    shares = np.divide(facts.counts, totals, where=totals > 0, out=np.zeros(facts.counts.shape))
    names = [_text(name) for name in facts.class_names]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=names,
            y=names,
            customdata=facts.counts,
            colorscale=[[0, "rgba(194,65,124,0)"], [1, ACCENT]],
            zmin=0,
            zmax=1,
            hovertemplate="%{y} taken for %{x}: %{customdata} (%{z:.0%})<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed", title="true class")
    figure.update_xaxes(title="predicted class")
    return _styled(figure, height=min(1400, 380 + 14 * len(names)))
