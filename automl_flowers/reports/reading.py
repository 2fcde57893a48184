"""Reading the files of a run that may be missing, without ever writing to them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from automl_flowers.errors import RunError
from automl_flowers.ledger import Ledger

T = TypeVar("T")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the mapping in a JSON file, or None if there is no such file.

    Raises:
        RunError: If it is no JSON or holds no mapping.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RunError(
            f"`{path}` cannot be read: {error}.",
            hint="it is written whole or not at all, so restore it from where it was copied",
        ) from error
    if not isinstance(content, dict):
        raise RunError(f"`{path}` must hold an object, got {type(content).__name__}.")
    return content


def read_ledger(path: Path, get: Callable[[Ledger], T]) -> T:
    """Return what a function gets from a ledger, also while a search is writing to it.

    Args:
        path: Of the ledger.
        get: Called with the open ledger.

    Raises:
        RunError: If it is no ledger.
    """
    try:
        with Ledger(path) as ledger:
            return get(ledger)
    except sqlite3.DatabaseError as error:
        raise RunError(
            f"`{path}` cannot be read: {error}.",
            hint="if the search has only just begun, try again in a moment",
        ) from error
