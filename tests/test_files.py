"""Tests for writing files all or nothing."""

import errno
import hashlib
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from automl_flowers.errors import RunError, UserError
from automl_flowers.files import (
    atomic_folder,
    atomic_path,
    read_json,
    sha256_of,
    write_json,
    write_text,
)

DIE_WHILE_WRITING = """
import os, sys
from pathlib import Path
from automl_flowers.files import atomic_path

with atomic_path(Path(sys.argv[1])) as temporary:
    with temporary.open("w") as file:
        file.write("half of the n")
        file.flush()
        os._exit(9)
"""


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_ends_well_becomes_the_file(tmp_path):
    target = tmp_path / "new" / "folder" / "file.txt"

    with atomic_path(target) as temporary:
        temporary.write_text("all of it")
        assert not target.exists()
        assert temporary.parent == target.parent
        assert temporary.suffix == ".tmp"

    assert target.read_text() == "all of it"
    assert names_in(target.parent) == ["file.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_the_old_file(tmp_path, error):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def write_half():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()

    assert target.read_text() == "old"
    assert names_in(tmp_path) == ["file.txt"]


def test_a_block_that_writes_nothing_leaves_the_old_file(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    with pytest.raises(FileNotFoundError), atomic_path(target):
        pass

    assert target.read_text() == "old"


@pytest.mark.parametrize("before", ["old", None])
def test_a_kill_while_writing_leaves_the_old_file(tmp_path, before):
    target = tmp_path / "file.txt"
    if before is not None:
        target.write_text(before)

    died = subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, str(target)], check=False)

    assert died.returncode == 9
    assert (target.read_text() if target.exists() else None) == before
    strays = [name for name in names_in(tmp_path) if name != "file.txt"]
    assert len(strays) == 1
    assert strays[0].endswith(".tmp")


def test_the_next_write_succeeds_beside_what_a_kill_left(tmp_path):
    target = tmp_path / "file.txt"
    subprocess.run([sys.executable, "-c", DIE_WHILE_WRITING, str(target)], check=False)

    write_text(target, "new")

    assert target.read_text() == "new"


def test_the_file_is_named_where_the_disk_is_full(tmp_path):
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(tmp_path / "a"):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert caught.value.filename == str(tmp_path / "a")


def test_a_folder_in_the_place_of_a_file_is_refused_before_the_work(tmp_path):
    with pytest.raises(IsADirectoryError) as caught, atomic_path(tmp_path):
        pytest.fail("this would be the work")

    assert caught.value.filename == str(tmp_path)


@pytest.mark.parametrize("make", [atomic_path, atomic_folder])
def test_a_file_in_the_place_of_a_folder_is_named(tmp_path, make):
    (tmp_path / "notes.txt").write_text("")

    with pytest.raises(FileExistsError) as caught, make(tmp_path / "notes.txt" / "a"):
        pytest.fail("this would be the work")

    assert caught.value.filename == str(tmp_path / "notes.txt")


@pytest.mark.parametrize("name", [".", "", "../here"])
def test_the_working_folder_cannot_be_made_anew(tmp_path, monkeypatch, name):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    with pytest.raises(UserError, match="the working folder") as caught, atomic_folder(Path(name)):
        pytest.fail("this would be the work")

    assert caught.value.hint == "name a new folder in it"
    assert names_in(tmp_path) == ["here"]


def test_a_link_to_an_empty_folder_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with atomic_folder(tmp_path / "link") as folder:
        (folder / "model").write_text("weights")

    assert (tmp_path / "link").is_symlink()
    assert names_in(tmp_path / "real") == ["model"]
    assert names_in(tmp_path) == ["link", "real"]


@pytest.mark.parametrize("content", [b"{", b"", b"\xff"])
def test_damaged_json_is_an_error_with_a_hint(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)

    with pytest.raises(RunError, match=r"`.*a\.json` is damaged") as caught:
        read_json(tmp_path / "a.json")

    assert "restore" in caught.value.hint


def test_text_is_utf8(tmp_path):
    write_text(tmp_path / "file.txt", "Löwenzahn ü\n")

    assert (tmp_path / "file.txt").read_bytes() == "Löwenzahn ü\n".encode()


def test_json_round_trips(tmp_path):
    value = {"name": "Löwenzahn", "scores": [0.5, 1, None]}

    write_json(tmp_path / "file.json", value)

    assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8")) == value
    assert read_json(tmp_path / "file.json") == value
    assert (tmp_path / "file.json").read_text(encoding="utf-8").endswith("}\n")


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_json_refuses_what_is_no_json_and_keeps_the_old_file(tmp_path, number):
    write_json(tmp_path / "file.json", "old")

    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file.json", {"score": number})

    assert json.loads((tmp_path / "file.json").read_text()) == "old"


def test_sha256_is_that_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"petals" * 100_000)

    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"petals" * 100_000).hexdigest()
