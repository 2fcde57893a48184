"""Tests for choosing a format; `tests/end_to_end/test_export.py` writes them."""

import json
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from automl_flowers.errors import ConfigError, UserError
from automl_flowers.exporting import formats
from automl_flowers.exporting.formats import (
    FORMATS,
    check_size,
    find_format,
    open_again,
    write,
)
from automl_flowers.exporting.mixing import apply
from automl_flowers.exporting.parity import CONVERSION_TOLERANCE
from ensembles.blend import Blend, apply_blend


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_complete(name):
    chosen = find_format(name)

    assert chosen.file in chosen.example
    assert "probabilities" in chosen.example
    assert chosen.install


def test_an_unknown_format_is_answered_with_a_suggestion():
    with pytest.raises(ConfigError, match=r"'litrt', expected one of: keras, .*mean 'litert'\?"):
        find_format("litrt")


@pytest.mark.parametrize(
    ("name", "package"), [("onnx", "onnx"), ("onnx", "onnxruntime"), ("litert", "ai_edge_litert")]
)
def test_a_missing_package_is_named_with_what_installs_it(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(UserError, match=f"not installed: {package}") as error:
        find_format(name)

    assert error.value.hint == "run `pip install 'automl-flowers[export]'`"
    assert find_format("keras")


def test_what_a_file_cannot_hold_is_refused_before_it_is_written(monkeypatch):
    model = keras.Sequential([keras.Input((10,)), keras.layers.Dense(10)])
    monkeypatch.setattr(formats, "_LARGEST_FILE", 4 * model.count_params() - 1)

    check_size("keras", model)
    with pytest.raises(
        UserError, match=r"0\.0 GB of weights, and a file of the format 'onnx'"
    ) as e:
        check_size("onnx", model)
    assert "keras, saved_model" in e.value.hint


BLENDS = {
    "geometric": Blend("geometric", (0.75, 0.25), (1.5, 0.7), 0.9, 0.5, (0.2, 0.3, 0.5)),
    "arithmetic": Blend("arithmetic", (0.4, 0.6), (0.3, 2.0), 1.3, -0.4, (0.6, 0.3, 0.1)),
}


@pytest.fixture(scope="module")
def sharp_members():
    """Two models of one layer each, some of whose probabilities are next to nothing."""
    images = keras.Input((4, 4, 3), dtype="uint8", name="images")
    scaled = keras.layers.Rescaling(1 / 25)(images)
    pooled = keras.layers.GlobalAveragePooling2D()(scaled)
    dense = [keras.layers.Dense(3, activation="softmax", name=name) for name in ("one", "other")]
    outputs = [layer(pooled) for layer in dense]
    for seed, layer in enumerate(dense):
        kernel = np.random.default_rng(seed).normal(size=(3, 3))
        layer.set_weights([3 * kernel, np.zeros(3)])
    return images, outputs


@pytest.mark.parametrize("blend", BLENDS.values(), ids=BLENDS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_holds_a_blend_with_temperatures_and_a_prior(
    sharp_members, tmp_path, name, blend
):
    images, outputs = sharp_members
    whole = keras.Model(images, apply(blend, outputs))
    levels = np.random.default_rng(0).integers(0, 256, (6, 1, 1, 3)) + np.zeros((6, 4, 4, 3))
    shown = levels.astype(np.uint8)
    whole.predict(shown, verbose=0)  # as an export does before it writes

    write(name, whole, tmp_path, ["daisy", "rose", "tulip"])
    said = open_again(name, tmp_path)(shown)

    stack = np.stack(keras.Model(images, outputs).predict(shown, verbose=0))
    assert stack.min() < 1e-4
    np.testing.assert_allclose(said, apply_blend(blend, stack), atol=CONVERSION_TOLERANCE)


@pytest.mark.parametrize("name", FORMATS)
def test_class_names_are_inside_every_format(sharp_members, tmp_path, name, monkeypatch):
    """Read as a README says, after its example."""
    images, outputs = sharp_members
    whole = keras.Model(images, apply(BLENDS["arithmetic"], outputs))
    shown = np.zeros((2, 4, 4, 3), np.uint8)
    whole.predict(shown, verbose=0)
    class_names = ["daisy", 'dåisy "🌼"', "tulip"]
    write(name, whole, tmp_path, class_names)
    monkeypatch.chdir(tmp_path)
    names = {"images": shown, "json": json, "zipfile": zipfile, "Path": Path}

    exec(FORMATS[name].example, names)  # noqa: S102 - ours

    assert eval(FORMATS[name].class_names, names) == class_names  # noqa: S307 - ours
    assert names["probabilities"].shape == (2, 3)


class Own(keras.layers.Layer):
    """A layer that Keras does not know, and that no converter does either."""

    def call(self, images):
        copied = tf.numpy_function(np.copy, [images], tf.float32)
        return tf.ensure_shape(copied, images.shape)


@pytest.mark.parametrize(
    ("name", "layer", "sentence"),
    [
        ("keras", Own(), "cannot be opened as Keras: TypeError: "),
        ("litert", Own(), "cannot be written as LiteRT"),
    ],
)
def test_what_cannot_be_converted_is_answered_with_other_formats(tmp_path, name, layer, sentence):
    images = keras.Input((4, 4, 3), dtype="float32", name="images")
    model = keras.Model(images, layer(images))

    def write_and_open():
        write(name, model, tmp_path, ["a", "b"])
        open_again(name, tmp_path)

    with pytest.raises(UserError, match=sentence) as error:
        write_and_open()

    assert "saved_model" in error.value.hint


def small_model():
    images = keras.Input((4, 4, 3), dtype="float32", name="images")
    return keras.Model(images, keras.layers.Softmax()(keras.layers.GlobalMaxPooling2D()(images)))


def test_what_cannot_be_run_is_answered_with_other_formats(tmp_path):
    write("keras", small_model(), tmp_path, ["a", "b", "c"])
    predict = open_again("keras", tmp_path)

    assert predict(np.zeros((1, 4, 4, 3), np.float32)).shape == (1, 3)
    with pytest.raises(UserError, match="cannot be run as Keras") as error:
        predict(np.zeros((1, 4, 4, 2), np.float32))

    assert "saved_model" in error.value.hint


def test_a_disk_that_fails_is_not_blamed_on_the_format(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(NotADirectoryError):
        write("keras", small_model(), tmp_path / "file", ["a", "b", "c"])
