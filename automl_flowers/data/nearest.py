"""The nearest name that exists, for answers to names that do not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that is most like another one, or None if none is much like it.

    Example:
        >>> nearest("tulips", ["rose", "tulip"])
        'tulip'
    """
    return next(iter(difflib.get_close_matches(name, sorted(names), n=1)), None)


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Return a question with the nearest name, to end a message with; empty if none is near.

    Example:
        >>> did_you_mean("tulips", ["rose", "tulip"])
        " Did you mean 'tulip'?"
    """
    near = nearest(name, names)
    return f" Did you mean {near!r}?" if near else ""
