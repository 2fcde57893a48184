"""Every mistake of docs/mistakes.md is answered as it says, and nothing is left half written."""

import contextlib
import html
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from automl_flowers.data.locate import KAGGLE_INPUT_VARIABLE
from tests.end_to_end.conftest import SPACE, draw_folder
from tests.end_to_end.mistakes import MISTAKES, Bench, files_no_larger_than, small_search

PAGE = Path(__file__).parents[2] / "docs" / "mistakes.md"
ANSWER = re.compile(r"error: (?P<message>[^\n]+)\n(\nhint: (?P<hint>[^\n]+)\n)?")
MENDS_ITSELF = re.compile("Did you mean|expected one of|should be|must|needs")


def rows_of(page):
    """Return the excerpts of the table, by the name of the row and whether it is refused."""
    rows = {}
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        for cells in re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", section, flags=re.MULTILINE)[1:]:
            assert cells[0] not in rows, cells[0]
            rows[cells[0]] = cells[1].strip("`").strip(), not section.startswith("Skipped")
    return rows


ROWS = rows_of(PAGE)


@pytest.fixture(scope="module")
def tiny_space(tmp_path_factory):
    """Like the usual space, with a single architecture."""
    file = tmp_path_factory.mktemp("space") / "tiny.yaml"
    file.write_text(SPACE.replace("[0.0, 0.1]", "0.0"))
    return file


@pytest.fixture(scope="module")
def search_result(cli, tiny_space, tmp_path_factory):
    """A search on images two of which cannot be read, with a class that `val` lacks.

    They lie where a Kaggle notebook has its data, and are called by their name.
    """
    folder = tmp_path_factory.mktemp("searched")
    data = draw_folder(folder / "photos", {"train": 6, "val": 6, "test": 2})
    shutil.rmtree(data / "val/yellow daisy")
    (data / "train/red rose/broken.png").write_bytes(b"\x89PNG, it says")
    cut = data / "train/red rose/5.png"
    cut.write_bytes(cut.read_bytes()[:999])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(KAGGLE_INPUT_VARIABLE, str(folder))
        patch.chdir(tiny_space.parent)
        result = cli(*small_search("photos", tiny_space, folder / "run"))
    assert result.exit_code == 0, result.stderr
    return folder / "run", result


@pytest.fixture(scope="module")
def searched(search_result):
    return search_result[0]


@pytest.fixture
def bench(tiny_space, request, tmp_path):
    with contextlib.ExitStack() as around:
        yield Bench(tmp_path, tiny_space, request.getfixturevalue, around)


def call(bench, arguments, cli):
    """Run a command and return its exit status, stdout and stderr."""
    with bench.around:
        if bench.program is None:
            result = cli(*arguments)
            return result.exit_code, result.stdout, result.stderr
        command = [sys.executable, "-c", bench.program, *map(str, arguments)]
        ran = subprocess.run(command, capture_output=True, text=True, timeout=120)
        return ran.returncode, ran.stdout, ran.stderr


def files_in(folder):
    """Return the content of files, but for locks, data's cache, and what SQLite's readers add."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
        and not re.search(r"/\.lock|/cache/(images|fingerprints)-|-shm$|-wal$", str(path))
    }


def is_in(excerpt, text):
    """Return whether the parts of an excerpt, with `...` between them, follow each other."""
    return re.search(".*".join(map(re.escape, excerpt.split(" ... "))), text) is not None


def test_table_and_cases_are_the_same():
    assert {title: is_refused for title, (_, is_refused) in ROWS.items()} == {
        title: status == 2 for title, (_, status) in MISTAKES.items()
    }


@pytest.mark.parametrize("title", [t for t, (_, status) in MISTAKES.items() if status == 2])
def test_mistake_is_answered_in_a_sentence_and_changes_nothing(title, bench, cli):
    arguments = MISTAKES[title][0](bench)
    before = files_in(bench.folder)

    status, stdout, stderr = call(bench, arguments, cli)

    assert status == 2
    assert stdout == ""
    answer = ANSWER.fullmatch(stderr)
    assert answer, stderr
    assert is_in(ROWS[title][0], answer["message"])
    assert answer["hint"] or MENDS_ITSELF.search(answer["message"])
    assert files_in(bench.folder) == before
    assert bench.run.exists() == any(path.parts[0] == "run" for path in before)


@pytest.mark.parametrize("title", [t for t, (_, status) in MISTAKES.items() if status == 0])
def test_what_cannot_be_used_is_skipped_and_named(title, bench, cli):
    arguments = MISTAKES[title][0](bench)

    status, stdout, stderr = call(bench, arguments, cli)

    assert (status, stderr) == (0, "")
    assert is_in(ROWS[title][0], stdout)


def test_skipped_images_are_named_by_the_search_and_in_its_report(search_result, cli):
    run, result = search_result

    assert "skipped 2 files: train/red rose/5.png: The image is damaged" in result.stderr
    assert cli("report", "--run", run).exit_code == 0
    page = html.unescape((run / "report.html").read_text())
    (run / "report.html").unlink()
    assert "2 files were skipped" in page
    assert "train/red rose/5.png" in page
    assert "train/red rose/broken.png" in page


def test_search_says_where_a_name_was_found_and_remembers_it(search_result):
    run, result = search_result
    place = str(run.with_name("photos"))

    assert f"`photos` is {place}\n" in result.stderr
    assert yaml.safe_load((run / "config.yaml").read_text())["data"] == place


def test_search_says_which_classes_val_lacks(search_result):
    assert "val has no image of 1 of the 3 classes: yellow daisy" in search_result[1].stderr


@pytest.mark.parametrize("num_bytes", [0, 300, 1_000, 4_000, 20_000])
def test_wherever_the_disk_becomes_full_a_sentence_says_so(num_bytes, bench, cli):
    arguments = bench.search(bench.copy_run(same_data=True))
    (bench.run / "ledger.sqlite").unlink()
    bench.around.enter_context(files_no_larger_than(num_bytes))

    status, _, stderr = call(bench, arguments, cli)

    assert status == 2
    assert ANSWER.fullmatch(stderr), stderr
    assert list(bench.run.rglob("*.tmp")) == []
