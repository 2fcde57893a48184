"""A small recipe that builds in seconds."""

import pytest

from automl_flowers.modeling.classifier import Architecture
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

collect_ignore = ["memory_of_trials.py", "reuse_on_backend.py"]  # scripts of the tests


@pytest.fixture
def tiny_recipe():
    return Recipe(
        backbone="efficientnet_lite0",
        image_size=32,
        trainable_blocks=2,
        dropout=0.3,
        l2=1e-4,
        label_smoothing=0.1,
        class_weighting="none",
        augmentation="light",
        optimizer="adam",
        batch_size=4,
        schedule=Schedule("cosine", 1e-2, {"warmup": 0.1}),
    )


@pytest.fixture
def tiny_architecture(tiny_recipe):
    return Architecture.of(
        tiny_recipe,
        batch_size=4,
        num_classes=3,
        precision="float32",
        num_steps=16,
        weights="none",
    )
