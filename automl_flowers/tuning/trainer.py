"""Trains recipes on a run's data and device: the `train` that search and ensemble drive."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from automl_flowers.accelerators import Accelerator
from automl_flowers.data.pipeline import Examples, count_steps
from automl_flowers.data.prepare import ImageData
from automl_flowers.files import sha256_of
from automl_flowers.modeling.classifier import Architecture, describe
from automl_flowers.modeling.feature_bank import FeatureBank
from automl_flowers.modeling.features import Head
from automl_flowers.modeling.program import Program, ProgramCache
from automl_flowers.starting_weights import IMAGENET, NONE, Weights, weights_of
from automl_flowers.tuning import trial
from automl_flowers.tuning.callbacks import (
    CallbackFactory,
    TensorBoardLogs,
    check_factories,
    make_callbacks,
)
from automl_flowers.tuning.checkpoints import State
from automl_flowers.tuning.search import InfeasibleError, OnEpoch
from search_spaces.recipe import Recipe


class Trainer:
    """Trains and predicts with recipes.

    Args:
        data: The images, divided.
        accelerator: Where to train.
        num_epochs: Full horizon of a recipe.
        seed: Of the run.
        weights: What backbones start from.
        heads: Returns what the head of a backbone at an image size starts from.
        callbacks: A user's, as functions that make them.
        logs: Folder of TensorBoard logs; None for none.
        fresh_programs: Build a program for every training instead of reusing one.
        bank: Keeps what frozen parts compute; None to compute it every time.

    Raises:
        ConfigError: If a callback stands where a function should that makes one.
    """

    def __init__(
        self,
        data: ImageData,
        accelerator: Accelerator,
        *,
        num_epochs: int,
        seed: int,
        weights: Weights = IMAGENET,
        heads: Callable[[str, int], Head | None] = lambda backbone, image_size: None,
        callbacks: Sequence[CallbackFactory] = (),
        logs: Path | None = None,
        fresh_programs: bool = False,
        bank: FeatureBank | None = None,
    ) -> None:
        self.data = data
        self.num_epochs = num_epochs
        self._accelerator = accelerator
        self._seed = seed
        self._weights = weights
        self._heads = heads
        self._callbacks = check_factories(callbacks)
        self._logs = logs
        self._fresh_programs = fresh_programs
        self._bank = bank
        self._programs = ProgramCache(self._build)
        self.examples: Callable[[str, int], Examples] = functools.cache(data.examples)

    def train(
        self,
        recipe: Recipe,
        first_epoch: int,
        last_epoch: int,
        state: State | None,
        on_epoch: OnEpoch,
        *,
        more: Examples | None = None,
    ) -> dict[str, int]:
        """Train a recipe on `train`, scored on `val`, and return the size of its model.

        Args:
            recipe: What to train.
            first_epoch: Epochs trained before.
            last_epoch: Epochs trained afterwards.
            state: After `first_epoch` epochs; None at the start.
            on_epoch: Called after every epoch.
            more: External images, added to `train`.

        Raises:
            InfeasibleError: If memory does not suffice.
        """
        examples = self.training_set(recipe, more)
        if self._fresh_programs:
            self._programs.clear()
        try:
            program = self._program(recipe, len(examples))
            trial.train(
                program,
                recipe,
                self._plan(recipe, first_epoch, last_epoch),
                examples,
                self.examples("val", recipe.image_size),
                state=state,
                head=self._heads(recipe.backbone, recipe.image_size),
                on_epoch=on_epoch,
                callbacks=self._make_callbacks(recipe, more),
                bank=self._bank,
            )
        except (tf.errors.ResourceExhaustedError, MemoryError) as error:
            raise InfeasibleError(
                f"not enough memory for {recipe.backbone} at {recipe.image_size} px in batches "
                f"of {recipe.batch_size}"
            ) from error
        return describe(program.model)

    def predict(self, recipe: Recipe, state: State, examples: Examples) -> np.ndarray:
        """Return the probabilities of a trained recipe for some images, in order.

        Args:
            recipe: What was trained.
            state: From `model_state`.
            examples: Of the recipe's image size.
        """
        program = self._program(recipe, len(self.examples("train", recipe.image_size)))
        program.set_model_state(state)
        return trial.predict(program, examples)

    def model_state(self, recipe: Recipe, more: Examples | None = None) -> State:
        """Return the weights that the last `train` of this recipe ended with."""
        program = self._program(recipe, len(self.training_set(recipe, more)))
        return program.model_state()

    def training_set(self, recipe: Recipe, more: Examples | None = None) -> Examples:
        """Return the images that a recipe trains on."""
        examples = self.examples("train", recipe.image_size)
        return examples if more is None else examples.join(more)

    def seed_of(self, recipe: Recipe) -> int:
        """Return the seed of a recipe's trial: the same in every round and every retraining."""
        return _digest(f"{self._seed}:{recipe.identity}")

    def starting_point(self, recipe: Recipe) -> str:
        """Return what a recipe's backbone starts from, a file by the SHA-256 of its content."""
        weights = weights_of(self._weights, recipe.backbone)
        return weights if weights in (IMAGENET, NONE) else sha256_of(Path(weights))

    def _plan(self, recipe: Recipe, first_epoch: int, last_epoch: int) -> trial.Plan:
        return trial.Plan(
            first_epoch,
            last_epoch,
            self.num_epochs,
            seed=self.seed_of(recipe),
            view_seed=_digest(f"{self._seed}:views"),
        )

    def _make_callbacks(
        self, recipe: Recipe, more: Examples | None
    ) -> list[keras.callbacks.Callback]:
        name = recipe.name if more is None else f"{recipe.name}+external"
        logs = [] if self._logs is None else [TensorBoardLogs(self._logs / name)]
        return [*logs, *make_callbacks(self._callbacks)]

    def _program(self, recipe: Recipe, num_examples: int) -> Program:
        batch_size = self._accelerator.global_batch_size(recipe.batch_size)
        return self._programs.get(
            Architecture.of(
                recipe,
                batch_size=batch_size,
                num_classes=self.data.manifest.num_classes,
                precision=self._accelerator.precision,
                num_steps=count_steps(num_examples, batch_size) * self.num_epochs,
                weights=weights_of(self._weights, recipe.backbone),
            )
        )

    def _build(self, architecture: Architecture) -> Program:
        accelerator = self._accelerator
        # Under `mirrored` XLA fails: "Trying to access resource ... located in device CPU:1".
        jit: Any = False if accelerator.kind == "mirrored" else "auto"
        return Program(
            architecture,
            accelerator.strategy.scope,
            jit_compile=jit,
            max_steps_per_execution=accelerator.max_steps_per_execution,
        )


def _digest(text: str) -> int:
    """Return a number of 31 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1
