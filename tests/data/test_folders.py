"""Tests for reading folders of images."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from automl_flowers.data.sources import find_sample_submission, open_data
from automl_flowers.data.sources.folders import read_folder
from automl_flowers.errors import DataError

TWO_CLASSES = {"train/daisy/a.jpg": None, "train/rose/b.jpg": None}


def table(manifest):
    return list(manifest.rows[["id", "label", "split"]].itertuples(index=False, name=None))


def test_split_and_class_folders_become_columns(tmp_path, write_images):
    write_images(tmp_path, {**TWO_CLASSES, "val/rose/c.jpg": None, "test/daisy/d.jpg": None})

    manifest = read_folder(str(tmp_path), source="garden")

    assert manifest.class_names == ("daisy", "rose")
    assert manifest.problems == ()
    assert table(manifest) == [
        ("test/daisy/d.jpg", 0, "test"),
        ("train/daisy/a.jpg", 0, "train"),
        ("train/rose/b.jpg", 1, "train"),
        ("val/rose/c.jpg", 1, "val"),
    ]
    assert set(manifest.rows["source"]) == {"garden"}
    assert set(manifest.rows["offset"]) == set(manifest.rows["length"]) == {-1}
    assert all(Path(path).is_file() for path in manifest.rows["path"])


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Validation", "dev"])
def test_val_has_several_names(tmp_path, write_images, name):
    write_images(tmp_path, {**TWO_CLASSES, f"{name}/rose/c.jpg": None})

    manifest = read_folder(str(tmp_path), source="garden")

    assert manifest.split("val")["id"].tolist() == [f"{name}/rose/c.jpg"]


def test_class_folders_at_the_top_are_all_train(tmp_path, write_images):
    write_images(tmp_path, {"rose/b.jpg": None, "daisy/a.jpg": None, "README.md": b"words"})

    manifest = read_folder(str(tmp_path), source="garden")

    assert table(manifest) == [("daisy/a.jpg", 0, "train"), ("rose/b.jpg", 1, "train")]
    assert manifest.problems == ()


def test_images_directly_in_test_have_no_label(tmp_path, write_images):
    write_images(tmp_path, {**TWO_CLASSES, "test/x.jpg": None, "test/rose/y.jpg": None})

    manifest = read_folder(str(tmp_path), source="garden")

    assert manifest.split("test")["label"].tolist() == [1, -1]


@pytest.mark.parametrize("extension", ["jpg", "JPEG", "Png", "webp", "bmp", "gif"])
def test_an_extension_counts_in_any_case(tmp_path, write_images, extension):
    write_images(tmp_path, {**TWO_CLASSES, f"train/rose/c.{extension}": b"bytes"})

    manifest = read_folder(str(tmp_path), source="garden")

    assert f"train/rose/c.{extension}" in manifest.rows["id"].tolist()


def test_hidden_files_and_folders_are_passed_over(tmp_path, write_images):
    hidden = {"train/.DS_Store": b"x", "train/rose/._b.jpg": b"x", ".git/config.jpg": b"x"}
    write_images(tmp_path, {**TWO_CLASSES, **hidden})

    manifest = read_folder(str(tmp_path), source="garden")

    assert len(manifest.rows) == 2
    assert manifest.problems == ()


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("train/rose/notes.txt", b"words", "Its extension is none of .bmp, .gif"),
        ("train/rose/phone.HEIC", b"x", "A picture of the kind .heic is not read: save it as JPEG"),
        ("train/rose/empty.jpg", b"", "The file is empty."),
        ("train/rose/two\nlines.jpg", b"x", "Its name holds a line break."),
        ("train/rose/inner/c.jpg", b"x", "It is a folder within a class folder."),
        ("train/loose.jpg", b"x", "It lies beside the class folders, in none of them."),
        ("loose.jpg", b"x", "It lies beside the split folders, in none of them."),
        ("more/rose/c.jpg", b"x", "It lies beside the split folders, in none of them."),
    ],
)
def test_what_is_left_out_is_reported(tmp_path, write_images, name, data, reason):
    write_images(tmp_path, {**TWO_CLASSES, name: data})

    manifest = read_folder(str(tmp_path), source="garden")

    assert len(manifest.rows) == 2
    (problem,) = manifest.problems
    assert str(tmp_path / name).replace("\n", "\\n").startswith(problem.path)
    assert problem.reason.startswith(reason)


@pytest.mark.parametrize(
    ("target", "reason"),
    [("outside.jpg", "The link leaves the data folder."), ("none.jpg", "The link leads nowhere.")],
)
def test_a_link_that_leaves_or_leads_nowhere_is_left_out(tmp_path, write_images, target, reason):
    root = write_images(tmp_path / "data", TWO_CLASSES)
    write_images(tmp_path, {"outside.jpg": None})
    goal = tmp_path / target if target == "outside.jpg" else root / target
    (root / "train/rose/link.jpg").symlink_to(goal)

    manifest = read_folder(str(root), source="garden")

    assert len(manifest.rows) == 2
    assert [problem.reason for problem in manifest.problems] == [reason]


def test_a_link_within_the_data_and_a_root_that_is_a_link_are_followed(tmp_path, write_images):
    root = write_images(tmp_path / "data", TWO_CLASSES)
    (root / "val").mkdir()
    (root / "val/rose").symlink_to(root / "train/rose")
    (tmp_path / "link").symlink_to(root)

    manifest = read_folder(str(tmp_path / "link"), source="garden")

    assert "val/rose/b.jpg" in manifest.rows["id"].tolist()
    assert manifest.problems == ()


def test_links_in_a_circle_are_left_out(tmp_path, write_images):
    write_images(tmp_path, TWO_CLASSES)
    (tmp_path / "train/rose/c.jpg").symlink_to(tmp_path / "train/rose/d.jpg")
    (tmp_path / "train/rose/d.jpg").symlink_to(tmp_path / "train/rose/c.jpg")

    manifest = read_folder(str(tmp_path), source="garden")

    assert [problem.reason for problem in manifest.problems] == ["The link leads nowhere."] * 2


def test_a_name_that_is_not_utf8_is_left_out(tmp_path, write_images):
    write_images(tmp_path, TWO_CLASSES)
    with open(os.fsencode(tmp_path / "train/rose/") + b"\xff.jpg", "wb") as file:  # noqa: PTH123
        file.write(b"x")

    manifest = read_folder(str(tmp_path), source="garden")

    (problem,) = manifest.problems
    assert problem.path.encode()
    assert problem.reason == "Its name is not UTF-8."


@pytest.mark.parametrize(
    ("tree", "message", "hint"),
    [
        ({}, r"There is no folder `.*data`\.", "give the folder that holds the images"),
        ({".hidden": b""}, r"The folder `.*data` is empty\.", "a folder named after it"),
        ({"a.jpg": None}, "holds images, but no class folders", "a folder named after it"),
        ({"train/a.jpg": None}, "holds images, but no class folders", "`train/daisy/`"),
        (
            {**TWO_CLASSES, "val/a.jpg": None},
            r"`.*data/val` holds images, but no class folders",
            "`train/daisy/`",
        ),
        ({"notes.txt": b"words"}, "has no class folder", "a folder named after it"),
        ({"train/rose/b.jpg": None}, "has only 'rose'", "a folder named after it"),
        (
            {"test/rose/b.jpg": None},
            "There is no `train` folder beside `.*test`",
            "the folders in `train` are the classes",
        ),
        (
            {**TWO_CLASSES, "train/iris/.keep": b""},
            r"Class 'iris' has no image: `.*iris`",
            "add images, or remove the folder",
        ),
        (
            {**TWO_CLASSES, "train/iris/c.jpg": b""},
            "Class 'iris' has no image",
            "first `.*c.jpg`: The file is empty",
        ),
        (
            {"flowers/daisy/a.jpg": None, "flowers/rose/b.jpg": None},
            "Class 'flowers' has no image",
            "give `.*data/flowers` instead",
        ),
        (
            {**TWO_CLASSES, "val/tulip/c.jpg": None},
            r"Class 'tulip' is in `.*val`, but not in `.*train`",
            "name the class folders alike in all splits",
        ),
    ],
)
def test_a_wrong_folder_is_answered_with_the_way_out(tmp_path, write_images, tree, message, hint):
    root = write_images(tmp_path / "data", tree)

    with pytest.raises(DataError, match=message) as caught:
        read_folder(str(root), source="garden")

    assert re.search(hint, caught.value.hint)


def test_a_file_is_no_data_set(tmp_path, write_images):
    write_images(tmp_path, {"a.jpg": None})

    with pytest.raises(
        DataError, match="neither a folder of images, nor TFRecords, nor a CSV"
    ) as caught:
        open_data(str(tmp_path / "a.jpg"))

    assert "one folder a class" in caught.value.hint


def test_open_data_names_the_data_set_after_its_folder(tmp_path, write_images):
    root = write_images(tmp_path / "garden", TWO_CLASSES)

    manifest = open_data(f"{root}/")

    assert set(manifest.rows["source"]) == {"garden"}


def test_the_sample_submission_is_found_or_not(tmp_path, write_images):
    root = write_images(tmp_path, TWO_CLASSES)

    assert find_sample_submission(str(root)) is None

    (root / "sample_submission.csv").write_text("id,label\n")

    assert find_sample_submission(str(root)) == str(root / "sample_submission.csv")


def test_reading_a_folder_does_not_import_tensorflow(tmp_path, write_images):
    root = write_images(tmp_path, TWO_CLASSES)
    code = (
        "import sys; from automl_flowers.data.sources import open_data; "
        f"open_data({str(root)!r}); print('tensorflow' in sys.modules)"
    )

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"
