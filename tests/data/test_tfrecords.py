"""Tests for indexing TFRecords."""

import io
import re
import shutil
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_flowers.data.losses import losses_among
from automl_flowers.data.sources import find_sample_submission, images, open_data
from automl_flowers.data.sources.layouts import promised_count
from automl_flowers.data.sources.records import (
    Damage,
    Record,
    RecordFeatures,
    masked_crc,
    read_payload,
    scan_records,
    write_record,
)
from automl_flowers.data.sources.tfrecords import read_tfrecords
from automl_flowers.errors import DataError

PAYLOADS = st.lists(st.binary(max_size=40), max_size=6)


def frame(payloads):
    buffer = io.BytesIO()
    for payload in payloads:
        write_record(buffer, payload)
    return buffer.getvalue()


def scan(data):
    return list(scan_records(io.BytesIO(data), len(data)))


def table(manifest):
    return list(manifest.rows[["id", "label", "split"]].itertuples(index=False, name=None))


@pytest.fixture
def write_flowers(write_records, serialise):
    """Write a shard with labels 0, 1, 2, ... and ids that begin with `prefix`."""

    def write(path, count=2, prefix="id", labelled=True):
        payloads = [
            serialise(label=number if labelled else None, id_=f"{prefix}{number}".encode())
            for number in range(count)
        ]
        return write_records(path, payloads)

    return write


# Framing


@settings(max_examples=30, deadline=None)
@given(payloads=PAYLOADS)
def test_records_of_tensorflows_writer_are_all_found(write_records, payloads):
    with tempfile.TemporaryDirectory() as folder:
        data = Path(write_records(Path(folder) / "a.tfrec", payloads)).read_bytes()

    records = scan(data)

    assert [record.payload for record in records] == payloads
    assert [record.number for record in records] == list(range(len(payloads)))
    assert [read_payload(io.BytesIO(data), r.offset, len(r.payload)) for r in records] == payloads
    assert frame(payloads) == data


@settings(max_examples=200, deadline=None)
@given(payloads=PAYLOADS.filter(bool), data=st.data())
def test_no_flipped_byte_yields_a_wrong_record(payloads, data):
    damaged = bytearray(frame(payloads))
    place = data.draw(st.integers(0, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))

    items = scan(bytes(damaged))

    records = [item for item in items if isinstance(item, Record)]
    (damage,) = [item for item in items if isinstance(item, Damage)]
    assert all(payloads[record.number] == record.payload for record in records)
    lost = len(payloads) - damage.number if damage.ends_file else 1
    assert len(records) == len(payloads) - lost


@settings(max_examples=100, deadline=None)
@given(payloads=PAYLOADS.filter(bool), data=st.data())
def test_a_file_cut_short_gives_the_records_before_the_cut(payloads, data):
    whole = frame(payloads)
    kept = data.draw(st.integers(0, len(whole) - 1))

    records = [item for item in scan(whole[:kept]) if isinstance(item, Record)]

    assert [record.payload for record in records] == payloads[: len(records)]
    assert len(frame(payloads[: len(records) + 1])) > kept


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=100))
def test_arbitrary_bytes_are_damage_and_no_crash(data):
    items = scan(data)

    assert len(items) == min(len(data), 1)
    assert all(isinstance(item, Damage) for item in items)


def test_a_length_beyond_the_file_asks_for_no_memory():
    length = struct.pack("<Q", 2**62)

    (damage,) = scan(length + struct.pack("<I", masked_crc(length)) + b"rest")

    assert damage == Damage(0, 0, "the file ends inside it", ends_file=True)


# Layouts


def test_split_folders_ids_and_offsets(tmp_path, write_flowers):
    write_flowers(tmp_path / "train/00-8x8-2.tfrec", prefix="b")
    write_flowers(tmp_path / "val/00-8x8-2.tfrec", prefix="a")
    write_flowers(tmp_path / "test/00-8x8-2.tfrec", prefix="c", labelled=False)

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert table(manifest) == [
        ("a0", 0, "val"),
        ("a1", 1, "val"),
        ("b0", 0, "train"),
        ("b1", 1, "train"),
        ("c0", -1, "test"),
        ("c1", -1, "test"),
    ]
    assert manifest.class_names == ("class_000", "class_001")
    assert manifest.problems == ()
    assert {images.read_image_bytes(row) for row in manifest.rows.itertuples()} == {b"pixels"}


@pytest.mark.parametrize(
    ("image_size", "expected"),
    [
        (None, "512x512"),
        (128, "192x192"),
        (192, "192x192"),
        (200, "224x224"),
        (512, "512x512"),
        (600, "512x512"),
    ],
)
def test_the_smallest_size_that_is_big_enough_is_read(
    tmp_path, write_flowers, image_size, expected
):
    for size in ("192x192", "224x224", "512x512"):
        write_flowers(tmp_path / f"tfrecords-jpeg-{size}/train/00-{size}-2.tfrec")

    manifest = read_tfrecords(str(tmp_path), source="petals", image_size=image_size)

    (path,) = set(manifest.rows["path"])
    assert Path(path).parts[-3] == f"tfrecords-jpeg-{expected}"


def test_originals_are_the_largest_size(tmp_path, write_flowers):
    for size in ("original", "512x512"):
        write_flowers(tmp_path / f"tfrecords-jpeg-{size}/train/00-{size}-2.tfrec")

    assert "original" in read_tfrecords(str(tmp_path), source="p").rows["path"][0]
    assert "512x512" in read_tfrecords(str(tmp_path), source="p", image_size=224).rows["path"][0]


@pytest.mark.parametrize(
    ("folder", "split"),
    [("", "train"), ("train", "train"), ("valid", "val"), ("external", "external")],
)
def test_one_folder_of_shards_is_train_unless_its_name_is_a_split(
    tmp_path, write_flowers, folder, split
):
    write_flowers(tmp_path / "data" / folder / "00-8x8-2.tfrec")

    manifest = read_tfrecords(str(tmp_path / "data" / folder), source="petals")

    assert set(manifest.rows["split"]) == {split}


@pytest.mark.parametrize(
    "address", ["", "*/00*.tfrec", "**/*.tfrec", "train/00-8x8-2.tfrec", "tr[a]in/*"]
)
def test_globs_and_single_shards_give_the_same_rows_as_the_folder(tmp_path, write_flowers, address):
    root = tmp_path / "petals" / "tfrecords-jpeg-8x8"
    write_flowers(root / "train/00-8x8-2.tfrec")

    manifest = open_data(str(root / address))

    assert table(manifest) == [("id0", 0, "train"), ("id1", 1, "train")]
    assert set(manifest.rows["source"]) == {"petals"}
    assert manifest.num_classes == 104


def test_a_folder_whose_name_has_brackets_is_no_glob(tmp_path, write_flowers):
    write_flowers(tmp_path / "petals[1]" / "00-8x8-2.tfrec")

    assert len(open_data(str(tmp_path / "petals[1]")).rows) == 2


@pytest.mark.parametrize("pattern", ["*.tfrec", "**/*.tfrec", "0[0-9]-*"])
def test_a_pattern_below_a_folder_whose_name_has_brackets_matches(tmp_path, write_flowers, pattern):
    write_flowers(tmp_path / "petals[1]" / "00-8x8-2.tfrec")
    write_flowers(tmp_path / "petals1" / "00-8x8-2.tfrec", prefix="other")

    manifest = open_data(str(tmp_path / "petals[1]" / pattern))

    assert manifest.rows["id"].tolist() == ["id0", "id1"]


def test_brackets_of_a_folder_that_does_not_exist_are_a_pattern(tmp_path, write_flowers):
    write_flowers(tmp_path / "petals1" / "00-8x8-2.tfrec")

    assert len(open_data(str(tmp_path / "petals[12]" / "*.tfrec")).rows) == 2


def test_an_address_with_a_scheme_goes_through_tensorflow(write_flowers):
    root = "ram://bucket/petals/tfrecords-jpeg-8x8"
    write_flowers(f"{root}/train/00-8x8-2.tfrec")
    write_flowers(f"{root}/val/00-8x8-1.tfrec", count=1, prefix="v")

    manifest = open_data("ram://bucket/petals/")

    assert table(manifest) == [("id0", 0, "train"), ("id1", 1, "train"), ("v0", 0, "val")]
    assert manifest.rows["path"][0] == f"{root}/train/00-8x8-2.tfrec"
    assert images.read_image_bytes(manifest.rows.iloc[0]) == b"pixels"
    assert table(open_data(f"{root}/*/*.tfrec")) == table(manifest)
    assert find_sample_submission("ram://bucket/petals") is None


def test_shards_beside_the_split_folders_are_left_out(tmp_path, write_flowers):
    write_flowers(tmp_path / "train/00-8x8-2.tfrec")
    write_flowers(tmp_path / "extra.tfrec", prefix="extra")

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert len(manifest.rows) == 2
    assert [problem.path for problem in manifest.problems] == [str(tmp_path / "extra.tfrec")]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("a-1/00-192x192-798.tfrec", 798),
        ("flowers.tfrec", None),
        ("data-7/flowers.tfrec", None),
        ("train-00-of-10.tfrec", None),
        ("00-original-798.tfrec", 798),
        ("flowers-2020.tfrec", None),
        ("part-100.tfrec", None),
        ("train-00000-of-00010-798.tfrec", None),
        ("2020-05-17.tfrec", None),
        ("a-00-192x192-798.tfrec", None),
    ],
)
def test_the_count_is_read_from_the_basename(name, count):
    assert promised_count(name) == count


def test_a_number_in_a_name_of_another_form_promises_nothing(tmp_path, write_flowers):
    address = str(write_flowers(tmp_path / "flowers-2020.tfrec"))

    manifest = read_tfrecords(address, source="petals")

    assert len(manifest.rows) == 2
    assert manifest.problems == ()


# Splits in names


def write_flat(write_flowers, folder, *names):
    for number, name in enumerate(names):
        write_flowers(folder / name, prefix=f"{number}-", labelled="test" not in name.lower())
    return str(folder)


@pytest.mark.parametrize(
    "names",
    [
        ("train-0.tfrec", "val-0.tfrec", "test-0.tfrec"),
        ("train_1.tfrecord", "valid_1.tfrecord", "test_1.tfrecord"),
        ("Training.tfrec", "Validation.tfrec", "Test.tfrec"),
        ("train00.tfrec", "dev00.tfrec", "test00.tfrec"),
        ("train.tfrecord-00000-of-00001", "val.tfrecord-00000-of-00001", "test.tfrecords"),
    ],
    ids=" ".join,
)
def test_names_that_all_begin_with_a_split_say_it(tmp_path, write_flowers, names):
    manifest = read_tfrecords(write_flat(write_flowers, tmp_path, *names), source="petals")

    assert table(manifest) == [
        *((f"0-{number}", number, "train") for number in range(2)),
        *((f"1-{number}", number, "val") for number in range(2)),
        *((f"2-{number}", -1, "test") for number in range(2)),
    ]
    assert manifest.problems == ()


def test_a_pattern_of_such_names_has_their_splits_too(tmp_path, write_flowers):
    folder = write_flat(write_flowers, tmp_path, "train-0.tfrec", "train-1.tfrec", "val-0.tfrec")

    manifest = read_tfrecords(f"{folder}/*-0.tfrec", source="petals")

    assert manifest.count_images() == {"train": 2, "val": 2}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("train-0.tfrec", "val-0.tfrec", "more.tfrec"), "val-0.tfrec"),
        (("val-0.tfrec", "val-1.tfrec"), "val-0.tfrec"),
        (("train-0.tfrec", "training-1.tfrec"), None),
        (("train-0.tfrec", "validated-0.tfrec", "values.tfrec"), None),
        (("train-0.tfrec", "more.tfrec"), None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_other_names_are_all_train_and_what_could_be_a_split_is_said(
    tmp_path, write_flowers, names, said
):
    manifest = read_tfrecords(write_flat(write_flowers, tmp_path, *names), source="petals")

    assert manifest.count_images() == {"train": 2 * len(names)}
    assert [problem.path for problem in manifest.problems] == (
        [str(tmp_path / said)] if said else []
    )
    assert losses_among(manifest.problems) == []
    assert all("taken as `train`" in problem.reason for problem in manifest.problems)


def test_a_folder_called_like_a_split_wins_over_names(tmp_path, write_flowers):
    write_flat(write_flowers, tmp_path / "train", "train-0.tfrec", "val-0.tfrec")

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.count_images() == {"train": 4}
    assert manifest.problems == ()


# Ids, labels, class names


def test_a_record_without_an_id_is_called_by_its_place(tmp_path, write_records, serialise):
    for split in ("train", "val"):
        write_records(tmp_path / split / "00-8x8-1.tfrec", [serialise(label=0)])

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.rows["id"].tolist() == ["train/00-8x8-1.tfrec#0", "val/00-8x8-1.tfrec#0"]


@pytest.mark.parametrize("place", [".", "tfrecords-jpeg-8x8", "tfrecords-jpeg-8x8/train"])
def test_class_names_come_from_the_nearest_list(tmp_path, write_flowers, place):
    write_flowers(tmp_path / "tfrecords-jpeg-8x8/train/00-8x8-2.tfrec")
    (tmp_path / place / "classes.txt").write_bytes(b"\xef\xbb\xbfpink rose\r\ncyclamen \r\n\r\n")

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.class_names == ("pink rose", "cyclamen")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_label_beyond_the_list_of_classes_costs_its_image_only(
    tmp_path, write_records, serialise, split
):
    records = [serialise(label=label, id_=b"%d" % label) for label in (0, 2, 1, 2**40)]
    write_records(tmp_path / split / "00-8x8-4.tfrec", records)
    (tmp_path / "classes.txt").write_text("daisy\nrose\n")

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert table(manifest) == [("0", 0, split), ("1", 1, split)]
    assert [(loss.path, loss.images, loss.reason) for loss in losses_among(manifest.problems)] == [
        (str(label), 1, f"Labels must lie in 0..1, but the record has {label}.")
        for label in (2, 2**40)
    ]
    for row in manifest.rows.itertuples(index=False):
        assert images.read_image_bytes(row) == b"pixels"


def test_without_a_list_a_huge_label_costs_its_image_only(tmp_path, write_records, serialise):
    records = [serialise(label=label, id_=b"%d" % label) for label in (3, 2**40)]
    shard = write_records(tmp_path / "tfrecords-jpeg-8x8/train/00-8x8-2.tfrec", records)

    manifest = read_tfrecords(str(shard), source="petals")

    assert table(manifest) == [("3", 3, "train")]
    assert manifest.num_classes == 104
    assert [loss.path for loss in losses_among(manifest.problems)] == [str(2**40)]


def test_more_labels_than_the_competition_has_are_numbered(tmp_path, write_records, serialise):
    shard = tmp_path / "tfrecords-jpeg-8x8/train/00-8x8-1.tfrec"
    write_records(shard, [serialise(label=104)])

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.class_names[-1] == "class_104"


def test_test_labels_are_used_for_scoring(tmp_path, write_records, serialise):
    write_records(tmp_path / "train/a.tfrec", [serialise(label=0, id_=b"a")])
    unlabelled = [serialise(id_=b"1234e5678"), serialise(id_=b"0012"), serialise(id_=b"x")]
    write_records(tmp_path / "test/b.tfrec", unlabelled)
    (tmp_path / "test_labels.csv").write_text("id,label\n1234e5678,4\n0012,2\na,3\n")

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert table(manifest) == [
        ("0012", 2, "test"),
        ("1234e5678", 4, "test"),
        ("a", 0, "train"),
        ("x", -1, "test"),
    ]
    assert manifest.num_classes == 5


# Damage


def test_a_damaged_payload_costs_one_record(tmp_path, write_flowers):
    path = Path(write_flowers(tmp_path / "00-8x8-3.tfrec", count=3))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"id1", b"id7"))

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.rows["id"].tolist() == ["id0", "id2"]
    (problem,) = manifest.problems
    assert problem.path == f"{path}#1"
    assert problem.reason == "This record is lost: its checksum does not match."


@pytest.mark.parametrize("name", ["00-8x8-3.tfrec", "flowers.tfrec"])
def test_a_damaged_length_costs_the_rest_of_the_file(tmp_path, write_flowers, name):
    path = Path(write_flowers(tmp_path / name, count=3))
    second = read_tfrecords(str(tmp_path), source="petals").rows["offset"][1] - 12
    data = bytearray(path.read_bytes())
    data[second] ^= 1
    path.write_bytes(data)

    manifest = read_tfrecords(str(tmp_path), source="petals")

    how = "of the 3 that the file's name promises" if "-3" in name else "at a guess, by the size"
    assert manifest.rows["id"].tolist() == ["id0"]
    assert manifest.problems[0].images == 2
    assert _reason(manifest).startswith(
        f"Lost from here to the end of the file: its length is damaged. That costs 2 records {how}"
    )
    assert _reason(manifest).endswith("before it: 1.")


@pytest.mark.parametrize(("name", "count"), [("00-8x8-5.tfrec", 2), ("00-8x8-1.tfrec", 2)])
def test_a_count_that_is_not_kept_is_reported(tmp_path, write_flowers, name, count):
    write_flowers(tmp_path / name, count=count)

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert len(manifest.rows) == count
    assert re.match(r"The file's name promises \d records, but it holds 2\.", _reason(manifest))
    lost = sum(problem.images for problem in losses_among(manifest.problems))
    assert lost == (3 if "-5" in name else 0)


def test_an_empty_shard_is_reported(tmp_path, write_flowers):
    write_flowers(tmp_path / "a.tfrec")
    (tmp_path / "b.tfrec").touch()

    assert _reason(read_tfrecords(str(tmp_path), source="p")) == "The file holds no record."


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        ({"image": None, "label": 0}, "The record's `image` must be one string of bytes."),
        ({"image": b"", "label": 0}, "The record's `image` must be one string of bytes."),
        ({"label": None}, "The record's `class` must be one integer"),
        ({"label": -1}, "The record's `class` must be one integer"),
        ({"label": 0, "id_": b""}, "The record's `id` must be one line of UTF-8 text"),
        ({"label": 0, "id_": b"\xff"}, "The record's `id` must be one line of UTF-8 text"),
        ({"label": 0, "id_": b"a\nb"}, "The record's `id` must be one line of UTF-8 text"),
    ],
)
def test_a_record_that_is_no_labelled_image_is_left_out(
    tmp_path, write_records, serialise, features, reason
):
    payloads = [serialise(label=0, id_=b"good"), serialise(**features)]
    write_records(tmp_path / "00-8x8-2.tfrec", payloads)

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert manifest.rows["id"].tolist() == ["good"]
    assert _reason(manifest).startswith(reason)


JPEG, OTHER = b"\xff\xd8\xff pixels", b"\xff\xd8\xff a mask"


def serialise_named(**features):
    """Return a serialised example with features of any names; `__` stands for a slash."""
    import tensorflow as tf

    example = tf.train.Example()
    for name, value in features.items():
        feature = example.features.feature[name.replace("__", "/")]
        values = feature.bytes_list if isinstance(value, bytes) else feature.int64_list
        values.value.append(value)
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("features", "names", "row"),
    [
        ({"image__encoded": JPEG, "image__class__label": 3}, {}, ("a.tfrec#0", 3)),
        ({"image": JPEG, "label": 2, "file_name": b"x"}, {}, ("a.tfrec#0", 2)),
        ({"photo": JPEG, "class": 1, "note": b"rose"}, {}, ("a.tfrec#0", 1)),
        ({"image": JPEG, "flower": 4, "class": 0}, {"label": "flower"}, ("a.tfrec#0", 4)),
        ({"image": JPEG, "class": 1, "name": b"r"}, {"id": "name"}, ("r", 1)),
        ({"image": JPEG, "class": 1, "id": b"i"}, {"id": "name", "label": "flower"}, ("i", 1)),
        ({"photo": JPEG, "mask": OTHER, "class": 1}, {"image": "photo"}, ("a.tfrec#0", 1)),
        ({"photo": JPEG, "image": OTHER, "class": 1}, {"image": "photo"}, ("a.tfrec#0", 1)),
        ({"image": JPEG, "class": 1}, {"image": "photo"}, ("a.tfrec#0", 1)),
        ({"photo": JPEG, "m": OTHER, "f": 3}, {"image": "photo", "label": "f"}, ("a.tfrec#0", 3)),
    ],
)
def test_records_of_other_projects_are_read(tmp_path, write_records, features, names, row):
    write_records(tmp_path / "train/a.tfrec", [serialise_named(**features)])

    manifest = open_data(str(tmp_path), features=RecordFeatures.named(names))

    assert table(manifest) == [(f"train/{row[0]}" if "#" in row[0] else row[0], row[1], "train")]
    assert images.read_image_bytes(manifest.rows.iloc[0]) == JPEG
    assert images.read_image_bytes(next(manifest.rows.itertuples())) == JPEG


def test_it_is_said_what_a_record_has_instead(tmp_path, write_records, serialise):
    two_pictures = serialise_named(left=JPEG, right=JPEG, label=0)
    no_label = serialise_named(image=JPEG, flower=0)
    write_records(tmp_path / "a.tfrec", [serialise(label=0), two_pictures, no_label])

    problems = read_tfrecords(str(tmp_path), source="petals").problems

    assert [problem.reason for problem in problems] == [
        "The record's `image` must be one string of bytes. It has: label, left, right.",
        "The record's `class` must be one integer that is not negative. It has: flower, image.",
    ]


@pytest.mark.parametrize("suffix", [".tfrecord", ".tfrecords", ".tfrecord-00000-of-00002"])
def test_other_suffixes_are_tfrecords_too(tmp_path, write_records, serialise, suffix):
    write_records(tmp_path / f"garden-test{suffix}", [serialise(label=0, id_=b"a")])

    split = "test" if suffix.endswith("2") else "train"
    assert table(open_data(str(tmp_path))) == [("a", 0, split)]


def test_a_test_image_without_a_label_may_say_minus_one(tmp_path, write_records, serialise):
    write_records(tmp_path / "train/a.tfrec", [serialise(label=0, id_=b"a")])
    write_records(tmp_path / "test/b.tfrec", [serialise(label=-1, id_=b"b")])

    assert table(open_data(str(tmp_path))) == [("a", 0, "train"), ("b", -1, "test")]


def test_a_record_that_holds_something_else_is_left_out(tmp_path, write_records, serialise):
    write_records(tmp_path / "a.tfrec", [b"\xff\xff", serialise(label=0)])

    manifest = read_tfrecords(str(tmp_path), source="petals")

    assert _reason(manifest) == "The record holds no `tf.train.Example`."


def test_a_record_damaged_after_indexing_is_refused(tmp_path, write_flowers):
    path = Path(write_flowers(tmp_path / "a.tfrec"))
    row = read_tfrecords(str(tmp_path), source="petals").rows.iloc[0]
    path.write_bytes(path.read_bytes().replace(b"pixels", b"pixies"))

    with pytest.raises(DataError, match="its checksum does not match") as caught:
        images.read_image_bytes(row)

    assert str(path) in str(caught.value)
    assert "copy the file again" in caught.value.hint


# Answers to wrong addresses and contradictions


def no_shards(root, write, serialise):
    (root / "data.txt").touch()
    return str(root / "*.tfrec")


def deeper(root, write, serialise):
    write(root / "oxford/shards/a.tfrec", [serialise(label=0)])
    return str(root)


def missing_remote(root, write, serialise):
    return "ram://nowhere/data"


def unknown_scheme(root, write, serialise):
    return "gopher://bucket/data/*.tfrec"


def compressed(root, write, serialise):
    (root / "a.tfrec").write_bytes(b"\x1f\x8b\x08\x00" + bytes(40))
    return str(root)


def all_empty(root, write, serialise):
    (root / "a.tfrec").touch()
    return str(root)


def twice(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=0, id_=b"same")] * 2)
    return str(root)


def huge_label(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=2**40)])
    return str(root)


def label_beyond_the_list(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=2)])
    (root / "classes.txt").write_text("daisy\nrose\n")
    return str(root)


def label_of_a_test_beyond_the_list(root, write, serialise):
    write(root / "train/a.tfrec", [serialise(label=0)])
    write(root / "test/a.tfrec", [serialise(id_=b"x")])
    (root / "classes.txt").write_text("daisy\nrose\n")
    (root / "test_labels.csv").write_text("id,label\nx,2\n")
    return str(root)


def class_listed_twice(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=0)])
    (root / "classes.txt").write_text("daisy\nrose\ndaisy\n")
    return str(root)


def list_with_a_gap(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=0)])
    (root / "classes.txt").write_text("daisy\n\nrose\n")
    return str(root)


def list_in_latin1(root, write, serialise):
    write(root / "a.tfrec", [serialise(label=0)])
    (root / "classes.txt").write_bytes("g\N{LATIN SMALL LETTER U WITH DIAERESIS}n".encode("latin1"))
    return str(root)


def different_lists(root, write, serialise):
    for name in ("oxford", "garden"):
        write(root / name / "a.tfrec", [serialise(label=0, id_=name.encode())])
        (root / name / "classes.txt").write_text(f"{name} rose\n")
    return str(root / "*/*.tfrec")


def wrong_test_labels(root, write, serialise):
    write(root / "test/a.tfrec", [serialise(id_=b"a")])
    (root / "test_labels.csv").write_text("id,label\na,daisy\n")
    return str(root)


def labels_without_header(root, write, serialise):
    write(root / "test/a.tfrec", [serialise(id_=b"a")])
    (root / "test_labels.csv").write_text("a,0\nb,0\n")
    return str(root)


@pytest.mark.parametrize(
    ("make", "message", "hint"),
    [
        (no_shards, r"Found no `\.tfrec` file at", "or a pattern such as `data/train/"),
        (deeper, r"Found no `\.tfrec` file at", "there are some in `.*oxford/shards`"),
        (missing_remote, r"Found no `\.tfrec` file at `ram://nowhere/data`", "or a pattern"),
        (unknown_scheme, "Cannot read `gopher://.*not implemented", "check the address"),
        (compressed, "None of the 1 TFRecord files .* compressed, unpack it", "needs a picture"),
        (all_empty, "None of the 1 TFRecord files .* holds no record", "needs a picture"),
        (twice, "1 ids appear twice, for example 'same'", "remove the second copy"),
        (huge_label, r"a label in 0\.\.99999; 'a\.tfrec#0' has 1099511627776", "list all class"),
        (label_beyond_the_list, r"a label in 0\.\.1; 'a\.tfrec#0' has 2", "list all class names"),
        (
            label_of_a_test_beyond_the_list,
            r"Labels must lie in 0\.\.1, but image 'x'",
            "list all class",
        ),
        (class_listed_twice, "line 3 is 'daisy' again", "list all of them in order"),
        (list_with_a_gap, "line 2 is empty", "list all of them in order"),
        (list_in_latin1, "must be UTF-8 text, but byte 1 is not", "save it again as UTF-8"),
        (different_lists, "list different classes", "a data set of its own"),
        (wrong_test_labels, "but line 2 does not", "begin the file with the line `id,label`"),
        (labels_without_header, "but line 2 does not", "begin the file with the line"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_wrong_data_are_answered_with_the_way_out(
    tmp_path, write_records, serialise, make, message, hint
):
    address = make(tmp_path, write_records, serialise)

    with pytest.raises(DataError, match=message) as caught:
        open_data(address)

    assert re.search(hint, caught.value.hint)


def test_a_shard_that_vanishes_is_an_error_and_no_gap(tmp_path, write_flowers):
    write_flowers(tmp_path / "a.tfrec")
    row = read_tfrecords(str(tmp_path), source="petals").rows.iloc[0]
    shutil.rmtree(tmp_path)

    with pytest.raises(DataError, match=r"Cannot read `.*a\.tfrec`: No such file"):
        images.read_image_bytes(row)


def _reason(manifest):
    (problem,) = manifest.problems
    return problem.reason


def test_progress_is_told_file_by_file(tmp_path, write_flowers):
    for number in range(3):
        write_flowers(tmp_path / f"train/{number:02d}-8x8-2.tfrec", prefix=f"{number}-")
    told = []

    read_tfrecords(str(tmp_path), source="p", on_progress=lambda *counts: told.append(counts))

    assert told == [(1, 3), (2, 3), (3, 3)]
