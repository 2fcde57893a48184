"""Tests for images at other sizes and views."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data import views
from automl_flowers.exporting.pixels import closer_filter, resize, show, triangle_filter

SIZES = st.integers(2, 96)


@pytest.fixture(scope="module")
def image():
    """A smooth picture."""
    rough = np.random.default_rng(0).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return np.array(Image.fromarray(rough).resize((48, 48), Image.Resampling.BICUBIC))


def run(function, image):
    """Return what a function makes of an image, in a model."""
    pixels = keras.Input(image.shape)
    return keras.Model(pixels, function(pixels)).predict(image[np.newaxis], verbose=0)[0]


@pytest.mark.parametrize("smaller", [47, 32, 24, 13])
def test_resizing_is_pillows(image, smaller):
    expected = Image.fromarray(image).resize((smaller, smaller), Image.Resampling.BILINEAR)

    made = run(lambda pixels: resize(pixels, 48, smaller), image)

    difference = np.abs(made - np.asarray(expected, np.float32))
    assert difference.max() <= 1
    assert difference.mean() < 0.02


def test_the_same_size_is_the_image_itself():
    pixels = keras.Input((8, 8, 3))

    assert resize(pixels, 8, 8) is pixels


@given(size=SIZES, smaller=SIZES)
def test_each_pixel_is_a_mean_of_others(size, smaller):
    smaller = min(size, smaller)
    for matrix in (triangle_filter(size, smaller), closer_filter(size)):
        assert (matrix >= 0).all()
        np.testing.assert_allclose(matrix.sum(axis=0), 1, rtol=1e-5)


@pytest.mark.parametrize("view", range(views.NUM_VIEWS[-1]))
def test_views_are_those_that_members_are_shown(image, view):
    expected = views.show(tf.constant(image[np.newaxis]), view).numpy()[0]

    made = run(lambda pixels: show(pixels, 48, view, "view"), image)

    difference = np.abs(made - expected)
    assert difference.max() <= 1  # where a half is rounded
    assert difference.mean() < 0.02
