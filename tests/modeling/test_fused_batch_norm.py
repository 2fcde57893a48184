"""A fused BatchNormalization gives Keras' numbers, forward and backward."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_flowers.modeling.backbones import build_backbone
from automl_flowers.modeling.fused_batch_norm import SMALLEST_EPSILON, fuse
from search_spaces.backbones import get_backbone


def model_with(layer: keras.layers.Layer, shape=(4, 4, 6)) -> keras.Model:
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


def batch_norm(**options) -> keras.layers.BatchNormalization:
    """With statistics and factors that are not zeros and ones."""
    layer = keras.layers.BatchNormalization(**options)
    layer.build((None, 4, 4, 6))
    generator = np.random.default_rng(3)
    layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return layer


def is_fused(layer: keras.layers.Layer) -> bool:
    return "call" in vars(layer)


def gradients_of(model, inputs, weights, training):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = model(inputs, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    return outputs, tape.gradient(loss, [inputs, *(v.value for v in model.trainable_variables)])


def both(options, **changes):
    """Return the plain model and the fused one, with equal weights."""
    models = []
    for _ in range(2):
        layer = batch_norm(**options)
        for name, value in changes.items():
            setattr(layer, name, value)
        models.append(model_with(layer))
    fuse(models[1])
    assert is_fused(models[1].layers[1])
    assert not is_fused(models[0].layers[1])
    return models


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("trainable", [True, False])
@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.9}, {"scale": False}, {"center": False}, {"epsilon": SMALLEST_EPSILON}],
    ids=str,
)
@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch_size=st.integers(1, 5),
    shift=st.floats(-10, 10),
    spread=st.floats(0.1, 10),
)
def test_numbers_are_those_of_keras(options, training, trainable, seed, batch_size, shift, spread):
    plain, fused = both(options, trainable=trainable)
    generator = np.random.default_rng(seed)
    drawn = generator.normal(shift, spread, (batch_size, 4, 4, 6)).astype(np.float32)
    weights = generator.normal(size=drawn.shape).astype(np.float32)

    wanted, wanted_gradients = gradients_of(plain, tf.constant(drawn), weights, training)
    outputs, gradients = gradients_of(fused, tf.constant(drawn), weights, training)

    np.testing.assert_allclose(outputs, wanted, rtol=1e-3, atol=1e-3)
    for gradient, expected in zip(gradients, wanted_gradients, strict=True):
        np.testing.assert_allclose(gradient, expected, rtol=1e-3, atol=1e-3)
    for weight, expected in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_normalises_in_float32_as_keras_does(precision, training):
    plain, fused = both({"dtype": precision})
    drawn = np.random.default_rng(1).normal(100, 30, (4, 4, 4, 6)).astype(np.float32)

    wanted = plain(drawn, training=training)
    outputs = fused(drawn, training=training)

    assert outputs.dtype == wanted.dtype
    np.testing.assert_allclose(
        tf.cast(outputs, tf.float32), tf.cast(wanted, tf.float32), rtol=0.02, atol=0.02
    )


def test_moving_statistics_move_only_in_training():
    _, fused = both({})
    before = fused.get_weights()
    drawn = np.ones((2, 4, 4, 6), np.float32)

    fused(drawn, training=False)
    unchanged = fused.get_weights()
    fused(drawn, training=True)

    assert all(np.array_equal(a, b) for a, b in zip(unchanged, before, strict=True))
    assert not np.array_equal(fused.get_weights()[2], before[2])


def test_a_single_value_a_channel_has_no_variance():
    plain, fused = (model_with(keras.layers.BatchNormalization(), (1, 1, 3)) for _ in range(2))
    fuse(fused)
    drawn = np.full((1, 1, 1, 3), 5.0, np.float32)

    for model in (plain, fused):
        model(drawn, training=True)

    for weight, expected in zip(fused.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, atol=1e-6)


@pytest.mark.parametrize(
    "options",
    [
        {"axis": 1},
        {"renorm": True},
        {"synchronized": True},
        {"epsilon": 1e-7},
    ],
    ids=str,
)
def test_what_cannot_be_fused_is_left_alone(options):
    layer = keras.layers.BatchNormalization(**options)
    model = model_with(layer)

    fuse(model)

    assert not is_fused(layer)


def test_other_ranks_and_other_layers_are_left_alone():
    class Own(keras.layers.BatchNormalization):
        pass

    flat, own = keras.layers.BatchNormalization(), Own()
    inputs = keras.Input((4, 4, 6))
    pooled = keras.layers.GlobalAveragePooling2D()(own(inputs))

    fuse(keras.Model(inputs, flat(pooled)))

    assert not is_fused(flat)
    assert not is_fused(own)


def test_fusing_twice_is_fusing_once():
    model = build_backbone(get_backbone("efficientnet_lite0"), 32)
    drawn = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)

    fuse(model)
    once = model(drawn)
    fuse(model)

    np.testing.assert_array_equal(model(drawn), once)


def test_a_saved_model_is_plain_keras(tmp_path):
    _, fused = both({})
    drawn = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype(np.float32)

    fused.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)

    assert type(loaded.layers[1]) is keras.layers.BatchNormalization
    assert not is_fused(loaded.layers[1])
    np.testing.assert_allclose(loaded(drawn), fused(drawn), atol=1e-5)
