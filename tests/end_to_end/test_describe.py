"""Tests for `data describe`: what it prints, and the page and figures that it writes."""

import html
import io
import json
import re
import shutil

import pytest
from PIL import Image

from automl_flowers.config import RunConfig, write_config
from automl_flowers.console import progress_bars
from automl_flowers.data.prepare import prepare, remember
from automl_flowers.run_folder import RunFolder
from search_spaces.augmentation import TRAINABLE, UNCHANGED
from tests.data.conftest import encode_image
from tests.end_to_end.conftest import draw_folder

HOSTILE = "<script>alert(1)"
COLOURS = {"daisy": (230, 210, 60), HOSTILE: (220, 40, 60)}


@pytest.fixture(scope="module")
def described(cli, tmp_path_factory):
    """A run with a hostile class, a broken file with a hostile name, and a CMYK photograph."""
    folder = tmp_path_factory.mktemp("described")
    photos = draw_folder(folder, {"photos": 12}, COLOURS) / "photos"
    (photos / "daisy/<img src=x onerror=alert(2)>.jpg").write_bytes(b"words")
    (photos / "daisy/press.jpg").write_bytes(encode_image(mode="CMYK", size=(90, 60)))
    run = RunFolder(folder / "run")
    data = prepare(str(photos), seed=0, image_size=32, cache=run.cache)
    remember(data, run.manifest, run.data, image_size=32)
    write_config(RunConfig(data=str(photos)), run.config)
    return run.path, cli.json("data", "describe", "--run", run.path)


def test_page_json_and_figures_are_written(described):
    out, facts = described

    strengths = [name for name in TRAINABLE if name != UNCHANGED]
    figures = {path.stem for path in (out / "figures").glob("*.png")}
    assert figures == {"pictures", "augmented", *(f"augmentation_{name}" for name in strengths)}
    assert facts["page"] == str(out / "description.html")
    written = json.loads((out / "description.json").read_text())
    assert written == {name: value for name, value in facts.items() if name != "page"}
    with Image.open(out / "figures/pictures.png") as file:
        assert file.width > 7 * 160


def test_page_shows_every_figure_and_loads_nothing(described):
    page = (described[0] / "description.html").read_text()

    assert re.findall(r'<section id="(\w+)">', page) == [
        *("summary", "classes", "sizes", "pictures", "augmented", "strengths", "problems"),
    ]
    for name in ("classes", "sizes"):
        content = re.search(rf'<script type="application/json" id="figure-{name}">(.*?)<', page)
        assert json.loads(content[1])["data"]
    own = page.replace(re.findall(r"<script>.*?</script>", page, re.DOTALL)[0], "")
    assert not re.search(r'(src|href)="(?!data:|#)', own)
    assert "default-src 'none'" in html.unescape(page)
    assert page.count("<img ") == own.count('src="data:image/jpeg;base64,')
    assert "light" in page
    assert "medium, epoch 7" in page


def test_class_weights_stand_in_the_histogram(described):
    page = (described[0] / "description.html").read_text()
    content = re.search(r'id="figure-classes">(.*?)</script>', page)[1]

    *bars, weights = json.loads(content)["data"]

    assert [bar["name"] for bar in bars] == ["train", "val", "blend", "test"]
    assert dict(zip(weights["text"], weights["x"], strict=True)) == {
        html.escape(name, quote=False): both["balanced"]
        for name, both in described[1]["class_weights"].items()
    }


def test_names_from_data_are_text_in_the_page(described):
    page = (described[0] / "description.html").read_text()

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert html.escape(HOSTILE) in page
    assert "&lt;img src=x onerror=alert(2)&gt;.jpg" in page


def test_what_is_unusual_is_used_and_said(described):
    facts = described[1]

    assert facts["changes"] == {"cmyk": 1}
    assert facts["lost"] == 1
    assert facts["sizes"]["width"] == {"least": 40, "median": 40, "most": 90}
    assert "CMYK, for printing; made RGB" in (described[0] / "description.html").read_text()


def test_a_run_is_described_in_its_own_splits(described):
    recorded = json.loads((described[0] / "data.json").read_text())

    assert described[1]["images"] == recorded["images"]
    assert set(recorded["images"]) == {"train", "val", "blend", "test"}


def test_without_a_place_nothing_is_written(cli, tmp_path, pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = cli("data", "describe", pictures)

    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_that_can_be_shown_is_an_error_and_writes_nothing(cli, tmp_path, pictures):
    photos = shutil.copytree(pictures, tmp_path / "photos")
    for path in photos.rglob("*.png"):
        path.write_bytes(b"words")

    result = cli("data", "describe", photos, "--out", tmp_path / "look")

    assert result.exit_code == 2
    assert "None of the images of" in result.stderr
    assert not (tmp_path / "look").exists()


def test_nothing_to_describe_is_said(cli):
    result = cli("data", "describe")

    assert result.exit_code == 2
    assert "There is no data set to look at." in result.stderr


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_are_shown_in_a_terminal_only(monkeypatch, is_terminal):
    class Stream(io.StringIO):
        def isatty(self):
            return is_terminal

    stream = Stream()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")

    bars = progress_bars()
    for done in (1, 2):
        bars.counting("looking at the images", done, 2)
    bars.close()

    assert ("looking at the images" in stream.getvalue()) == is_terminal
