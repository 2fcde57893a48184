"""Tests for the submission."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.submission import write_probabilities, write_submission
from automl_flowers.errors import DataError

IDS = np.array(["b", "a", "c"])
LABELS = np.array([3, 0, 7])


@pytest.fixture
def out(tmp_path):
    return tmp_path / "run" / "submission.csv"


@pytest.fixture
def sample(tmp_path):
    def sample(text):
        path = tmp_path / "sample_submission.csv"
        path.write_bytes(text.encode())
        return str(path)

    return sample


def test_without_a_sample_the_order_is_that_of_the_images(out):
    write_submission(out, IDS, LABELS)

    assert out.read_bytes() == b"id,label\nb,3\na,0\nc,7\n"


@pytest.mark.parametrize(
    "text",
    [
        "id,label\nc,0\nb,0\na,0\n",
        "id,label\r\nc,0\r\nb,0\r\na,0\r\n",
        "\ufeffid,label\nc,0\nb,0\na,0",
        "label,id\n0,c\n0,b\n0,a\n",
        "id\nc\nb\na\n",
    ],
    ids=["unix", "windows", "byte order mark", "columns swapped", "ids alone"],
)
def test_with_a_sample_the_order_is_that_of_the_sample(out, sample, text):
    write_submission(out, IDS, LABELS, sample(text))

    assert out.read_bytes() == b"id,label\nc,7\nb,3\na,0\n"


ID = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=6)


@given(ids=st.lists(ID, unique=True))
def test_any_id_can_be_read_back(tmp_path_factory, ids):
    out = tmp_path_factory.getbasetemp() / "submission.csv"

    write_submission(out, np.array(ids, object), np.arange(len(ids)))

    with out.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == ids
    assert [int(row["label"]) for row in rows] == list(range(len(ids)))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("id,label\na,0\nb,0\n", "0 ids of the sample have no image and 1 images are not in the"),
        ("id,label\na,0\nb,0\nc,0\nd,0\n", "1 ids of the sample .* example 'd'"),
        ("id,label\nx,0\ny,0\nz,0\n", "3 ids of the sample .* and 3 images .* example 'x'"),
        ("id,label\n", "0 ids of the sample have no image and 3 images"),
        ("id,label\na,0\nb,0\nc,0\na,0\n", "must name each image once, but 1 lines name one again"),
        ("name,label\na,0\n", "must have a column `id`"),
        ("", "must have a column `id`"),
    ],
)
def test_a_sample_that_does_not_fit_is_answered_and_nothing_is_written(out, sample, text, sentence):
    with pytest.raises(DataError, match=sentence) as error:
        write_submission(out, IDS, LABELS, sample(text))

    assert "sample" in error.value.hint
    assert not out.exists()


def test_a_line_of_a_sample_without_an_id_is_named(out, sample):
    with pytest.raises(DataError, match=r"line 3 has no id"):
        write_submission(out, IDS, LABELS, sample("label,id\n0,a\n0\n0,c\n"))


def test_a_submission_that_was_there_stays_when_the_sample_does_not_fit(out, sample):
    write_submission(out, IDS, LABELS)

    with pytest.raises(DataError):
        write_submission(out, IDS, LABELS + 1, sample("id,label\na,0\n"))

    assert out.read_text().startswith("id,label\nb,3")
    assert [path.name for path in out.parent.iterdir()] == ["submission.csv"]


def test_a_sample_that_has_gone_is_named(out, tmp_path):
    with pytest.raises(DataError, match=r"Cannot read `.*nowhere\.csv`"):
        write_submission(out, IDS, LABELS, str(tmp_path / "nowhere.csv"))


PROBABILITIES = np.array([[0.1, 0.9], [1 / 3, 2 / 3], [1e-9, 1.0]])


def test_probabilities_have_a_column_a_class_in_the_order_of_the_sample(out, sample):
    write_probabilities(out, IDS, PROBABILITIES, ["rose, red", "tulip"], sample("id\nc\nb\na\n"))

    assert out.read_text() == (
        'id,"rose, red",tulip\nc,1e-09,1\nb,0.1,0.9\na,0.333333333,0.666666667\n'
    )


def test_nine_digits_are_the_float32_that_was_written(out):
    made = np.random.default_rng(0).random((50, 3), dtype=np.float32)

    write_probabilities(out, [str(number) for number in range(50)], made, ["a", "b", "c"])

    rows = list(csv.reader(out.read_text().splitlines()))[1:]
    np.testing.assert_array_equal(np.array(rows)[:, 1:].astype(np.float32), made)


@pytest.mark.parametrize(
    ("ids", "labels", "sentence"),
    [
        (["a", "a"], [0, 1], "stand once, got 1 again"),
        (["a", "b"], [0, -1], "from 0, got -1"),
        (["a", "b"], [3, 0], "below 3, got 3"),
    ],
)
def test_what_cannot_be_submitted_is_refused(out, ids, labels, sentence):
    with pytest.raises(ValueError, match=sentence):
        write_submission(out, ids, labels, num_classes=3)

    assert not out.exists()


def test_probabilities_of_another_shape_are_refused(out):
    with pytest.raises(ValueError, match=r"must have shape \(3, 3\), got \(3, 2\)"):
        write_probabilities(out, IDS, PROBABILITIES, ["a", "b", "c"])
