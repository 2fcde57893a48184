"""The figures of a data set: its classes with their weights, and the sizes of its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import plotly.graph_objects as go

from automl_flowers.data.manifest import SPLITS
from automl_flowers.reports import style
from automl_flowers.reports.style import ACCENT, HIGHLIGHTS, NEUTRAL, label

_COLOURS = {
    "train": NEUTRAL,
    "val": HIGHLIGHTS[1],
    "blend": "#8a6fb3",
    "test": HIGHLIGHTS[2],
    "external": style.MUTED,
}
_MOST_NAMED, _NAMED_HEIGHT, _UNNAMED_HEIGHT = 300, 17, 3
_MARGINS = 88
_MOST_SIZES = 4000
_COARSE = 16
_BARS_END = 0.76


def classes(
    per_class: Mapping[str, Mapping[str, int]], weights: Mapping[str, Mapping[str, float]]
) -> go.Figure:
    """Return labelled images of each class by split, most first, and what the class weighs.

    Args:
        per_class: Counts by class and split.
        weights: By class and weighting; may be empty.
    """
    names = sorted(per_class, key=lambda name: (sum(per_class[name].values()), name))
    is_named = len(names) <= _MOST_NAMED
    made = style.figure(
        _MARGINS + (_NAMED_HEIGHT if is_named else _UNNAMED_HEIGHT) * len(names),
        showlegend=True,
        barmode="stack",
        legend={
            "orientation": "h",
            "x": 0,
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "traceorder": "normal",
        },
        bargap=0.2,
        margin={"l": 52, "r": 24, "t": 72, "b": 16},
    )
    places = list(range(len(names)))
    words = [label(name) for name in names]
    for split in SPLITS:
        counts = [per_class[name].get(split, 0) for name in names]
        if any(counts):
            made.add_bar(
                x=counts,
                y=places,
                orientation="h",
                name=split,
                text=words,
                textposition="none",
                marker={"color": _COLOURS[split]},
                hovertemplate="%{text}: %{x} " + split + "<extra></extra>",
            )
    made.update_xaxes(title_text="images", rangemode="tozero", side="top")
    if weights:
        _add_weights(made, [weights[name]["balanced"] for name in names], words)
    made.update_yaxes(
        showgrid=False,
        range=[-0.7, len(names) - 0.3],
        tickvals=places if is_named else [],
        ticktext=[label(name, 26) for name in names] if is_named else [],
    )
    return made


def _add_weights(made: go.Figure, weights: list[float], words: list[str]) -> None:
    made.add_scatter(
        x=weights,
        y=list(range(len(weights))),
        xaxis="x2",
        mode="markers",
        showlegend=False,
        text=words,
        marker={"color": ACCENT, "size": 6},
        hovertemplate="%{text}: weight %{x:.2f}<extra></extra>",
    )
    made.update_layout(
        xaxis={"domain": [0, _BARS_END]},
        xaxis2={
            "domain": [_BARS_END + 0.03, 1],
            "side": "top",
            "gridcolor": style.FAINT,
            "zeroline": False,
            "ticks": "",
            "nticks": 5,
            "range": [0, 1.08 * max(weights)],
            "title": {"text": "weight", "standoff": 8},
        },
    )


def sizes(counts: Counter[tuple[int, int]]) -> go.Figure:
    """Return widths against heights, a point a size, larger where more images have it.

    Above some thousand sizes, those within a few pixels of one another share a point.
    """
    shown = counts
    if len(counts) > _MOST_SIZES:
        shown = Counter()
        for (width, height), count in counts.items():
            shown[_rounded(width), _rounded(height)] += count
    places = sorted(shown.items())
    most = max(shown.values())
    limit = 1.06 * max(max(place) for place in shown)
    made = style.figure(460, width=620, margin={"l": 64, "r": 16, "t": 12, "b": 48})
    made.add_scatter(
        x=[0, limit],
        y=[0, limit],
        mode="lines",
        line={"color": style.FAINT, "width": 1, "dash": "dot"},
        hoverinfo="skip",
    )
    made.add_scatter(
        x=[width for (width, _), _ in places],
        y=[height for (_, height), _ in places],
        mode="markers",
        marker={
            "color": NEUTRAL,
            "opacity": 0.65,
            "size": [6 + 20 * (count / most) ** 0.5 if most > 1 else 7 for _, count in places],
        },
        text=[f"{width} x {height}: {count}" for (width, height), count in places],
        hovertemplate="%{text}<extra></extra>",
    )
    made.update_xaxes(title_text="width, pixels", range=[0, limit])
    made.update_yaxes(title_text="height, pixels", range=[0, limit])
    return made


def _rounded(pixels: int) -> int:
    return max(round(pixels / _COARSE), 1) * _COARSE
