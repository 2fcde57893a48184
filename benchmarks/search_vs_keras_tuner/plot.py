"""The best score so far against the clock, drawn as SVG without a drawing library.

One thin line a repeat and contestant; the clock is logarithmic, because the question is how much
earlier the same score is reached.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[Sequence[float]]
"""Seconds and score at which the best score so far rises, in order of time."""

WIDTH, HEIGHT = 760, 440
LEFT, RIGHT, TOP, BOTTOM = 64, 180, 24, 52
COLOURS = ("#c2410c", "#a16207", "#0e7490", "#1d4ed8", "#7e22ce")

_SECONDS_MARKED = (1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000, 86_400)


def draw(curves: Mapping[str, Sequence[Points]], ends: Mapping[str, Sequence[float]]) -> str:
    """Return the plot.

    Args:
        curves: For each contestant, the points of each repeat.
        ends: For each contestant, the seconds at which each repeat was over, up to which its
            line goes.

    Returns:
        An SVG document; it says so where nothing has been measured yet.
    """
    drawn = {name: [p for p in each if len(p)] for name, each in curves.items()}
    points = [point for each in drawn.values() for repeat in each for point in repeat]
    if not points:
        return _document('<text x="24" y="48">not measured yet</text>')
    last = max([*(s for s, _ in points), *(e for name in drawn for e in ends[name])])
    axes = _Axes(
        seconds=(max(min(seconds for seconds, _ in points), 0.1), last),
        scores=(math.floor(min(score for _, score in points) * 10) / 10, 1.0),
    )
    parts = [axes.draw()]
    for number, (name, each) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        for repeat, end in zip(each, ends[name], strict=False):
            parts.append(axes.line(repeat, end, colour))
        y = TOP + 16 + 22 * number
        parts.append(
            f'<path d="M{WIDTH - RIGHT + 16} {y}h22" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{WIDTH - RIGHT + 46}" y="{y + 4}">{escape(name)}</text>'
        )
    return _document("".join(parts))


class _Axes:
    """From seconds and scores to places on the page."""

    def __init__(self, seconds: tuple[float, float], scores: tuple[float, float]) -> None:
        self._seconds = (seconds[0], max(seconds[1], 2 * seconds[0]))
        self._scores = scores if scores[0] < scores[1] else (scores[1] - 0.1, scores[1])

    def x(self, seconds: float) -> float:
        first, last = map(math.log, self._seconds)
        share = (math.log(max(seconds, self._seconds[0])) - first) / (last - first)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, score: float) -> float:
        low, high = self._scores
        return HEIGHT - BOTTOM - (score - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Points, end: float, colour: str) -> str:
        """Return steps: a score holds until a better one comes."""
        (seconds, score), *others = points
        path = f"M{self.x(seconds):.1f} {self.y(score):.1f}"
        path += "".join(f"H{self.x(s):.1f}V{self.y(v):.1f}" for s, v in others)
        path += f"H{self.x(max(end, points[-1][0])):.1f}"
        return f'<path class="curve" d="{path}" stroke="{colour}" stroke-width="1.6" fill="none"/>'

    def draw(self) -> str:
        """Return marks, lines behind the curves, and what the axes are."""
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        parts = []
        for seconds in _SECONDS_MARKED:
            if self._seconds[0] <= seconds <= self._seconds[1]:
                x = f"{self.x(seconds):.1f}"
                parts.append(f'<path d="M{x} {TOP}V{bottom}" stroke="#e5e5e5"/>')
                parts.append(
                    f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{_clock(seconds)}</text>'
                )
        low, high = self._scores
        for tenth in range(round(low * 10), round(high * 10) + 1):
            y = f"{self.y(tenth / 10):.1f}"
            parts.append(f'<path d="M{LEFT} {y}H{right}" stroke="#e5e5e5"/>')
            parts.append(
                f'<text x="{LEFT - 8}" y="{y}" dy="4" text-anchor="end">{tenth / 10}</text>'
            )
        middle = (TOP + bottom) / 2
        parts.append(
            f'<text x="{(LEFT + right) / 2}" y="{HEIGHT - 12}" text-anchor="middle">clock</text>'
            f'<text transform="translate(18 {middle}) rotate(-90)" text-anchor="middle">'
            "best macro F1 on val so far</text>"
        )
        return "".join(parts)


def _clock(seconds: int) -> str:
    """Return seconds as people say them."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _document(content: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{content}</svg>\n'
    )
