"""Tests for the synthesised data set."""

import csv
import hashlib
import io
import itertools
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.blending.submission import write_submission
from automl_flowers.data import synthetic
from automl_flowers.data.drawing import choose_classes
from automl_flowers.data.labels import COMPETITION_CLASS_NAMES, COMPETITION_CLASSES
from automl_flowers.data.sources import find_sample_submission, open_data
from automl_flowers.data.sources.images import read_image_bytes
from automl_flowers.data.synthetic import embedded_default, synthesize
from automl_flowers.data.synthetic_plan import TRANSFORMS, Settings, count_images, make_plan, spread
from automl_flowers.errors import UserError

SMALL = {"num_classes": 3, "images_per_class": 12, "image_size": 32, "seed": 5}
TINY = {"num_classes": 2, "images_per_class": 5, "image_size": 16}


@pytest.fixture(scope="module")
def tfrecords(tmp_path_factory):
    return synthesize(tmp_path_factory.mktemp("records") / "flowers", **SMALL)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders") / "flowers"
    return synthesize(root, **SMALL, format="folders")


def read_shard(path):
    """Return the records of a shard as dicts, read by TensorFlow."""
    import tensorflow as tf

    found = []
    for raw in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
        feature = tf.train.Example.FromString(raw).features.feature
        record = {
            "image": feature["image"].bytes_list.value[0],
            "id": feature["id"].bytes_list.value[0].decode(),
        }
        if "class" in feature:
            record["class"] = feature["class"].int64_list.value[0]
        assert set(feature) == set(record)
        found.append(record)
    return found


def shards(summary, split):
    folder = summary.external if split == "external" else summary.root
    below = "" if split == "external" else split
    return sorted((folder / "tfrecords-jpeg-32x32" / below).glob("*.tfrec"))


def records(summary, split):
    return [record for path in shards(summary, split) for record in read_shard(path)]


def read_csv(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def digests(root):
    return {
        path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file()
    }


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)), dtype=np.float64)


def test_layout_is_the_competitions(tfrecords):
    below = {path.relative_to(tfrecords.root).as_posix() for path in tfrecords.root.rglob("*")}

    assert {path for path in below if not path.endswith(".tfrec")} == {
        "external",
        "external/tfrecords-jpeg-32x32",
        "external/tfrecords-jpeg-32x32/classes.txt",
        "external_planted_duplicates.csv",
        "sample_submission.csv",
        "synthetic.json",
        "test_labels.csv",
        "tfrecords-jpeg-32x32",
        "tfrecords-jpeg-32x32/classes.txt",
        "tfrecords-jpeg-32x32/test",
        "tfrecords-jpeg-32x32/train",
        "tfrecords-jpeg-32x32/val",
    }


@pytest.mark.parametrize("split", ["train", "val", "test", "external"])
def test_file_names_promise_what_the_files_hold(tfrecords, split):
    counts = []
    for number, path in enumerate(shards(tfrecords, split)):
        promised = re.fullmatch(rf"{number:02d}-32x32-(\d+)\.tfrec", path.name)
        counts.append(len(read_shard(path)))
        assert int(promised[1]) == counts[-1]

    assert sum(counts) == tfrecords.num_images[split] == sum(tfrecords.class_counts[split])


@pytest.mark.parametrize("split", ["train", "val", "test", "external"])
def test_records_have_the_competitions_features(tfrecords, split):
    for record in records(tfrecords, split):
        image = Image.open(io.BytesIO(record["image"]))
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (32, 32))
        assert re.fullmatch("[0-9a-f]{9}", record["id"])
        assert ("class" in record) == (split != "test")


def test_ids_are_unique_in_all_splits(tfrecords):
    ids = [record["id"] for split in tfrecords.num_images for record in records(tfrecords, split)]

    assert len(ids) == len(set(ids)) == sum(tfrecords.num_images.values())


def test_labels_are_mixed_within_a_file(tfrecords):
    labels = [record["class"] for record in records(tfrecords, "train")]

    assert labels != sorted(labels)
    assert np.bincount(labels).tolist() == list(tfrecords.class_counts["train"])


def test_every_class_is_in_every_split(tfrecords):
    assert {split: min(counts) > 0 for split, counts in tfrecords.class_counts.items()} == {
        "train": True,
        "val": True,
        "test": True,
        "external": True,
    }


def test_both_formats_hold_the_same_pictures(tfrecords, folders):
    names = (tfrecords.root / "tfrecords-jpeg-32x32/classes.txt").read_text().splitlines()
    labels = {row["id"]: int(row["label"]) for row in read_csv(tfrecords.root / "test_labels.csv")}
    in_records = {
        f"{split}/{names[record.get('class', labels.get(record['id']))]}/{record['id']}.jpg": record
        for split in tfrecords.num_images
        for record in records(tfrecords, split)
    }

    in_folders = {p.relative_to(folders.root).as_posix(): p for p in folders.root.rglob("*.jpg")}

    assert set(in_records) == set(in_folders)
    for name, path in in_folders.items():
        assert path.read_bytes() == in_records[name]["image"]


@pytest.mark.parametrize("layout", ["tfrecord", "folders"])
def test_same_settings_give_the_same_bytes(tmp_path, layout):
    first, second = (
        synthesize(tmp_path / name, **TINY, seed=-3, format=layout).root for name in ("a", "b")
    )

    assert digests(first) == digests(second)


def test_another_seed_gives_other_pictures_and_ids(tmp_path):
    first, second = (
        synthesize(tmp_path / str(seed), **TINY, seed=seed, format="folders").root
        for seed in (1, -1)
    )
    images = [
        {name: digest for name, digest in digests(root).items() if name.endswith(".jpg")}
        for root in (first, second)
    ]

    assert not set(images[0]) & set(images[1])
    assert not set(images[0].values()) & set(images[1].values())


def test_a_picture_does_not_depend_on_the_other_classes(tmp_path):
    few = synthesize(tmp_path / "few", **TINY, format="folders")
    more = synthesize(tmp_path / "more", **{**TINY, "num_classes": 4}, format="folders")

    shared = [p.relative_to(few.root) for p in few.root.glob("train/*/*.jpg")]
    both = [path for path in shared if (more.root / path).exists()]
    assert len(both) >= 4
    assert all((few.root / p).read_bytes() == (more.root / p).read_bytes() for p in both)


def test_our_reader_finds_nothing_to_complain_about(tfrecords):
    manifest = open_data(str(tfrecords.root))
    external = open_data(str(tfrecords.external))

    assert manifest.problems == external.problems == ()
    assert manifest.class_names == external.class_names == tfrecords.class_names
    for split in ("train", "val", "test"):
        labels = manifest.split(split)["label"]
        assert np.bincount(labels).tolist() == list(tfrecords.class_counts[split])
    assert len(external.rows) == tfrecords.num_images["external"]


def test_folders_have_the_labels_of_tfrecords(tfrecords, folders):
    manifest = open_data(str(folders.root))

    assert manifest.class_names == folders.class_names == tfrecords.class_names
    listed = {row["id"]: int(row["label"]) for row in read_csv(folders.root / "test_labels.csv")}
    test = manifest.split("test")
    assert listed == dict(zip(test["id"], test["label"], strict=True))


@pytest.mark.parametrize("made", ["tfrecords", "folders"])
def test_sample_submission_asks_for_the_test_images(tmp_path, request, made):
    summary = request.getfixturevalue(made)
    test = open_data(str(summary.root)).split("test")
    sample = find_sample_submission(str(summary.root))

    write_submission(tmp_path / "submission.csv", test["id"], test["label"], sample)

    assert {row["label"] for row in read_csv(Path(sample))} == {"0"}
    assert read_csv(tmp_path / "submission.csv") == read_csv(summary.root / "test_labels.csv")


def undo(image, transform):
    return image[:, ::-1] if transform == "mirrored" else image


@pytest.mark.parametrize("made", ["tfrecords", "folders"])
def test_planted_copies_are_listed_and_look_like_their_originals(request, made):
    summary = request.getfixturevalue(made)
    images = {}
    for address in (summary.root, summary.external):
        for row in open_data(str(address)).rows.itertuples():
            images[row.id] = (row.split, row.label, pixels(read_image_bytes(row)))
    test = {id_: image for id_, (split, _, image) in images.items() if split == "test"}

    listed = read_csv(summary.root / "external_planted_duplicates.csv")

    assert len(listed) == summary.num_duplicates >= len(TRANSFORMS)
    assert {row["transform"] for row in listed} == set(TRANSFORMS)
    assert len({row["test_id"] for row in listed}) == len(listed)
    for row in listed:
        _, label, image = images[row["external_id"]]
        image = undo(image, row["transform"])
        distances = {id_: np.abs(image - other).mean() for id_, other in test.items()}
        assert min(distances, key=distances.get) == row["test_id"]
        assert distances[row["test_id"]] < 20
        assert images[row["test_id"]][1] == label
        assert distances[row["test_id"]] > 0


def test_external_part_can_be_left_out(tmp_path):
    summary = synthesize(tmp_path / "out", **TINY, external=False)

    assert summary.external is None
    assert set(summary.num_images) == {"train", "val", "test"}
    assert not (tmp_path / "out" / "external").exists()
    assert not list((tmp_path / "out").glob("*duplicates*"))


def test_progress_counts_every_image(tmp_path):
    calls = []

    summary = synthesize(tmp_path / "out", **TINY, on_progress=lambda *call: calls.append(call))

    total = sum(summary.num_images.values())
    assert calls == [(done, total) for done in range(1, total + 1)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_classes": 1}, "`num_classes` must be between 2 and 104, got 1"),
        ({"num_classes": 105}, "`num_classes` must be between 2 and 104, got 105"),
        ({"images_per_class": 4}, "`images_per_class` must be at least 5, got 4"),
        ({"image_size": 8}, "`image_size` must be between 16 and 1024, got 8"),
        ({"format": "zip"}, "Unknown format 'zip', expected one of: tfrecord, folders"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_wrong_arguments_are_answered_before_anything_is_written(tmp_path, wrong, message):
    with pytest.raises(UserError, match=message) as caught:
        synthesize(tmp_path / "out", **{**TINY, **wrong})

    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("ten years")

    with pytest.raises(UserError, match="exists and is not empty") as caught:
        synthesize(tmp_path, **TINY)

    assert caught.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "out").mkdir()

    synthesize(tmp_path / "out", **TINY)

    assert (tmp_path / "out" / "synthetic.json").is_file()


def test_the_same_data_set_is_not_drawn_twice(tmp_path, monkeypatch):
    first = synthesize(tmp_path / "out", **TINY)
    monkeypatch.setattr(synthetic, "write_data_set", lambda *_: pytest.fail("drawn again"))

    assert synthesize(tmp_path / "out", **TINY) == first


def test_a_data_set_of_other_settings_is_not_taken_for_this_one(tmp_path):
    synthesize(tmp_path / "out", **TINY)

    with pytest.raises(UserError, match=r"different are: num_classes, seed\.") as caught:
        synthesize(tmp_path / "out", **{**TINY, "num_classes": 3}, seed=1)

    assert caught.value.hint


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_synthesis_leaves_nothing(tmp_path, error):
    def stop(done, total):
        if done == 3:
            raise error

    with pytest.raises(error):
        synthesize(tmp_path / "out", **TINY, on_progress=stop)

    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_answered(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match="Cannot write") as caught:
        synthesize(tmp_path / "file" / "out", **TINY)

    assert caught.value.hint


def test_two_at_once_end_with_one_data_set(tmp_path):
    out = tmp_path / "out"
    rival = []

    def overtake(done, total):
        if not rival:
            rival.append(None)
            (tmp_path / "rival").mkdir()
            synthesize(tmp_path / "rival" / "out", **TINY).root.rename(out)

    summary = synthesize(out, **TINY, on_progress=overtake)

    assert summary.root == out
    assert {path.name for path in tmp_path.iterdir()} == {"out", "rival"}


def test_the_default_lies_in_the_users_cache(tmp_path, monkeypatch):
    tiny_plan = make_plan(Settings(2, 5, 0, 16, "tfrecord", external=True))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(synthetic, "make_plan", lambda _: tiny_plan)

    first, second = embedded_default(), embedded_default()

    assert first == second
    assert first.is_relative_to(tmp_path / "automl-flowers")
    assert (first / "sample_submission.csv").is_file()


def test_default_is_small_and_leaves_enough_for_blending():
    plan = make_plan(Settings(12, 50, 0, 192, "tfrecord", external=True))
    sizes = {split: len(items) for split, items in plan.items.items()}

    assert sizes == {"train": 600, "val": 240, "test": 347, "external": 240}
    assert min(plan.counts()["val"]) == 10
    assert sum(item.copy is not None for item in plan.items["external"]) == 24


def test_all_classes_have_the_competitions_proportions_and_order():
    plan = make_plan(Settings(104, 123, 0, 192, "tfrecord", external=True))
    counts = plan.counts()

    assert plan.class_names == COMPETITION_CLASS_NAMES
    for split, size in (("train", 12_753), ("val", 3_712), ("test", 7_382)):
        assert sum(counts[split]) == pytest.approx(size, rel=0.01)
    frequencies = np.array([count for _, count in COMPETITION_CLASSES])
    expected = frequencies / frequencies.sum() * sum(counts["train"])
    np.testing.assert_allclose(counts["train"], expected, atol=1)


@given(num_classes=st.integers(2, 104), images_per_class=st.integers(5, 300))
def test_classes_are_unequal_as_in_the_competition(num_classes, images_per_class):
    classes = choose_classes(num_classes)
    frequencies = [COMPETITION_CLASSES[index][1] for index in classes]

    counts = count_images(classes, images_per_class)

    assert sum(counts["train"]) == num_classes * images_per_class
    for split_counts in counts.values():
        assert min(split_counts) >= 2
        by_frequency = [split_counts[i] for i in np.argsort(frequencies, kind="stable")]
        assert all(b >= a - 1 for a, b in itertools.pairwise(by_frequency))
    assert all(e <= t for e, t in zip(counts["external"], counts["test"], strict=True))


@given(
    total=st.integers(0, 5000),
    frequencies=st.lists(st.integers(1, 1000), min_size=1, max_size=104),
    least=st.integers(0, 20),
)
def test_spread_keeps_the_total_and_the_least(total, frequencies, least):
    counts = spread(total, np.array(frequencies, dtype=float), least)

    assert sum(counts) == max(total, least * len(frequencies))
    assert min(counts) >= least


def test_folders_are_written_without_tensorflow(tmp_path):
    code = (
        "import sys, pathlib\n"
        "from automl_flowers.data.synthetic import synthesize\n"
        f"synthesize(pathlib.Path({str(tmp_path / 'out')!r}), num_classes=2, images_per_class=5,\n"
        "           image_size=16, format='folders')\n"
        "print(*sys.modules)\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not {"tensorflow", "keras"} & set(loaded)
