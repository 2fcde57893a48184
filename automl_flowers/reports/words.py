"""Numbers and names as people read them, in tables, captions, labels and the terminal."""

from __future__ import annotations

from collections.abc import Callable

OBJECTIVES = {"macro_f1": "macro F1", "accuracy": "accuracy", "log_loss": "log loss"}
"""The metrics, which are also what a search may optimise, in words."""


def printable(text: str) -> str:
    """Return text that a terminal shows and XML can hold, whatever names from files are in it."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def short(value: object) -> str:
    """Return a value of a hyperparameter in few characters.

    Example:
        >>> short(0.30000000000000004), short(0.0016574), short("square_root"), short(160)
        ('0.3', '0.00166', 'square root', '160')
    """
    if isinstance(value, float):
        return scientific(value) if 0 < abs(value) < 1e-3 else f"{value:.3g}"
    return str(value).replace("_", " ")


def scientific(value: float) -> str:
    """Return a small number with its power of ten.

    Example:
        >>> scientific(0.000958), scientific(2e-4), scientific(0.0)
        ('9.58e-4', '2e-4', '0')
    """
    if value == 0:
        return "0"
    digits, exponent = f"{value:.2e}".split("e")
    return f"{float(digits):g}e{int(exponent)}"


def heading(name: str) -> str:
    """Return a setting or hyperparameter in words."""
    return {"l2": "L2", "learning_rate": "peak learning rate"}.get(name, name.replace("_", " "))


def score(value: float | None, digits: int = 4) -> str:
    """Return a score for people; a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """Return a difference between scores for people; a dash for none.

    Example:
        >>> signed(0.01234), signed(-0.5), signed(0.00001)
        ('+0.0123', '-0.5000', '0.0000')
    """
    if value is None:
        return "-"
    return f"{value:+.4f}" if round(value, 4) else "0.0000"


def percent(value: float | None) -> str:
    """Return a share for people; a dash for none."""
    return "-" if value is None else f"{100 * value:.0f} %"


def duration(seconds: float) -> str:
    """Return a duration for people.

    Example:
        >>> duration(9.4), duration(100), duration(3700)
        ('9.4 s', '1 min 40 s', '1 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def thousands(value: int) -> str:
    """Return a count with its thousands apart."""
    return f"{value:,}"


def counted(number: int, thing: str) -> str:
    """Return a count with what is counted.

    Example:
        >>> counted(1, "recipe"), counted(2000, "recipe")
        ('1 recipe', '2,000 recipes')
    """
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


FILTERS: dict[str, Callable[..., str]] = {
    "score": score,
    "signed": signed,
    "percent": percent,
    "duration": duration,
    "thousands": thousands,
    "short": short,
    "heading": heading,
    "counted": counted,
}
"""By the name that the template calls them by."""
