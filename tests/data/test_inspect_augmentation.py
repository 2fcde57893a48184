"""Tests for measuring and showing what augmentation does to pictures."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from automl_flowers import cli, run_setup
from automl_flowers.config import make_config
from automl_flowers.console import Reporter
from automl_flowers.data import inspect_augmentation as inspecting
from automl_flowers.data.prepare import prepare
from search_spaces.augmentation import AUGMENTATIONS
from search_spaces.spaces import load_space
from tests.end_to_end.conftest import draw_folder

SIZE = 24
COLOURS = {"daisy": (230, 210, 60), "rose": (220, 40, 60)}


def pictures(count=24):
    """Return blobs on grounds of many colours, uint8, `(count, SIZE, SIZE, 3)`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
    blob = np.exp(-(x**2 + y**2) / 0.2)[..., np.newaxis]
    ground, colour = rng.uniform(20, 120, (2, count, 1, 1, 3))
    return (ground + blob * colour).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_folder(tmp_path_factory.mktemp("drawn"), {"photos": 12}, COLOURS) / "photos"


def run(*arguments):
    return CliRunner().invoke(cli.app, ["data", "augment", *map(str, arguments)])


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if not name.startswith("v3")])
def test_no_strength_that_trains_makes_pictures_unrecognisable(name):
    measured = inspecting.measure(pictures(), name)

    assert measured.pictures == 24 * inspecting.VERSIONS
    assert measured.unrecognisable < 0.01
    assert not measured.is_harmful


def test_what_blackens_pictures_is_found():
    measured = inspecting.measure(pictures(), "v3")

    assert measured.is_harmful
    assert measured.unrecognisable > 0.05
    assert max(measured.flat, measured.saturated) <= measured.unrecognisable * measured.pictures + 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_what_was_plain_before_counts_against_no_strength(level):
    plain = np.full((4, SIZE, SIZE, 3), level, np.uint8)

    assert inspecting.measure(plain, "none").unrecognisable == 0.0
    assert inspecting.measure(plain, "strong").flat == 0


def test_versions_are_those_of_epochs_and_the_same_every_time():
    first, second = (inspecting.make_versions(pictures(3), "light", 2) for _ in range(2))

    np.testing.assert_array_equal(first, second)
    assert first.shape == (2, 3, SIZE, SIZE, 3)
    assert (first[0] != first[1]).any()


def test_command_measures_one_strength_and_draws_it(folder, tmp_path):
    out = tmp_path / "new" / "sheet.png"

    ran = run(
        "--data", folder, "--augmentation", "v3", "--out", out, "--image-size", SIZE, "--json"
    )

    facts = json.loads(ran.stdout)
    assert (facts["sampled"], facts["image_size"], facts["sheet"]) == (24, SIZE, str(out))
    assert [each["augmentation"] for each in facts["augmentations"]] == ["v3"]
    assert facts["harmful"] == ["v3"]
    assert out.read_bytes().startswith(b"\x89PNG")


def test_command_lists_all_strengths_without_a_name(folder):
    said = run("--data", folder, "--image-size", SIZE).stdout.splitlines()

    assert said[0] == f"24 pictures of {folder} at {SIZE} px"
    assert [line.split()[0] for line in said[1:]] == list(AUGMENTATIONS)
    assert [line.split()[0] for line in said if "not for training" in line] == ["v3", "v3_forced"]


def test_an_unknown_strength_is_answered_with_the_nearest(folder):
    ran = run("--data", folder, "--augmentation", "hevy")

    assert ran.exit_code == 2
    assert "Did you mean 'heavy'?" in ran.stderr


def test_a_sheet_that_cannot_be_written_is_said(folder, tmp_path):
    (tmp_path / "file").write_text("")

    ran = run("--data", folder, "--augmentation", "none", "--out", tmp_path / "file" / "sheet.png")

    assert ran.exit_code == 2
    assert "Traceback" not in ran.stderr
    assert "sheet.png" in ran.stderr


def test_pictures_that_cannot_be_decoded_are_left_out(folder, tmp_path, write_images):
    write_images(tmp_path / "garden", {"a/1.jpg": None, "b/2.jpg": b"broken", "b/3.jpg": None})

    assert inspecting.sample_pictures(str(tmp_path / "garden"), SIZE).shape == (2, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("names", "warned"), [(["light", "v3_forced"], ["v3_forced"]), (["none", "strong"], [])]
)
def test_a_search_warns_of_what_its_space_would_blacken(folder, tmp_path, capsys, names, warned):
    data = prepare(str(folder), seed=0, image_size=32, cache=tmp_path)
    space = load_space("demo").restrict(augmentation=names, image_size=[32])
    config = make_config({"data": "my photos/"})

    run_setup.warn_about_augmentation(config, space, data, Reporter(quiet=False))

    said = " ".join(capsys.readouterr().err.split())
    assert [name for name in AUGMENTATIONS if f"augmentation {name} makes" in said] == warned
    assert said.count("warning:") == len(warned)
    if warned:
        assert "data augment --data 'my photos/' --augmentation v3_forced --out sheet.png" in said
