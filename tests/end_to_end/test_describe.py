"""Tests for `data describe`: what it prints, and the page and figures that it writes."""

import html
import io
import json
import re
import shutil
from xml.etree import ElementTree

import pytest
from PIL import Image

from automl_flowers.config import RunConfig, write_config
from automl_flowers.console import progress_bars
from automl_flowers.data.prepare import prepare, remember
from automl_flowers.run_folder import RunFolder
from search_spaces.augmentation import TRAINABLE, UNCHANGED
from tests.data.conftest import encode_image
from tests.end_to_end.conftest import draw_folder

SVG = "{http://www.w3.org/2000/svg}"
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
    assert {path.name for path in (out / "figures").iterdir()} == {
        *("classes.svg", "sizes.svg", "pictures.png", "augmented.png"),
        *(f"augmentation_{name}.png" for name in strengths),
    }
    assert facts["page"] == str(out / "description.html")
    written = json.loads((out / "description.json").read_text())
    assert written == {name: value for name, value in facts.items() if name != "page"}
    with Image.open(out / "figures/pictures.png") as file:
        assert file.width > 7 * 160


def test_page_shows_every_figure_loads_nothing_and_has_no_script(described):
    out, _ = described
    page = (out / "description.html").read_text()

    assert re.findall(r'<section id="(\w+)">', page) == [
        *("summary", "classes", "sizes", "pictures", "augmented", "strengths", "problems"),
    ]
    for name in ("classes", "sizes"):
        assert (out / f"figures/{name}.svg").read_text() in page
    assert "<script" not in page
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page
    assert page.count("<img ") == page.count('src="data:image/jpeg;base64,')
    assert "light" in page
    assert "medium, epoch 7" in page


def test_class_weights_stand_in_the_histogram(described):
    out, facts = described
    root = ElementTree.parse(out / "figures/classes.svg").getroot()  # noqa: S314 - ours
    words = [title.text for title in root.iter(f"{SVG}title")]

    assert {text for text in words if ": weight " in text} == {
        f"{name}: weight {both['balanced']:.2f}" for name, both in facts["class_weights"].items()
    }
    for split in ("train", "val", "blend", "test"):
        for name, counts in facts["per_class"].items():
            assert f"{name}: {counts[split]} {split}" in words


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
