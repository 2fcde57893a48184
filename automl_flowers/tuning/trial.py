"""Training one recipe on a program, from one epoch to another, from a state or from the start.

Search and retraining use the same function, so what was tried and what is retrained cannot
drift apart. Everything random is a function of (seed, epoch), and the learning rate of the
absolute step, so training to epoch 2 and later on to epoch 6 gives what six epochs at once give.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from automl_flowers.data.pipeline import (
    Examples,
    count_steps,
    evaluation_batches,
    training_batches,
)
from automl_flowers.ledger import EpochRecord
from automl_flowers.modeling.features import Head
from automl_flowers.modeling.program import Program
from automl_flowers.tuning.checkpoints import State
from ensembles import metrics
from search_spaces.recipe import Recipe
from search_spaces.schedules import learning_rate_table

OnEpoch = Callable[[EpochRecord, Callable[[], State]], None]
"""Called after every epoch with what happened and a function that returns the state."""


class DivergedError(ArithmeticError):
    """The training loss is no longer a finite number."""


@dataclass(frozen=True)
class Plan:
    """Which epochs to train, of how many.

    Attributes:
        first_epoch: Epochs trained before.
        last_epoch: Epochs trained afterwards.
        num_epochs: Full horizon, over which the learning rate is planned.
        seed: Of the trial.
        view_seed: Of the run, for recipes with `views`.
    """

    first_epoch: int
    last_epoch: int
    num_epochs: int
    seed: int
    view_seed: int = 0


def train(
    program: Program,
    recipe: Recipe,
    plan: Plan,
    examples: Examples,
    val: Examples | None,
    *,
    state: Mapping[str, np.ndarray] | None = None,
    head: Head | None = None,
    on_epoch: OnEpoch = lambda record, get_state: None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> None:
    """Train a recipe and leave the program in the state after the last epoch.

    Args:
        program: Of the recipe's architecture.
        recipe: What to train.
        plan: Which epochs.
        examples: The training set.
        val: What to score every epoch on; None to score none, which records NaN.
        state: From `Program.get_state` after `plan.first_epoch` epochs; None at the start.
        head: What the head starts from; None for random numbers.
        on_epoch: Called after every epoch.
        callbacks: Fresh ones. In `logs` of an epoch's end they find `loss`, `learning_rate`,
            `val_macro_f1`, `val_accuracy` and `val_log_loss`, on every device.

    Raises:
        DivergedError: If the training loss is not finite.
    """
    steps = count_steps(len(examples), program.architecture.batch_size)
    rates = learning_rate_table(recipe.schedule, steps_per_epoch=steps, num_epochs=plan.num_epochs)
    program.start(recipe, rates, plan.seed, head)
    if state is not None:
        program.set_state(state)
        program.set_hyperparameters(recipe, rates)
    batches = training_batches(
        examples,
        recipe,
        num_classes=program.architecture.num_classes,
        batch_size=program.architecture.batch_size,
        seed=plan.seed,
        first_epoch=plan.first_epoch,
        last_epoch=plan.last_epoch,
        view_seed=plan.view_seed,
    )
    program.set_epoch_length(steps)
    program.model.fit(
        batches,
        steps_per_epoch=steps,
        initial_epoch=plan.first_epoch,
        epochs=plan.last_epoch,
        shuffle=False,  # the pipeline has shuffled
        callbacks=[_EpochRecorder(program, plan, rates, steps, val, on_epoch), *callbacks],
        verbose=0,
    )


def predict(program: Program, examples: Examples) -> np.ndarray:
    """Return class probabilities, float32, `(len(examples), num_classes)`, in order."""
    batches = evaluation_batches(examples, program.architecture.batch_size)
    program.model.steps_per_execution = 1  # the number that `fit` had need not divide these steps
    probabilities = program.model.predict(batches, verbose=0)
    return np.asarray(probabilities[: len(examples)], dtype=np.float32)


class _EpochRecorder(keras.callbacks.Callback):
    """Seeds every epoch, scores it on the whole of `val`, and passes it on."""

    def __init__(
        self,
        program: Program,
        plan: Plan,
        rates: np.ndarray,
        steps: int,
        val: Examples | None,
        on_epoch: OnEpoch,
    ) -> None:
        super().__init__()
        self._program, self._plan, self._rates, self._steps = program, plan, rates, steps
        self._val, self._on_epoch = val, on_epoch

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the random state."""
        self._started = time.perf_counter()
        self._program.set_random_state(self._plan.seed, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Score, add the scores to Keras' logs, and pass the record on."""
        logs = {} if logs is None else logs
        loss = float(logs["loss"])
        if not np.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} in epoch {epoch + 1}")
        scores = self._score()
        record = EpochRecord(
            epoch=epoch,
            learning_rate=float(self._rates[(epoch + 1) * self._steps - 1]),
            loss=loss,
            seconds=time.perf_counter() - self._started,
            **scores,
        )
        logs["learning_rate"] = record.learning_rate
        logs.update({f"val_{name}": value for name, value in scores.items()})
        self._on_epoch(record, self._program.get_state)

    def _score(self) -> dict[str, float]:
        if self._val is None:
            return dict.fromkeys(("macro_f1", "accuracy", "log_loss"), float("nan"))
        probabilities = predict(self._program, self._val)
        labels = self._val.labels
        return {
            "macro_f1": metrics.macro_f1(labels, probabilities),
            "accuracy": metrics.accuracy(labels, probabilities),
            "log_loss": metrics.log_loss(labels, probabilities),
        }
