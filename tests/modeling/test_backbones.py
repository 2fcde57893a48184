"""Every registered backbone keeps the contract: builds, blocks, input convention, freezing."""

import itertools

import keras
import numpy as np
import pytest

from automl_flowers.errors import DataError
from automl_flowers.modeling import backbones
from automl_flowers.modeling.layers import InputNormalisation
from search_spaces.backbones import BACKBONES, assign_blocks, get_backbone

PREPROCESSING = {
    "densenet201": keras.applications.densenet.preprocess_input,
    "efficientnet_b0": keras.applications.efficientnet.preprocess_input,
    "vgg16": keras.applications.vgg16.preprocess_input,
    "xception": keras.applications.xception.preprocess_input,
}

every_backbone = pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda b: b.name)


@pytest.fixture(scope="module")
def built():
    """Build each backbone once, at its smallest size."""
    models = {}

    def build(backbone):
        if backbone.name not in models:
            models[backbone.name] = backbones.build_backbone(backbone, backbone.min_image_size)
        return models[backbone.name]

    return build


@every_backbone
def test_ends_in_a_feature_map(backbone, built):
    shape = built(backbone).output_shape

    assert len(shape) == 4
    assert shape[-1] >= 512


@every_backbone
def test_every_block_has_layers_and_every_weight_a_block(backbone, built):
    names = [layer.name for layer in built(backbone).layers]

    assigned = assign_blocks(backbone, names)

    assert len(assigned) == len(names)
    assert set(assigned) == set(range(len(backbone.blocks)))


@every_backbone
def test_blocks_follow_one_another_from_input_to_output(backbone, built):
    model = built(backbone)
    assigned = assign_blocks(backbone, [layer.name for layer in model.layers])

    backward = [(a, b) for a, b in itertools.pairwise(assigned) if b < a]

    assert backward == []


@every_backbone
def test_freezing_takes_blocks_from_the_top(backbone, built):
    model = built(backbone)
    total = len(backbone.blocks)

    counts = []
    for trainable_blocks in (0, 1, total):
        backbones.set_trainable_blocks(model, backbone, trainable_blocks)
        counts.append(len(model.trainable_weights))
    backbones.set_trainable_blocks(model, backbone, 1)

    assert counts[0] == 0 < counts[1] < counts[2]
    assert model.layers[-1].trainable
    assert not model.layers[1].trainable


@pytest.mark.parametrize("name", PREPROCESSING)
def test_input_convention_is_that_of_the_weights(name):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")

    ours = InputNormalisation.from_convention(get_backbone(name).input_convention)(pixels)

    np.testing.assert_allclose(ours, PREPROCESSING[name](pixels.copy()), rtol=1e-5, atol=1e-4)


def test_lite_convention_is_centred_on_127():
    layer = InputNormalisation.from_convention(get_backbone("efficientnet_lite0").input_convention)

    values = np.unique(layer(np.array([[[[127, 255, 0]]]], np.uint8)))

    np.testing.assert_allclose(values, [-127 / 128, 0.0, 1.0])


def test_backbones_with_a_package_are_available_here():
    available, missing = backbones.find_available(["efficientnet_lite0"])

    assert available == ["efficientnet_lite0"]
    assert missing == {}


def test_backbone_out_of_reach_is_listed_with_the_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(backbones, "KERAS_HOST", "https://127.0.0.1")
    backbones._can_reach_keras.cache_clear()

    available, missing = backbones.find_available(["vgg16"])

    backbones._can_reach_keras.cache_clear()
    assert available == []
    assert "~/.keras/models" in missing["vgg16"]


def test_weights_in_the_keras_cache_count_as_available(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    file = tmp_path / "models" / str(get_backbone("vgg16").weights_file)
    file.parent.mkdir()
    file.touch()

    assert backbones.find_available(["vgg16"])[0] == ["vgg16"]


def test_weights_that_cannot_be_had_say_where_to_get_them(monkeypatch):
    def refuse(**_options):
        raise OSError("no route to host")

    monkeypatch.setattr(keras.applications, "VGG16", refuse)

    with pytest.raises(DataError, match="'vgg16' could not be loaded: no route") as caught:
        backbones.load_imagenet_weights(None, get_backbone("vgg16"))

    assert "~/.keras/models" in caught.value.hint
