"""Tests for averaging the weights of several recipes into one model."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.blending.fits import load_weights, note_in_record
from automl_flowers.blending.material import collect
from automl_flowers.blending.member_plan import Start
from automl_flowers.blending.predict_members import predict_member, scores_of
from automl_flowers.blending.recipe_soup import MemberMaker, make_member
from automl_flowers.blending.soup import mean_state, remove_spent
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

    def cook(recipe, others, material, *, most=5, make=MemberMaker, **options):
        maker = make(trainer, material, tmp_path / "members", tmp_path / "predictions", **options)
        starts = [Start(other) for other in others]
        return maker, make_member(maker, Start(recipe), starts, most)

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


def weights_of(maker, fits):
    return load_weights(maker.members, fits[0].name)


def files(folder):
    return {path.stem for path in folder.glob("*.npz")}


def test_alone_a_recipe_is_what_it_was(cook, recipe, twin, material):
    maker, alone = cook(recipe, [twin], material, most=1)
    _, without_others = cook(recipe, [], material)

    assert alone == without_others
    assert (alone.others, alone.form, alone.tried_recipes) == ((), None, None)
    assert files(maker.members) == {recipe.name}


def test_one_model_of_recipes_is_the_mean_of_their_weights(trainer, cook, recipe, wider, material):
    """Layers that one of them has not trained count with what they were at the start."""
    maker, member = cook(recipe, [wider], material, score=accept)

    assert member.others == (wider,)
    assert member.predicts_as.trainable_blocks == wider.trainable_blocks
    assert member.recipe == recipe
    own, other, mean = (
        load_weights(maker.members, name)
        for name in (recipe.name, wider.name, member.all_fits[0].name)
    )
    assert mean.keys() == other.keys()
    assert len(own) < len(other)
    expected = mean_state([trainer.widen(own, wider), other])
    for name, value in mean.items():
        np.testing.assert_array_equal(value, expected[name])


def accept(maker, members, split):
    """Score what makes every recipe stay in."""
    return {"macro_f1": 1.0, "log_loss": 0.0}


def refuse(maker, members, split):
    """Score what keeps every recipe out."""
    return {"macro_f1": 0.0, "log_loss": 99.0}


def refuse_the(recipe):
    """Score what keeps one recipe out."""
    return lambda maker, members, split: (refuse if members[-1].recipe == recipe else accept)(
        maker, members, split
    )


def failing(function, recipe):
    """Return a training that diverges with a recipe."""

    def train(one, *arguments, **options):
        if one == recipe:
            raise DivergedError("too much of it")
        return function(one, *arguments, **options)

    return train


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
    maker, member = cook(recipe, [wild, twin], material)

    tried = member.tried_recipes
    assert tried.split == "val"
    assert wild not in member.others
    assert wild.name in tried.left_over
    assert tried.together["log_loss"] <= tried.alone["log_loss"]
    assert (twin in member.others) == (twin.name not in tried.left_over)
    folders = maker.members, maker.predictions
    found = scores_of(predict_member(trainer, member, material, "val", *folders))
    assert found["log_loss"] == pytest.approx(tried.together["log_loss"], abs=1e-5)


def test_no_more_recipes_than_asked_for(cook, recipe, twin, other_recipe, material):
    _, member = cook(recipe, [twin, other_recipe], material, most=2, score=accept)

    assert member.others == (twin,)


@pytest.mark.parametrize("training", ["train", "train_further"])
def test_a_recipe_that_fails_is_passed_over(
    trainer, cook, recipe, twin, other_recipe, with_finals, monkeypatch, training
):
    monkeypatch.setattr(trainer, training, failing(getattr(trainer, training), twin))

    maker, member = cook(recipe, [twin, other_recipe], with_finals, score=accept)

    assert member.others == (other_recipe,)
    remove_spent([member], maker.members)
    assert files(maker.members) == {fit.name for fit in (*member.all_fits, *member.final_fits)}


def test_final_fits_are_made_of_what_stays_in(
    trainer, cook, recipe, twin, wild, with_finals, monkeypatch
):
    heard, go_on = [], trainer.train_further

    def train_further(one, *arguments, **options):
        heard.append(one.name)
        return go_on(one, *arguments, **options)

    monkeypatch.setattr(trainer, "train_further", train_further)

    maker, member = cook(recipe, [wild, twin], with_finals, score=refuse_the(wild))

    assert member.others == (twin,)
    assert heard == [recipe.name, twin.name]
    [final] = member.final_fits
    assert final.name.startswith(f"{recipe.name}+evaluation.recipes2-")
    assert weights_of(maker, member.final_fits)


def test_again_nothing_is_trained_and_spent_weights_may_be_gone(
    trainer, cook, recipe, twin, wild, with_finals, monkeypatch
):
    maker, first = cook(recipe, [wild, twin], with_finals, score=refuse_the(wild))
    remove_spent([first], maker.members)

    assert first.others == (twin,)
    assert files(maker.members) == {fit.name for fit in (*first.all_fits, *first.final_fits)}
    shutil.rmtree(maker.predictions)
    with monkeypatch.context() as without_training:
        for name in ("train", "train_further", "predict"):
            without_training.setattr(trainer, name, None)
        _, again = cook(recipe, [wild, twin], with_finals)
    assert repr(again) == repr(first)  # NaN scores of final fits are not equal to themselves

    _, alone = cook(recipe, [wild, twin], with_finals, most=1)
    assert weights_of(maker, alone.final_fits)  # what was spent is trained again for it


def test_what_was_made_stands_though_another_ensemble_has_trained_its_fits_otherwise(
    trainer, cook, recipe, twin, with_finals, monkeypatch
):
    """As one with other images for final fits: their records are its own now."""
    maker, first = cook(recipe, [twin], with_finals, score=accept)
    remove_spent([first], maker.members)
    note_in_record(maker.members, f"{recipe.name}+evaluation", trained_on="other images")

    with monkeypatch.context() as without_training:
        for name in ("train", "train_further", "predict"):
            without_training.setattr(trainer, name, None)
        _, again = cook(recipe, [twin], with_finals)

    assert repr(again) == repr(first)


def test_what_a_second_ensemble_predicts_with_stays_though_the_first_was_made_of_it(
    trainer, cook, recipe, twin, material, monkeypatch
):
    """With pseudo-labels that stay out, a recipe that was in one model may be by itself again."""
    train = trainer.train

    def fail_with_pseudo_labels(*arguments, name=None, **options):
        if name and "+pseudo" in name:
            raise DivergedError("too much of it")
        return train(*arguments, name=name, **options)

    maker, first = cook(recipe, [twin], material, score=accept)
    assert first.others == (twin,)
    [part] = material.parts
    labelled = replace(material, parts=(replace(part, pseudo=material.test),))
    monkeypatch.setattr(trainer, "train", fail_with_pseudo_labels)

    _, second = cook(recipe, [twin], labelled, score=refuse)
    remove_spent([second], maker.members, before=[first])

    assert [fit.name for fit in second.final_fits] == [recipe.name]
    assert files(maker.members) == {recipe.name, first.all_fits[0].name}


def test_where_no_recipe_stays_in_again_nothing_is_trained(
    trainer, cook, recipe, wild, material, monkeypatch
):
    maker, first = cook(recipe, [wild], material, score=refuse)
    remove_spent([first], maker.members)

    assert files(maker.members) == {recipe.name}
    with monkeypatch.context() as without_training:
        for name in ("train", "predict"):
            without_training.setattr(trainer, name, None)
        _, again = cook(recipe, [wild], material)
    assert again == first
    assert first.tried_recipes.left_over == (wild.name,)
    assert first.tried_recipes.together == first.tried_recipes.alone


def test_seeds_of_recipes_are_in_it_and_not_beside_it(
    trainer, cook, recipe, twin, wild, with_finals, monkeypatch
):
    """Fits of the same seed twice are one model in any case."""
    monkeypatch.setattr(trainer, "seed_of", lambda recipe, number=0: 1)
    options = {"num_seeds": 2, "score": refuse_the(wild)}

    maker, first = cook(recipe, [wild, twin], with_finals, **options)
    remove_spent([first], maker.members)
    _, again = cook(recipe, [wild, twin], with_finals, **options)

    assert first.others == (twin,)
    assert files(maker.members) == {fit.name for fit in (*first.all_fits, *first.final_fits)}
    assert first.all_fits[0].name.startswith(f"{recipe.name}.soup2.recipes2-")
    assert repr(again) == repr(first)


def test_only_recipes_that_were_trained_on_the_same_images_join(
    cook, recipe, twin, other_recipe, material
):
    class KeepsExternalImages(MemberMaker):
        """Makes members of one recipe that external images stayed in."""

        def make(self, start, *arguments, **options):
            made = super().make(start, *arguments, **options)
            return replace(made, name=f"{made.name}+external") if start.recipe == twin else made

    _, member = cook(recipe, [twin, other_recipe], material, make=KeepsExternalImages, score=accept)

    assert member.others == (other_recipe,)


def test_a_note_keeps_the_fit_without_external_images(cook, recipe, twin, material):
    class KeepsExternalImages(MemberMaker):
        """Makes a member that external images stayed in."""

        def make(self, start, *arguments, **options):
            made = super().make(start, *arguments, **options)
            return replace(made, fit_without_external=made.all_fits[0])

    alone = {"make": KeepsExternalImages, "score": refuse}
    together = {"make": KeepsExternalImages, "score": accept, "most": 2}

    _, first = cook(recipe, [twin], material, **alone)
    _, again = cook(recipe, [twin], material, **alone)
    _, joined = cook(recipe, [twin], material, **together)

    assert first.fit_without_external is not None
    assert repr(again) == repr(first)
    assert joined.fit_without_external is None


def test_other_settings_choose_anew(cook, recipe, twin, wild, material, with_finals):
    maker, both = cook(recipe, [wild, twin], material, score=accept)
    remove_spent([both], maker.members)

    _, one = cook(recipe, [twin], material, score=accept)
    _, final = cook(recipe, [twin], with_finals, score=accept)

    assert both.others == (wild, twin)
    assert one.others == final.others == (twin,)
    [fit] = final.final_fits
    assert fit.name.startswith(f"{recipe.name}+evaluation.recipes2-")
    for member in (one, final):
        assert weights_of(maker, member.all_fits)


def test_every_fold_has_a_mean_of_its_own(trainer, cook, recipe, twin):
    folds = collect(trainer.data, 32, num_folds=2)

    maker, member = cook(recipe, [twin], folds, score=accept)

    for number, fit in enumerate(member.all_fits, 1):
        assert fit.name.startswith(f"{recipe.name}.fold{number}of2.recipes2-")
    assert member.final_fits == member.all_fits
    first, second = (load_weights(maker.members, fit.name) for fit in member.all_fits)
    assert any(not np.array_equal(first[name], second[name]) for name in first)
