"""What a reused program computes on the backend of `KERAS_BACKEND`, printed as JSON.

Run by `test_reuse_on_backends.py`, because a process has one backend. The first training is what
any fresh process gives; everything after it happens on the same program.
"""

from __future__ import annotations

import functools
import gc
import hashlib
import json
import sys
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

import automl_flowers
from automl_flowers.data.pipeline import Examples
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.layers import AdjustableDropout
from automl_flowers.modeling.program import Program, ProgramCache
from automl_flowers.tuning import trial
from automl_flowers.tuning.checkpoints import load_state, save_state
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

NUM_EPOCHS = 4

RECIPE = Recipe(
    backbone="small_net",
    image_size=16,
    trainable_blocks=10,
    dropout=0.3,
    l2=1e-4,
    label_smoothing=0.1,
    class_weighting="none",
    augmentation="light",
    optimizer="adam",
    batch_size=4,
    schedule=Schedule("cosine", 1e-2, {"warmup": 0.1}),
)
CHANGES = {
    "learning rate": {"schedule": Schedule("cosine", 2e-2, {"warmup": 0.1})},
    "dropout": {"dropout": 0.6},
    "l2": {"l2": 0.1},
}


def small_net(image_size: int) -> keras.Model:
    """Return a net with everything that training changes: weights, statistics, random state."""
    images = keras.Input((image_size, image_size, 3))
    features = images
    for _ in range(2):
        features = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(features)
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.Activation("swish")(features)
        features = keras.layers.Dropout(0.2)(features)
    return keras.Model(images, features)


def register_small_net() -> None:
    """Make the net known."""
    automl_flowers.register_backbone(
        "small_net", small_net, image_size=16, min_image_size=16, input_convention="signed"
    )


def small_architecture() -> Architecture:
    """Return what `RECIPE` needs."""
    return Architecture.of(
        RECIPE, batch_size=4, num_classes=3, precision="float32", num_steps=12, weights="none"
    )


def draw_examples(count: int) -> Examples:
    """Return noise with labels of three classes."""
    images = np.random.default_rng(count).integers(0, 256, (count, 16, 16, 3)).astype(np.uint8)
    rows = np.arange(count)
    return Examples((images,), np.zeros(count, np.int64), rows, rows % 3, rows.astype(str))


def train(program, recipe, first_epoch=0, last_epoch=NUM_EPOCHS, state=None, seed=7):
    """Train and return what the epochs measured."""
    curve = []
    trial.train(
        program,
        recipe,
        trial.Plan(first_epoch, last_epoch, NUM_EPOCHS, seed),
        draw_examples(10),
        draw_examples(6),
        state=state,
        on_epoch=lambda record, _state: curve.append((record.loss, record.log_loss)),
    )
    return curve


def outcome(program, curve):
    """Return a digest of every variable that training changes, and the curve."""
    digest = hashlib.sha256()
    for name, value in sorted(program.get_state().items()):
        digest.update(name.encode() + np.ascontiguousarray(value).tobytes())
    return {"state": digest.hexdigest(), "curve": curve}


def train_in_rounds(program, recipe, folder):
    """Train one epoch a round, through files, with another trial between the rounds."""
    curve, state = [], None
    for epoch in range(NUM_EPOCHS):
        curve += train(program, recipe, epoch, epoch + 1, state)
        save_state(folder / "state.npz", program.get_state())
        train(program, replace(recipe, dropout=0.1), last_epoch=1, seed=epoch)
        state = load_state(folder / "state.npz")
    program.set_state(state)
    return outcome(program, curve)


def count_traces(layer_class):
    """Return a list that grows by one whenever Keras traces a layer of a class."""
    traces, call = [], layer_class.call

    @functools.wraps(call)  # Keras looks at the arguments
    def counted(self, inputs, training=False):
        traces.append(self.name)
        return call(self, inputs, training=training)

    layer_class.call = counted
    return traces


def count_leftovers():
    """Return how many models and graphs are left of a program that made room for another."""
    before = _count_graphs()
    programs = ProgramCache(Program, capacity=1)
    program = programs.get(small_architecture())
    train(program, RECIPE, last_epoch=1)
    model = weakref.ref(program.model)
    del program
    programs.get(replace(small_architecture(), num_steps=64))
    return {"models": int(model() is not None), "graphs": _count_graphs() - before}


def _count_graphs():
    gc.collect()
    return sum(issubclass(type(thing), tf.Graph) for thing in gc.get_objects())


def main() -> None:
    """Train, and print what came out."""
    register_small_net()
    traces = count_traces(AdjustableDropout)
    program = Program(small_architecture())

    facts = {"backend": keras.backend.backend()}
    facts["fresh"] = outcome(program, train(program, RECIPE))
    traces_of_first = len(traces)
    facts["changed"] = {
        name: train(program, replace(RECIPE, **change)) for name, change in CHANGES.items()
    }
    facts["changed"]["seed"] = train(program, RECIPE, seed=8)
    facts["reused"] = outcome(program, train(program, RECIPE))
    facts["probabilities"] = trial.predict(program, draw_examples(6)).tolist()
    with tempfile.TemporaryDirectory() as folder:
        facts["rounds"] = train_in_rounds(program, RECIPE, Path(folder))
    facts["traces"] = {"first": traces_of_first, "later": len(traces) - traces_of_first}
    facts["leftovers"] = count_leftovers()
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main()
