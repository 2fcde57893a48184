"""Errors that a person can mend.

    UserError                 arguments, configuration or data; exit status 2
    ├── ConfigError           a setting that is unknown, contradictory or out of range
    ├── DataError             data that is missing, empty or cannot be read
    │   └── AccessError       a file that cannot be had now, whatever is in it
    └── RunError              a run folder that is in use, of another config, or incomplete

Only `automl_flowers.cli` knows about exit codes. Any other exception that reaches the command
line is a bug of ours and keeps its traceback.
"""

from __future__ import annotations


class UserError(Exception):
    """A mistake in arguments, configuration or data.

    Attributes:
        hint: One action that mends it, or None when there is no obvious one.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class ConfigError(UserError):
    """A setting that is unknown, contradictory or out of range."""


class DataError(UserError):
    """Data that is missing, empty or cannot be read."""


class AccessError(DataError):
    """A file that cannot be had now, whatever is in it: it may be there the next time."""


class RunError(UserError):
    """A run folder that is in use, belongs to another config, or lacks something."""
