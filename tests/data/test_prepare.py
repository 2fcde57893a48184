"""Tests for the way from an address to the images of a run."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from automl_flowers.data import cache as cache_module
from automl_flowers.data import prepare as prepare_module
from automl_flowers.data.convert import convert
from automl_flowers.data.manifest import SPLITS, check_manifest
from automl_flowers.data.prepare import prepare, read, remember, unread_before
from automl_flowers.errors import DataError, RunError

SIZE = 24
CLASSES = ("daisy", "rose", "tulip")


def save_picture(path, seed):
    """Write a smooth random picture as PNG: no two of them are near copies."""
    rng = np.random.default_rng(seed)
    grid = Image.fromarray(rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.resize((SIZE, SIZE), Image.Resampling.BICUBIC).save(path)


def grow(root, counts):
    """Write pictures: for each split folder (or "" for none), so many of each class."""
    seed = 0
    for split, count in counts.items():
        for name in CLASSES:
            for number in range(count):
                save_picture(root / split / name / f"{split}{number}.png", seed)
                seed += 1
    return root


@pytest.fixture(scope="module")
def undivided(tmp_path_factory):
    return grow(tmp_path_factory.mktemp("undivided") / "garden", {"": 10})


@pytest.fixture(scope="module")
def divided(tmp_path_factory):
    counts = {"train": 4, "val": 6, "test": 2}
    return grow(tmp_path_factory.mktemp("divided") / "garden", counts)


@pytest.fixture
def make(tmp_path):
    """`prepare` with a cache of its own."""

    def make(address, *, seed=0, image_size=SIZE, **options):
        cache = tmp_path / "cache"
        return prepare(str(address), seed=seed, image_size=image_size, cache=cache, **options)

    return make


def count_splits(data):
    return Counter(zip(data.manifest.rows["split"], data.manifest.rows["label"], strict=True))


def division(data):
    return dict(zip(data.manifest.rows["id"], data.manifest.rows["split"], strict=True))


def test_an_undivided_folder_becomes_four_splits(make, undivided):
    counts = count_splits(make(undivided))

    assert counts == {
        (split, label): count
        for split, count in {"train": 7, "val": 1, "blend": 1, "test": 1}.items()
        for label in range(3)
    }


def test_val_is_halved_and_the_others_stay(make, divided):
    data = make(divided)

    assert count_splits(data) == {
        (split, label): count
        for split, count in {"train": 4, "val": 3, "blend": 3, "test": 2}.items()
        for label in range(3)
    }
    for split, names in {"train": "train", "val": "val", "blend": "val", "test": "test"}.items():
        assert all(i.startswith(f"{names}/") for i in data.manifest.split(split)["id"])


def test_train_is_divided_if_there_is_only_test_beside_it(make, tmp_path):
    root = grow(tmp_path / "garden", {"train": 10, "test": 1})

    assert Counter(make(root).manifest.rows["split"]) == {
        "train": 24,
        "val": 3,
        "blend": 3,
        "test": 3,
    }


def test_a_blend_split_of_ones_own_is_kept(make, tmp_path, write_records, serialise, encode):
    for number, split in enumerate(("train", "val", "blend")):
        payloads = [
            serialise(
                image=encode("PNG", seed=4 * number + k), label=k % 2, id_=f"{split}{k}".encode()
            )
            for k in range(4)
        ]
        write_records(tmp_path / "records" / split / "a.tfrec", payloads)

    data = make(tmp_path / "records")

    assert all(division(data)[identity] == identity[:-1] for identity in division(data))


def test_seeds_divide_differently_and_equal_ones_alike(make, undivided):
    first, again, other = (division(make(undivided, seed=seed)) for seed in (0, 0, 1))

    assert first == again
    assert first != other


def test_near_copies_are_in_one_split(make, tmp_path):
    root = grow(tmp_path / "garden", {"": 8})
    for name in CLASSES:
        for number in range(8):
            with Image.open(root / name / f"{number}.png") as image:
                small = image.resize((SIZE - 2, SIZE - 2), Image.Resampling.LANCZOS)
            small.save(root / name / f"copy{number}.jpg", quality=90)

    for seed in range(3):
        splits = division(make(root, seed=seed))

        for name in CLASSES:
            for number in range(8):
                assert splits[f"{name}/{number}.png"] == splits[f"{name}/copy{number}.jpg"]


def test_a_folder_and_its_tfrecords_are_divided_alike(make, tmp_path, undivided):
    convert(str(undivided), tmp_path / "records", shard_size=7)

    from_folder, from_records = make(undivided, seed=4), make(tmp_path / "records", seed=4)

    assert division(from_folder) == division(from_records)
    for split in SPLITS[:4]:
        assert from_folder.content_hash(SIZE, split) == from_records.content_hash(SIZE, split)


@pytest.mark.parametrize("image_size", [12, 40])
def test_the_content_is_the_same_at_every_size(make, undivided, image_size):
    data = make(undivided)

    assert data.content_hash(image_size, "train") == data.content_hash(SIZE, "train")
    assert data.content_hash(SIZE, "val") != data.content_hash(SIZE, "train")


def test_the_largest_tfrecords_are_read_unless_smaller_ones_will_do(make, tmp_path, undivided):
    for size in (8, 16):
        convert(str(undivided), tmp_path / str(size), image_size=size)
        layout = f"tfrecords-jpeg-{size}x{size}"
        (tmp_path / "records").mkdir(exist_ok=True)
        (tmp_path / str(size) / layout).rename(tmp_path / "records" / layout)

    largest, enough = (
        make(tmp_path / "records", image_size=4, largest_size=size) for size in (None, 8)
    )

    assert largest.manifest.rows["path"].str.contains("16x16").all()
    assert enough.manifest.rows["path"].str.contains("8x8").all()


def test_examples_are_the_images_of_a_split_in_the_order_of_ids(make, divided):
    data = make(divided)

    examples = data.examples("blend", 12)

    rows = data.manifest.split("blend")
    assert examples.ids.tolist() == rows["id"].tolist() == sorted(rows["id"])
    assert examples.labels.tolist() == rows["label"].tolist()
    images = examples.take(np.arange(len(examples)))
    assert images.shape == (9, 12, 12, 3)
    pictures = data.pictures(12)
    np.testing.assert_array_equal(images, pictures.images[pictures.rows_of(rows["id"])])


def test_examples_of_some_rows_keep_the_order_of_the_rows(make, divided):
    data = make(divided)
    rows = data.manifest.rows[::-2]

    assert data.examples_of(rows, SIZE).ids.tolist() == rows["id"].tolist()


def test_a_broken_image_is_left_out_and_listed_and_no_other_decoded_twice(
    make, tmp_path, monkeypatch
):
    root = grow(tmp_path / "garden", {"": 6})
    (root / "rose/0.png").write_bytes(b"words")
    (root / "rose/empty.png").write_bytes(b"")
    decoded = []
    decode = cache_module.decode_image

    def counting(data, size):
        decoded.append(size)
        return decode(data, size)

    monkeypatch.setattr(cache_module, "decode_image", counting)

    data = make(root)
    examples = data.examples("train", SIZE)

    assert "rose/0.png" not in division(data)
    assert len(data.manifest.rows) == 17
    assert [problem.reason for problem in data.manifest.problems] == [
        "The file is empty.",
        "It is no image in one of the formats JPEG, PNG, WEBP, BMP, GIF.",
    ]
    assert len(decoded) == 18
    pictures = data.pictures(SIZE)
    rows = pictures.rows_of(pd.Series(examples.ids))
    np.testing.assert_array_equal(examples.take(np.arange(len(examples))), pictures.images[rows])


def test_images_are_looked_for_once_in_a_run(make, undivided, monkeypatch):
    data = make(undivided)
    monkeypatch.setattr(prepare_module, "load_pictures", None)

    data.examples("train", SIZE)
    data.content_hash(SIZE, *SPLITS)


def test_decoding_is_reported_with_the_name_of_the_data_set(make, undivided):
    heard = []

    data = make(undivided, on_progress=lambda *report: heard.append(report))
    data.examples("val", 12)

    assert heard == [
        ("decoding garden at 24 px", 30, 30),
        ("taking fingerprints of garden", 30, 30),
        ("decoding garden at 12 px", 30, 30),
    ]


def test_a_data_set_can_be_read_as_it_comes(tmp_path, divided):
    data = read(str(divided), image_size=SIZE, cache=tmp_path / "cache", source="external")

    assert Counter(data.manifest.rows["split"]) == {"train": 12, "val": 18, "test": 6}
    assert set(data.manifest.rows["source"]) == {"external"}


def test_nothing_but_unreadable_images_is_an_error(make, tmp_path, write_images):
    tree = {f"{name}/{k}.jpg": b"words" for name in CLASSES for k in range(3)}
    root = write_images(tmp_path / "garden", tree)

    with pytest.raises(DataError, match=r"9 of 9 images in `.*garden` cannot be read") as error:
        make(root)

    assert "'daisy/0.jpg': It is no image" in str(error.value)
    assert "give another address" in error.value.hint


@pytest.mark.parametrize(
    ("policy", "bad", "sentence"),
    [
        ("skip", 5, None),
        ("skip", 6, r"6 of 24 images in `.*` cannot be read, and at most 1% \(or 5 of a small"),
        ("25%", 6, None),
        ("25%", 7, "7 of 24 images in `.*` cannot be read, and at most 25% may be"),
        ("fail", 1, "1 of 24 images in `.*` cannot be read, and none may be"),
    ],
)
def test_more_bad_images_than_the_policy_allows_are_an_error(make, tmp_path, policy, bad, sentence):
    root = grow(tmp_path / "garden", {"": 8})
    files = sorted(root.rglob("*.png"), key=lambda path: (path.name, path))
    for path in files[: bad - 1]:
        path.write_bytes(b"words")
    files[bad - 1].write_bytes(b"")  # found while listing, not while decoding

    if sentence is None:
        assert len(make(root, bad_images=policy).manifest.rows) == 24 - bad
    else:
        with pytest.raises(DataError, match=sentence) as error:
            make(root, bad_images=policy)
        assert f"`--bad-images {-(-100 * bad // 24)}%`" in error.value.hint


@pytest.mark.parametrize("split", ["", "train"])
def test_one_class_is_an_error(make, tmp_path, split):
    for number in range(10):
        save_picture(tmp_path / "garden" / split / "rose" / f"{number}.png", number)

    with pytest.raises(DataError, match="has only 'rose'"):
        make(tmp_path / "garden")


def test_one_class_that_can_be_read_is_an_error(make, tmp_path, write_images):
    root = tmp_path / "garden"
    for number in range(20):
        save_picture(root / "rose" / f"{number}.png", number)
    write_images(root, {"daisy/a.png": b"words"})

    with pytest.raises(DataError, match="All training images are of one class") as error:
        make(root)

    assert "at least two" in error.value.hint


@pytest.mark.parametrize("split", ["train", "val"])
def test_images_without_a_label_where_one_is_needed_are_an_error(
    make, undivided, divided, monkeypatch, split
):
    known = prepare_module.open_data(str(divided))
    rows = known.rows.copy()
    rows.loc[rows["split"] == split, "label"] = -1
    unlabelled = check_manifest(rows, known.class_names)
    monkeypatch.setattr(prepare_module, "open_data", lambda *_arguments, **_options: unlabelled)

    with pytest.raises(DataError, match=f"images of the `{split}` split have no label") as error:
        make(divided)

    assert "folder a class" in error.value.hint


@pytest.mark.parametrize(("counts", "split"), [({"": 1}, "val"), ({"train": 2, "test": 1}, "val")])
def test_too_few_images_are_an_error_that_says_how_many_it_takes(make, tmp_path, counts, split):
    root = grow(tmp_path / "garden", counts)

    with pytest.raises(DataError, match=f"none is left for the `{split}` split") as error:
        make(root)

    assert "ten images a class" in error.value.hint


@pytest.mark.parametrize("count", range(3, 10))
def test_a_few_images_a_class_are_enough(make, tmp_path, count):
    data = make(grow(tmp_path / "garden", {"": count}))

    assert set(data.manifest.rows["split"]) == {"train", "val", "blend", "test"}


@pytest.fixture
def files(tmp_path):
    return tmp_path / "run/manifest.csv", tmp_path / "run/data.json"


def test_what_is_remembered_says_which_image_plays_which_part(make, tmp_path, files):
    root = grow(tmp_path / "garden", {"": 10})
    (root / "rose/0.png").write_bytes(b"words")
    data = make(root)

    remember(data, *files, image_size=SIZE)

    table = pd.read_csv(files[0])
    assert dict(zip(table["id"], table["split"], strict=True)) == division(data)
    summary = json.loads(files[1].read_text())
    counts = count_splits(data)
    assert summary["class_names"] == list(CLASSES)
    assert list(summary["images"].items()) == [
        (split, len(data.manifest.split(split))) for split in SPLITS[:4]
    ]
    assert summary["images_per_class"] == {
        split: [counts[split, label] for label in range(3)] for split in sorted(SPLITS[:4])
    }
    assert [problem["path"] for problem in summary["problems"]] == ["rose/0.png"]


def test_the_same_images_may_be_remembered_again(make, undivided, files):
    remember(make(undivided), *files, image_size=SIZE)
    before = [path.read_bytes() for path in files]

    remember(make(undivided), *files, image_size=12)

    assert [path.read_bytes() for path in files] == before


def test_what_could_not_be_read_when_a_run_began_stays_out_of_it(make, tmp_path, files, unreadable):
    root = grow(tmp_path / "garden", {"": 10})
    (root / "rose/2.png").rename(root / "rose/late.png")
    unreadable.add("late.png")
    assert unread_before(files[1]) == frozenset()
    began = make(root)
    remember(began, *files, image_size=SIZE)
    unreadable.clear()

    later = make(root, left_out=unread_before(files[1]))
    remember(later, *files, image_size=SIZE)

    assert division(later) == division(began)
    assert "rose/late.png" not in division(later)
    (problem,) = later.manifest.problems
    assert (problem.path, problem.images) == ("rose/late.png", 1)
    assert "when the run began" in problem.reason
    assert unread_before(files[1]) == {"rose/late.png"}
    assert "rose/late.png" in division(make(root))


def test_copies_are_not_looked_for_without_an_image_that_is_used(make, tmp_path, unreadable):
    root = grow(tmp_path / "garden", {"": 10})
    data = read(str(root), image_size=SIZE, cache=tmp_path / "cache")
    unreadable.add("2.png")

    with pytest.raises(DataError, match=r"3 of the images .* any more, .*2\.png'") as error:
        data.fingerprints()

    assert "restore" in error.value.hint


def in_another_split(data):
    rows = data.manifest.rows.copy()
    first = rows.index[rows["split"] == "val"][0]
    rows.loc[first, "split"] = "train"
    return replace(data, manifest=data.manifest.replace_rows(rows))


def without_one(data):
    return replace(data, manifest=data.manifest.replace_rows(data.manifest.rows[1:]))


def of_another_class(data):
    rows = data.manifest.rows.copy()
    rows.loc[0, "label"] = 2
    return replace(data, manifest=data.manifest.replace_rows(rows))


@pytest.mark.parametrize("change", [in_another_split, without_one, of_another_class])
def test_other_images_than_the_run_began_with_are_refused(make, undivided, files, change):
    data = make(undivided)
    remember(data, *files, image_size=SIZE)
    before = [path.read_bytes() for path in files]

    with pytest.raises(RunError, match="images have changed since this run began: it had 30") as e:
        remember(change(data), *files, image_size=SIZE)

    assert "--run" in e.value.hint
    assert [path.read_bytes() for path in files] == before
