"""Whatever is in a data set becomes what docs/bad_data.md says, and a search sees the same."""

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automl_flowers.cli import BadImages, app
from automl_flowers.data.bad_images import HANDFUL, MOST_BAD
from automl_flowers.data.losses import losses_among
from automl_flowers.data.prepare import read
from automl_flowers.errors import DataError
from tests.data.bad_data import CASES, GOOD

PAGE = Path(__file__).parents[2] / "docs" / "bad_data.md"


def rows_of(page):
    """Return what becomes of it and what is said, by the name of the row."""
    text = page.read_text(encoding="utf-8").partition("## What becomes of it")[2]
    found = re.findall(r"^\| (.+) \| (\w+).* \| (`+)(.+)\3 \|$", text, flags=re.MULTILINE)
    return {title: (fate, said) for title, fate, _, said in found}


ROWS = rows_of(PAGE)
USED = {"used": 1, "skipped": 0, "named": 0, "passed": 0, "refused": None}
"""Images more than the good ones, by what becomes of it."""


def describe(address, *options):
    result = CliRunner().invoke(app, ["data", "describe", str(address), *options])
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def test_the_help_says_how_much_is_put_up_with():
    (option,) = BadImages.__metadata__

    assert f"up to {MOST_BAD:.0%} of a data set, or {HANDFUL} images of a small one" in option.help


def test_table_and_cases_are_the_same():
    assert set(ROWS) == set(CASES)
    lines = PAGE.read_text().partition("## What becomes of it")[2].splitlines()
    assert sum(line.startswith("| ") for line in lines) == len(CASES) + 3
    assert {fate for fate, _ in ROWS.values()} == set(USED)


@pytest.mark.parametrize("title", [title for title in CASES if ROWS[title][0] != "refused"])
def test_what_is_odd_becomes_what_the_table_says(title, tmp_path):
    make, lost = CASES[title]
    fate, said = ROWS[title]
    address = make(tmp_path)

    result = describe(address)

    assert (result.exit_code, result.stderr) == (0, "")
    assert said in result.stdout
    assert all(line.isprintable() for line in result.stdout.splitlines())
    facts = json.loads(describe(address, "--json").stdout)
    assert sum(facts["images"].values()) == GOOD + USED[fate]
    assert facts["lost"] == lost
    assert (fate == "skipped") == (lost > 0)
    assert (f"{lost} image" in result.stdout) == (lost > 0)
    data = read(str(address), image_size=16, cache=tmp_path / "cache")
    assert data.manifest.count_images() == facts["images"]
    assert [vars(problem) for problem in data.manifest.problems] == facts["problems"]
    if lost:
        with pytest.raises(DataError, match=f"{lost} of {GOOD + lost} images"):
            read(str(address), image_size=16, cache=tmp_path / "cache", bad_images="fail")
    assert sum(loss.images for loss in losses_among(data.manifest.problems)) == lost


@pytest.mark.parametrize("title", [title for title in CASES if ROWS[title][0] == "refused"])
def test_what_concerns_all_images_is_refused(title, tmp_path):
    result = describe(CASES[title][0](tmp_path))

    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert ROWS[title][1] in result.stderr
    assert "\nhint: " in result.stderr
