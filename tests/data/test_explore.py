"""Tests for describing a data set."""

import pytest

from automl_flowers.data import explore
from automl_flowers.data.convert import convert
from automl_flowers.errors import DataError

GARDEN = {
    "train/daisy/a.jpg": None,
    "train/daisy/b.jpg": None,
    "train/daisy/c.jpg": None,
    "train/rose/d.jpg": None,
    "val/rose/e.jpg": None,
    "test/f.jpg": None,
    "train/rose/empty.jpg": b"",
}


@pytest.fixture
def garden(tmp_path, write_images):
    return write_images(tmp_path / "garden", GARDEN)


def test_a_folder_is_described_in_plain_data(garden):
    facts = explore.describe(str(garden))

    assert facts == {
        "address": str(garden),
        "classes": 2,
        "images": {"train": 4, "val": 1, "test": 1},
        "unlabelled": 1,
        "imbalance": 1.5,
        "per_class": {"daisy": {"train": 3}, "rose": {"train": 1, "val": 1}},
        "absent": {"val": ["daisy"]},
        "problems": [
            {"path": str(garden / "train/rose/empty.jpg"), "reason": "The file is empty."}
        ],
    }


def test_its_tfrecords_are_described_alike(tmp_path, garden):
    convert(str(garden), tmp_path / "records")
    folder, records = explore.describe(str(garden)), explore.describe(str(tmp_path / "records"))

    for name in ("classes", "images", "unlabelled", "imbalance", "per_class"):
        assert records[name] == folder[name]


def test_images_are_not_decoded(tmp_path, write_images):
    root = write_images(tmp_path / "words", {"daisy/a.jpg": b"words", "rose/b.jpg": b"words"})

    assert explore.describe(str(root))["images"] == {"train": 2}


def test_a_class_without_images_counts_but_does_not_make_the_imbalance_infinite(
    tmp_path, write_records, serialise
):
    root = tmp_path / "records"
    write_records(root / "train/a.tfrec", [serialise(label=0), serialise(label=0)])
    (root / "classes.txt").write_text("daisy\nrose\n")

    facts = explore.describe(str(root))

    assert facts["per_class"] == {"daisy": {"train": 2}, "rose": {}}
    assert facts["imbalance"] == 1.0


def test_images_without_any_label_have_no_imbalance(tmp_path, write_records, serialise):
    write_records(tmp_path / "records/test/a.tfrec", [serialise(id_=b"a"), serialise(id_=b"b")])
    (tmp_path / "records/classes.txt").write_text("daisy\nrose\n")

    facts = explore.describe(str(tmp_path / "records"))

    assert facts["imbalance"] is None
    assert facts["unlabelled"] == 2
    assert explore.lines(facts)[0] == "2 classes; images: 2 test"


def test_lines_say_the_same_to_people(garden):
    lines = explore.lines(explore.describe(str(garden)))

    assert lines == [
        "2 classes; images: 4 train, 1 val, 1 test",
        "largest class / smallest: 1.5",
        "  daisy  3 train",
        "  rose   1 train, 1 val",
        "val has no image of 1 of the 2 classes: daisy",
        "problems: 1",
        f"  {garden}/train/rose/empty.jpg: The file is empty.",
    ]


def test_twenty_problems_are_shown(tmp_path, write_images):
    tree = {"daisy/a.jpg": None, "rose/b.jpg": None}
    broken = {f"rose/{k:02d}.jpg": b"" for k in range(30)}
    facts = explore.describe(str(write_images(tmp_path / "garden", {**tree, **broken})))

    lines = explore.lines(facts)

    assert "problems: 30" in lines
    assert sum("The file is empty." in line for line in lines) == 20


def test_nothing_to_describe_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"There is nothing at `.*nowhere`"):
        explore.describe(str(tmp_path / "nowhere"))
