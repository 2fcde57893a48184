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
import tensorflow as tf

from automl_flowers.data.pipeline import (
    Activations,
    Examples,
    count_steps,
    evaluation_batches,
    kept_batches,
    training_batches,
)
from automl_flowers.ledger import EpochRecord
from automl_flowers.modeling.feature_bank import FeatureBank, Kept
from automl_flowers.modeling.features import Head
from automl_flowers.modeling.program import Program
from automl_flowers.modeling.traced_gradients import forget_gradients
from automl_flowers.tuning.search import DivergedError, OnEpoch, OutOfTime
from ensembles import metrics
from search_spaces.recipe import Recipe
from search_spaces.schedules import learning_rate_table


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
    weights: Mapping[str, np.ndarray] | None = None,
    head: Head | None = None,
    on_epoch: OnEpoch = lambda record, get_state: None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    bank: FeatureBank | None = None,
) -> None:
    """Train a recipe and leave the program in the state after the last epoch.

    Args:
        program: Of the recipe's architecture.
        recipe: What to train.
        plan: Which epochs; none sets the state only.
        examples: The training set.
        val: What to score every epoch on; None to score none, which records NaN.
        state: From `Program.get_state` after `plan.first_epoch` epochs; None at the start.
        weights: From `model_part`, to start from instead of the backbone's and the head's.
        head: What the head starts from; None for random numbers.
        on_epoch: Called after every epoch.
        callbacks: Fresh ones. In `logs` of an epoch's end they find `loss`, `learning_rate`,
            `val_macro_f1`, `val_accuracy` and `val_log_loss`, on every device.
        bank: Keeps what the frozen part computes; changes no number.

    Raises:
        DivergedError: If the training loss is not finite.
        OutOfTime: If `on_epoch` does; the callbacks have heard of that epoch, and of the end.
    """
    started = time.perf_counter()
    kept = Kept()
    if bank is not None:
        epochs = range(plan.first_epoch, plan.last_epoch)
        kept = bank.prepare(program, recipe, examples, val, epochs=epochs, view_seed=plan.view_seed)
    steps = count_steps(len(examples), program.architecture.batch_size)
    rates = learning_rate_table(recipe.schedule, steps_per_epoch=steps, num_epochs=plan.num_epochs)
    program.start(recipe, rates, plan.seed, head)
    if weights is not None:
        program.set_model_state(weights)
    if state is not None:
        program.set_state(state)
        program.set_step(plan.first_epoch * steps)
    program.set_hyperparameters(recipe, rates)  # they are in weights and state, too
    if plan.first_epoch == plan.last_epoch:
        return  # under a strategy, no batches at all are an error
    batches = training_batches(
        examples,
        recipe,
        num_classes=program.architecture.num_classes,
        batch_size=program.architecture.batch_size,
        seed=plan.seed,
        first_epoch=plan.first_epoch,
        last_epoch=plan.last_epoch,
        view_seed=plan.view_seed,
        kept=kept.training,
    )
    score = _Scorer(program, val, kept.val)
    model = program.model if kept.training is None else program.trained
    program.set_epoch_length(model, steps)
    recorder = _EpochRecorder(program, plan, rates, steps, score, on_epoch, started)
    with forget_gradients():
        model.fit(
            batches,
            steps_per_epoch=steps,
            initial_epoch=plan.first_epoch,
            epochs=plan.last_epoch,
            shuffle=False,  # the pipeline has shuffled
            callbacks=[recorder, *callbacks],
            verbose=0,
        )
    if recorder.is_out_of_time:
        raise OutOfTime


def predict(program: Program, examples: Examples, view: int = 0) -> np.ndarray:
    """Return class probabilities, float32, `(len(examples), num_classes)`, in order."""
    batches = evaluation_batches(examples, program.architecture.batch_size, view)
    return _predict(program, program.model, batches, len(examples))


def _predict(
    program: Program, model: keras.Model, batches: tf.data.Dataset, num_examples: int
) -> np.ndarray:
    probabilities = np.concatenate(list(program.outputs_of(model, batches)))
    return np.asarray(probabilities[:num_examples], dtype=np.float32)


class _Scorer:
    """Scores a program on `val`: on images, or on activations that were kept."""

    def __init__(self, program: Program, val: Examples | None, kept: Activations | None) -> None:
        self._program, self._val = program, val
        batch_size = program.architecture.batch_size
        if kept is not None:
            self._model, self._batches = program.trained, kept_batches(kept, batch_size)
        elif val is not None:
            self._model, self._batches = program.model, evaluation_batches(val, batch_size)

    def __call__(self) -> dict[str, float]:
        if self._val is None:
            return dict.fromkeys(("macro_f1", "accuracy", "log_loss"), float("nan"))
        labels = self._val.labels
        probabilities = _predict(self._program, self._model, self._batches, len(labels))
        return {
            "macro_f1": metrics.macro_f1(labels, probabilities),
            "accuracy": metrics.accuracy(labels, probabilities),
            "log_loss": metrics.log_loss(labels, probabilities),
        }


class _EpochRecorder(keras.callbacks.Callback):
    """Seeds every epoch, scores it, and passes it on.

    Other callbacks come after it and find the scores in `logs`. So that they hear of the last
    epoch, too, the end of the time raises nothing here.

    Attributes:
        is_out_of_time: Whether the epoch was the last because no time is left.
    """

    def __init__(
        self,
        program: Program,
        plan: Plan,
        rates: np.ndarray,
        steps: int,
        score: Callable[[], dict[str, float]],
        on_epoch: OnEpoch,
        started: float,
    ) -> None:
        super().__init__()
        self._program, self._plan, self._rates, self._steps = program, plan, rates, steps
        self._score, self._on_epoch, self._started = score, on_epoch, started
        self._epoch = plan.first_epoch
        self.is_out_of_time = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the random state, and the clock: the first epoch's runs since it was prepared."""
        if epoch > self._plan.first_epoch:
            self._started = time.perf_counter()
        self._epoch = epoch
        self._program.set_random_state(self._plan.seed, epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """End a training that has diverged at once: no later step brings it back."""
        loss = float((logs or {})["loss"])
        if not np.isfinite(loss):
            raise DivergedError(f"the training loss became {loss} in epoch {self._epoch + 1}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Score, add the scores to Keras' logs, and pass the record on."""
        with self._program.averaged():
            self._pass_on(epoch, {} if logs is None else logs)

    def _pass_on(self, epoch: int, logs: dict[str, Any]) -> None:
        scores = self._score()
        record = EpochRecord(
            epoch=epoch,
            learning_rate=float(self._rates[(epoch + 1) * self._steps - 1]),
            loss=float(logs["loss"]),
            seconds=time.perf_counter() - self._started,
            **scores,
        )
        logs["learning_rate"] = record.learning_rate
        logs.update({f"val_{name}": value for name, value in scores.items()})
        try:
            self._on_epoch(record, self._program.get_state)
        except OutOfTime:
            self.is_out_of_time = self.model.stop_training = True
