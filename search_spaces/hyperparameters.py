"""The part of `keras_tuner.HyperParameters` that a space may call.

Spaces are written against this protocol, so they run under a real `HyperParameters` during a
search and need no Keras Tuner to be read, checked or tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

Value = str | int | float | bool


class HyperParameters(Protocol):
    """What a space needs of `hp`."""

    def Choice(  # noqa: N802 - Keras Tuner's name
        self, name: str, values: Sequence[Value], **options: Any
    ) -> Any:
        """Declare a choice among `values` and return the current one."""

    def Float(  # noqa: N802 - Keras Tuner's name
        self,
        name: str,
        min_value: float,
        max_value: float,
        step: float | None = None,
        sampling: str = "linear",
    ) -> Any:
        """Declare a float in [min_value, max_value] and return the current one."""

    def conditional_scope(
        self, parent_name: str, parent_values: Sequence[Value]
    ) -> AbstractContextManager[Any]:
        """Make what is declared inside active only while `parent_name` has one of the values."""
