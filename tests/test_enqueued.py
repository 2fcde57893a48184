"""Tests for recipes that a person wants tried first."""

import pytest

from automl_flowers.config import make_config
from automl_flowers.custom_backbones import register_backbone
from automl_flowers.enqueued import enqueued
from automl_flowers.errors import ConfigError
from automl_flowers.modeling import backbones
from search_spaces.spaces import parse_space

SPACE = parse_space("tiny", {"backbone": ["efficientnet_lite0"], "image_size": [32, 64]})


def check(*entries, weights="imagenet"):
    config = make_config({"enqueue": list(entries), "weights": weights})
    return enqueued(config, SPACE, lambda sentence: None)


@pytest.fixture
def without_a_network(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "WEIGHTS_URL", "https://127.0.0.1")
    backbones._can_reach_keras.cache_clear()
    yield
    backbones._can_reach_keras.cache_clear()


def test_a_recipe_of_the_space_passes():
    check({"dropout": 0.4}, {"backbone": "efficientnet_lite0", "image_size": 32})


def test_a_recipe_outside_the_space_passes_where_it_can_be_trained():
    check({"backbone": "xception", "image_size": 71}, weights="none")


def test_images_too_small_for_a_backbone_name_the_recipe():
    with pytest.raises(ConfigError) as error:
        check({"dropout": 0.4}, {"backbone": "xception", "image_size": 70}, weights="none")

    assert str(error.value) == (
        "Recipe 2 to begin with has images of 70 pixels, and xception needs at least 71."
    )
    assert "`image_size`" in error.value.hint


def test_a_size_that_the_recipe_takes_from_the_space_counts_too():
    with pytest.raises(ConfigError, match=r"Recipe 1 .* 32 pixels, and xception"):
        check({"backbone": "xception"}, weights="none")


def test_weights_that_cannot_be_had_name_the_recipe(without_a_network):
    with pytest.raises(ConfigError, match=r"Recipe 2 .* weights of vgg16, which cannot") as error:
        check({"dropout": 0.4}, {"backbone": "vgg16"})

    assert "--weights vgg16=" in error.value.hint


def test_nobody_asks_for_weights_that_are_not_wanted(without_a_network):
    check({"backbone": "vgg16"}, weights="none")


def test_a_backbone_of_a_persons_own_is_built_at_the_size_of_the_recipe(registry):
    register_backbone("mine", lambda size: [][size], input_convention="raw")

    with pytest.raises(ConfigError, match=r"`build\(48\)` of backbone 'mine' failed"):
        check({"backbone": "mine", "image_size": 48})


def test_recipes_are_read_from_a_file_too(tmp_path):
    file = tmp_path / "recipes.yaml"
    file.write_text("- dropout: 0.4\n- {backbone: vgg16, image_size: 64}\n")

    config = make_config({"enqueue": str(file), "weights": "none"})

    recipes = enqueued(config, SPACE, lambda sentence: None)

    assert [(r["backbone"], r["dropout"]) for r in recipes] == [
        ("efficientnet_lite0", 0.4),
        ("vgg16", 0.2),
    ]
