"""Tests for how much disk a run may take."""

import pytest

from automl_flowers.disk import DiskLimit, folder_bytes
from automl_flowers.errors import RunError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "one").write_bytes(b"1" * 100)
    (tmp_path / "deep" / "er" / "two").write_bytes(b"2" * 30)
    return tmp_path


def test_files_at_any_depth_count(folder):
    assert folder_bytes(folder) == 130
    assert folder_bytes(folder / "none") == 0


def test_without_a_limit_there_is_room_for_anything(folder):
    disk = DiskLimit(folder, None)

    disk.make_room(10**18)
    assert disk.left() is None


def test_what_fits_exactly_fits(folder):
    disk = DiskLimit(folder, 200)

    disk.make_room(70)
    assert disk.left() == 70
    with pytest.raises(RunError, match="--max-disk"):
        disk.make_room(71)


def test_what_can_be_computed_again_makes_way(folder):
    asked = []

    def free(num_bytes):
        asked.append(num_bytes)
        (folder / "one").unlink()
        return 100

    disk = DiskLimit(folder, 140, free)

    disk.make_room(50)
    assert asked == [40]
    with pytest.raises(RunError, match=r"would take 2.3e-07 GB; `--max-disk` allows 1.4e-07 GB"):
        DiskLimit(folder, 140, lambda num_bytes: 0).make_room(200)
