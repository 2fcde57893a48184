"""Smooth tiny pictures that can be told apart, and a trainer that takes seconds."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from automl_flowers.data.prepare import prepare
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

SIZE = 32
COLOURS = {"daisy": (230, 210, 60), "rose": (220, 40, 60), "tulip": (60, 60, 220)}

RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=SIZE,
    trainable_blocks=1,
    dropout=0.1,
    l2=0.0,
    label_smoothing=0.0,
    class_weighting="none",
    augmentation="none",
    optimizer="adam",
    batch_size=16,
    schedule=Schedule("constant", 3e-3, {}),
)


def draw(path, colour, seed):
    """Write a smooth random picture in some colour; no two seeds are near copies."""
    rng = np.random.default_rng(seed)
    light = rng.integers(40, 256, size=(8, 8, 1)) / 255
    grid = Image.fromarray((light * np.array(colour)).astype(np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(path)


def draw_folder(root, counts, colours=COLOURS, seed=0):
    """Write pictures: for each split folder (or "" for none), so many of each class."""
    for split, count in counts.items():
        for name, colour in colours.items():
            for number in range(count):
                draw(root / split / name / f"{number}.png", colour, seed)
                seed += 1
    return root


@pytest.fixture(scope="session")
def recipe():
    return RECIPE


@pytest.fixture(scope="session")
def other_recipe():
    return replace(RECIPE, dropout=0.3)


@pytest.fixture(scope="session")
def draw_pictures():
    return draw_folder


@pytest.fixture(scope="session")
def garden(tmp_path_factory, draw_pictures):
    """A folder of three classes with train, val and test."""
    counts = {"train": 4, "val": 4, "test": 2}
    return draw_pictures(tmp_path_factory.mktemp("garden") / "garden", counts)


@pytest.fixture(scope="session")
def ours(garden, tmp_path_factory):
    """The garden, divided."""
    return prepare(str(garden), seed=0, image_size=SIZE, cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def make_trainer():
    """A real trainer on the CPU, with random weights, for one epoch."""
    import tensorflow as tf

    from automl_flowers.accelerators import Accelerator
    from automl_flowers.tuning.trainer import Trainer

    cpu = Accelerator("cpu", tf.distribute.get_strategy(), 1, "float32", "")

    def make(data, **options):
        return Trainer(data, cpu, **{"num_epochs": 1, "seed": 0, "weights": "none", **options})

    return make


@pytest.fixture(scope="session")
def trainer(make_trainer, ours):
    return make_trainer(ours)
