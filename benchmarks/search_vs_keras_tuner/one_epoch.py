"""One epoch for many recipes, then the best of them in full.

Half of the time goes into recipes drawn at random and trained for one epoch of their schedule,
half into training the best of them over the full horizon, from the beginning, as many as there is
time for. What is handed over is the best epoch of all full trainings, by val.

Reference:
    Egele et al., "Is One Epoch All You Need For Multi-Fidelity Hyperparameter Optimization?", 2023,
    https://arxiv.org/abs/2307.15422
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import keras_tuner
import tensorflow as tf

from search_spaces.recipe import Recipe
from search_spaces.spaces import Space

from . import plain_keras
from .job import Job, job_from_arguments

SHARE_OF_ONE_EPOCH = 0.5


def draw_recipes(space: Space, seed: int) -> Iterator[Recipe]:
    """Yield recipes drawn uniformly from a space, as Keras Tuner's random search draws."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    generator = random.Random(seed)  # noqa: S311 - no secret
    while True:
        for parameter in hp.space:
            hp.values[parameter.name] = parameter.prob_to_value(generator.random())
        yield space.declare(hp)


@dataclass(frozen=True)
class Trainer:
    """Trains recipes on one division of the pictures.

    Attributes:
        job: What to do.
        train: Batches.
        val: Batches.
    """

    job: Job
    train: tf.data.Dataset
    val: tf.data.Dataset

    def fit(self, recipe: Recipe, num_epochs: int, *callbacks: Any) -> float:
        """Train the first epochs of a recipe and return the best score on val."""
        keras.backend.clear_session()
        model = plain_keras.build_model(recipe, self.job.num_classes)
        history = model.fit(
            self.train,
            validation_data=self.val,
            epochs=num_epochs,
            shuffle=False,  # the dataset has shuffled
            callbacks=[
                plain_keras.ScheduledLearningRate(recipe.schedule, self.job.max_epochs),
                plain_keras.EpochLog(self.job.epoch_log),
                *callbacks,
            ],
            verbose=2,
        )
        return float(max(history.history[plain_keras.OBJECTIVE]))


def search(job: Job) -> None:
    """Search for the seconds that the job allows, and predict the test pictures."""
    keras.utils.set_random_seed(job.seed)
    trainer = Trainer(job, plain_keras.training_batches(job), plain_keras.validation_batches(job))
    ranked = _rank_after_one_epoch(trainer)
    best = _train_in_full(trainer, ranked)
    keras.backend.clear_session()
    model = plain_keras.build_model(best, job.num_classes)
    model.load_weights(_weights_file(job, best))
    plain_keras.hand_over(model, job)


def _rank_after_one_epoch(trainer: Trainer) -> list[Recipe]:
    job = trainer.job
    scored: list[tuple[float, Recipe]] = []
    for recipe in draw_recipes(job.space, job.seed):
        if scored and _elapsed(job) >= SHARE_OF_ONE_EPOCH * job.budget_seconds:
            break
        scored.append((trainer.fit(recipe, 1), recipe))
    return [recipe for _, recipe in sorted(scored, key=lambda pair: -pair[0])]


def _train_in_full(trainer: Trainer, ranked: list[Recipe]) -> Recipe:
    """Train recipes in order while another one fits into the budget; return the best."""
    job = trainer.job
    scored: list[tuple[float, Recipe]] = []
    longest = 0.0
    for recipe in ranked:
        started = _elapsed(job)
        if scored and started + longest > job.budget_seconds:
            break
        keep_best = keras.callbacks.ModelCheckpoint(
            _weights_file(job, recipe),
            monitor=plain_keras.OBJECTIVE,
            mode="max",
            save_best_only=True,
            save_weights_only=True,
        )
        scored.append((trainer.fit(recipe, job.max_epochs, keep_best), recipe))
        longest = max(longest, _elapsed(job) - started)
    return max(scored, key=lambda pair: pair[0])[1]


def _weights_file(job: Job, recipe: Recipe) -> str:
    job.project.mkdir(parents=True, exist_ok=True)
    return str(job.project / f"{recipe.name}.weights.h5")


def _elapsed(job: Job) -> float:
    return time.time() - job.started


if __name__ == "__main__":
    search(job_from_arguments())
