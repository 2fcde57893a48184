"""Tests for the table of images."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.manifest import COLUMNS, Problem, make_manifest, save_manifest
from automl_flowers.errors import DataError


def row(identity, label=0, split="train"):
    return (identity, label, split, "garden", f"/data/{identity}", -1, -1)


@given(ids=st.lists(st.text(min_size=1), unique=True))
def test_rows_are_ordered_by_id_whatever_the_source_gave(ids):
    manifest = make_manifest(map(row, ids), ["daisy"])

    assert manifest.rows["id"].tolist() == sorted(ids)
    assert manifest.rows.index.tolist() == list(range(len(ids)))


def test_columns_and_types_hold_without_a_single_row():
    manifest = make_manifest([], ["daisy"])

    assert tuple(manifest.rows.columns) == COLUMNS
    assert [
        str(manifest.rows[name].dtype) for name in ("label", "offset", "length", "feature")
    ] == [
        *3 * ["int64"],
        "category",
    ]


def test_a_split_has_its_rows_in_order_and_counts_them_afresh():
    manifest = make_manifest(
        [row("c", split="val"), row("b"), row("a", split="val"), row("d", split="test")], ["daisy"]
    )

    assert manifest.split("val")["id"].tolist() == ["a", "c"]
    assert manifest.split("val").index.tolist() == [0, 1]
    assert manifest.split("val", "train")["id"].tolist() == ["a", "b", "c"]
    assert len(manifest.split("blend")) == 0


def test_images_are_counted_split_by_split_in_a_fixed_order():
    manifest = make_manifest(
        [row("a", split="test"), row("b", split="val"), row("c"), row("d", split="val")], ["daisy"]
    )

    assert list(manifest.count_images().items()) == [("train", 1), ("val", 2), ("test", 1)]


def test_classes_without_an_image_count():
    assert make_manifest([row("a")], ["daisy", "rose"]).num_classes == 2


def test_other_rows_leave_names_and_problems_alone():
    manifest = make_manifest([row("a"), row("b")], ["daisy"], [Problem("c", "It is empty.")])

    changed = manifest.replace_rows(manifest.rows[:1])

    assert len(changed.rows) == 1
    assert len(manifest.rows) == 2
    assert changed.class_names == ("daisy",)
    assert changed.problems == (Problem("c", "It is empty."),)


def test_an_id_that_appears_twice_is_named():
    with pytest.raises(DataError, match="1 ids appear twice, for example 'a'") as error:
        make_manifest([row("a"), row("b"), row("a")], ["daisy"])

    assert "another id" in error.value.hint


@pytest.mark.parametrize("label", [-2, 2])
def test_a_label_without_a_class_is_named(label):
    with pytest.raises(DataError, match=rf"in 0\.\.1, but image 'b' has {label}") as error:
        make_manifest([row("a"), row("b", label)], ["daisy", "rose"])

    assert "classes.txt" in error.value.hint


def test_an_unknown_label_is_allowed():
    assert make_manifest([row("a", -1)], ["daisy"]).rows["label"].tolist() == [-1]


def test_what_is_saved_is_what_was_there(tmp_path):
    ids = ["a,b", 'quoted "c"', "NA", "ünï", "test/d.jpg"]
    manifest = make_manifest(map(row, ids), ["daisy"])

    save_manifest(manifest, tmp_path / "run" / "manifest.csv")

    types = {"feature": "category"}
    read = pd.read_csv(tmp_path / "run" / "manifest.csv", dtype=types, keep_default_na=False)
    pd.testing.assert_frame_equal(read, manifest.rows, check_dtype=False)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["manifest.csv"]
