"""Tests for writing predictions as CSV and JSON."""

import csv
import io
import json

import pytest

from automl_flowers.prediction_output import write_predictions
from automl_flowers.results import Prediction

ROSE = Prediction("a, b.jpg", 1, "rose", 0.75)
EACH = [
    Prediction("a.jpg", 1, "rose", 0.75, {"label": 0.25, "rose": 0.75}),
    Prediction("b.jpg", 0, "label", 0.5, {"label": 0.5, "rose": 0.5}),
]


def test_csv_has_a_row_an_image(tmp_path):
    out = tmp_path / "new" / "classes.csv"

    write_predictions([ROSE], out)

    assert out.read_bytes() == b'path,label,class_name,probability\n"a, b.jpg",1,rose,0.75\n'


def test_csv_has_a_column_a_class_where_these_are_known(capsys):
    write_predictions(EACH)

    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["label"] for row in rows] == ["1", "0"]
    assert [row["probability_label"] for row in rows] == ["0.25", "0.5"]
    assert [row["probability_rose"] for row in rows] == ["0.75", "0.5"]


@pytest.mark.parametrize(("name", "as_json"), [("x.json", False), ("x.txt", True), (None, True)])
def test_json_is_a_list_with_an_object_a_line(tmp_path, capsys, name, as_json):
    write_predictions([ROSE, *EACH], name and tmp_path / name, as_json=as_json)

    text = (tmp_path / name).read_text() if name else capsys.readouterr().out
    plain = {"path": "a, b.jpg", "label": 1, "class_name": "rose", "probability": 0.75}
    assert json.loads(text) == [plain, *map(vars, EACH)]
    assert len(text.splitlines()) == 5


def test_stdout_gets_each_row_before_the_next_is_asked_for(capsys):
    def predictions():
        yield ROSE
        assert "rose" in capsys.readouterr().out
        yield ROSE

    write_predictions(predictions())

    assert capsys.readouterr().out.count("rose") == 1


def test_a_folder_is_refused_before_the_first_prediction(tmp_path):
    def predictions():
        pytest.fail("this one was asked for")
        yield ROSE

    with pytest.raises(IsADirectoryError):
        write_predictions(predictions(), tmp_path)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_file_is_whole_or_as_it_was(tmp_path, error):
    out = tmp_path / "classes.csv"
    out.write_text("before")

    def stopped():
        yield ROSE
        raise error

    with pytest.raises(error):
        write_predictions(stopped(), out)

    assert out.read_text() == "before"
    assert list(tmp_path.iterdir()) == [out]
