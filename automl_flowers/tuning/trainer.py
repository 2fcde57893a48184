"""Trains recipes on a run's data and device: the `train` that search and ensemble drive."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from automl_flowers.accelerators import Accelerator
from automl_flowers.data.pipeline import Examples, count_steps
from automl_flowers.data.prepare import ImageData
from automl_flowers.errors import UserError
from automl_flowers.files import sha256_of
from automl_flowers.ledger import EpochRecord
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
from automl_flowers.tuning.cost import PROGRAMS_ALIVE
from automl_flowers.tuning.fitting import FittingBatches
from automl_flowers.tuning.further import further_epochs, with_lower_rate
from automl_flowers.tuning.search import OnEpoch
from ensembles.averaging import geometric_mean
from search_spaces.recipe import Recipe

TIMED_STEPS = 8
"""Steps of each of two short epochs before a training: it is traced in the first, the second is
timed."""

StartingHeads = Callable[[str, int], Head | None]
"""Called with a backbone and an image size, returns what its head starts from; None for noise."""


@dataclass(frozen=True)
class TrainingImages:
    """What to train on, at one image size.

    Attributes:
        train: Labelled images.
        val: Labelled images to score every epoch on; None to score none.
        heads: What heads start from that have seen no image of `val`; None for the trainer's.
    """

    train: Examples
    val: Examples | None
    heads: StartingHeads | None = None


@dataclass(frozen=True)
class Timing:
    """Seconds that a training takes.

    Attributes:
        build: Before its first step, where its program is not alive.
        epoch: An epoch.
    """

    build: float
    epoch: float


class Trainer:
    """Trains and predicts with recipes.

    Args:
        data: The images, divided.
        accelerator: Where to train.
        num_epochs: Full horizon of a recipe.
        seed: Of the run.
        weights: What backbones start from.
        heads: What heads start from: fitted on `train`.
        callbacks: A user's, as functions that make them.
        logs: Folder of TensorBoard logs; None for none.
        programs: Compiled models that may be alive already, of `program_cache`; None for none.
        fresh_programs: Build a program for every training instead of reusing one.
        say: Hears of what trains otherwise than planned, in a sentence.
        bank: Keeps what frozen parts compute; None to compute it every time.
        ema: Momentum, a step, of the moving average of weights that is scored and kept; 0 for the
            weights themselves.

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
        heads: StartingHeads = lambda backbone, image_size: None,
        callbacks: Sequence[CallbackFactory] = (),
        logs: Path | None = None,
        programs: ProgramCache | None = None,
        fresh_programs: bool = False,
        say: Callable[[str], None] = lambda text: None,
        bank: FeatureBank | None = None,
        ema: float = 0.0,
    ) -> None:
        self.data = data
        self.num_epochs = num_epochs
        self.ema = ema
        self._accelerator = accelerator
        self._seed = seed
        self._weights = weights
        self._heads = heads
        self._callbacks = check_factories(callbacks)
        self._logs = logs
        self._fresh_programs = fresh_programs
        self._batches = FittingBatches(say)
        self._bank = bank
        self._programs = program_cache(accelerator) if programs is None else programs
        self.examples: Callable[[str, int], Examples] = functools.cache(data.examples)

    def train(
        self,
        recipe: Recipe,
        first_epoch: int,
        last_epoch: int,
        state: State | None,
        on_epoch: OnEpoch,
        *,
        images: TrainingImages | None = None,
        name: str | None = None,
        seed_number: int = 0,
    ) -> dict[str, int]:
        """Train a recipe, and return the size of its model.

        Args:
            recipe: What to train.
            first_epoch: Epochs trained before.
            last_epoch: Epochs trained afterwards.
            state: After `first_epoch` epochs; None at the start.
            on_epoch: Called after every epoch.
            images: What to train on; by default `train`, scored on `val`.
            name: Of the training's logs; by default the recipe's.
            seed_number: Of several trainings of a recipe that differ in their seed.

        Where memory does not suffice for the first epoch, it is tried again without other programs,
        then in batches of half the size (`fitting.in_smaller_batches`); the size that fits is
        `fitting_batch_size` of what is returned.

        Raises:
            InfeasibleError: If memory does not suffice even so.
        """
        if self._fresh_programs:
            self._programs.clear()
        trained_on = images or TrainingImages(
            train=self.examples("train", recipe.image_size),
            val=self.examples("val", recipe.image_size),
        )

        def attempt(hear: OnEpoch) -> dict[str, int]:
            plan = self._plan(recipe, first_epoch, last_epoch, seed_number)
            return self._train(recipe, plan, state, hear, trained_on, name or recipe.name)

        return self._batches.train(recipe, attempt, on_epoch, free=self._programs.clear)

    @property
    def num_further_epochs(self) -> int:
        """Epochs of `train_further`."""
        return further_epochs(self.num_epochs)

    def train_further(
        self,
        recipe: Recipe,
        weights: State,
        on_epoch: OnEpoch,
        *,
        images: TrainingImages,
        name: str,
        seed_number: int = 0,
    ) -> dict[str, int]:
        """Go on on more images (`automl_flowers.tuning.further`), and return the model's size.

        Args:
            recipe: What was trained to its end.
            weights: What came of it.
            on_epoch: Called after every epoch.
            images: What to train on, the former images among them.
            name: Of the training's logs.
            seed_number: Of several trainings of a recipe that differ in their seed.

        Raises:
            InfeasibleError: If memory does not suffice.
        """
        if self._fresh_programs:
            self._programs.clear()
        num_epochs = self.num_further_epochs
        slower = with_lower_rate(recipe)
        plan = self._plan(recipe, 0, num_epochs, seed_number, num_epochs)

        def attempt(hear: OnEpoch) -> dict[str, int]:
            return self._train(slower, plan, None, hear, images, name, weights)

        return self._batches.train(slower, attempt, on_epoch, free=self._programs.clear)

    def rehearse(self, recipe: Recipe) -> Timing | None:
        """Time what training a recipe takes, on a part of the images; its program stays alive.

        Returns:
            None if it cannot be trained so, as where memory does not suffice: `train` will find
            out what can be done, and a trial that fails is its own.
        """
        try:
            timing: Timing | None = self._time(recipe)
        except UserError:
            raise
        except Exception:
            timing = None
        if timing is None:
            self._programs.clear()  # out here, where no traceback holds the program
        return timing

    def _time(self, recipe: Recipe) -> Timing:
        started = time.perf_counter()
        examples, val = (self.examples(split, recipe.image_size) for split in ("train", "val"))
        records: list[EpochRecord] = []
        program = self._program(recipe, len(examples))
        steps = count_steps(len(examples), program.architecture.batch_size)
        parts = max(steps // TIMED_STEPS, 1)
        trial.train(
            program,
            self._batches.of(recipe),
            trial.Plan(0, 2, 2, seed=0),
            examples.every(parts),
            val.every(parts),
            on_epoch=lambda record, get_state: records.append(record),
        )
        usual = records[1].seconds
        return Timing(
            build=max(time.perf_counter() - started - 2 * usual, 0.0), epoch=parts * usual
        )

    def _train(
        self,
        recipe: Recipe,
        plan: trial.Plan,
        state: State | None,
        on_epoch: OnEpoch,
        images: TrainingImages,
        name: str,
        weights: State | None = None,
    ) -> dict[str, int]:
        fitting = self._batches.of(recipe)
        program = self._program(recipe, len(images.train))
        trial.train(
            program,
            fitting,
            plan,
            images.train,
            images.val,
            state=state,
            weights=weights,
            head=(images.heads or self._heads)(recipe.backbone, recipe.image_size),
            on_epoch=on_epoch,
            callbacks=self._make_callbacks(name),
            bank=self._bank,
        )
        size = describe(program.model)
        return size if fitting == recipe else {**size, "fitting_batch_size": fitting.batch_size}

    def predict(
        self, recipe: Recipe, state: State, examples: Examples, num_views: int = 1
    ) -> np.ndarray:
        """Return the probabilities of a trained recipe for some images, in order.

        Args:
            recipe: What was trained.
            state: From `model_part`.
            examples: Of the recipe's image size.
            num_views: What is shown of each image (`automl_flowers.data.views`); the
                probabilities are the geometric mean over the views.
        """
        program = self._program(recipe, len(self.examples("train", recipe.image_size)))
        program.set_model_state(state)
        if num_views == 1:
            return trial.predict(program, examples)
        views = [trial.predict(program, examples, view) for view in range(num_views)]
        return geometric_mean(np.stack(views)).astype(np.float32)

    def widen(self, state: State, form: Recipe) -> State:
        """Return the state of a model as that of one of which more layers were trained.

        Those that were frozen are what they were at the start.

        Args:
            state: From `model_part`, of a recipe with the backbone and image size of `form`.
            form: Trains at least as many blocks.

        Raises:
            ValueError: If the state is none of such a recipe.
        """
        program = self._program(form, len(self.examples("train", form.image_size)))
        whole, own = program.initial_model_state, sorted(state)
        last = sorted(whole)[max(len(whole) - len(own), 0) :]  # the head's are the last
        for name, mine in zip(last, own, strict=True):
            if whole[name].shape != state[mine].shape:
                raise ValueError(
                    f"the state is not of a model like {form.name} with fewer trained layers: "
                    f"{mine} has the shape {state[mine].shape}, not {whole[name].shape}"
                )
        return {**whole, **{name: state[mine] for name, mine in zip(last, own, strict=True)}}

    def seed_of(self, recipe: Recipe, number: int = 0) -> int:
        """Return the seed of a recipe's trial: the same in every round and every retraining.

        Args:
            recipe: What is trained.
            number: Of several trainings that differ in their seed; 0 is the search's.
        """
        return _digest(f"{self._seed}:{recipe.identity}" + (f":{number}" if number else ""))

    def starting_point(self, recipe: Recipe) -> str:
        """Return what a recipe's backbone starts from, a file by the SHA-256 of its content."""
        weights = weights_of(self._weights, recipe.backbone)
        return weights if weights in (IMAGENET, NONE) else sha256_of(Path(weights))

    def _plan(
        self,
        recipe: Recipe,
        first_epoch: int,
        last_epoch: int,
        seed_number: int,
        num_epochs: int | None = None,
    ) -> trial.Plan:
        return trial.Plan(
            first_epoch,
            last_epoch,
            num_epochs or self.num_epochs,
            seed=self.seed_of(recipe, seed_number),
            view_seed=_digest(f"{self._seed}:views"),
        )

    def _make_callbacks(self, name: str) -> list[keras.callbacks.Callback]:
        logs = [] if self._logs is None else [TensorBoardLogs(self._logs / name)]
        return [*logs, *make_callbacks(self._callbacks)]

    def _program(self, recipe: Recipe, num_examples: int) -> Program:
        batch_size = self._accelerator.global_batch_size(self._batches.of(recipe).batch_size)
        return self._programs.get(
            Architecture.of(
                recipe,
                batch_size=batch_size,
                num_classes=self.data.manifest.num_classes,
                precision=self._accelerator.precision,
                num_steps=count_steps(num_examples, batch_size) * self.num_epochs,
                weights=weights_of(self._weights, recipe.backbone),
                ema=self.ema,
            )
        )


def program_cache(accelerator: Accelerator) -> ProgramCache:
    """Return what builds programs on a device and keeps a few of them alive."""

    def build(architecture: Architecture) -> Program:
        # Under `mirrored` XLA fails: "Trying to access resource ... located in device CPU:1".
        jit: Any = False if accelerator.kind == "mirrored" else "auto"
        return Program(
            architecture,
            accelerator.strategy.scope,
            jit_compile=jit,
            max_steps_per_execution=accelerator.max_steps_per_execution,
        )

    return ProgramCache(build, PROGRAMS_ALIVE)


def _digest(text: str) -> int:
    """Return a number of 31 bits."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1
