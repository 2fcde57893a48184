"""Hyperparameters in variables do what Keras' constants do."""

import keras
import numpy as np
import pytest

from automl_flowers.modeling.layers import (
    AdjustableDense,
    AdjustableDropout,
    FromHalf,
    InputNormalisation,
    ToHalf,
)


def test_dropout_zeroes_its_share_and_keeps_the_mean():
    layer = AdjustableDropout(seed=1)
    layer.build((None, 1000))
    layer.rate.assign(0.4)

    outputs = np.asarray(layer(np.ones((50, 1000), np.float32), training=True))

    assert np.mean(outputs == 0) == pytest.approx(0.4, abs=0.02)
    assert outputs.mean() == pytest.approx(1.0, abs=0.02)


def test_dropout_of_zero_and_inference_change_nothing():
    layer = AdjustableDropout()
    inputs = np.random.default_rng(0).random((4, 8)).astype(np.float32)

    np.testing.assert_array_equal(layer(inputs, training=True), inputs)
    layer.rate.assign(0.9)
    np.testing.assert_array_equal(layer(inputs, training=False), inputs)


def test_penalty_is_the_factor_times_the_sum_of_squares():
    layer = AdjustableDense(3)
    layer.build((None, 5))
    layer.l2.assign(0.01)

    layer(np.ones((2, 5), np.float32))

    expected = 0.01 * np.sum(np.asarray(layer.kernel) ** 2)
    assert float(layer.losses[-1]) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_half_precision_rounds_as_numpy_does_and_holds_large_numbers(dtype):
    numbers = keras.ops.cast([0.1, -3.14159, 65504.0, 7e4, -1e30, 0.0, 1e-7], dtype)
    clipped = np.clip(np.asarray(keras.ops.cast(numbers, "float32")), -65504, 65504)

    halves = ToHalf(dtype=dtype)(numbers)

    assert halves.dtype == "float16"
    np.testing.assert_array_equal(np.asarray(halves), clipped.astype(np.float16))
    assert np.isnan(np.asarray(ToHalf()(np.array([np.nan], np.float32)))).all()
    assert FromHalf(dtype="bfloat16")(halves).dtype == "bfloat16"


@pytest.mark.parametrize(
    "layer",
    [
        AdjustableDropout(seed=3),
        AdjustableDense(4),
        ToHalf(),
        FromHalf(),
        InputNormalisation([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], "bgr"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_survives_saving(layer, tmp_path):
    inputs = keras.Input((6, 6, 3))
    model = keras.Model(inputs, layer(inputs))
    images = np.random.default_rng(0).random((2, 6, 6, 3)).astype(np.float32)

    model.save(tmp_path / "model.keras")
    restored = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    np.testing.assert_array_equal(
        model.predict(images, verbose=0), restored.predict(images, verbose=0)
    )


def test_blue_comes_first_where_caffe_wants_it():
    layer = InputNormalisation([0.0, 0.0, 0.0], [1.0, 1.0, 1.0], "bgr")

    np.testing.assert_array_equal(
        np.asarray(layer(np.array([[[[1, 2, 3]]]], np.uint8))).ravel(), [3, 2, 1]
    )
