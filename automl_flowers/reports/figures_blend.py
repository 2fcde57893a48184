"""The figures of an ensemble: how its members learned, and what they take for what."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from automl_flowers.reports import style
from automl_flowers.reports.ensemble import Confusion, MemberCurve
from automl_flowers.reports.style import ACCENT, MUTED, NEUTRAL, label

_WIDEST_CELLS, _CELL, _SMALLEST_CELL = 560, 30, 9
_MOST_NUMBERED_CLASSES = 20
_TONES = {NEUTRAL: (111, 143, 179), ACCENT: (210, 63, 125)}


def member_curve(curve: MemberCurve) -> go.Figure:
    """Return the losses of a retrained model over its epochs, with its learning rate."""
    records, on = curve.epochs, curve.scored_on
    epochs = [record.epoch + 1 for record in records]
    made = style.figure(210, margin={"l": 40, "r": 52, "t": 8, "b": 40})
    lines = (
        ("training loss", [record.loss for record in records], MUTED, "y", "solid"),
        (f"log loss on {on}", [record.log_loss for record in records], ACCENT, "y", "solid"),
        ("learning rate", [record.learning_rate for record in records], MUTED, "y2", "dot"),
    )
    for name, values, colour, axis, dash in lines:
        made.add_scatter(
            x=epochs,
            y=style.numbers(values),
            name=name,
            mode="lines+markers" if axis == "y" else "lines",
            line={"color": colour, "dash": dash, "width": 2 if axis == "y" else 1.5},
            marker={"size": 5},
            yaxis=axis,
            hovertemplate="%{y:.3g} after epoch %{x}",
        )
    made.update_xaxes(
        title_text="epoch",
        dtick=style.epoch_step(max(epochs), 8),
        range=[max(epochs) * 0.02, max(epochs) * 1.03],
    )
    made.update_yaxes(rangemode="tozero")
    made.update_layout(yaxis2=style.second_axis(record.learning_rate for record in records))
    return made


def confusion(facts: Confusion) -> go.Figure:
    """Return the confusion matrix, rows normalised; right answers are calm, mistakes stand out.

    The counts are under the pointer, and in the cells if there are few classes.
    """
    num_classes = len(facts.class_names)
    cell = max(_SMALLEST_CELL, min(_CELL, _WIDEST_CELLS // num_classes))
    font, longest = (12, 24) if cell > 18 else (8, 20)
    names = [label(name, longest) for name in facts.class_names]
    margin = 40 + round(0.56 * font * max(len(name) for name in names))
    side = cell * num_classes
    made = style.figure(
        side + margin + 10,
        width=side + margin + 10,
        margin={"l": margin, "r": 10, "t": 10, "b": margin, "autoexpand": False},
    )
    on_diagonal = np.eye(num_classes, dtype=bool)
    made.add_trace(_cells(facts, on_diagonal, NEUTRAL))
    made.add_trace(_cells(facts, ~on_diagonal, ACCENT))
    axis = {
        "tickvals": list(range(num_classes)),
        "ticktext": names,
        "tickfont": {"size": font},
        "showgrid": num_classes <= _MOST_NUMBERED_CLASSES,
        "automargin": False,
    }
    made.update_xaxes(
        title_text="taken for", tickangle=-90, range=[-0.5, num_classes - 0.5], **axis
    )
    made.update_yaxes(title_text="true class", range=[num_classes - 0.5, -0.5], **axis)
    return made


def _cells(facts: Confusion, chosen: np.ndarray, colour: str) -> go.Heatmap:
    """Return the cells that are chosen and not zero, the darker the greater their share."""
    totals = np.maximum(facts.counts.sum(axis=1, keepdims=True), 1)
    is_shown = chosen & (facts.counts > 0)
    shares = np.where(is_shown, facts.counts / totals, np.nan)
    red, green, blue = _TONES[colour]
    is_numbered = len(facts.class_names) <= _MOST_NUMBERED_CLASSES
    return go.Heatmap(
        z=[style.numbers(row) for row in shares.tolist()],
        text=_numbers(facts, is_shown) if is_numbered else None,
        texttemplate="%{text}" if is_numbered else None,
        hovertext=_sentences(facts, is_shown),
        hoverinfo="text",
        colorscale=[
            [0, f"rgba({red},{green},{blue},.3)"],
            [1, f"rgba({red},{green},{blue},1)"],
        ],
        zmin=0,
        zmax=1,
        showscale=False,
        xgap=1,
        ygap=1,
        hoverongaps=False,
    )


def _numbers(facts: Confusion, is_shown: np.ndarray) -> list[list[str]]:
    return [
        [str(count) if shown else "" for count, shown in zip(counts, row, strict=True)]
        for counts, row in zip(facts.counts.tolist(), is_shown.tolist(), strict=True)
    ]


def _sentences(facts: Confusion, is_shown: np.ndarray) -> list[list[str]]:
    names = [label(name) for name in facts.class_names]
    totals = facts.counts.sum(axis=1)
    sentences = [["" for _ in names] for _ in names]
    for actual, predicted in np.argwhere(is_shown):
        count, total = facts.counts[actual, predicted], totals[actual]
        verb = "recognised" if actual == predicted else f"taken for {names[predicted]}"
        sentences[actual][predicted] = (
            f"{names[actual]}: {count} of {total} {verb} ({count / total:.0%})"
        )
    return sentences
