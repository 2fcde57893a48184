"""The pipelines that ours is compared with: what they read, and that they augment alike."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from automl_flowers.data.convert import convert
from automl_flowers.data.sources import open_data
from benchmarks.input_pipeline import command, layers, notebook, usual
from search_spaces.augmentation import AugmentationStrength, get_augmentation

SIZE, BATCH = 24, 4
PIPELINES = {"notebook": (notebook.batches, 255.0), "layers": (layers.batches, 1.0)}
ALMOST_NOTHING = AugmentationStrength(contrast=1e-6, saturation=1e-6)  # tf.image wants a range
EACH = pytest.mark.parametrize(("make", "scale"), PIPELINES.values(), ids=PIPELINES)


@pytest.fixture(scope="module", params=["folder", "records"])
def rows(request, tmp_path_factory):
    """Return rows of eight plain pictures, each of a grey of its own."""
    folder = tmp_path_factory.mktemp("data")
    for k in range(8):
        path = folder / "photos" / ("daisy", "rose")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 30), (20 + 25 * k,) * 3).save(path)
    if request.param == "records":
        convert(str(folder / "photos"), folder / "records")
    return open_data(str(folder / ("photos" if request.param == "folder" else "records"))).rows


def some_images(make, rows, strength, scale, count=3):
    batches = make(rows, SIZE, BATCH, strength).take(count)
    return scale * np.concatenate(list(batches.as_numpy_iterator()))


@EACH
def test_a_strength_of_nothing_shows_the_pictures_as_they_are(make, scale, rows):
    images = some_images(make, rows, ALMOST_NOTHING, scale)

    assert images.shape == (3 * BATCH, SIZE, SIZE, 3)
    assert {round(float(level)) for level in np.unique(images)} <= {20 + 25 * k for k in range(8)}
    assert np.ptp(images, axis=(1, 2, 3)).max() < 0.01


@EACH
def test_medium_changes_every_picture_within_the_levels(make, scale, rows):
    strength = replace(get_augmentation("medium"), block_out=1.0)

    images = some_images(make, rows, strength, scale)

    assert images.min() >= 0
    assert images.max() <= 255.001
    assert (images.std(axis=(1, 2, 3)) > 0).all()  # a rectangle on every one


def test_a_matrix_of_the_notebook_gathers_the_nearest_pixels():
    image = np.random.default_rng(0).random((8, 8, 3)).astype(np.float32)
    quarter_turn = tf.constant([[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])

    turned = notebook.move(tf.constant(image), quarter_turn)

    np.testing.assert_array_equal(turned, np.rot90(image, -1))


def test_decoded_images_are_those_of_all_rows(rows):
    images = np.stack(list(usual.decoded(rows, SIZE).as_numpy_iterator()))

    assert sorted(images[:, 0, 0, 0]) == [20 + 25 * k for k in range(8)]


def test_pipelines_take_turns_and_ours_is_the_measure():
    endless = tf.data.Dataset.from_tensors(np.zeros(3)).repeat()
    made = []

    def make(name):
        made.append(name)
        return endless

    pipelines = {name: lambda name=name: make(name) for name in ("ours", "notebook")}
    measured = command.measure_pipelines(pipelines, batch_size=3, num_batches=2, rounds=2)

    assert made == ["ours", "notebook"] * 3
    assert set(measured["ratio"]) == {"vs_notebook"}
    assert set(measured["images_per_second"]) == {"ours", "notebook"}
