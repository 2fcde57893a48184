"""Model, data and callbacks as a careful Keras user writes them.

Both plain contestants are made of these pieces. From the project they take what is no part of the
comparison: how a file becomes pixels, the backbone with its weights and which of its layers train,
and the space. In its favour a plain contestant thereby has the momentum of BatchNormalization that
suits short fine-tuning, and a learning rate that is planned step by step over the full horizon.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from automl_flowers.data.sources.images import decode_image
from automl_flowers.modeling import backbones
from automl_flowers.modeling.blocks import set_trainable_blocks
from automl_flowers.modeling.layers import InputNormalisation
from automl_flowers.starting_weights import IMAGENET
from search_spaces.augmentation import get_augmentation
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

from . import splits
from .job import Job

OBJECTIVE = "val_macro_f1"


@dataclass(frozen=True, eq=False)
class Pictures:
    """The decoded pictures of one split.

    Attributes:
        ids: Strings, `(num_pictures,)`.
        images: uint8, `(num_pictures, size, size, 3)`.
        labels: int64, `(num_pictures,)`.
    """

    ids: npt.NDArray[np.str_]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def load_pictures(repeat: Path, split: str, image_size: int) -> Pictures:
    """Decode the pictures of a split, in threads, once."""
    rows = splits.read(repeat)
    rows = rows[rows["split"] == split]

    def decode(path: str) -> npt.NDArray[np.uint8]:
        return decode_image(Path(path).read_bytes(), image_size)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        images = np.stack(list(pool.map(decode, rows["path"])))
    return Pictures(rows["id"].to_numpy(str), images, rows["label"].to_numpy(np.int64))


def training_batches(job: Job) -> tf.data.Dataset:
    """Return the pictures of `train` from memory, in another order in every epoch."""
    pictures = _in_memory(job, "train")
    shuffled = pictures.shuffle(len(pictures), seed=job.seed)
    return shuffled.batch(job.batch_size).prefetch(tf.data.AUTOTUNE)


def validation_batches(job: Job) -> tf.data.Dataset:
    """Return the pictures of `val` from memory: all of them, where this project sees a half."""
    return _in_memory(job, "val").batch(job.batch_size).prefetch(tf.data.AUTOTUNE)


def _in_memory(job: Job, split: str) -> tf.data.Dataset:
    pictures = load_pictures(job.repeat, split, job.image_size)
    labels = keras.utils.to_categorical(pictures.labels, job.num_classes)
    return tf.data.Dataset.from_tensor_slices((pictures.images, labels))


def build_model(recipe: Recipe, num_classes: int, weights: str = IMAGENET) -> keras.Model:
    """Return a compiled classifier of uint8 images for a recipe.

    Args:
        recipe: Without class weights, and with geometric augmentation only.
        num_classes: Outputs.
        weights: What the backbone starts from.
    """
    entry = backbones.find_entry(recipe.backbone)
    encoder = backbones.build_backbone(entry, recipe.image_size)
    backbones.load_weights(encoder, entry, weights)
    set_trainable_blocks(encoder, entry, recipe.trainable_blocks)

    images = keras.Input((recipe.image_size, recipe.image_size, 3), dtype="uint8")
    x = keras.layers.Rescaling(1.0)(images)
    for layer in augmentation_layers(recipe.augmentation):
        x = layer(x)
    x = InputNormalisation.from_convention(entry.input_convention)(x)
    x = backbones.pool_features(encoder(x))
    x = keras.layers.Dropout(recipe.dropout)(x)
    probabilities = keras.layers.Dense(
        num_classes, activation="softmax", kernel_regularizer=keras.regularizers.L2(recipe.l2)
    )(x)
    model = keras.Model(images, probabilities)
    model.compile(
        optimizer=keras.optimizers.get(recipe.optimizer),
        loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
        metrics=[keras.metrics.F1Score(average="macro", name="macro_f1")],
    )
    return model


def augmentation_layers(name: str) -> list[keras.layers.Layer]:
    """Return Keras' layers for a named strength.

    Raises:
        ValueError: If the strength needs more than a flip, a rotation, a zoom and a shift.
    """
    strength = vars(get_augmentation(name))
    geometric = ("flip", "rotation", "zoom", "shift")
    others = sorted(key for key, value in strength.items() if value and key not in geometric)
    if others:
        raise ValueError(f"The plain contestants have no layer for {', '.join(others)}.")
    layers: list[keras.layers.Layer] = []
    if strength["flip"]:
        layers.append(keras.layers.RandomFlip("horizontal"))
    if strength["rotation"]:
        layers.append(keras.layers.RandomRotation(strength["rotation"] / 360))
    if strength["zoom"]:
        layers.append(keras.layers.RandomZoom(strength["zoom"]))
    if strength["shift"]:
        layers.append(keras.layers.RandomTranslation(strength["shift"], strength["shift"]))
    return layers


class ScheduledLearningRate(keras.callbacks.Callback):
    """Sets the learning rate of every step by its place in the full horizon.

    So a promoted trial, whose optimizer Keras Tuner starts afresh, goes on where its schedule was.

    Args:
        schedule: Chosen by the recipe.
        num_epochs: The full horizon.
    """

    def __init__(self, schedule: Schedule, num_epochs: int) -> None:
        super().__init__()
        self._schedule, self._num_epochs = schedule, num_epochs

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Set the rate of the step."""
        position = self._epoch + (batch + 0.5) / self.params["steps"]
        rate = self._schedule.learning_rate(position, self._num_epochs)
        self.model.optimizer.learning_rate = rate


class EpochLog(keras.callbacks.Callback):
    """Notes time and score of every epoch in a file, a line each, as `Job.curve` reads it.

    Args:
        file: JSON lines.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = file

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Add a line."""
        score = float((logs or {}).get(OBJECTIVE, "nan"))
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([time.time(), score]) + "\n")


def hand_over(model: keras.Model, job: Job) -> None:
    """Write the classes that a model gives the test pictures, which are first read here."""
    pictures = load_pictures(job.repeat, "test", job.image_size)
    images = tf.data.Dataset.from_tensor_slices(pictures.images).batch(job.batch_size)
    predicted = model.predict(images, verbose=0).argmax(axis=1)
    with job.predictions.open("wb") as opened:
        np.savez(opened, ids=pictures.ids, predicted=predicted.astype(np.int64))
