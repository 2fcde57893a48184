"""The opponent: Keras Tuner's Hyperband as it is, used as its guide shows.

What it hands over is `get_best_models(1)`: the best epoch of the best trial. Training its recipe
once more would take longer and draw another model, of which val has said nothing.
"""

from __future__ import annotations

from typing import Any

import keras
import keras_tuner

from search_spaces.spaces import Space

from . import plain_keras
from .job import Job, job_from_arguments


class RecipeModel(keras_tuner.HyperModel):
    """Builds and trains what the space declares.

    Args:
        space: Of all contestants.
        num_classes: Outputs.
        max_epochs: The full horizon.
    """

    def __init__(self, space: Space, num_classes: int, max_epochs: int) -> None:
        super().__init__()
        self._space, self._num_classes, self._max_epochs = space, num_classes, max_epochs

    def build(self, hp: keras_tuner.HyperParameters) -> keras.Model:
        """Return the compiled model of a trial."""
        return plain_keras.build_model(self._space.declare(hp), self._num_classes)

    def fit(
        self,
        hp: keras_tuner.HyperParameters,
        model: keras.Model,
        *arguments: Any,
        callbacks: list[keras.callbacks.Callback],
        **options: Any,
    ) -> Any:
        """Train, with the learning rate of the trial's schedule."""
        schedule = self._space.declare(hp).schedule
        rate = plain_keras.ScheduledLearningRate(schedule, self._max_epochs)
        return model.fit(*arguments, callbacks=[*callbacks, rate], **options)


def search(job: Job) -> None:
    """Search, and predict the test pictures with the best model."""
    keras.utils.set_random_seed(job.seed)
    tuner = keras_tuner.Hyperband(
        RecipeModel(job.space, job.num_classes, job.max_epochs),
        objective=keras_tuner.Objective(plain_keras.OBJECTIVE, "max"),
        max_epochs=job.max_epochs,
        factor=job.factor,
        seed=job.seed,  # Keras Tuner takes 0 for none; a job's seed is never 0
        directory=str(job.project),
        project_name="hyperband",
    )
    tuner.search(
        plain_keras.training_batches(job),
        validation_data=plain_keras.validation_batches(job),
        callbacks=[plain_keras.EpochLog(job.epoch_log)],
        shuffle=False,  # the dataset has shuffled
        verbose=2,
    )
    plain_keras.hand_over(tuner.get_best_models(1)[0], job)


if __name__ == "__main__":
    search(job_from_arguments())
