"""Tests for choosing a format; `tests/end_to_end/test_export.py` writes them."""

import sys

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
