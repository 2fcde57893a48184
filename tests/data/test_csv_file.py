"""Tests for CSV files that list images."""

import errno
import json
import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.convert import convert
from automl_flowers.data.losses import losses_among
from automl_flowers.data.prepare import prepare, remember
from automl_flowers.data.sources import find_sample_submission, open_data
from automl_flowers.data.sources.csv_file import COLUMNS, read_csv
from automl_flowers.errors import DataError

IMAGES = {"a.jpg": None, "b.jpg": None, "c.jpg": None, "more/d.jpg": None}
TABLE = """path,label,split
c.jpg,rose,val
a.jpg,daisy,train
b.jpg,rose,train
more/d.jpg,,test
"""


@pytest.fixture
def write(tmp_path, write_images):
    """Return a function that writes a table beside the images and returns its path."""
    write_images(tmp_path / "garden", IMAGES)

    def write_table(text, name="labels.csv"):
        path = tmp_path / "garden" / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return write_table


def rows_of(manifest):
    return list(manifest.rows[["id", "label", "split"]].itertuples(index=False, name=None))


EXPECTED = [
    ("a.jpg", 0, "train"),
    ("b.jpg", 1, "train"),
    ("c.jpg", 1, "val"),
    ("more/d.jpg", -1, "test"),
]


def test_lines_become_rows_ordered_by_id(write, tmp_path):
    manifest = open_data(write(TABLE))

    assert rows_of(manifest) == EXPECTED
    assert manifest.class_names == ("daisy", "rose")
    assert set(manifest.rows["source"]) == {"labels"}
    assert manifest.rows["path"][3] == str(tmp_path / "garden/more/d.jpg")
    assert set(manifest.rows["offset"]) == set(manifest.rows["length"]) == {-1}
    assert manifest.problems == ()


@pytest.mark.parametrize(
    "table",
    [
        TABLE.encode("utf-8-sig"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace(",", " , "),
        TABLE.replace("\n", ",\n"),
        TABLE.replace("path", "Filename").replace("label", "CLASS"),
        TABLE.replace("\n", "\n\n"),
        TABLE.replace(",val", ",validation").replace(",test", ",TEST"),
        TABLE.replace("a.jpg", "./more/../a.jpg"),
        re.sub(r"[\w./]+", r'"\g<0>"', TABLE),
    ],
    ids=range(11),
)
def test_a_table_may_be_written_in_many_ways(write, table):
    assert rows_of(open_data(write(table))) == EXPECTED


@pytest.mark.parametrize("column", ["path", "label"])
def test_every_other_name_of_a_column_is_known_and_the_right_one_wins(write, column):
    for alias in COLUMNS[column]:
        renamed = TABLE.replace(column, alias, 1)
        both = re.sub("^(.+)$", r"\1,x", renamed.replace(alias, column, 1), flags=re.MULTILINE)

        assert rows_of(open_data(write(renamed))) == EXPECTED
        assert rows_of(open_data(write(both.replace(",x", f",{alias}", 1)))) == EXPECTED


def test_without_a_column_split_everything_is_train(write):
    manifest = open_data(write("path,label\na.jpg,daisy\nb.jpg,rose\n"))

    assert manifest.count_images() == {"train": 2}


def test_ids_may_be_given(write):
    table = "id,path,label\nz,a.jpg,daisy\n,b.jpg,rose\n"

    assert [row[0] for row in rows_of(open_data(write(table)))] == ["b.jpg", "z"]


def test_an_absolute_path_is_taken_at_its_word(write, tmp_path, encode):
    (tmp_path / "elsewhere.jpg").write_bytes(encode())

    manifest = open_data(write(f"path,label\n{tmp_path}/elsewhere.jpg,daisy\nb.jpg,rose\n"))

    assert str(tmp_path / "elsewhere.jpg") in manifest.rows["path"].tolist()


def test_labels_that_are_numbers_are_ordered_as_numbers(write):
    manifest = open_data(write("path,label\na.jpg,10\nb.jpg,2\nc.jpg,0\n"))

    assert manifest.class_names == ("0", "2", "10")


def test_a_csv_of_a_folder_gives_the_rows_of_the_folder(tmp_path, write_images):
    tree = {f"{s}/{c}/{k}.jpg": None for s in ("train", "val") for c in "xy" for k in range(2)}
    root = write_images(tmp_path / "garden", tree)
    lines = [f"{path},{path.split('/')[1]},{path.split('/')[0]}" for path in tree]
    (root / "all.csv").write_text("path,label,split\n" + "\n".join(lines))

    table = open_data(str(root / "all.csv"))

    columns = ["id", "label", "split", "path", "offset", "length"]
    assert table.rows[columns].equals(open_data(str(root)).rows[columns])


def test_its_tfrecords_are_the_same_data_to_a_run(tmp_path, write_images):
    names = [f"{k:02d}.jpg" for k in range(24)]
    root = write_images(tmp_path / "garden", dict.fromkeys(names))
    lines = [f"{name},{k % 2},{'test' if k > 20 else 'train'}" for k, name in enumerate(names)]
    table = root / "all.csv"
    table.write_text("path,label,split\n" + "\n".join(lines))
    convert(str(table), tmp_path / "records")

    def content(address):
        data = prepare(address, seed=0, image_size=8, cache=tmp_path / "cache")
        summary = tmp_path / "data.json"
        remember(data, tmp_path / "manifest.csv", summary, image_size=8)
        found = json.loads(summary.read_text())
        summary.unlink()
        return found

    assert content(str(table)) == content(str(tmp_path / "records"))


def test_a_remote_table_is_read_through_tensorflow(encode):
    import tensorflow as tf

    for name in ("a.jpg", "b.jpg", "c.jpg", "more/d.jpg"):
        tf.io.gfile.makedirs("ram://csv/more")
        with tf.io.gfile.GFile(f"ram://csv/{name}", "wb") as file:
            file.write(encode())
    table = "path,label,split\nnot/there.jpg,rose,train\n" + TABLE.partition("\n")[2]
    with tf.io.gfile.GFile("ram://csv/labels.csv", "w") as file:
        file.write(table)

    manifest = open_data("ram://csv/labels.csv")

    assert rows_of(manifest) == EXPECTED
    assert [problem.path for problem in manifest.problems] == ["ram://csv/not/there.jpg"]


def test_a_sample_submission_beside_the_table_is_found(write, tmp_path):
    address = write(TABLE)
    (tmp_path / "garden/sample_submission.csv").write_text("id,label\n")

    assert find_sample_submission(address) == str(tmp_path / "garden/sample_submission.csv")


def test_a_table_may_be_converted_into_its_own_folder(write, tmp_path):
    convert(write(TABLE), tmp_path / "garden/records")

    assert rows_of(open_data(str(tmp_path / "garden/records"))) == EXPECTED


def link_outwards(root):
    (root / "x.jpg").symlink_to(root.parent)
    return "It is no file."


def file_link_outwards(root):
    (root.parent / "secret").write_text("words")
    (root / "x.jpg").symlink_to(root.parent / "secret")
    return "The link leaves the data folder."


def empty(root):
    (root / "x.jpg").touch()
    return "The file is empty."


def missing(root):
    return "The file is not there."


@pytest.mark.parametrize("make", [link_outwards, file_link_outwards, empty, missing])
def test_what_is_left_out_is_reported(write, tmp_path, make):
    reason = make(tmp_path / "garden")

    manifest = open_data(write(f"{TABLE}x.jpg,rose,train\n"))

    assert rows_of(manifest) == EXPECTED
    assert [(p.path, p.reason) for p in manifest.problems] == [
        (str(tmp_path / "garden/x.jpg"), reason)
    ]


def test_a_name_that_is_too_long_is_a_bad_row(write):
    name = f"{'x' * 300}.jpg"

    manifest = open_data(write(f"{TABLE}{name},rose,train\n"))

    assert rows_of(manifest) == EXPECTED
    (loss,) = losses_among(manifest.problems)
    assert loss.path.endswith(name)
    assert loss.reason == "It cannot be read: File name too long."


def test_a_path_in_a_closed_folder_is_a_bad_row(write, monkeypatch):
    usual = Path.stat

    def stat(path, **options):
        if path.parent.name == "closed":  # root may read everywhere, so this is played
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return usual(path, **options)

    monkeypatch.setattr(Path, "stat", stat)

    manifest = open_data(write(f"{TABLE}closed/a.jpg,rose,train\n"))

    assert rows_of(manifest) == EXPECTED
    (loss,) = losses_among(manifest.problems)
    assert loss.reason == "It cannot be read: Permission denied."


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_label_may_be_missing_in_test_only(write, split):
    manifest = open_data(write(f"{TABLE}./more/d.jpg,,{split}\n".replace("more/d.jpg,,test\n", "")))

    assert [problem.reason for problem in manifest.problems] == [
        "Line 5 has no label, which only images of `test` may lack."
    ]


@pytest.mark.parametrize("cell", ['"two\nlines"', "\ufffd"])
def test_a_label_must_be_a_line_of_text(write, cell):
    manifest = open_data(write(f"{TABLE}./more/d.jpg,{cell},train\n"))

    assert "not one line of text" in manifest.problems[0].reason


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ("", "has no first line with column names", "begin the file with"),
        ("path,label\n", "lists no image", "one a line"),
        ("label,split\nrose,train\n", "no column `path`; it has `label`, `split`", "begin the"),
        ("path,split\na.jpg,train\n", "no column `label`", "begin the file"),
        ("path,label,label\na.jpg,x,y\n", "more than one column .* `label`", "call the right one"),
        ("image,file,label\na.jpg,a.jpg,x\n", "`image` and `file`", "call the right one `path`"),
        ("path,label\na.jpg,x,y\n", "Line 2 .* has 3 cells, but the first line has 2", "quotes"),
        ("path,label\n,x\n", "Line 2 .* has no path", "fill the column"),
        ("path,label\n../a.jpg,x\n", r"Line 2 .* leaves .*`\.\./a\.jpg`", "absolute paths"),
        ("path,label\nmore/../../a.jpg,x\n", "Line 2 .* leaves the file's folder", "absolute"),
        ("path,label,split\na.jpg,x,tset\n", "'tset', expected .*Did you mean 'test'", "split"),
        ("path,label,split\na.jpg,x,\n", "Unknown split in line 2 .*''", "leave it out"),
        ("path,label\na.jpg,x\nb.jpg,x\n", "has only 'x' in `train`", "at least two"),
        ("path,label,split\na.jpg,x,test\n", "has no image in `train`", "at least two"),
        (
            "path,label,split\na.jpg,rose,train\nb.jpg,daisy,train\nc.jpg,dasy,val\n",
            "'dasy' is in `val`, .*image 'c.jpg' .* Did you mean 'daisy'",
            "alike",
        ),
        (
            "path,label\nx.jpg,x\ny.jpg,y\na.jpg,x\n",
            "2 of the 3 .*x.jpg`: The file is not",
            "start",
        ),
        ("path,label\nmore\\x.jpg,x\nmore\\y.jpg,y\n", "2 of the 2 images", "in the place of"),
        ("path,label\na.jpg,x\na.jpg,y\n", "1 ids appear twice, for example 'a.jpg'", "another id"),
        ("id,path,label\n1,a.jpg,x\n1,b.jpg,y\n", "for example '1'", "another id"),
        (b"path,label\n\xff.jpg,x\n", "must be UTF-8 text, but byte 11 is not", "save it again"),
        ("path,label\na.jpg,x\n".encode("utf-16"), "must be UTF-8 text", "save it again"),
        ("path,label\n" + "x" * 200_000, "cannot be read as CSV: field larger", "in UTF-8"),
    ],
)
def test_a_wrong_table_is_answered_with_the_way_out(write, table, message, hint):
    with pytest.raises(DataError, match=message) as caught:
        open_data(write(table))

    assert hint in caught.value.hint


def test_a_table_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=r"There is nothing at `.*labels\.csv`"):
        open_data(str(tmp_path / "labels.csv"))


def test_a_folder_called_like_a_table_is_named(tmp_path):
    (tmp_path / "garden.csv").mkdir()

    with pytest.raises(DataError, match=r"Cannot read `.*garden\.csv`: Is a directory"):
        open_data(str(tmp_path / "garden.csv"))


CELLS = st.text(st.sampled_from('ab,;"\t\n\r ./\\\0é-'), max_size=6)


@given(lines=st.lists(st.lists(CELLS, max_size=4), max_size=6), delimiter=st.sampled_from(",;\t"))
def test_any_table_is_read_or_answered(tmp_path_factory, lines, delimiter):
    path = tmp_path_factory.getbasetemp() / "any.csv"
    text = "\n".join(delimiter.join(cells) for cells in [["path", "label", "split"], *lines])
    path.write_text(text, encoding="utf-8")

    try:
        manifest = read_csv(str(path), source="any")
    except DataError:
        return

    assert set(manifest.rows["split"]) <= {"train", "val", "test"}
