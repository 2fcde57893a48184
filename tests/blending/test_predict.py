"""Tests for classifying any images."""

import numpy as np
import pytest

from automl_flowers.blending.predict import (
    Prediction,
    decide,
    decode_files,
    find_images,
    predict_images,
)
from automl_flowers.data.sources.images import decode_image
from automl_flowers.errors import DataError
from automl_flowers.tuning.checkpoints import model_part


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"bytes")


def test_images_are_found_below_folders_in_order(tmp_path):
    touch(tmp_path, "b/2.jpg", "b/1.PNG", "a/deep/3.webp", "a/notes.txt", "b/x.jpg/inside.gif")

    found = find_images([tmp_path])

    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a/deep/3.webp",
        "b/1.PNG",
        "b/2.jpg",
        "b/x.jpg/inside.gif",
    ]


def test_a_file_that_is_named_counts_whatever_it_is_called(tmp_path):
    touch(tmp_path, "photograph")

    assert find_images([tmp_path / "photograph"]) == [tmp_path / "photograph"]


def test_an_image_that_is_named_twice_is_found_once(tmp_path):
    touch(tmp_path, "a/1.jpg", "a/2.jpg")

    found = find_images([tmp_path / "a/2.jpg", tmp_path / "a", tmp_path / "a"])

    assert found == [tmp_path / "a/2.jpg", tmp_path / "a/1.jpg"]


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nothing at `.*nowhere`") as error:
        find_images([tmp_path, tmp_path / "nowhere"])

    assert "image files or folders" in error.value.hint


def test_no_image_at_all_is_answered_with_the_endings(tmp_path):
    touch(tmp_path, "notes.txt")

    with pytest.raises(DataError, match="no images") as error:
        find_images([tmp_path])

    assert ".jpg, .jpeg, .png" in error.value.hint


def test_what_can_be_read_is_kept_and_the_rest_named(garden, tmp_path):
    touch(tmp_path, "words.jpg")
    good = sorted((garden / "test/rose").iterdir())
    missing = tmp_path / "missing.jpg"

    kept, images, problems = decode_files([good[0], tmp_path / "words.jpg", missing, good[1]], 8)

    assert kept == good
    assert images.shape == (2, 8, 8, 3)
    for path, image in zip(good, images, strict=True):
        np.testing.assert_array_equal(image, decode_image(path.read_bytes(), 8))
    assert [problem.path for problem in problems] == [str(tmp_path / "words.jpg"), str(missing)]
    assert "It is no image" in problems[0].reason


def test_nothing_that_can_be_read_is_an_error(tmp_path):
    touch(tmp_path, "a.jpg", "b.jpg")

    with pytest.raises(DataError, match=r"None of the 2 files can be read, .*a\.jpg`: It is no"):
        decode_files([tmp_path / "a.jpg", tmp_path / "b.jpg"], 8)


def test_the_most_probable_class_is_decided_on(tmp_path):
    probabilities = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3]], np.float32)

    decisions = decide([tmp_path / "a", tmp_path / "b"], probabilities, ["daisy", "rose", "tulip"])

    assert decisions == [
        Prediction(str(tmp_path / "a"), 1, "rose", 0.5),
        Prediction(str(tmp_path / "b"), 0, "daisy", float(np.float32(0.4))),
    ]


def test_a_member_predicts_files_as_it_predicts_the_data_set(trainer, recipe, ours, garden):
    states = []
    size = trainer.train(recipe, 0, 1, None, lambda record, get_state: states.append(get_state()))
    state = model_part(states[0])
    examples = trainer.examples("test", recipe.image_size)
    expected = trainer.predict(recipe, state, examples)

    _, images, _ = decode_files([garden / identity for identity in examples.ids], 32)
    program = trainer._program(recipe, len(ours.manifest.split("train")))
    probabilities = predict_images(program, state, images)

    assert size["trainable_layers"] > 0
    assert probabilities.shape == (6, 3)
    np.testing.assert_array_equal(probabilities, expected)
