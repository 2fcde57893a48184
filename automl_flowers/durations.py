"""Durations as people write them."""

from __future__ import annotations

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(text: object) -> float:
    """Return the seconds that a person wrote: `90s`, `20m`, `3h`, `1h30m` or a number.

    Raises:
        ValueError: If it is no duration above zero.
    """
    if isinstance(text, int | float) and not isinstance(text, bool):
        seconds = float(text)
    else:
        compact = str(text).replace(" ", "")
        parts = re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact)
        if not parts or "".join(number + unit for number, unit in parts) != compact:
            raise ValueError("a time is written as `90s`, `20m`, `3h` or `1h30m`")
        seconds = sum(float(number) * _UNITS[unit or "s"] for number, unit in parts)
    if not 0 < seconds < float("inf"):
        raise ValueError("a time must be above zero")
    return seconds


def say_seconds(seconds: float) -> str:
    """Return seconds for people: `45 s`, `12 min` or `3 h 20 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
