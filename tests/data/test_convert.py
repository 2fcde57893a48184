"""Tests for converting any data set to the competition's layout."""

import errno
import io
import re
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data import convert as convert_module
from automl_flowers.data.convert import convert
from automl_flowers.data.sources import find_sample_submission, open_data
from automl_flowers.data.sources.images import read_image_bytes
from automl_flowers.data.sources.layouts import promised_count
from automl_flowers.data.sources.records import parse_example, read_payload
from automl_flowers.errors import DataError, UserError

GARDEN = {
    "train/daisy/a.jpg": None,
    "train/daisy/b.png": None,
    "train/rose/c.jpg": None,
    "val/rose/d.jpg": None,
    "test/rose/e.jpg": None,
    "test/f.jpg": None,
}
NAMES = st.text(
    st.characters(exclude_characters="/\0\n\r", exclude_categories=["Cs"]), min_size=1, max_size=8
).filter(lambda name: not name.startswith("."))


def same_rows(first, second):
    columns = ["id", "label", "split"]
    return first.rows[columns].equals(second.rows[columns])


def files_below(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def garden(tmp_path, write_images):
    return write_images(tmp_path / "garden", GARDEN)


@pytest.mark.parametrize("image_size", [None, 4])
@pytest.mark.parametrize("shard_size", [1, 2, 800])
def test_the_result_has_the_rows_and_classes_of_its_source(
    tmp_path, garden, image_size, shard_size
):
    source, out = open_data(str(garden)), tmp_path / "out"

    summary = convert(str(garden), out, image_size=image_size, shard_size=shard_size)

    result = open_data(str(out))
    assert same_rows(source, result)
    assert result.class_names == source.class_names == summary.class_names
    assert result.problems == summary.problems == ()
    assert summary.num_images == {"train": 3, "val": 1, "test": 2}
    assert summary.num_shards == len(list(out.rglob("*.tfrec")))


def test_a_converted_data_set_converts_to_the_same_rows_again(tmp_path, garden):
    convert(str(garden), tmp_path / "first")
    convert(str(tmp_path / "first"), tmp_path / "second", image_size=4)

    assert same_rows(open_data(str(garden)), open_data(str(tmp_path / "second")))


def test_files_are_laid_out_as_in_the_competition(tmp_path, garden):
    convert(str(garden), tmp_path / "out", image_size=4, shard_size=2)

    assert sorted(map(str, files_below(tmp_path / "out"))) == [
        "classes.txt",
        "sample_submission.csv",
        "test_labels.csv",
        "tfrecords-jpeg-4x4/test/00-4x4-2.tfrec",
        "tfrecords-jpeg-4x4/train/00-4x4-2.tfrec",
        "tfrecords-jpeg-4x4/train/01-4x4-1.tfrec",
        "tfrecords-jpeg-4x4/val/00-4x4-1.tfrec",
    ]
    assert (tmp_path / "out/classes.txt").read_text() == "daisy\nrose\n"
    assert (tmp_path / "out/test_labels.csv").read_text() == "id,label\ntest/rose/e.jpg,1\n"
    submission = find_sample_submission(str(tmp_path / "out"))
    assert Path(submission).read_text() == "id,label\ntest/f.jpg,0\ntest/rose/e.jpg,0\n"


def test_records_hold_what_the_competitions_hold(tmp_path, garden):
    convert(str(garden), tmp_path / "out", image_size=4)

    for row in open_data(str(tmp_path / "out")).rows.itertuples():
        with Path(row.path).open("rb") as file:
            features = parse_example(read_payload(file, row.offset, row.length))
        expected = {"id", "image"} if row.split == "test" else {"class", "id", "image"}
        assert set(features) == expected
        with Image.open(io.BytesIO(read_image_bytes(row))) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (4, 4), "RGB")


def test_tensorflow_reads_the_shards(tmp_path, garden):
    import tensorflow as tf

    convert(str(garden), tmp_path / "out", image_size=4, shard_size=2)

    shards = sorted(map(str, (tmp_path / "out").rglob("*.tfrec")))
    for shard in shards:
        assert len(list(tf.data.TFRecordDataset(shard))) == promised_count(shard)


def test_originals_keep_their_bytes(tmp_path, garden):
    convert(str(garden), tmp_path / "out")

    for row in open_data(str(tmp_path / "out")).rows.itertuples():
        assert "tfrecords-jpeg-original" in row.path
        assert read_image_bytes(row) == (garden / row.id).read_bytes()


def test_the_same_source_gives_the_same_bytes(tmp_path, garden):
    convert(str(garden), tmp_path / "first", image_size=4)
    convert(str(garden), tmp_path / "second", image_size=4)

    assert files_below(tmp_path / "first") == files_below(tmp_path / "second")


@pytest.mark.parametrize("split", ["external", "blend", "val"])
def test_splits_of_other_names_are_kept(tmp_path, write_records, serialise, split):
    source = tmp_path / "source"
    write_records(source / "train/a.tfrec", [serialise(label=0)])
    write_records(source / split / "b.tfrec", [serialise(label=1), serialise(label=0)])

    convert(str(source), tmp_path / "out")

    result = open_data(str(tmp_path / "out"))
    assert same_rows(open_data(str(source)), result)
    assert len(result.split(split)) == 2
    assert find_sample_submission(str(tmp_path / "out")) is None


def test_a_flat_folder_becomes_train(tmp_path, write_images):
    root = write_images(tmp_path / "flat", {"daisy/a.jpg": None, "rose/b.jpg": None})

    summary = convert(str(root), tmp_path / "out")

    assert summary.num_images == {"train": 2}
    assert same_rows(open_data(str(root)), open_data(str(tmp_path / "out")))


@settings(max_examples=25, deadline=None)
@example(
    names=[('a",', "test"), ("NA", "test"), ("\x85", "test"), ("\u2028", "train")], shard_size=1
)
@given(
    names=st.lists(st.tuples(NAMES, st.sampled_from(["train", "test"])), max_size=8, unique=True),
    shard_size=st.integers(1, 4),
)
def test_any_file_name_survives(write_images, names, shard_size):
    tree = {f"{split}/rose/{name}.jpg": b"bytes" for name, split in names}
    with tempfile.TemporaryDirectory() as folder:
        start = {"train/daisy/a.jpg": b"x", "train/rose/a.jpg": b"x"}
        root = write_images(Path(folder) / "garden", {**start, **tree})

        convert(str(root), Path(folder) / "out", shard_size=shard_size)

        assert same_rows(open_data(str(root)), open_data(str(Path(folder) / "out")))


def test_an_image_that_cannot_be_decoded_is_left_out_and_reported(tmp_path, write_images):
    root = write_images(tmp_path / "garden", {**GARDEN, "train/rose/bad.jpg": b"words"})

    summary = convert(str(root), tmp_path / "out", image_size=4, shard_size=2)

    (problem,) = summary.problems
    assert problem.path == str(root / "train/rose/bad.jpg")
    assert problem.reason.startswith("Image 'train/rose/bad.jpg' is left out. It is no image")
    assert summary.num_images["train"] == 3
    assert open_data(str(tmp_path / "out")).problems == ()


def test_problems_of_the_source_are_passed_on(tmp_path, write_images):
    root = write_images(tmp_path / "garden", {**GARDEN, "train/rose/bad.jpg": b""})

    summary = convert(str(root), tmp_path / "out")

    assert [problem.reason for problem in summary.problems] == ["The file is empty."]


def test_an_empty_folder_may_be_the_target(tmp_path, garden):
    (tmp_path / "out").mkdir()

    convert(str(garden), tmp_path / "out")

    assert len(open_data(str(tmp_path / "out")).rows) == 6


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), UserError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "interrupted"],
)
def test_a_failure_leaves_nothing_behind(tmp_path, garden, monkeypatch, failure, expected):
    def fail(*args):
        raise failure

    monkeypatch.setattr(convert_module, "write_text", fail)

    with pytest.raises(expected) as caught:
        convert(str(garden), tmp_path / "out")

    assert [path.name for path in tmp_path.iterdir()] == ["garden"]
    if expected is UserError:
        assert str(caught.value) == f"Cannot write `{tmp_path}/out`: No space left on device."
        assert "space left" in caught.value.hint


@pytest.mark.parametrize(
    ("out", "options", "message", "hint"),
    [
        ("full", {}, r"`.*full` exists and is not empty\.", "name a new folder"),
        ("full/file", {}, r"`.*file` exists and is not empty\.", "name a new folder"),
        ("garden/out", {}, "`.*garden/out` lies inside `.*garden`", "outside of the data"),
        ("full/file/out", {}, r"Cannot write `.*out`: (Not a directory|File exists)", "may write"),
        ("out", {"image_size": 0}, "must be at least 1, got image_size=0", "leave out"),
        ("out", {"shard_size": 0}, "must be at least 1, .*shard_size=0", "leave out"),
    ],
)
def test_a_wrong_target_is_answered_with_the_way_out(
    tmp_path, garden, write_images, out, options, message, hint
):
    write_images(tmp_path, {"full/file": b"words"})
    before = files_below(tmp_path)

    with pytest.raises(UserError, match=message) as caught:
        convert(str(garden), tmp_path / out, **options)

    assert re.search(hint, caught.value.hint)
    assert files_below(tmp_path) == before


@pytest.mark.parametrize(
    ("tree", "message", "hint"),
    [
        (
            {"daisy/a.jpg": b"words", "rose/b.jpg": b"words"},
            r"None of the 2 images can be read; the first, `.*jpg`: Image",
            "copied completely",
        ),
        (
            {"daisy /a.jpg": None, "rose/b.jpg": None},
            "A class name with blanks at its ends",
            "rename the class folder",
        ),
    ],
)
def test_a_wrong_source_is_answered_with_the_way_out(tmp_path, write_images, tree, message, hint):
    root = write_images(tmp_path / "garden", tree)

    with pytest.raises(DataError, match=message) as caught:
        convert(str(root), tmp_path / "out", image_size=4)

    assert hint in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_shards_mix_the_classes(tmp_path, write_images):
    tree = {f"{name}/{number}.jpg": b"x" for name in ("daisy", "rose") for number in range(20)}
    root = write_images(tmp_path / "flat", tree)

    convert(str(root), tmp_path / "out", shard_size=10)

    labels = open_data(str(tmp_path / "out")).rows.groupby("path")["label"].nunique()
    pd.testing.assert_series_equal(labels, labels * 0 + 2)


def test_progress_is_told_image_by_image(tmp_path, write_images):
    root = write_images(tmp_path / "garden", {"a/1.jpg": None, "b/2.jpg": b"", "b/3.jpg": None})
    told = []

    convert(str(root), tmp_path / "records", on_progress=lambda *counts: told.append(counts))

    assert told == [(1, 2), (2, 2)]
