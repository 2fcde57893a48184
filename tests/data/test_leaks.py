"""Tests for what is done about training images that are copies of evaluation images."""

import json
from collections import Counter

import pytest

from automl_flowers.data.leaks import Leak, Match, obey, share_warning
from automl_flowers.data.prepare import prepare, remember
from automl_flowers.errors import DataError
from tests.data.textures import CHANGES, recompress, texture

CLASSES = ("daisy", "rose")


def save(path, image):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def photos(tmp_path):
    """Train, val and test; one training picture copies one of val, two copy one of test."""
    root = tmp_path / "photos"
    seed = 0
    for split, count in {"train": 4, "val": 4, "test": 2}.items():
        for name in CLASSES:
            for number in range(count):
                save(root / split / name / f"{number}.png", texture(seed))
                seed += 1
    val, test = 8, 16  # the first of each
    save(root / "train/rose/of_val.jpg", CHANGES["mirrored"](texture(val)))
    save(root / "train/daisy/of_test.jpg", CHANGES["cropped by a tenth"](texture(test)))
    (root / "train/daisy/same.png").write_bytes((root / "test/daisy/0.png").read_bytes())
    return root


LEAKING = ["train/daisy/of_test.jpg", "train/daisy/same.png", "train/rose/of_val.jpg"]


@pytest.fixture
def make(photos, tmp_path):
    def make(**options):
        return prepare(str(photos), seed=0, image_size=32, cache=tmp_path / "cache", **options)

    return make


def count_splits(data):
    return dict(Counter(data.manifest.rows["split"]))


def test_by_default_they_are_dropped_and_evaluation_stays_whole(make):
    data = make()

    assert list(data.leaks.dropped) == LEAKING
    assert count_splits(data) == {"train": 8, "val": 4, "blend": 4, "test": 4}
    assert not set(LEAKING) & set(data.manifest.rows["id"])


def test_each_leak_names_what_it_is_a_copy_of(make):
    cropped, same, mirrored = make().leaks.found

    assert (cropped.source, cropped.matches[0].file) == ("photos", "test/daisy/0.png")
    assert cropped.matches[0].split == "test"
    assert (same.matches[0].equal_bytes, same.matches[0].agreement) == (True, 1.0)
    assert mirrored.matches[0].file == "val/daisy/0.png"
    assert mirrored.matches[0].split in ("val", "blend")
    assert mirrored.matches[0].mirrored


def test_warn_keeps_them_and_says_so(make):
    data = make(leaks="warn")

    assert count_splits(data)["train"] == 11
    assert data.leaks.dropped == ()
    assert data.leaks.sentence("training") == (
        "3 training images are copies of evaluation images and were trained on all the same "
        "(`--leaks warn`): train/daisy/of_test.jpg (test: test/daisy/0.png), "
        "train/daisy/same.png (test: test/daisy/0.png), "
        f"train/rose/of_val.jpg ({data.leaks.found[2].matches[0].split}: val/daisy/0.png)"
    )


def test_fail_names_the_first_ones_and_the_count(make):
    with pytest.raises(DataError, match=r"^3 training images are copies .*of_test\.jpg") as error:
        make(leaks="fail")

    assert "data check" in error.value.hint


def test_keep_is_silent_but_remembers_them(make):
    data = make(leaks="keep")

    assert count_splits(data)["train"] == 11
    assert [leak.file for leak in data.leaks.found] == LEAKING
    assert data.leaks.dropped == ()
    assert data.leaks.sentence("training") is None


def test_copies_among_training_images_hide_none_of_the_leaks(make, photos):
    for number in range(12):
        path = photos / f"train/daisy/again_{number:02d}.jpg"
        recompress(texture(8), 60 + number).save(path, quality=95)  # the first of val

    dropped = make().leaks.dropped

    again = {f"train/daisy/again_{number:02d}.jpg" for number in range(12)}
    assert set(dropped) == {*LEAKING, *again}


def test_what_was_dropped_is_written_to_the_run(make, tmp_path):
    remember(make(), tmp_path / "manifest.csv", tmp_path / "data.json", image_size=32)

    written = json.loads((tmp_path / "data.json").read_text())["leaks"]

    assert written["policy"] == "drop"
    assert written["dropped"] == LEAKING
    assert written["found"][2]["matches"][0]["file"] == "val/daisy/0.png"


def test_without_leaks_nothing_changes(make, photos):
    for name in LEAKING:
        (photos / name).unlink()

    for policy in ("drop", "warn", "fail", "keep"):
        data = make(leaks=policy)

        assert data.leaks.found == ()
        assert data.leaks.sentence("training") is None
        assert count_splits(data)["train"] == 8


def test_if_all_training_images_leak_that_is_what_is_said(make, photos):
    for path in (photos / "train").rglob("*.*g"):
        path.write_bytes((photos / "test/daisy/0.png").read_bytes())

    with pytest.raises(DataError, match="all 11 are copies of evaluation images") as error:
        make()

    assert "data check" in error.value.hint


def leak(number):
    return Leak(f"{number}.jpg", "web", (Match("t.jpg", "test", 0.9, False, False),))


def test_one_is_spoken_of_as_one_and_many_are_counted():
    assert obey("drop", (leak(1),), "external").sentence("external") == (
        "1 external image is a copy of evaluation images and was dropped: 1.jpg (test: t.jpg)"
    )
    many = obey("drop", tuple(leak(n) for n in range(5)), "external").sentence("external")
    assert many.endswith("0.jpg (test: t.jpg), 1.jpg (test: t.jpg), 2.jpg (test: t.jpg) and 2 more")


def test_only_a_large_share_of_dropped_images_is_warned_of():
    assert share_warning(0, 0, "images") is None
    assert share_warning(2, 10, "images") is None

    warning = share_warning(30, 100, "training images")

    assert warning.startswith("warning: 30 of 100 training images (30%) are dropped")
    assert "data check" in warning
    assert "--leaks warn" in warning
