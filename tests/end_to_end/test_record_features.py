"""Tests for `--record-features`: TFRecords with names of their own, through every command."""

import numpy as np
import pytest
import tensorflow as tf
import typer

from automl_flowers.cli import app
from automl_flowers.data.cache import load_pictures
from automl_flowers.data.caching import Caching
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import decode_image
from automl_flowers.data.sources.records import RecordFeatures
from tests.data.conftest import encode_image, write_tfrecord_file

NAMES = "label=flower,image=photo"
SIZE = 8
READ_DATA = ("search", "data describe", "data check", "data map-labels", "data convert")


def serialise(number, photo, split, label="flower"):
    """Return a record in which two pictures stand, the wrong one by the usual name."""
    example = tf.train.Example()
    feature = example.features.feature
    feature["photo"].bytes_list.value.append(photo)
    feature["image"].bytes_list.value.append(encode_image("PNG", seed=1000))
    feature[label].int64_list.value.append(number % 2)
    feature["id"].bytes_list.value.append(f"{split}{number}".encode())
    return example.SerializeToString()


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A data set of records, and its photographs by id."""
    root, photos = tmp_path_factory.mktemp("records"), {}
    for first, split in enumerate(("train", "val")):
        shown = [encode_image("PNG", (40, 40), seed=10 * first + k) for k in range(6)]
        photos |= {f"{split}{k}": photo for k, photo in enumerate(shown)}
        write_tfrecord_file(
            root / split / "00-40x40-6.tfrec",
            [serialise(k, photo, split) for k, photo in enumerate(shown)],
        )
    (root / "classes.txt").write_text("rose\niris\n")
    return root, photos


@pytest.mark.parametrize("mode", ["disk", "memory", "none"])
def test_the_named_picture_is_decoded_wherever_it_is_kept(records, tmp_path, mode):
    root, photos = records
    names = {"image": "photo", "label": "flower"}
    rows = open_data(str(root), features=RecordFeatures.named(names)).rows

    pictures = load_pictures(rows, SIZE, tmp_path, caching=Caching(mode))

    assert pictures.ids == tuple(sorted(photos))
    expected = [decode_image(photos[identity], SIZE) for identity in pictures.ids]
    np.testing.assert_array_equal(pictures.images[np.arange(len(rows))], expected)


@pytest.mark.parametrize("label", ["flower", "species"])
def test_data_sets_with_other_names_are_read_together(records, tmp_path, label):
    _, photos = records
    made = [serialise(k, photo, "train", label) for k, photo in enumerate(photos.values())]
    write_tfrecord_file(tmp_path / "train" / "0.tfrec", made)
    (tmp_path / "classes.txt").write_text("rose\niris\n")

    features = RecordFeatures.named({"label": "flower|species", "image": "photo"})

    labels = open_data(str(tmp_path), features=features).rows["label"]
    assert labels.tolist() == [k % 2 for k in range(len(made))]


def test_another_name_is_another_cache(records, tmp_path):
    root, _ = records
    usual, named = (
        open_data(str(root), features=RecordFeatures.named({"label": "flower", **more})).rows
        for more in ({}, {"image": "photo"})
    )

    as_usual, as_named = (load_pictures(rows, SIZE, tmp_path).images for rows in (usual, named))

    assert not np.array_equal(as_usual, as_named)


def test_describe_check_and_augment_look_at_the_named_picture(cli, records, tmp_path):
    root, _ = records

    described = cli.json("data", "describe", root, "--record-features", NAMES)
    checked = cli.json(
        *("data", "check", "--data", root, "--record-features", NAMES, "--out", tmp_path)
    )
    augmented = cli.json(
        *("data", "augment", "--data", root, "--record-features", NAMES, "--augmentation", "light")
    )

    assert described["sizes"]["width"] == {"least": 40, "median": 40, "most": 40}
    assert described["images"] == {"train": 6, "val": 6}
    assert checked["leaks"] == [], "the picture that is not looked at is the same everywhere"
    assert augmented["sampled"] > 0


def test_convert_writes_the_named_picture_by_its_usual_name(cli, records, tmp_path):
    root, photos = records

    cli.json("data", "convert", root, tmp_path / "out", "--record-features", NAMES, "--quiet")

    rows = open_data(str(tmp_path / "out")).rows
    pictures = load_pictures(rows, SIZE, tmp_path / "cache")
    expected = [decode_image(photos[identity], SIZE) for identity in pictures.ids]
    np.testing.assert_array_equal(pictures.images, expected)


def test_labels_are_mapped_by_the_named_features(cli, records, tmp_path):
    root, _ = records
    refused = cli("data", "map-labels", root, root, "--out", tmp_path / "refused.yaml")

    facts = cli.json(
        *("data", "map-labels", root, root, "--record-features", NAMES),
        *("--out", tmp_path / "map.yaml"),
    )

    assert refused.exit_code == 2
    assert "--record-features" in refused.stderr
    assert (facts["same_name"], facts["suggested"]) == (2, 0)
    assert '"rose": "rose"  # 6 images' in (tmp_path / "map.yaml").read_text()


def test_a_name_for_nothing_is_answered(cli, records):
    result = cli("data", "describe", records[0], "--record-features", "picture=photo")

    assert result.exit_code == 2
    assert "record_features" in result.stderr
    assert "'label', 'id' or 'image'" in result.stderr


@pytest.mark.parametrize("command", READ_DATA)
def test_what_reads_data_has_the_same_options(command):
    found = typer.main.get_command(app)
    for word in command.split():
        found = found.commands[word]

    options = {option for parameter in found.params for option in parameter.opts}

    assert {"--record-features", "--quiet", "--json"} <= options
