"""Tests for the run folder: who writes, and which run is the latest."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from automl_flowers.errors import RunError
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder, latest_run, open_run

HOLD = """
import sys
from pathlib import Path
from automl_flowers.run_folder import RunFolder

with RunFolder(Path(sys.argv[1])).writing():
    print("holding", flush=True)
    sys.stdin.read()
"""


@contextmanager
def another_writer(path):
    """Let a second process hold the run while the block runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "holding\n"
        yield process
        process.stdin.close()


def test_every_file_lies_in_the_folder(tmp_path):
    run = RunFolder(tmp_path)
    properties = [n for n, value in vars(RunFolder).items() if isinstance(value, property)]

    paths = [getattr(run, name) for name in properties]

    assert len(set(paths)) == len(paths) == 19
    assert all(path.parent == tmp_path for path in paths)


def test_writing_makes_the_folder_and_leaves_no_holder(tmp_path):
    run = RunFolder(tmp_path / "runs" / "one")

    with run.writing():
        holder = json.loads((run.path / ".lock-holder.json").read_text())

    assert holder == {"pid": os.getpid(), "host": socket.gethostname()}
    assert not (run.path / ".lock-holder.json").exists()


def test_writing_twice_in_a_row_is_fine(tmp_path):
    for _ in range(2):
        with RunFolder(tmp_path).writing():
            pass


def test_a_second_writer_is_refused_with_the_process_and_host_of_the_first(tmp_path):
    with (
        another_writer(tmp_path) as first,
        pytest.raises(RunError) as refusal,
        RunFolder(tmp_path).writing(),
    ):
        pass

    assert f"is in use by process {first.pid} on {socket.gethostname()}." in str(refusal.value)
    assert "--run" in refusal.value.hint


def test_a_refused_writer_leaves_the_first_alone(tmp_path):
    with another_writer(tmp_path):
        for _ in range(2):
            with pytest.raises(RunError, match="in use by process"), RunFolder(tmp_path).writing():
                pass


def test_the_same_process_is_refused_too(tmp_path):
    with (
        RunFolder(tmp_path).writing(),
        pytest.raises(RunError, match=f"in use by process {os.getpid()}"),
        RunFolder(tmp_path).writing(),
    ):
        pass


def test_a_killed_writer_does_not_lock_anyone_out(tmp_path):
    with another_writer(tmp_path) as first:
        first.send_signal(signal.SIGKILL)
        first.wait()

    with RunFolder(tmp_path).writing():
        holder = json.loads((tmp_path / ".lock-holder.json").read_text())

    assert holder["pid"] == os.getpid()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 1}'])
def test_a_damaged_holder_file_is_answered_all_the_same(tmp_path, content):
    with another_writer(tmp_path):
        (tmp_path / ".lock-holder.json").write_text(content)

        with (
            pytest.raises(RunError, match="in use by another process"),
            RunFolder(tmp_path).writing(),
        ):
            pass


def test_an_error_in_the_block_frees_the_run(tmp_path):
    with pytest.raises(KeyError), RunFolder(tmp_path).writing():
        raise KeyError

    with RunFolder(tmp_path).writing():
        pass


@pytest.mark.parametrize(
    ("name", "is_left"),
    [
        ("cache/images-8-0a.npy", False),
        ("cache/holiday.jpg", True),
        ("images-8-0a.npy", True),
        ("config.yaml", True),
    ],
)
def test_a_folder_with_nothing_but_decoded_images_is_not_left_behind(tmp_path, name, is_left):
    run = RunFolder(tmp_path / "run")

    with run.writing():
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).touch()

    assert (run.path / name).exists() == run.path.exists() == is_left


def test_a_folder_that_cannot_be_made_is_an_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with (
        pytest.raises(RunError, match=r"cannot be written to: Not a directory") as refusal,
        RunFolder(tmp_path / "file" / "run").writing(),
    ):
        pass

    assert "--run" in refusal.value.hint


def test_a_folder_in_which_nothing_can_be_written_is_not_left_locked(tmp_path):
    (tmp_path / ".lock-holder.json").mkdir()

    with (
        pytest.raises(RunError, match=r"cannot be written to: Is a directory"),
        RunFolder(tmp_path).writing(),
    ):
        pass

    (tmp_path / ".lock-holder.json").rmdir()
    with RunFolder(tmp_path).writing():
        pass


def test_a_file_that_is_there_is_returned(tmp_path):
    run = RunFolder(tmp_path)
    run.config.write_text("")

    assert run.require(run.config, "search") == run.config


def test_a_missing_file_is_answered_with_the_command_that_writes_it(tmp_path):
    run = RunFolder(tmp_path)

    with pytest.raises(RunError, match=re.escape("has no blend.json, which")) as refusal:
        run.require(run.blend, "ensemble")

    assert refusal.value.hint == f"run `automl-flowers ensemble --run {tmp_path}` first"


def make_run(runs, name, changed):
    ledger = runs / name / "ledger.sqlite"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"")
    os.utime(ledger, (changed, changed))
    return ledger


def test_the_latest_run_is_the_one_whose_ledger_changed_last(tmp_path):
    make_run(tmp_path, "a", 100)
    make_run(tmp_path, "b", 300)
    make_run(tmp_path, "c", 200)

    assert latest_run(tmp_path) == RunFolder(tmp_path / "b")


def test_a_killed_run_counts_by_its_write_ahead_log(tmp_path):
    killed = make_run(tmp_path, "killed", 100)
    make_run(tmp_path, "finished", 200)
    log = killed.with_name("ledger.sqlite-wal")
    log.write_bytes(b"")
    os.utime(log, (300, 300))

    assert latest_run(tmp_path).path.name == "killed"


def test_a_running_run_is_the_latest(tmp_path):
    finished = make_run(tmp_path, "finished", 0)
    (tmp_path / "running").mkdir()
    with Ledger(tmp_path / "running" / "ledger.sqlite", writable=True) as ledger:
        os.utime(tmp_path / "running" / "ledger.sqlite", (0, 0))
        os.utime(finished, (100, 100))
        ledger.record_event("note", "still here")

        assert latest_run(tmp_path).path.name == "running"


def test_no_run_at_all_is_answered_with_what_to_do(tmp_path):
    with pytest.raises(RunError, match="There is no run below") as refusal:
        latest_run(tmp_path)

    assert "automl-flowers search" in refusal.value.hint


def test_a_run_is_opened_by_its_path(tmp_path):
    (tmp_path / "config.yaml").write_text("")

    assert open_run(str(tmp_path)) == RunFolder(tmp_path)


def test_without_a_path_the_latest_run_is_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_run(tmp_path / "runs", "only", 100)
    (tmp_path / "runs" / "only" / "config.yaml").write_text("")

    assert open_run(None).path.name == "only"


def test_a_folder_that_holds_no_run_is_answered_with_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"has no config\.yaml") as refusal:
        open_run(str(tmp_path))

    assert refusal.value.hint == f"run `automl-flowers search --run {tmp_path}` first"
