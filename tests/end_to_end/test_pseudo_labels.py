"""Test images that an ensemble labels: by models that have not seen what is scored."""

import importlib
import shutil
from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.blending import material as material_module
from automl_flowers.blending.predict_members import predictions_file
from automl_flowers.blending.retrain import retrain
from ensembles.predictions import load_predictions


@pytest.fixture(scope="module")
def searched(cli, draw_folder, space, tmp_path_factory):
    """A run on pictures whose test part has no labels."""
    root = tmp_path_factory.mktemp("unlabelled")
    pictures = draw_folder(root / "pictures", {"train": 6, "val": 6})
    drawn = draw_folder(root / "drawn", {"test": 2})
    (pictures / "test").mkdir()
    for number, file in enumerate(sorted(drawn.rglob("*.png"))):
        file.rename(pictures / "test" / f"{number}.png")
    cli.json(
        *("search", "--data", pictures, "--run", root / "run", "--space", space),
        *("--max-epochs", 1, "--max-recipes", 3),
    )
    return root / "run"


@pytest.mark.parametrize("folds", [(), ("--folds", 2)], ids=["one division", "folds"])
def test_whoever_labels_has_not_seen_what_is_scored(cli, searched, folds, tmp_path, monkeypatch):
    """Final fits have seen all that has a label, and the models of other folds this fold's."""
    run = shutil.copytree(searched, tmp_path / "run")
    retrained, looked_for_copies = [], []
    leaks_within = material_module.leaks_within

    def watched(trainer, recipe, folder, material, *others, **options):
        member = retrain(trainer, recipe, folder, material, *others, **options)
        retrained.append((material, member))
        return member

    workflow = importlib.import_module("automl_flowers.blending.recipe_soup")
    monkeypatch.setattr(workflow, "retrain", watched)
    monkeypatch.setattr(
        material_module, "leaks_within", lambda *a: looked_for_copies.append(a) or leaks_within(*a)
    )
    sure = ("--pseudo-labels", 0.01, "--final-fit")
    made = cli.json("ensemble", "--top", 1, "--run", run, *sure, *folds)

    (before, first), (material, second) = retrained
    assert before.everything is None
    assert first.final_fits == first.all_fits
    assert len(material.parts) == len(first.fits) == (2 if folds else 1)
    for part, fits in zip(material.parts, first.fits, strict=True):
        file = predictions_file(replace(first, final_fits=fits), material, "test")
        said = load_predictions(run / "predictions" / file)
        given = part.pseudo.at(32)
        np.testing.assert_array_equal(given.ids, said.ids)
        np.testing.assert_array_equal(given.labels, said.probabilities.argmax(axis=1))
    [member] = made["members"]
    assert member["final_fits"] == [f"{second.name}+evaluation"]
    assert len(looked_for_copies) == 2  # for all that is trained on, and for what gets labels


def test_all_that_predicts_is_there_with_several_recipes_too(cli, searched, tmp_path):
    """The first ensemble's members may be made of what the second one's are."""
    run = shutil.copytree(searched, tmp_path / "run")

    made = cli.json(*("ensemble", "--top", 1, "--soup", 3, "--pseudo-labels", 0.01, "--run", run))

    [member] = made["members"]
    there = {path.stem for path in (run / "members").glob("*.npz")}
    assert {*member["fits"], *member["final_fits"]} <= there
    predicted = cli("predict", searched.parent / "pictures" / "test", "--run", run, "--quiet")
    assert predicted.exit_code == 0, predicted.stderr
