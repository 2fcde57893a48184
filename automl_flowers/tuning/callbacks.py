"""Keras callbacks beside our own: a user's, and logs for TensorBoard.

A callback keeps state, so one object cannot serve two trainings. A user's callbacks come as
functions without arguments, and each training makes its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from automl_flowers.errors import ConfigError

CallbackFactory = Callable[[], keras.callbacks.Callback]


def check_factories(factories: Sequence[CallbackFactory]) -> tuple[CallbackFactory, ...]:
    """Return the factories, without calling them.

    Raises:
        ConfigError: If one is a callback, or nothing that can be called.
    """
    for factory in factories:
        if isinstance(factory, keras.callbacks.Callback) or not callable(factory):
            name = type(factory).__name__
            raise ConfigError(
                "`callbacks` must hold functions that make a Keras callback, got an object of "
                f"type {name}.",
                hint=f"write `lambda: {name}(...)`: every training needs a callback of its own",
            )
    return tuple(factories)


def make_callbacks(factories: Sequence[CallbackFactory]) -> list[keras.callbacks.Callback]:
    """Return a new callback from each factory.

    Raises:
        ConfigError: If a factory makes something else.
    """
    made = [factory() for factory in factories]
    for callback in made:
        if not isinstance(callback, keras.callbacks.Callback):
            raise ConfigError(
                "A function in `callbacks` must return a Keras callback, got an object of type "
                f"{type(callback).__name__}.",
                hint="return the callback itself, as in `lambda: keras.callbacks.CSVLogger(path)`",
            )
    return made


class TensorBoardLogs(keras.callbacks.Callback):
    """Writes every number in an epoch's `logs` for TensorBoard.

    Keras' own callback reads the learning rate from the optimizer, which is a variable on the
    device; here it is in `logs` already.

    Args:
        folder: Where to; a training that goes on adds to what is there.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the file."""
        self._writer = tf.summary.create_file_writer(str(self._folder))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write one point of each curve."""
        with self._writer.as_default(step=epoch):
            for name, value in (logs or {}).items():
                tf.summary.scalar(name, value)
        self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close the file."""
        self._writer.close()
