"""Tests for `data check`: what is found, how it is told, and the page."""

import html.parser
import itertools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import ImageOps
from typer.testing import CliRunner

from automl_flowers.cli import app
from automl_flowers.config import RunConfig, write_config
from automl_flowers.data.prepare import prepare, remember
from automl_flowers.run_folder import RunFolder
from tests.data.textures import CHANGES, recompress, texture

HOSTILE = """<img src=x onerror=alert(1)> "'&.png"""


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    """Two data sets with one copy of every kind, a broken picture and a hostile name; checked."""
    folder = tmp_path_factory.mktemp("check")
    ours, web = folder / "ours", folder / "web"
    for number, (split, name) in enumerate(
        [("train", "daisy"), ("train", "rose"), ("val", "daisy"), ("val", "rose"), ("test", "rose")]
    ):
        save(ours / split / name / "a.png", texture(number))
        save(ours / split / name / "b.png", texture(10 + number))
    save(ours / "train/rose" / HOSTILE, CHANGES["cropped by a tenth"](texture(2)))  # val daisy
    save(ours / "train/daisy/again.jpg", recompress(texture(0), 90))  # train daisy
    save(ours / "val/rose/of_test.png", CHANGES["resized"](texture(4)))  # test rose
    (ours / "train/rose/broken.png").write_bytes(b"words")
    (web / "Roses").mkdir(parents=True)
    (web / "Roses/same.png").write_bytes((ours / "test/rose/a.png").read_bytes())
    save(web / "Roses/pixels.bmp", texture(14))  # test rose
    save(web / "Roses/mirrored.jpg", ImageOps.mirror(texture(3)))  # val rose
    save(web / "Roses/daisy.png", CHANGES["darker"](texture(10)))  # train daisy
    save(web / "nettle/of_val.png", CHANGES["brighter"](texture(12)))  # val daisy
    save(web / "nettle/new.png", texture(50))
    arguments = ["data", "check", "--data", ours, "--external", web, "--out", folder / "out"]
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert result.exit_code == 0, result.stderr
    return folder, json.loads(result.stdout), result.stderr


@pytest.fixture(scope="module")
def facts(checked):
    return checked[1]


def leak_of(facts, file):
    [found] = [leak for leak in facts["leaks"] if leak["file"] == file]
    return found


def names(pairs):
    return [tuple(file["file"] for file in pair["files"]) for pair in pairs]


@pytest.mark.parametrize(
    ("file", "split", "kind", "mirrored", "match", "under_drop"),
    [
        ("Roses/same.png", "external", "exact bytes", False, "test/rose/a.png", "dropped"),
        ("Roses/pixels.bmp", "external", "exact pixels", False, "test/rose/b.png", "dropped"),
        ("Roses/mirrored.jpg", "external", "near", True, "val/rose/a.png", "dropped"),
        ("Roses/daisy.png", "external", "near", False, "train/daisy/b.png", "kept"),
        ("nettle/of_val.png", "external", "near", False, "val/daisy/b.png", "not used"),
        (f"train/rose/{HOSTILE}", "train", "near", False, "val/daisy/a.png", "dropped"),
    ],
)
def test_every_leak_is_listed_with_its_match(facts, file, split, kind, mirrored, match, under_drop):
    leak = leak_of(facts, file)

    assert leak["split"] == split
    assert leak["source"] == ("external" if split == "external" else "ours")
    assert leak["data_set"] == ("web" if split == "external" else "ours")
    assert (leak["kind"], leak["mirrored"], leak["under_drop"]) == (kind, mirrored, under_drop)
    best = leak["matches"][0]
    assert (best["file"], best["source"]) == (match, "ours")
    assert best["split"] == match.split("/")[0]
    assert 0.83 <= best["agreement"] <= 1


def test_nothing_else_is_a_leak(facts):
    counts = facts["counts"]
    assert len(facts["leaks"]) == counts["leaks"] == 6
    assert (counts["would_be_dropped"], counts["would_be_kept"], counts["not_used"]) == (4, 1, 1)
    assert counts["may_be_dropped"] == 0


def test_a_large_share_of_leaks_is_warned_of(checked):
    folder, facts, _ = checked

    [warning] = facts["warnings"]
    assert warning.startswith("warning: 3 of 6 images of web external (50%)")
    assert warning in (folder / "out/leaks.html").read_text().replace("&#39;", "'")


@pytest.mark.parametrize("splits", [("train",), ("train", "test")])
def test_of_data_without_a_division_every_external_copy_is_a_leak(tmp_path, splits):
    ours, web = tmp_path / "ours", tmp_path / "web"
    seeds = itertools.count()
    for split in splits:
        for name in ("daisy", "rose"):
            for number in range(3):
                folder = ours / split / name if len(splits) > 1 else ours / name
                save(folder / f"{number}.png", texture(next(seeds)))
    save(web / "daisy/of_train.jpg", recompress(texture(1), 90))
    save(web / "nettle/of_train.png", CHANGES["mirrored"](texture(4)))
    save(web / "daisy/new.png", texture(90))
    expected = {"daisy/of_train.jpg": "depends", "nettle/of_train.png": "not used"}
    if "test" in splits:
        save(web / "rose/of_test.png", CHANGES["darker"](texture(7)))
        save(ours / "train/rose/of_test.png", CHANGES["resized"](texture(10)))
        expected |= {"rose/of_test.png": "dropped", "train/rose/of_test.png": "dropped"}

    result = check("--data", ours, "--external", web, "--out", tmp_path / "out", "--json")

    facts = json.loads(result.stdout)
    assert {leak["file"]: leak["under_drop"] for leak in facts["leaks"]} == expected
    assert {leak["file"]: leak["source"] for leak in facts["leaks"]} == {
        file: "ours" if file.startswith("train/") else "external" for file in expected
    }
    assert facts["counts"]["may_be_dropped"] == 1
    assert facts["repeated"] == []
    assert "would be dropped if its copy is evaluated" in (tmp_path / "out/leaks.html").read_text()


def test_copies_with_two_classes_are_conflicts_by_mapped_names(facts):
    assert set(names(facts["conflicts"])) == {
        ("train/daisy/b.png", "Roses/daisy.png"),
        (f"train/rose/{HOSTILE}", "val/daisy/a.png"),
    }
    labels = [[file["label"] for file in pair["files"]] for pair in facts["conflicts"]]
    assert sorted(labels) == [["daisy", "rose"], ["rose", "daisy"]]


def test_pairs_that_are_no_leaks_are_listed_by_what_they_mean(facts):
    assert names(facts["within"]) == [("train/daisy/a.png", "train/daisy/again.jpg")]
    assert set(names(facts["between_evaluation"])) == {("test/rose/a.png", "val/rose/of_test.png")}
    assert names(facts["repeated"]) == []


def test_broken_pictures_are_skipped_and_counted(facts):
    assert [problem["path"] for problem in facts["skipped"]] == ["train/rose/broken.png"]
    assert facts["counts"]["skipped"] == 1
    assert facts["images"] == {"ours test": 2, "ours train": 6, "ours val": 5, "web external": 6}


def test_the_file_holds_what_is_printed(checked):
    folder, facts, _ = checked

    assert json.loads((folder / "out/leaks.json").read_text()) == {
        k: v for k, v in facts.items() if k != "page"
    }
    assert facts["page"] == str(folder / "out/leaks.html")


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.images, self.tags, self.attributes, self.text = [], set(), set(), ""

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}
        self.images += [value for name, value in attributes if tag == "img" and name == "src"]

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_every_hit_beside_its_match_without_network_or_scripts(checked):
    folder, facts, _ = checked
    page = Page()
    page.feed((folder / "out/leaks.html").read_text())

    hits = sum(1 + len(leak["matches"]) for leak in facts["leaks"])
    pairs = sum(len(facts[k]) for k in ("conflicts", "within", "between_evaluation", "repeated"))
    assert len(page.images) == hits + 2 * pairs
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
    assert "script" not in page.tags
    assert not {name for name in page.attributes if name.startswith("on")}
    assert f"train/rose/{HOSTILE}" in page.text


def test_nothing_is_shown_of_progress_where_there_is_no_terminal(checked):
    assert checked[2] == ""


def check(*arguments):
    return CliRunner().invoke(app, ["data", "check", *map(str, arguments)])


def test_people_get_a_summary_and_quiet_is_quiet(checked, tmp_path):
    folder = checked[0]

    result = check(
        "--data", folder / "ours", "--external", folder / "web", "--out", tmp_path, "--quiet"
    )

    assert result.exit_code == 0
    assert result.stderr == ""
    assert "6 images to train on are copies of evaluation images" in result.stdout
    assert "web Roses/mirrored.jpg: near, mirrored, val val/rose/a.png" in result.stdout
    assert f"look at  {tmp_path / 'leaks.html'}" in result.stdout


def test_a_label_map_says_which_classes_are_ours(checked, tmp_path):
    folder = checked[0]
    (tmp_path / "map.yaml").write_text("nettle: rose\nRoses: null\n")

    result = check(
        *("--data", folder / "ours", "--external", folder / "web", "--out", tmp_path),
        *("--label-map", tmp_path / "map.yaml", "--json"),
    )

    facts = json.loads(result.stdout)
    assert leak_of(facts, "nettle/of_val.png")["under_drop"] == "dropped"
    assert leak_of(facts, "Roses/same.png")["under_drop"] == "not used"
    assert ("val/daisy/b.png", "nettle/of_val.png") in names(facts["conflicts"])


def test_data_alone_can_be_checked_and_goes_below_the_working_folder(
    checked, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    result = check("--data", checked[0] / "ours", "--quiet")

    assert result.exit_code == 0
    assert Path("leaks/leaks.html").exists()
    assert "1 images to train on" in result.stdout


def test_a_run_is_checked_in_the_splits_that_it_made(checked, tmp_path):
    ours, web = str(checked[0] / "ours"), str(checked[0] / "web")
    run = RunFolder(tmp_path / "run")
    write_config(RunConfig(data=ours, external=[web]), run.config)
    data = prepare(ours, seed=0, image_size=32, cache=run.cache)
    remember(data, run.manifest, run.data, image_size=32)

    result = check("--run", run.path, "--json", "--quiet")

    facts = json.loads(result.stdout)
    assert facts["page"] == str(run.path / "leaks.html")
    assert json.loads((run.path / "leaks.json").read_text())["counts"] == facts["counts"]
    assert set(facts["images"]) == {
        *("ours blend", "ours test", "ours train", "ours val", "web external")
    }
    assert facts["counts"]["leaks"] == 6
    split_of = dict(zip(data.manifest.rows["id"], data.manifest.rows["split"], strict=True))
    for leak in facts["leaks"]:
        for match in leak["matches"]:
            assert match["split"] == split_of[match["file"]]


def test_without_data_and_run_there_is_nothing_to_check():
    result = check()

    assert result.exit_code == 2
    assert "There is no data set to look at" in result.stderr
    assert "--run" in result.stderr


def test_a_check_loads_no_tensorflow(checked, tmp_path):
    code = (
        "import pathlib, sys\n"
        "from automl_flowers import data_check\n"
        "data_check.check(sys.argv[1], out=pathlib.Path(sys.argv[2]), quiet=True)\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )

    subprocess.run([sys.executable, "-c", code, checked[0] / "ours", tmp_path], check=True)


def test_each_data_set_of_a_folder_is_named_beside_its_counts(checked, tmp_path):
    ours, web = checked[0] / "ours", checked[0] / "web"
    both = tmp_path / "more"
    for name, classes in (("garden", ("Roses", "nettle")), ("meadow", ("Roses", "nettle"))):
        for label in classes:
            (both / name / label).mkdir(parents=True)
            (both / name / label / "a.png").write_bytes((web / "nettle/new.png").read_bytes())
    (tmp_path / "map.yaml").write_text("meadow:\n  nettle: daisy\n")
    arguments = ("--data", ours, "--external", both, "--out", tmp_path / "out", "--quiet")

    result = check(*arguments, "--label-map", tmp_path / "map.yaml", "--json")

    facts = json.loads(result.stdout)
    assert {"garden external", "meadow external"} < set(facts["images"])
    assert result.stderr == f"`{both}` is a folder of 2 data sets: garden, meadow\n"
    labels = {
        (file["data_set"], file["file"]): file["label"]
        for pair in facts["repeated"] + facts["within"]
        for file in pair["files"]
    }
    assert labels["meadow", "nettle/a.png"] == "daisy"
    assert labels["garden", "nettle/a.png"] is None
    assert set(
        json.loads(check(*arguments[:3], f"{both}:meadow", *arguments[4:], "--json").stdout)[
            "images"
        ]
    ) & {"garden external", "meadow external"} == {"meadow external"}
