"""Tests for where decoded pictures are kept, and that it changes no number."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data import cache as cache_module
from automl_flowers.data.cache import load_pictures
from automl_flowers.data.caching import SHARE, Caching, choose, free_disk
from automl_flowers.data.convert import convert
from automl_flowers.data.pipeline import evaluation_batches, training_batches
from automl_flowers.data.prepare import prepare
from automl_flowers.data.sources import open_data
from automl_flowers.errors import DataError, RunError
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

MODES = ("disk", "memory", "none")
SIZE = 12
BYTES = st.integers(0, 10**13)

RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=SIZE,
    trainable_blocks=1,
    dropout=0.0,
    l2=0.0,
    label_smoothing=0.1,
    class_weighting="balanced",
    augmentation="medium_mixup",
    optimizer="adam",
    batch_size=4,
    schedule=Schedule("constant", 1e-3, {}),
)


@given(needed=BYTES, disk=BYTES, memory=st.none() | BYTES)
def test_the_first_place_is_taken_that_is_left_half_free(needed, disk, memory):
    fits = {
        "disk": needed <= SHARE * disk,
        "memory": memory is not None and needed <= SHARE * memory,
        "none": True,
    }

    assert choose(needed, disk, memory) == next(place for place in MODES if fits[place])


@given(mode=st.sampled_from(MODES), needed=BYTES)
def test_what_a_person_chooses_is_done(tmp_path_factory, mode, needed):
    assert Caching(mode).choose(needed, tmp_path_factory.getbasetemp()) == mode


def test_a_folder_that_is_not_made_yet_has_the_room_of_the_one_that_will_hold_it(tmp_path):
    assert free_disk(tmp_path / "run" / "cache") == pytest.approx(free_disk(tmp_path), rel=0.1)
    assert Caching().choose(1000, tmp_path / "run" / "cache") == "disk"


@pytest.fixture(scope="module")
def photos(tmp_path_factory, write_images):
    root = tmp_path_factory.mktemp("photos")
    tree = {f"{name}/{k}.jpg": None for name in ("daisy", "rose") for k in range(12)}
    return write_images(root, {**tree, "rose/broken.jpg": b"words"})


@pytest.fixture(scope="module", params=["folder", "records"])
def prepared(request, photos, tmp_path_factory):
    """Return the same images, kept in each way."""
    address = photos
    if request.param == "records":
        address = tmp_path_factory.mktemp("converted") / "records"
        convert(str(photos), address)
    return {
        mode: prepare(
            str(address),
            seed=0,
            image_size=SIZE,
            cache=tmp_path_factory.mktemp(mode),
            caching=Caching(mode),
            bad_images="50%",
        )
        for mode in MODES
    }


def test_the_same_images_are_kept_and_skipped(prepared):
    disk, *others = prepared.values()

    for data in others:
        assert data.manifest.rows.equals(disk.manifest.rows)
        assert data.manifest.problems == disk.manifest.problems
        for size in (SIZE, 5):
            ours, theirs = data.pictures(size), disk.pictures(size)
            assert (ours.ids, ours.digests) == (theirs.ids, theirs.digests)
            every = np.arange(len(ours.ids))
            np.testing.assert_array_equal(ours.images[every], theirs.images[every])


@pytest.mark.parametrize(("first_epoch", "batch_size"), [(0, 4), (3, 7)])
def test_batches_are_the_same_from_any_epoch_with_any_number_of_threads(
    prepared, first_epoch, batch_size
):
    def batches(data, threads):
        options = tf.data.Options()
        options.threading.private_threadpool_size = threads
        made = training_batches(
            data.examples("train", SIZE),
            RECIPE,
            num_classes=2,
            batch_size=batch_size,
            seed=1,
            first_epoch=first_epoch,
            last_epoch=first_epoch + 2,
        )
        made = made.with_options(options)
        return [array for batch in made.as_numpy_iterator() for array in batch]

    expected = batches(prepared["disk"], threads=1)

    for mode in MODES:
        for array, same in zip(batches(prepared[mode], threads=3), expected, strict=True):
            np.testing.assert_array_equal(array, same)


def test_evaluation_is_the_same(prepared):
    disk, *others = (
        [*evaluation_batches(data.examples("val", SIZE), 3).as_numpy_iterator()]
        for data in prepared.values()
    )

    for batches in others:
        np.testing.assert_array_equal(batches, disk)


def test_two_ways_of_keeping_join_in_one_set(photos, prepared, tmp_path):
    streamed, mapped = (prepared[mode].examples("train", SIZE) for mode in ("none", "disk"))
    positions = np.arange(2 * len(mapped))[::-1]

    joined = streamed.join(mapped).take(positions)

    np.testing.assert_array_equal(joined, mapped.join(mapped).take(positions))


def load(photos, folder, mode, size=SIZE, **options):
    return load_pictures(
        open_data(str(photos)).rows, size, folder, caching=Caching(mode, **options)
    )


@pytest.mark.parametrize(
    ("mode", "files"),
    [("disk", {".npy": 1, ".json": 1}), ("memory", {}), ("none", {".json": 1})],
)
def test_files_are_made_of_what_is_kept_in_files(tmp_path, photos, mode, files):
    load(photos, tmp_path, mode)

    suffixes = sorted(path.suffix for path in tmp_path.iterdir())
    assert {suffix: len([*same]) for suffix, same in itertools.groupby(suffixes)} == files


def test_streamed_images_are_looked_at_once_for_all_sizes(tmp_path, photos, monkeypatch):
    load(photos, tmp_path, "none")
    monkeypatch.delattr(cache_module, "decode_image")

    assert load(photos, tmp_path, "none", size=7).images.shape == (24, 7, 7, 3)


def test_streamed_images_need_no_room_at_all(tmp_path, photos):
    (tmp_path / "cache").write_text("a file where the folder should be")

    assert len(load(photos, tmp_path / "cache", "none").ids) == 24


def test_images_in_memory_cannot_be_written_to(tmp_path, photos):
    pictures = load(photos, tmp_path, "memory")

    with pytest.raises(ValueError, match="read-only"):
        pictures.images[0] = 0


def test_what_is_on_disk_already_is_read_whatever_is_free(tmp_path, photos, monkeypatch):
    load(photos, tmp_path, "disk")
    monkeypatch.setattr("automl_flowers.data.caching.free_disk", lambda folder: 0)

    assert isinstance(load(photos, tmp_path, "auto").images, np.memmap)


def test_without_room_on_disk_images_are_kept_in_memory(tmp_path, photos, monkeypatch):
    monkeypatch.setattr("automl_flowers.data.caching.free_disk", lambda folder: 0)

    load(photos, tmp_path, "auto")

    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("mode", "words"),
    [
        ("disk", "kept on disk"),
        ("memory", "kept in memory"),
        ("none", "decoded anew for every batch"),
    ],
)
def test_the_choice_and_the_size_are_said(tmp_path, photos, mode, words):
    heard = []

    load(photos, tmp_path, mode, size=200, say=heard.append)

    assert heard == [f"pictures: 3.0 MB, {words}"]


def test_more_than_there_is_memory_is_refused(tmp_path, photos):
    said = r"at 1000000 px take .* MB of memory; .* MB are free"

    with pytest.raises(RunError, match=said) as error:
        load(photos, tmp_path, "memory", size=10**6)

    assert "--cache auto" in error.value.hint


def test_a_file_that_goes_while_it_is_streamed_is_named(tmp_path, write_images):
    root = write_images(tmp_path / "photos", {"daisy/a.jpg": None, "rose/b.jpg": None})
    pictures = load(root, tmp_path / "cache", "none")
    (root / "rose/b.jpg").unlink()

    with pytest.raises(DataError, match=r"rose/b\.jpg"):
        pictures.images[np.array([0, 1])]
