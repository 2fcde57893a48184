"""Tests for averaging the weights of several recipes into one model."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.blending.fits import load_weights
from automl_flowers.blending.material import collect
from automl_flowers.blending.predict_members import predict_member, scores_of
from automl_flowers.blending.recipe_soup import Kitchen, make_member
from automl_flowers.blending.soup import mean_state, remove_spent
from automl_flowers.blending.soup_records import TriedSoup
from automl_flowers.tuning.search import DivergedError


@pytest.fixture(scope="module")
def material(trainer):
    return collect(trainer.data, 32)


@pytest.fixture(scope="module")
def with_finals(trainer):
    return collect(trainer.data, 32, final_fit=True)


@pytest.fixture
def cook(trainer, tmp_path):
    """Make a member in a folder of its own."""

    def cook(start, others, material, *, most=5, **options):
        kitchen = Kitchen(
            trainer, material, tmp_path / "members", tmp_path / "predictions", **options
        )
        starts = [(recipe, None) for recipe in others]
        return kitchen, make_member(kitchen, (start, None), starts, most)

    return cook


@pytest.fixture(scope="module")
def twin(recipe):
    """Trains as the recipe does, but for the seed."""
    return replace(recipe, label_smoothing=0.001)


@pytest.fixture(scope="module")
def wider(recipe):
    """Trains more of the backbone."""
    return replace(recipe, trainable_blocks=3, dropout=0.2)


@pytest.fixture(scope="module")
def wild(recipe):
    """Ends far from where it began, and is sure of what is wrong."""
    schedule = replace(recipe.schedule, peak_learning_rate=3.0)
    return replace(recipe, schedule=schedule)


def weights_of(kitchen, fits):
    return load_weights(kitchen.members, fits[0].name)


def files(folder):
    return {path.stem for path in folder.glob("*.npz")}


def test_alone_a_recipe_is_what_it_was(cook, recipe, twin, material):
    kitchen, alone = cook(recipe, [twin], material, most=1)
    _, without_others = cook(recipe, [], material)

    assert alone == without_others
    assert (alone.others, alone.form, alone.tried_recipes) == ((), None, None)
    assert files(kitchen.members) == {recipe.name}


def test_one_model_of_recipes_is_the_mean_of_their_weights(
    trainer, cook, recipe, wider, material, monkeypatch
):
    """Layers that one of them has not trained count with what they were at the start."""
    accept_all(monkeypatch)

    kitchen, member = cook(recipe, [wider], material)

    assert member.others == (wider,)
    assert member.predicts_as.trainable_blocks == wider.trainable_blocks
    assert member.recipe == recipe
    own, other, mean = (
        load_weights(kitchen.members, name)
        for name in (recipe.name, wider.name, member.all_fits[0].name)
    )
    assert mean.keys() == other.keys()
    assert len(own) < len(other)
    expected = mean_state([trainer.widen(own, wider), other])
    for name, value in mean.items():
        np.testing.assert_array_equal(value, expected[name])


def accept_all(monkeypatch):
    """Let every recipe stay in, whatever it does to the scores."""
    monkeypatch.setattr(
        "automl_flowers.blending.recipe_soup._scores_together",
        lambda *_: {"macro_f1": 1.0, "log_loss": 0.0},
    )


def test_a_state_is_that_of_a_model_of_which_more_was_trained(trainer, recipe, wider):
    """Where nothing was trained, it is what that one begins with."""
    narrow, wide = (dict(trainer._program(one, 12).initial_model_state) for one in (recipe, wider))
    images = trainer.examples("val", 32)

    widened = trainer.widen(narrow, wider)

    assert widened.keys() == wide.keys()
    head = sorted(wide)[-2:]
    for name, value in wide.items():
        if name not in head:
            np.testing.assert_array_equal(widened[name], value)
    np.testing.assert_allclose(
        trainer.predict(wider, widened, images),
        trainer.predict(recipe, narrow, images),
        atol=1e-4,
    )
    with pytest.raises(ValueError, match="not of a model like"):
        trainer.widen({f"model/{n:04d}": np.zeros(5) for n in range(3)}, wider)


def test_recipes_stay_in_where_log_loss_does_not_rise(trainer, cook, recipe, twin, wild, material):
    kitchen, member = cook(recipe, [wild, twin], material)

    tried = member.tried_recipes
    assert tried.split == "val"
    assert wild not in member.others
    assert wild.name in tried.left_over
    assert tried.together["log_loss"] <= tried.alone["log_loss"]
    assert (twin in member.others) == (twin.name not in tried.left_over)
    folders = kitchen.members, kitchen.predictions
    found = scores_of(predict_member(trainer, member, material, "val", *folders))
    assert found["log_loss"] == pytest.approx(tried.together["log_loss"], abs=1e-5)


def test_no_more_recipes_than_asked_for(cook, recipe, twin, other_recipe, material, monkeypatch):
    accept_all(monkeypatch)

    _, member = cook(recipe, [twin, other_recipe], material, most=2)

    assert member.others == (twin,)


def test_a_recipe_that_fails_is_passed_over(
    cook, recipe, twin, other_recipe, material, monkeypatch
):
    accept_all(monkeypatch)
    make = Kitchen.make

    def fail_once(self, start, *arguments, **options):
        if start[0] == twin:
            raise DivergedError("too much of it")
        return make(self, start, *arguments, **options)

    monkeypatch.setattr(Kitchen, "make", fail_once)

    _, member = cook(recipe, [twin, other_recipe], material)

    assert member.others == (other_recipe,)


def test_final_fits_are_made_of_what_stays_in(
    trainer, cook, recipe, twin, wild, with_finals, monkeypatch
):
    heard = []
    monkeypatch.setattr(
        trainer,
        "train_further",
        lambda recipe, *a, _train=trainer.train_further, **o: (
            heard.append(recipe.name),
            _train(recipe, *a, **o),
        )[1],
    )

    kitchen, member = cook(recipe, [wild, twin], with_finals)

    assert heard == [recipe.name, *(other.name for other in member.others)]
    if member.others:
        [final] = member.final_fits
        number = 1 + len(member.others)
        assert final.name.startswith(f"{recipe.name}+evaluation.recipes{number}-")
        assert weights_of(kitchen, member.final_fits)


def test_again_nothing_is_trained_and_spent_weights_may_be_gone(
    trainer, cook, recipe, twin, wild, with_finals, monkeypatch
):
    together = "automl_flowers.blending.recipe_soup._scores_together"
    monkeypatch.setattr(
        together,
        lambda kitchen, members, split: {
            "macro_f1": 1.0,
            "log_loss": 99.0 if members[-1].recipe == wild else 0.0,
        },
    )
    kitchen, first = cook(recipe, [wild, twin], with_finals)
    remove_spent([first], kitchen.members)

    assert first.others == (twin,)
    assert files(kitchen.members) == {fit.name for fit in (*first.all_fits, *first.final_fits)}
    shutil.rmtree(kitchen.predictions)
    with monkeypatch.context() as without_training:
        for name in ("train", "train_further", "predict"):
            without_training.setattr(trainer, name, None)
        _, again = cook(recipe, [wild, twin], with_finals)
    assert repr(again) == repr(first)  # NaN scores of final fits are not equal to themselves

    _, alone = cook(recipe, [wild, twin], with_finals, most=1)
    assert weights_of(kitchen, alone.final_fits)  # what was spent is trained again for it


def test_where_no_recipe_stays_in_again_nothing_is_trained(
    trainer, cook, recipe, wild, material, monkeypatch
):
    monkeypatch.setattr(
        "automl_flowers.blending.recipe_soup._scores_together",
        lambda *_: {"macro_f1": 0.0, "log_loss": 99.0},
    )
    kitchen, first = cook(recipe, [wild], material)
    remove_spent([first], kitchen.members)

    assert files(kitchen.members) == {recipe.name}
    with monkeypatch.context() as without_training:
        for name in ("train", "predict"):
            without_training.setattr(trainer, name, None)
        _, again = cook(recipe, [wild], material)
    assert again == first
    assert first.tried_recipes.left_over == (wild.name,)
    assert first.tried_recipes.together == first.tried_recipes.alone


def test_a_final_fit_that_fails_keeps_its_recipe_out(
    trainer, cook, recipe, twin, other_recipe, with_finals, monkeypatch
):
    accept_all(monkeypatch)
    go_on = trainer.train_further

    def fail_once(one, *arguments, **options):
        if one == twin:
            raise DivergedError("too much of it")
        return go_on(one, *arguments, **options)

    monkeypatch.setattr(trainer, "train_further", fail_once)

    _, member = cook(recipe, [twin, other_recipe], with_finals)

    assert member.others == (other_recipe,)


def test_seeds_of_recipes_are_in_it_and_not_beside_it(
    cook, recipe, twin, wild, with_finals, monkeypatch
):
    """Each recipe is one model of its seeds first, where these are as good as one."""
    monkeypatch.setattr(TriedSoup, "is_kept", True)
    monkeypatch.setattr(
        "automl_flowers.blending.recipe_soup._scores_together",
        lambda kitchen, members, split: {
            "macro_f1": 1.0,
            "log_loss": 99.0 if members[-1].recipe == wild else 0.0,
        },
    )
    kitchen, first = cook(recipe, [wild, twin], with_finals, num_seeds=2)
    remove_spent([first], kitchen.members)

    assert first.others == (twin,)
    assert files(kitchen.members) == {fit.name for fit in (*first.all_fits, *first.final_fits)}
    assert first.all_fits[0].name.startswith(f"{recipe.name}.soup2.recipes2-")
    _, again = cook(recipe, [wild, twin], with_finals, num_seeds=2)
    assert repr(again) == repr(first)


def test_only_recipes_that_were_trained_on_the_same_images_join(
    cook, recipe, twin, other_recipe, material, monkeypatch
):
    accept_all(monkeypatch)
    make = Kitchen.make

    def name_with_external(self, start, *arguments, **options):
        made = make(self, start, *arguments, **options)
        return replace(made, name=f"{made.name}+external") if start[0] == twin else made

    monkeypatch.setattr(Kitchen, "make", name_with_external)

    _, member = cook(recipe, [twin, other_recipe], material)

    assert member.others == (other_recipe,)


def test_other_settings_choose_anew(cook, recipe, twin, wild, material, with_finals, monkeypatch):
    accept_all(monkeypatch)
    kitchen, both = cook(recipe, [wild, twin], material)
    remove_spent([both], kitchen.members)

    _, one = cook(recipe, [twin], material)
    _, final = cook(recipe, [twin], with_finals)

    assert both.others == (wild, twin)
    assert one.others == final.others == (twin,)
    [fit] = final.final_fits
    assert fit.name.startswith(f"{recipe.name}+evaluation.recipes2-")
    for member in (one, final):
        assert weights_of(kitchen, member.all_fits)


def test_every_fold_has_a_mean_of_its_own(trainer, cook, recipe, twin, monkeypatch):
    accept_all(monkeypatch)
    folds = collect(trainer.data, 32, num_folds=2)

    kitchen, member = cook(recipe, [twin], folds)

    for number, fit in enumerate(member.all_fits, 1):
        assert fit.name.startswith(f"{recipe.name}.fold{number}of2.recipes2-")
    assert member.final_fits == member.all_fits
    first, second = (load_weights(kitchen.members, fit.name) for fit in member.all_fits)
    assert any(not np.array_equal(first[name], second[name]) for name in first)
