"""Tests for the views that a model is shown when it predicts."""

import numpy as np
import pytest
import tensorflow as tf

from automl_flowers.data import views
from automl_flowers.data.views import NUM_VIEWS


def show(images, view):
    return views.show(tf.constant(images), view).numpy()


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("view", range(NUM_VIEWS[-1]))
def test_a_view_is_an_image_of_the_same_kind(images, view):
    shown = show(images, view)

    assert (shown.shape, shown.dtype) == (images.shape, np.uint8)
    np.testing.assert_array_equal(shown, show(images, view))


def test_the_first_is_the_image_and_the_second_its_mirror_image(images):
    np.testing.assert_array_equal(show(images, 0), images)
    np.testing.assert_array_equal(show(images, 1), images[:, :, ::-1])


def test_a_closer_view_shows_the_middle(images):
    images[:, 8:24, 8:24] = 100
    images[:, :2] = 0

    shown = show(images, 2)

    assert (shown[:, 12:20, 12:20] == 100).all()
    assert (shown[:, :1] > 0).any()
    np.testing.assert_array_equal(show(images, 3), shown[:, :, ::-1])


def test_a_flat_image_looks_the_same_from_close(images):
    flat = np.full_like(images, 77)

    np.testing.assert_array_equal(show(flat, 2), flat)


@pytest.mark.parametrize("view", [-1, 4])
def test_there_are_no_other_views(images, view):
    with pytest.raises(ValueError, match=r"`view` must lie in 0\.\.3"):
        show(images, view)
