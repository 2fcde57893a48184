"""Figures as SVG, for a page and for a file of their own: no script, no library, all text escaped.

Text and grid take the colour of what surrounds them, so a figure follows the colours of its page;
in a file of its own it is a grey that stands out on white and on black. Coordinates are pixels
from the upper left corner.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from markupsafe import Markup

from automl_flowers.reports.words import printable

INK = "#667085"
FONT_SIZE = 12
_STEPS = (1, 2, 5, 10)


def drawing(width: float, height: float, words: str, parts: Iterable[Markup]) -> Markup:
    """Return a whole figure.

    Args:
        width: In pixels; a page may show it narrower, everything in it in proportion.
        height: In pixels.
        words: What it shows, for who cannot see it.
        parts: From the functions below, later ones over earlier ones.
    """
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        'height="{height}" color="{ink}" font-family="system-ui, sans-serif" font-size="{size}" '
        'role="img" aria-label="{words}">\n{parts}\n</svg>\n'
    ).format(
        width=_number(width),
        height=_number(height),
        ink=INK,
        size=FONT_SIZE,
        words=one_line(words),
        parts=Markup("\n").join(parts),
    )


def rectangle(
    x: float, y: float, width: float, height: float, *, colour: str, words: str = ""
) -> Markup:
    """Return a filled rectangle; `words` appear beside the pointer, as with every shape here."""
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" fill="{}">{}</rect>').format(
        *map(_number, (x, y, width, height)), colour, _title(words)
    )


def circle(
    x: float, y: float, radius: float, *, colour: str, opacity: float = 1, words: str = ""
) -> Markup:
    """Return a filled circle around a point."""
    return Markup('<circle cx="{}" cy="{}" r="{}" fill="{}" fill-opacity="{}">{}</circle>').format(
        *map(_number, (x, y, radius)), colour, _number(opacity), _title(words)
    )


def line(x: float, y: float, to_x: float, to_y: float, *, is_dotted: bool = False) -> Markup:
    """Return a thin line, as of a grid."""
    dashes = Markup(' stroke-dasharray="2 3"') if is_dotted else ""
    return Markup(
        '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-opacity="{}"{}/>'
    ).format(*map(_number, (x, y, to_x, to_y, 0.7 if is_dotted else 0.25)), dashes)


def text(x: float, y: float, words: str, *, anchor: str = "start", turned: bool = False) -> Markup:
    """Return a line of text.

    Args:
        x: Where it is anchored.
        y: Its base line.
        words: What it says.
        anchor: Which part of it is at `x`: `start`, `middle` or `end`.
        turned: Whether it reads upwards.
    """
    place = f'transform="translate({_number(x)} {_number(y)}) rotate(-90)"'
    if not turned:
        place = f'x="{_number(x)}" y="{_number(y)}"'
    return Markup('<text {} text-anchor="{}" fill="currentColor">{}</text>').format(
        Markup(place),  # noqa: S704 - ours, of numbers
        anchor,
        one_line(words),
    )


def ticks(highest: float, most: int, *, is_whole: bool = False) -> list[float]:
    """Return round numbers from 0 to at most `highest`, evenly spaced.

    Args:
        highest: Above 0.
        most: How many steps there may be.
        is_whole: Whether only whole numbers are wanted, such as counts.

    Example:
        >>> ticks(130, 5), ticks(1.3, 4), ticks(3, 8, is_whole=True)
        ([0.0, 50.0, 100.0], [0.0, 0.5, 1.0], [0.0, 1.0, 2.0, 3.0])
    """
    power = 10.0 ** math.floor(math.log10(highest / most))
    step = next(power * part for part in _STEPS if highest <= most * power * part * (1 + 1e-9))
    step = max(step, 1.0) if is_whole else step
    return [round(number * step, 12) for number in range(math.floor(highest / step + 1e-9) + 1)]


def one_line(words: str, widest: int | None = None) -> str:
    """Return words on one line that XML can hold, shortened in the middle where too wide."""
    shown = printable(" ".join(words.split()))
    if widest is None or len(shown) <= widest:
        return shown
    tail = widest // 3
    return f"{shown[: widest - tail - 1]}…{shown[-tail:]}"


def _title(words: str) -> Markup:
    if not words:
        return Markup("")
    return Markup("<title>{}</title>").format(one_line(words))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
