"""Tests for comparing an exported model with `predict`."""

import numpy as np
import pytest

from automl_flowers.errors import DataError, UserError
from automl_flowers.exporting.parity import (
    CONVERSION_TOLERANCE,
    RESIZING_TOLERANCE,
    Parity,
    check,
    compare,
    predict_in_batches,
    sample_images,
)

HEADER = "id,label,split,source,path,offset,length\n"


def test_differences_and_classes_are_counted():
    expected = np.array([[0.6, 0.4], [0.1, 0.9], [0.51, 0.49]])
    made = np.array([[0.6, 0.4], [0.15, 0.85], [0.49, 0.51]])

    found = compare(expected, made)

    assert (found.num_images, found.num_same_class) == (3, 2)
    assert found.largest_difference == pytest.approx(0.05)
    assert "by 0.05 at most, and 2 of 3 classes are the same" in str(found)


@pytest.mark.parametrize("difference", [0.0021, 1.0, float("nan")])
def test_more_than_is_taken_is_refused_with_both_numbers(difference):
    with pytest.raises(UserError, match=r"not what `predict` is: .*; 0\.002 is the most") as error:
        check(Parity(3, 3, difference), CONVERSION_TOLERANCE, "onnx")

    assert "another format than 'onnx'" in error.value.hint


def test_what_is_taken_depends_on_what_differs():
    check(Parity(3, 3, 0.002), CONVERSION_TOLERANCE, "onnx")
    check(Parity(3, 3, 0.04), RESIZING_TOLERANCE, "onnx")

    with pytest.raises(UserError) as error:
        check(Parity(3, 3, 0.06), RESIZING_TOLERANCE, "onnx")
    assert "one image size" in error.value.hint


def test_another_shape_is_a_fault_of_the_conversion():
    with pytest.raises(UserError, match=r"answers in shape \(3, 1\), not \(3, 2\)"):
        compare(np.ones((3, 2)), np.ones((3, 1)))


def test_batches_of_several_sizes_are_shown():
    sizes = []

    def predict(images):
        sizes.append(len(images))
        return images.mean(axis=(1, 2))

    images = np.random.default_rng(0).integers(0, 256, (15, 2, 2, 3), np.uint8)

    said = predict_in_batches(predict, images)

    np.testing.assert_array_equal(said, images.mean(axis=(1, 2)))
    assert sizes == [1, 3, 8, 1, 2]


def manifest_of(tmp_path, rows):
    path = tmp_path / "manifest.csv"
    lines = [f"{number},0,{split},x,{file},-1,-1\n" for number, (split, file) in enumerate(rows)]
    path.write_text(HEADER + "".join(lines))
    return path


def test_test_images_are_taken_at_each_size_and_bad_ones_left_out(garden, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_text("words")
    files = sorted((garden / "test").rglob("*.png"))
    rows = [("train", tmp_path / "gone.png"), ("test", bad), *(("test", file) for file in files)]

    images = sample_images(manifest_of(tmp_path, rows), (8, 16))

    assert {size: array.shape for size, array in images.items()} == {
        8: (6, 8, 8, 3),
        16: (6, 16, 16, 3),
    }


def test_others_are_taken_where_there_is_no_test_and_no_more_than_needed(garden, tmp_path):
    files = sorted(garden.rglob("*.png")) * 5
    manifest = manifest_of(tmp_path, [("val", file) for file in files])

    assert len(files) > 32
    assert sample_images(manifest, (8,))[8].shape == (32, 8, 8, 3)


def test_images_that_are_gone_are_named(tmp_path):
    with pytest.raises(DataError, match=r"None of the run's images .*gone\.png"):
        sample_images(manifest_of(tmp_path, [("val", tmp_path / "gone.png")]), (8,))
