"""A whole ensemble as one model, used as its README says, in a program without this package."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from automl_flowers.exporting import parity
from automl_flowers.exporting.formats import FORMATS
from tests.end_to_end.conftest import SPACE

WITHOUT_US = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("automl_flowers", "ensembles", "search_spaces"):
            raise ImportError(name)

sys.meta_path.insert(0, Absent())
"""


@pytest.fixture(scope="module")
def run(cli, pictures, tmp_path_factory):
    """An ensemble of two members of one architecture."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "space.yaml").write_text(SPACE.replace("[0.0, 0.1]", "0.1"))
    cli.json(
        *("search", "--data", pictures, "--run", folder / "run", "--space", folder / "space.yaml"),
        *("--max-epochs", 1, "--max-recipes", 2),
    )
    cli.json("ensemble", "--top", 2, "--run", folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """A photograph that lies on its side and is larger than what the model takes."""
    file = tmp_path_factory.mktemp("photograph") / "rose.jpg"
    rough = Image.new("RGB", (3, 2))
    rough.putdata(
        [(250, 40, 60), (200, 30, 50), (20, 90, 30), (220, 60, 80), (90, 20, 30), (9,) * 3]
    )
    exif = Image.Exif()
    exif[274] = 6
    rough.resize((300, 200), Image.Resampling.BICUBIC).save(file, exif=exif)
    return file


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_the_example_of_the_readme_says_what_predict_says(cli, run, photograph, tmp_path, name):
    out = tmp_path / "out"

    made = cli.json("export", "--format", name, "--out", out, "--run", run)

    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["README.md", "model.json", made["file"]]
    )
    assert made["checked"]["num_same_class"] == made["checked"]["num_images"] == 9
    assert made["checked"]["largest_difference"] < parity.CONVERSION_TOLERANCE
    assert json.loads((out / "model.json").read_text())["class_names"] == made["class_names"]

    class_name, probability = follow_readme(out, photograph)

    [row] = csv.DictReader(io.StringIO(cli("predict", photograph, "--run", run, "--quiet").stdout))
    assert class_name == row["class_name"]
    assert probability == pytest.approx(float(row["probability"]), abs=parity.CONVERSION_TOLERANCE)


def follow_readme(out, photograph):
    """Run a README's example in the folder of the model, and return what it printed."""
    page = (out / "README.md").read_text()
    [example] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    code = WITHOUT_US + example.replace("rose.jpg", str(photograph))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=out,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    class_name, _, probability = ran.stdout.strip().rpartition(" ")
    return class_name, float(probability)


def test_a_model_that_says_something_else_is_not_left_behind(cli, run, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "CONVERSION_TOLERANCE", -1.0)

    result = cli("export", "--format", "keras", "--out", tmp_path / "out", "--run", run)

    assert result.exit_code == 2
    assert "The exported model is not what `predict` is: on 9 images" in result.stderr
    assert list(tmp_path.iterdir()) == []
