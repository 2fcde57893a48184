"""Tests for the images that members are made of."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending.material import (
    check_unlabelled_test,
    collect,
    labelled_rows,
    pseudo_labelled,
)
from automl_flowers.data.prepare import prepare
from automl_flowers.errors import ConfigError


@pytest.fixture(scope="module")
def with_copies(garden, tmp_path_factory):
    """The garden without labels of its test images, two of which are copies of val images."""
    root = tmp_path_factory.mktemp("copied") / "garden"
    shutil.copytree(garden, root)
    for number, path in enumerate(sorted((root / "test").rglob("*.png"))):
        path.rename(root / "test" / f"{number}.png")
    for folder in ("daisy", "rose", "tulip"):
        (root / "test" / folder).rmdir()
    for number, name in enumerate(("daisy", "rose")):
        with Image.open(root / "val" / name / "0.png") as image:
            image.resize((40, 40), Image.Resampling.BICUBIC).save(root / "test" / f"{number}.png")
    return prepare(
        str(root), seed=0, image_size=32, cache=tmp_path_factory.mktemp("cache"), leaks="drop"
    )


def test_everything_is_all_that_has_a_label(ours):
    material = collect(ours, 32, final_fit=True)

    parts = ours.manifest.count_images()
    assert material.train.count == parts["train"]
    assert material.val.count == parts["val"]
    assert material.everything.count == parts["train"] + parts["val"] + parts["blend"]
    examples = material.everything.at(32)
    assert len(examples) == material.everything.count
    assert not set(examples.ids) & set(ours.manifest.split("test")["id"])
    assert collect(ours, 32).everything is None


def test_copies_of_test_images_are_not_trained_on_to_predict_them(with_copies):
    kept, dropped = (set(labelled_rows(with_copies, policy)["id"]) for policy in ("keep", "drop"))

    assert kept - dropped == {"val/daisy/0.png", "val/rose/0.png"}


def test_what_is_sure_joins_with_the_label_it_was_given(with_copies):
    ids = with_copies.manifest.split("test")["id"].to_numpy(str)
    probabilities = np.full((6, 3), 0.05)
    probabilities[np.arange(6), [0, 1, 2, 0, 1, 2]] = [0.9, 0.9, 0.9, 0.9, 0.6, 0.9]

    images = pseudo_labelled(with_copies, ids, probabilities, 0.8, 32)

    examples = images.at(32)
    assert images.count == len(examples) == 3  # two are copies of val images, one is unsure
    assert examples.ids.tolist() == ["test/2.png", "test/3.png", "test/5.png"]
    assert examples.labels.tolist() == [2, 0, 2]
    assert pseudo_labelled(with_copies, ids, probabilities, 0.95, 32) is None


def test_images_that_scores_are_taken_on_get_no_other_labels(ours, with_copies):
    check_unlabelled_test(with_copies)
    with pytest.raises(ConfigError, match="they have labels"):
        check_unlabelled_test(ours)
    rows = ours.manifest.rows
    without = replace(ours, manifest=ours.manifest.replace_rows(rows[rows["split"] != "test"]))
    with pytest.raises(ConfigError, match="they are missing"):
        check_unlabelled_test(without)
