"""Tests for decoding every image once."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data import cache as cache_module
from automl_flowers.data.cache import cache_key, content_hash, load_pictures
from automl_flowers.data.caching import Caching
from automl_flowers.data.convert import convert
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import decode_image
from automl_flowers.errors import DataError, RunError, UserError

GARDEN = {
    "daisy/a.jpg": None,
    "daisy/b.png": None,
    "rose/c.jpg": None,
    "rose/d.webp": None,
}


@pytest.fixture
def garden(tmp_path, write_images):
    return write_images(tmp_path / "garden", GARDEN)


def rows_of(folder):
    return open_data(str(folder)).rows


def names_in(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refuse(*_arguments):
    raise AssertionError("decoded again")


def test_images_are_those_of_the_decoder_in_the_order_of_the_rows(tmp_path, garden):
    rows = rows_of(garden)

    pictures = load_pictures(rows, 5, tmp_path / "cache")

    assert pictures.ids == ("daisy/a.jpg", "daisy/b.png", "rose/c.jpg", "rose/d.webp")
    assert pictures.problems == ()
    assert pictures.images.dtype == np.uint8
    for identity, image, digest in zip(
        pictures.ids, pictures.images, pictures.digests, strict=True
    ):
        data = (garden / identity).read_bytes()
        np.testing.assert_array_equal(image, decode_image(data, 5))
        assert digest == hashlib.sha256(data).hexdigest()


def test_the_second_call_reads_the_file(tmp_path, garden, monkeypatch):
    folder = tmp_path / "cache"
    first = load_pictures(rows_of(garden), 5, folder)
    changed = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(cache_module, "decode_image", refuse)

    second = load_pictures(rows_of(garden), 5, folder)

    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == changed
    np.testing.assert_array_equal(first.images, second.images)
    assert (first.ids, first.digests) == (second.ids, second.digests)


def test_the_file_is_a_plain_array_that_is_mapped_and_cannot_be_written_to(tmp_path, garden):
    pictures = load_pictures(rows_of(garden), 5, tmp_path / "cache")

    (array,) = (tmp_path / "cache").glob("images-5-*.npy")
    np.testing.assert_array_equal(np.load(array), pictures.images)
    assert isinstance(pictures.images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        pictures.images[0] = 0


def test_ids_have_rows(tmp_path, garden):
    rows = rows_of(garden)
    pictures = load_pictures(rows, 5, tmp_path / "cache")

    assert pictures.rows_of(rows["id"][::-1]).tolist() == [3, 2, 1, 0]
    with pytest.raises(DataError, match=r"1 of the images .* at 5 px .* 'nettle': It is not"):
        pictures.rows_of(rows["id"].replace("rose/c.jpg", "nettle"))


def test_an_image_that_is_gone_at_another_size_is_a_sentence(tmp_path, garden):
    rows = rows_of(garden)
    ids = pd.Series(load_pictures(rows, 5, tmp_path / "cache").ids)
    (garden / "rose/c.jpg").unlink()

    later = load_pictures(rows, 8, tmp_path / "cache")

    with pytest.raises(
        DataError, match=r"at 8 px .* 'rose/c\.jpg': Cannot read .* No such"
    ) as error:
        later.rows_of(ids)
    assert "restore" in error.value.hint


@pytest.mark.parametrize("broken", ["daisy/a.jpg", "daisy/b.png", "rose/d.webp"])
def test_a_broken_image_is_a_problem_and_the_others_keep_their_order(
    tmp_path, garden, encode, broken
):
    (garden / broken).write_bytes(encode("PNG")[:10])

    for _ in range(2):  # decoded, and from the file
        pictures = load_pictures(rows_of(garden), 5, tmp_path / "cache")

        assert [problem.path for problem in pictures.problems] == [broken]
        assert pictures.problems[0].reason.startswith("It is no image in one of the formats")
        assert pictures.ids == tuple(name for name in GARDEN if name != broken)
        assert len(pictures.images) == len(pictures.digests) == 3
        for identity, image in zip(pictures.ids, pictures.images, strict=True):
            np.testing.assert_array_equal(image, decode_image((garden / identity).read_bytes(), 5))


def test_nothing_but_broken_images_are_problems_too(tmp_path, write_images):
    root = write_images(tmp_path / "words", {"daisy/a.jpg": b"words", "rose/b.jpg": b"words"})

    pictures = load_pictures(rows_of(root), 5, tmp_path / "cache")

    assert pictures.images.shape == (0, 5, 5, 3)
    assert len(pictures.problems) == 2


def test_a_file_that_has_gone_is_a_problem(tmp_path, garden):
    rows = rows_of(garden)
    (garden / "rose/c.jpg").unlink()

    pictures = load_pictures(rows, 5, tmp_path / "cache")

    assert [problem.path for problem in pictures.problems] == ["rose/c.jpg"]
    assert "Cannot read" in pictures.problems[0].reason


@pytest.mark.parametrize("mode", ["disk", "none"])
def test_what_could_not_be_read_is_tried_again_and_nothing_else(
    tmp_path, garden, monkeypatch, unreadable, mode
):
    def load():
        return load_pictures(rows_of(garden), 5, tmp_path / "cache", caching=Caching(mode))

    unreadable.add("c.jpg")
    first = load()
    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "decode_image", refuse)
        still = load()
    unreadable.clear()
    then = load()
    monkeypatch.setattr(cache_module, "decode_image", refuse)
    at_last = load()

    for pictures in (first, still):
        assert [problem.path for problem in pictures.problems] == ["rose/c.jpg"]
        assert "Input/output error" in pictures.problems[0].reason
        assert pictures.ids == ("daisy/a.jpg", "daisy/b.png", "rose/d.webp")
    for pictures in (then, at_last):
        assert pictures.ids == tuple(GARDEN)
        assert pictures.problems == ()
        assert len(pictures.images[np.arange(4)]) == 4


def test_too_little_memory_makes_no_image_a_bad_one(tmp_path, garden, monkeypatch):
    def open_(*_arguments, **_options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(Image, "open", open_)
        with pytest.raises(UserError, match="memory does not suffice"):
            load_pictures(rows_of(garden), 5, tmp_path / "cache")

    assert names_in(tmp_path / "cache") == []
    assert load_pictures(rows_of(garden), 5, tmp_path / "cache").problems == ()


def test_progress_counts_every_image(tmp_path, write_images, monkeypatch):
    monkeypatch.setattr(cache_module, "_CHUNK", 3)
    tree = {f"{name}/{k}.jpg": None for name in ("daisy", "rose") for k in range(4)}
    rows = rows_of(write_images(tmp_path / "garden", {**tree, "rose/broken.jpg": b"words"}))
    heard = []

    load_pictures(rows, 5, tmp_path / "cache", lambda *numbers: heard.append(numbers))

    assert heard == [(3, 9), (6, 9), (9, 9)]


def change_a_byte(root):
    path = root / "rose/c.jpg"
    before = path.stat()
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def change_the_length(root):
    path = root / "rose/c.jpg"
    before = path.stat()
    path.write_bytes(path.read_bytes() + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def add_an_image(root):
    (root / "rose/e.jpg").write_bytes((root / "rose/c.jpg").read_bytes())


def rename_an_image(root):
    (root / "rose/c.jpg").rename(root / "rose/z.jpg")


@pytest.mark.parametrize(
    "change", [change_a_byte, change_the_length, add_an_image, rename_an_image]
)
def test_what_changes_the_images_changes_the_key(tmp_path, garden, change):
    folder = tmp_path / "cache"
    load_pictures(rows_of(garden), 5, folder)

    change(garden)
    load_pictures(rows_of(garden), 5, folder)

    assert len(list(folder.glob("images-5-*.npy"))) == 2


def test_every_size_has_its_file(tmp_path, garden):
    rows = rows_of(garden)

    shapes = [load_pictures(rows, size, tmp_path / "cache").images.shape for size in (4, 5)]

    assert shapes == [(4, 4, 4, 3), (4, 5, 5, 3)]
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_splits_and_labels_are_no_part_of_the_key(tmp_path, garden, monkeypatch):
    rows = rows_of(garden)
    load_pictures(rows, 5, tmp_path / "cache")
    monkeypatch.setattr(cache_module, "decode_image", refuse)

    load_pictures(rows.assign(split="val", label=0), 5, tmp_path / "cache")


KILLED = """
import os, sys
from pathlib import Path
from automl_flowers.data import cache
from automl_flowers.data.sources import open_data

point, root, folder = sys.argv[1:]
if point == "decoding":
    decoded, decode = [], cache.decode_image
    def die(data, size):
        if len(decoded) == 70:
            os._exit(9)
        decoded.append(size)
        return decode(data, size)
    cache.decode_image = die
elif point == "array written":
    cache.write_json = lambda *arguments: os._exit(9)
cache.load_pictures(open_data(root).rows, 5, Path(folder))
"""


@pytest.mark.parametrize("point", ["decoding", "array written"])
def test_a_kill_leaves_nothing_that_is_read_half(tmp_path, write_images, point):
    tree = {f"{name}/{k}.jpg": None for name in ("daisy", "rose") for k in range(40)}
    root, folder = write_images(tmp_path / "garden", tree), tmp_path / "cache"
    arguments = [sys.executable, "-c", KILLED, point, str(root), str(folder)]

    assert subprocess.run(arguments, check=False).returncode == 9
    left = [path for path in folder.iterdir() if path.suffix != ".tmp"]
    pictures = load_pictures(rows_of(root), 5, folder)

    assert len(left) == (point == "array written")
    fresh = load_pictures(rows_of(root), 5, tmp_path / "fresh")
    np.testing.assert_array_equal(pictures.images, fresh.images)
    assert pictures.digests == fresh.digests
    assert len(pictures.ids) == 80


def test_an_array_without_its_index_is_not_read(tmp_path, garden):
    folder = tmp_path / "cache"
    expected = np.array(load_pictures(rows_of(garden), 5, folder).images)
    (index,) = folder.glob("*.json")
    (array,) = folder.glob("*.npy")
    index.unlink()
    array.write_bytes(b"something else")

    np.testing.assert_array_equal(load_pictures(rows_of(garden), 5, folder).images, expected)


def test_a_cache_that_cannot_be_written_is_answered_with_what_it_takes(tmp_path, garden):
    (tmp_path / "cache").write_text("a file where the folder should be")

    with pytest.raises(RunError, match=r"4 images decoded at 5 px take 0\.0 MB, .*cache`") as error:
        load_pictures(rows_of(garden), 5, tmp_path / "cache")

    assert "--run" in error.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_error_and_no_crash(tmp_path, garden, monkeypatch):
    class Full:
        def __init__(self, target):
            self.target = target

        def __enter__(self):
            return Path("/dev/full")

        def __exit__(self, *_error):
            return None

    monkeypatch.setattr(cache_module, "atomic_path", Full)

    with pytest.raises(RunError, match="No space left on device"):
        load_pictures(rows_of(garden), 5, tmp_path / "cache")


def test_digests_are_the_same_from_a_folder_and_from_tfrecords(tmp_path, garden):
    convert(str(garden), tmp_path / "records", shard_size=3)
    rows, converted = rows_of(garden), rows_of(tmp_path / "records")

    from_folder = load_pictures(rows, 5, tmp_path / "cache")
    from_records = load_pictures(converted, 5, tmp_path / "cache")

    assert from_folder.ids == from_records.ids
    assert from_folder.digests == from_records.digests
    np.testing.assert_array_equal(from_folder.images, from_records.images)
    assert content_hash(from_folder, rows) == content_hash(from_records, converted)


def test_the_content_hash_does_not_depend_on_the_image_size(tmp_path, garden):
    rows = rows_of(garden)

    hashes = {content_hash(load_pictures(rows, k, tmp_path / "cache"), rows) for k in (3, 5, 8)}

    assert len(hashes) == 1
    assert len(hashes.pop()) == 16


def test_the_content_hash_changes_with_ids_labels_and_bytes_only(tmp_path, garden):
    rows = rows_of(garden)
    pictures = load_pictures(rows, 5, tmp_path / "cache")
    before = content_hash(pictures, rows)

    assert content_hash(pictures, rows.assign(split="val", source="elsewhere")) == before
    assert content_hash(pictures, rows.assign(label=rows["label"] ^ 1)) != before
    assert content_hash(pictures, rows[1:]) != before
    change_the_length(garden)
    assert content_hash(load_pictures(rows, 5, tmp_path / "cache"), rows) != before
    rename_an_image(garden)
    renamed = rows_of(garden)
    assert content_hash(load_pictures(renamed, 5, tmp_path / "cache"), renamed) != before


@settings(max_examples=15)
@given(labels=st.lists(st.integers(0, 1), min_size=2, max_size=8))
def test_the_content_hash_is_one_of_plain_numbers(write_images, labels):
    """The digits must not change with the version of pandas or NumPy that holds the labels."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        tree = {f"{('daisy', 'rose')[label]}/{k}.png": None for k, label in enumerate(labels)}
        start = {"daisy/x.png": None, "rose/x.png": None}
        rows = rows_of(write_images(root / "garden", {**start, **tree}))

        found = content_hash(load_pictures(rows, 2, root / "cache"), rows)

        expected = hashlib.sha256()
        for identity, label in zip(rows["id"], rows["label"], strict=True):
            digest = hashlib.sha256((root / "garden" / identity).read_bytes()).hexdigest()
            expected.update(repr((str(identity), int(label), digest)).encode())
        assert found == expected.hexdigest()[:16]


def test_the_index_is_plain_json(tmp_path, garden):
    load_pictures(rows_of(garden), 5, tmp_path / "cache")

    (index,) = (tmp_path / "cache").glob("*.json")
    content = json.loads(index.read_text())
    assert content["ids"] == list(GARDEN)
    assert content["problems"] == []
    assert not any(name.endswith(".tmp") for name in names_in(tmp_path / "cache"))


def replace_unnoticed(path):
    """Change one byte of a file, and set its size and time of change back."""
    before = path.stat()
    time.sleep(0.05)  # the file system's clock has moved on
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def test_another_content_changes_the_key_even_at_the_same_size_and_time(garden):
    rows = open_data(str(garden)).rows
    before = cache_key(rows, "how")
    assert cache_key(rows, "how") == before

    replace_unnoticed(Path(rows["path"][0]))

    assert cache_key(rows, "how") != before


def test_a_remote_file_that_is_written_anew_changes_the_key(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 10**9))
    rows = pd.DataFrame(
        {"id": ["a"], "path": [f"file://{path}"], "offset": [-1], "length": [-1], "feature": [""]}
    )
    before = cache_key(rows, "how")
    assert cache_key(rows, "how") == before

    path.write_bytes(b"two")
    os.utime(path, ns=(1, 3 * 10**9))
    later = cache_key(rows, "how")
    path.unlink()

    assert len({before, later, cache_key(rows, "how")}) == 3
