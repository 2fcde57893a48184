"""Tests for the images that members are made of."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending.material import (
    check_unlabelled_test,
    collect,
    copies_of_scored,
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
    [own] = material.parts
    assert own.train.count == parts["train"]
    assert own.val.count == parts["val"]
    assert {split: images.count for split, images in own.held_out.items()} == {
        split: parts[split] for split in ("val", "blend")
    }
    assert material.test.count == parts["test"]
    assert material.everything.count == parts["train"] + parts["val"] + parts["blend"]
    examples = material.everything.at(32)
    assert len(examples) == material.everything.count
    assert not set(examples.ids) & set(ours.manifest.split("test")["id"])
    assert collect(ours, 32).everything is None


def test_copies_of_test_images_are_not_trained_on_to_predict_them(with_copies):
    kept, dropped = (set(labelled_rows(with_copies, policy)["id"]) for policy in ("keep", "drop"))

    assert kept - dropped == {"val/daisy/0.png", "val/rose/0.png"}


def test_folds_hold_out_every_labelled_image_once(ours):
    material = collect(ours, 32, num_folds=3)

    labelled = set(ours.manifest.split("train", "val", "blend")["id"])
    held_out = [set(part.held_out["blend"].at(32).ids) for part in material.parts]
    assert sorted(identity for fold in held_out for identity in fold) == sorted(labelled)
    for part, fold in zip(material.parts, held_out, strict=True):
        assert set(part.train.at(32).ids) == labelled - fold
        assert set(part.val.at(32).ids) == fold
        assert set(part.held_out) == {"blend"}
    assert [part.suffix for part in material.parts] == [f".fold{k}of3" for k in (1, 2, 3)]
    contents = {images.content for part in material.parts for images in (part.train, part.val)}
    assert len(contents) == 6
    assert material.test.count == len(ours.manifest.split("test"))


def test_folds_keep_copies_together(garden, tmp_path):
    root = tmp_path / "garden"
    shutil.copytree(garden, root)
    pairs = []
    for name in ("daisy", "rose", "tulip"):
        for number in range(2):
            with Image.open(root / "train" / name / f"{number}.png") as image:
                image.resize((40, 40), Image.Resampling.BICUBIC).save(
                    root / "train" / name / f"copy{number}.png"
                )
            pairs.append({f"train/{name}/{number}.png", f"train/{name}/copy{number}.png"})
    data = prepare(str(root), seed=0, image_size=32, cache=tmp_path / "cache")

    material = collect(data, 32, num_folds=4, seed=3)

    folds = [set(part.val.at(32).ids) for part in material.parts]
    for pair in pairs:
        assert sum(pair <= fold for fold in folds) == 1


def test_copies_of_test_images_are_in_no_fold(with_copies):
    material = collect(with_copies, 32, num_folds=2)

    ids = np.concatenate([part.val.at(32).ids for part in material.parts])
    assert not {"val/daisy/0.png", "val/rose/0.png"} & set(ids)
    assert len(ids) == len(labelled_rows(with_copies, "drop"))


def test_heads_of_folds_have_not_seen_what_is_held_out(ours):
    seen = []

    def heads_of_fold(rows, is_train):
        seen.append(set(rows["id"][is_train]))
        return lambda backbone, image_size: None

    material = collect(ours, 32, num_folds=3, heads_of_fold=heads_of_fold)

    assert seen == [set(part.train.at(32).ids) for part in material.parts]
    assert all(part.heads is not None for part in material.parts)
    assert collect(ours, 32, heads_of_fold=heads_of_fold).parts[0].heads is None


def test_what_is_sure_joins_with_the_label_it_was_given(with_copies):
    ids = with_copies.manifest.split("test")["id"].to_numpy(str)
    probabilities = np.full((6, 3), 0.05)
    probabilities[np.arange(6), [0, 1, 2, 0, 1, 2]] = [0.9, 0.9, 0.9, 0.9, 0.6, 0.9]

    said = (with_copies, ids, probabilities)
    copied = copies_of_scored(with_copies, ("val", "blend"))

    images = pseudo_labelled(*said, 0.8, 32, left_out=copied)

    examples = images.at(32)
    assert images.count == len(examples) == 3  # two are copies of val images, one is unsure
    assert examples.ids.tolist() == ["test/2.png", "test/3.png", "test/5.png"]
    assert examples.labels.tolist() == [2, 0, 2]
    assert pseudo_labelled(*said, 0.95, 32, left_out=copied) is None


def test_with_folds_copies_of_any_labelled_image_do_not_join(garden, tmp_path):
    root = tmp_path / "garden"
    shutil.copytree(garden, root)
    for path in list((root / "test").rglob("*.png")):
        path.unlink()
    for folder in ("daisy", "rose", "tulip"):
        (root / "test" / folder).rmdir()
    with Image.open(root / "train" / "rose" / "0.png") as image:
        image.resize((40, 40), Image.Resampling.BICUBIC).save(root / "test" / "0.png")
    data = prepare(str(root), seed=0, image_size=32, cache=tmp_path / "cache", leaks="warn")
    sure = (data, np.array(["test/0.png"]), np.array([[0.0, 1.0, 0.0]]), 0.9, 32)
    copied = copies_of_scored(data, ("val", "blend"))
    of_folds = copies_of_scored(data, ("train", "val", "blend"))

    assert pseudo_labelled(*sure, left_out=copied).count == 1
    assert pseudo_labelled(*sure, left_out=of_folds) is None


def test_images_that_scores_are_taken_on_get_no_other_labels(ours, with_copies):
    check_unlabelled_test(with_copies)
    with pytest.raises(ConfigError, match="they have labels"):
        check_unlabelled_test(ours)
    rows = ours.manifest.rows
    without = replace(ours, manifest=ours.manifest.replace_rows(rows[rows["split"] != "test"]))
    with pytest.raises(ConfigError, match="they are missing"):
        check_unlabelled_test(without)
