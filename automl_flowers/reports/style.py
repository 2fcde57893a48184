"""How figures look: one accent, no chart junk, readable on light and on dark paper.

Colours of text and grid come from the page's style sheet, which overrides Plotly's, so a figure
follows the reader's colour scheme; colours of data are middle tones that stand out on both.
Plotly reads some HTML in labels, so every word that comes from data goes through `label`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Any

import plotly.graph_objects as go

from automl_flowers.reports.standings import finite
from automl_flowers.reports.words import scientific

ACCENT = "#d23f7d"
NEUTRAL = "#6f8fb3"
MUTED = "#98a2b3"
FAINT = "rgba(134, 144, 160, .38)"
HIGHLIGHTS = (ACCENT, "#2b9a8b", "#cf8f1d")
"""Of the best, the second and the third."""

NUM_HIGHLIGHTED = len(HIGHLIGHTS)
_CLEAR = "rgba(0,0,0,0)"
_FONT = {"family": "system-ui, sans-serif", "size": 12, "color": "#667085"}
_WIDEST_LABEL = 48


def label(words: object, widest: int = _WIDEST_LABEL) -> str:
    """Return words for a figure: shortened in the middle and with HTML taken literally."""
    text = " ".join(str(words).split())
    if len(text) > widest:
        tail = widest // 3
        text = f"{text[: widest - tail - 1]}…{text[-tail:]}"
    return html.escape(text, quote=False)


def figure(height: int, **layout: Any) -> go.Figure:
    """Return an empty figure in the common style.

    Args:
        height: In pixels; the width is that of the page.
        **layout: Plotly's layout, over the common one.
    """
    common = {
        "template": "none",
        "height": height,
        "margin": {"l": 52, "r": 16, "t": 12, "b": 44},
        "paper_bgcolor": _CLEAR,
        "plot_bgcolor": _CLEAR,
        "font": _FONT,
        "dragmode": False,
        "hovermode": "closest",
        "showlegend": False,
        "legend": {"orientation": "h", "x": 0, "y": 1, "xanchor": "left", "yanchor": "bottom"},
        "hoverlabel": {
            "align": "left",
            "bgcolor": "#1f2530",
            "bordercolor": "#1f2530",
            "font": {"color": "#ffffff", "size": 12},
            "namelength": -1,
        },
    }
    made = go.Figure(layout={**common, **layout})
    made.update_xaxes(**_AXIS)
    made.update_yaxes(**_AXIS)
    return made


_AXIS = {
    "showgrid": True,
    "gridcolor": FAINT,
    "gridwidth": 1,
    "zeroline": False,
    "showline": False,
    "ticks": "",
    "automargin": True,
    "title": {"standoff": 8},
}


def rate_axis(rates: Iterable[float], margin: float = 0.06) -> dict[str, Any]:
    """Return an axis of learning rates from 0, with some room below and twice that above."""
    highest = max((rate for rate in rates if math.isfinite(rate)), default=1.0) or 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(power * part for part in (0.25, 0.5, 1, 2.5) if highest <= 4.4 * power * part)
    ticks = [step * number for number in range(5) if step * number <= highest * 1.05]
    return {
        "tickvals": ticks,
        "ticktext": [scientific(tick) for tick in ticks],
        "range": [-margin * highest, (1 + 2 * margin) * highest],
    }


def second_axis(rates: Iterable[float]) -> dict[str, Any]:
    """Return the axis on the right, for learning rates."""
    return {
        "overlaying": "y",
        "side": "right",
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "automargin": True,
        **rate_axis(rates),
    }


def wrapped(words: object, widest: int = 13) -> str:
    """Return a name for a narrow axis: lines broken between its words, each of them shortened."""
    lines = [""]
    for part in str(words).replace("_", " ").split():
        if lines[-1] and len(lines[-1]) + len(part) >= widest:
            lines.append("")
        lines[-1] = f"{lines[-1]} {part}".strip()
    return "<br>".join(label(line, widest + 4) for line in lines[:3])


def epoch_step(horizon: int, most: int = 12) -> int:
    """Return a whole number of epochs between ticks, so that there are at most `most`."""
    return max(1, -(-horizon // most))


def numbers(values: Iterable[float | None]) -> list[float | None]:
    """Return numbers for an axis; what is none leaves a gap."""
    return [finite(value) for value in values]


def log_axis(values: Iterable[float]) -> dict[str, Any]:
    """Return a logarithmic axis with a tick at each 1, 2 and 5, or at each 1 over wide ranges."""
    lowest, highest = (math.log10(bound) for bound in _bounds(values))
    steps = (1, 2, 5) if highest - lowest < 1.7 else (1,)
    powers = range(math.floor(lowest) - 1, math.ceil(highest) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    margin = max(0.06 * (highest - lowest), 0.02)
    return {
        "type": "log",
        "range": [lowest - margin, highest + margin],
        "tickvals": ticks,
        "ticktext": [scientific(tick) if tick < 1e-2 else f"{tick:g}" for tick in ticks],
    }


def _bounds(values: Iterable[float]) -> tuple[float, float]:
    listed = list(values)
    return min(listed), max(listed)
