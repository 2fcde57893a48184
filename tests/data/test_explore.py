"""Tests for describing a data set."""

import pytest

from automl_flowers.data import explore
from automl_flowers.data.convert import convert
from automl_flowers.data.sources import open_data
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


def describe(address):
    seen = explore.describe(str(address), open_data(str(address)), lambda what, done, total: None)
    return explore.summary_of(seen)


@pytest.fixture
def garden(tmp_path, write_images):
    return write_images(tmp_path / "garden", GARDEN)


def test_a_folder_is_described_in_plain_data(garden):
    facts = describe(garden)

    assert facts == {
        "address": str(garden),
        "classes": 2,
        "images": {"train": 4, "val": 1, "test": 1},
        "unlabelled": 1,
        "imbalance": 1.5,
        "per_class": {"daisy": {"train": 3}, "rose": {"train": 1, "val": 1}},
        "class_weights": {
            "daisy": {"balanced": 0.667, "square_root": 0.845},
            "rose": {"balanced": 2.0, "square_root": 1.464},
        },
        "absent": {"val": ["daisy"]},
        "sizes": {
            "width": {"least": 8, "median": 8, "most": 8},
            "height": {"least": 6, "median": 6, "most": 6},
        },
        "formats": {"JPEG": 6},
        "changes": {"tiny": 6},
        "lost": 1,
        "may_be_lost": 5,
        "problems": [
            {"path": f"{garden}/train/rose/empty.jpg", "reason": "The file is empty.", "images": 1}
        ],
    }


def test_its_tfrecords_are_described_alike(tmp_path, garden):
    convert(str(garden), tmp_path / "records")
    folder, records = describe(garden), describe(tmp_path / "records")

    for name in ("classes", "images", "unlabelled", "imbalance", "per_class", "sizes", "formats"):
        assert records[name] == folder[name]


def test_every_image_is_decoded(tmp_path, write_images, encode):
    tree = {"daisy/a.jpg": b"words", "rose/b.jpg": encode()[:-30], "rose/c.jpg": None}
    facts = describe(write_images(tmp_path / "words", {**tree, "daisy/d.jpg": None}))

    assert facts["images"] == {"train": 2}
    assert facts["lost"] == 2
    assert [problem["path"] for problem in facts["problems"]] == ["daisy/a.jpg", "rose/b.jpg"]


def test_data_without_any_picture_are_described_too(tmp_path, write_images):
    tree = {"daisy/a.jpg": b"words", "rose/b.jpg": b"words"}
    facts = describe(write_images(tmp_path / "words", tree))

    assert (facts["images"], facts["imbalance"], facts["sizes"]) == ({}, None, {})
    assert explore.lines(facts)[:2] == ["2 classes; images: none", "  daisy  "]


@pytest.mark.parametrize(("bad", "verdict"), [(5, "a search skips them"), (6, "a search stops")])
def test_it_is_said_what_a_search_makes_of_bad_images(tmp_path, write_images, bad, verdict):
    tree = {f"{name}/{number}.jpg": None for name in ("daisy", "rose") for number in range(10)}
    broken = {f"rose/broken{number}.jpg": b"" for number in range(bad)}

    lines = explore.lines(describe(write_images(tmp_path / "garden", {**tree, **broken})))

    (said,) = [line for line in lines if "cannot be used" in line]
    assert said.startswith(f"{bad} images cannot be used: ")
    assert verdict in said


def test_a_class_without_images_counts_but_does_not_make_the_imbalance_infinite(
    tmp_path, write_records, serialise, encode
):
    root = tmp_path / "records"
    write_records(root / "train/a.tfrec", [serialise(image=encode(), label=0)] * 2)
    (root / "classes.txt").write_text("daisy\nrose\n")

    facts = describe(root)

    assert facts["per_class"] == {"daisy": {"train": 2}, "rose": {}}
    assert facts["imbalance"] == 1.0


def test_images_without_any_label_have_no_imbalance(tmp_path, write_records, serialise, encode):
    payloads = [serialise(image=encode(), id_=id_) for id_ in (b"a", b"b")]
    write_records(tmp_path / "records/test/a.tfrec", payloads)
    (tmp_path / "records/classes.txt").write_text("daisy\nrose\n")

    facts = describe(tmp_path / "records")

    assert facts["imbalance"] is None
    assert facts["unlabelled"] == 2
    assert explore.lines(facts)[0] == "2 classes; images: 2 test"


def test_lines_say_the_same_to_people(garden):
    lines = explore.lines(describe(garden))

    assert lines == [
        "2 classes; images: 4 train, 1 val, 1 test",
        "all 8 x 6 pixels; 6 JPEG",
        "largest class / smallest: 1.5",
        "  daisy  3 train",
        "  rose   1 train, 1 val",
        "val has no image of 1 of the 2 classes: daisy",
        "6 smaller than 32 pixels; scaled up",
        "1 image cannot be used: a search skips it",
        "problems: 1",
        f"  {garden}/train/rose/empty.jpg: The file is empty.",
    ]


def test_twenty_problems_are_shown(tmp_path, write_images):
    tree = {"daisy/a.jpg": None, "rose/b.jpg": None}
    broken = {f"rose/{k:02d}.jpg": b"" for k in range(30)}
    facts = describe(write_images(tmp_path / "garden", {**tree, **broken}))

    lines = explore.lines(facts)

    assert "problems: 30" in lines
    assert sum("The file is empty." in line for line in lines) == 20
    assert lines[-1] == "  and 10 more; `--json` lists all"


def test_nothing_to_describe_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"There is nothing at `.*nowhere`"):
        describe(tmp_path / "nowhere")
