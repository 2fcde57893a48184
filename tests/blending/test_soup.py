"""Tests for averaging the weights of fits into one model."""

import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.fits import load_weights, weights_path
from automl_flowers.blending.material import collect
from automl_flowers.blending.predict_members import predictions_file
from automl_flowers.blending.retrain import retrain
from automl_flowers.blending.soup import make_soup, mean_state, remove_spent, try_soup
from automl_flowers.blending.soup_records import TriedSoup
from automl_flowers.tuning.checkpoints import save_state

NUM_SEEDS = 2


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Where weights and where predictions lie."""
    root = tmp_path_factory.mktemp("soup")
    return root / "members", root / "predictions"


@pytest.fixture(scope="module")
def material(trainer):
    """Our images, and all of them for final fits."""
    return collect(trainer.data, 32, final_fit=True)


@pytest.fixture(scope="module")
def member(trainer, recipe, material, folders):
    """A member of two fits, and of two final ones."""
    return retrain(trainer, recipe, folders[0], material, num_seeds=NUM_SEEDS)


def states_of(member, folder):
    return [load_weights(folder, fit.name) for fit in member.all_fits]


def test_a_soup_is_one_model_of_mean_weights_where_it_predicts_no_worse(
    trainer, member, material, folders
):
    tried = try_soup(trainer, member, material, *folders)

    result = tried.tried_soup
    assert result.split == "val"
    is_kept = result.weights["log_loss"] <= result.probabilities["log_loss"]
    assert len(tried.all_fits) == len(tried.final_fits) == (1 if is_kept else NUM_SEEDS)
    assert replace(tried, fits=member.fits, final_fits=member.final_fits, tried_soup=None) == member


def test_the_weights_of_a_soup_are_the_mean(member, folders):
    first, second = states_of(member, folders[0])
    soup = load_weights(folders[0], make_soup(member.fits[0], folders[0]).name)

    assert soup.keys() == first.keys()
    for name, value in soup.items():
        if np.issubdtype(value.dtype, np.floating):
            np.testing.assert_allclose(value, (first[name] + second[name]) / 2, rtol=1e-5)
        else:
            np.testing.assert_array_equal(value, first[name])


def pair_of(member, folder, **weights):
    """Return a member whose two fits have some weights."""
    for name, state in weights.items():
        save_state(weights_path(folder, name), state)
    first = member.fits[0][0]
    fits = tuple(replace(first, name=name, trained_on=name) for name in weights)
    return replace(member, name="+".join(weights), fits=(fits,), final_fits=fits)


def test_fits_with_the_same_weights_are_that_model(trainer, member, material, folders):
    weights = load_weights(folders[0], member.fits[0][0].name)
    twins = pair_of(member, folders[0], one=weights, twin=weights)

    tried = try_soup(trainer, twins, replace(material, everything=None), *folders)

    assert [fit.name for fit in tried.all_fits] == ["one.soup2"]
    assert tried.final_fits == tried.all_fits
    assert tried.tried_soup.weights == pytest.approx(tried.tried_soup.probabilities)


def test_where_the_mean_of_the_weights_predicts_worse_the_probabilities_are_kept(
    trainer, member, material, folders
):
    """One fit is far too sure, the other says nothing; half of too sure is still too sure."""
    weights = load_weights(folders[0], member.fits[0][0].name)
    num_classes = trainer.data.manifest.num_classes
    head = [n for n, v in weights.items() if v.ndim in (1, 2) and v.shape[-1] == num_classes]
    assert len(head) == 2  # its kernel and its bias
    pair = pair_of(
        member,
        folders[0],
        too_sure={name: 1000 * value if name in head else value for name, value in weights.items()},
        silent={name: 0 * value if name in head else value for name, value in weights.items()},
    )

    tried = try_soup(trainer, pair, material, *folders)

    assert tried.tried_soup.probabilities["log_loss"] <= math.log(2 * num_classes)
    assert tried.tried_soup.weights["log_loss"] > tried.tried_soup.probabilities["log_loss"]
    assert replace(tried, tried_soup=None) == pair


def test_what_predicts_new_images_is_one_model_too(trainer, member, material, folders):
    same = replace(member, fits=((member.fits[0][0],) * 2,))

    tried = try_soup(trainer, same, material, *folders)

    assert [fit.name for fit in tried.final_fits] == [f"{member.name}+evaluation.soup2"]
    first, second = (load_weights(folders[0], fit.name) for fit in member.final_fits)
    soup = load_weights(folders[0], tried.final_fits[0].name)
    name = next(name for name in soup if not np.array_equal(first[name], second[name]))
    np.testing.assert_allclose(soup[name], (first[name] + second[name]) / 2, rtol=1e-5)


def test_a_member_of_one_fit_is_left_alone(member):
    one = replace(member, fits=(member.fits[0][:1],))

    assert try_soup(None, one, None, None, None) is one


def test_predictions_of_a_soup_are_not_those_of_one_of_other_fits(member, material, folders):
    first, second = member.fits[0]
    retrained = replace(second, trained_on="other images")
    soups = [make_soup(fits, folders[0]) for fits in ((first, second), (first, retrained))]

    assert soups[0].name == soups[1].name
    files = {predictions_file(replace(member, fits=((soup,),)), material, "val") for soup in soups}
    assert len(files) == 2


def test_weights_that_are_in_a_soup_are_not_kept_beside_it(
    trainer, recipe, material, tmp_path, monkeypatch
):
    """A soup of the same fit twice is always kept; again, nothing is trained or compared."""
    members, predictions = tmp_path / "members", tmp_path / "predictions"
    monkeypatch.setattr(trainer, "seed_of", lambda recipe, number=0: 1)

    def make(trainer):
        member = retrain(trainer, recipe, members, material, num_seeds=NUM_SEEDS)
        return try_soup(trainer, member, material, members, predictions)

    first = make(trainer)
    files = {path.name for path in members.glob("*.npz")}
    remove_spent([first], members)
    left = {path.name for path in members.glob("*.npz")}

    soups = (*first.all_fits, *first.final_fits)
    assert left == {weights_path(members, soup.name).name for soup in soups}
    assert len(files) == len(left) * (NUM_SEEDS + 1)
    shutil.rmtree(predictions)
    with monkeypatch.context() as without_training:
        for name in ("train", "predict"):
            without_training.setattr(trainer, name, None)
        again = make(trainer)
    assert repr(again) == repr(first)  # NaN scores of final fits are not equal to themselves
    fewer = retrain(trainer, recipe, members, material, num_seeds=1)
    assert load_weights(members, fewer.fits[0][0].name)


def test_a_soup_that_is_not_kept_is_removed_and_all_that_it_was_made_of_stays(member, tmp_path):
    """Not before it is said what predicts instead: until then `blend.json` may name it."""
    for fit in member.all_fits:
        save_state(weights_path(tmp_path, fit.name), {"weight": np.ones(2, np.float32)})
    before = {path.name for path in tmp_path.glob("*.npz")}
    soup = make_soup(member.fits[0], tmp_path)
    tried = TriedSoup("val", probabilities={"log_loss": 0.2}, weights={"log_loss": 0.3})
    assert weights_path(tmp_path, soup.name).exists()

    remove_spent([replace(member, tried_soup=tried)], tmp_path)

    assert {path.name for path in tmp_path.glob("*.npz")} == before


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=6))
def test_the_mean_state_is_the_mean(values):
    states = [
        {"weight": np.full((2, 3), value, np.float32), "seed": np.array([number, 7], np.uint32)}
        for number, value in enumerate(values)
    ]
    before = [state["weight"].copy() for state in states]

    mean = mean_state(states)

    assert mean["weight"].dtype == np.float32
    np.testing.assert_allclose(mean["weight"], np.mean(values), rtol=1e-5, atol=1e-4)
    assert mean["seed"].tolist() == [0, 7]
    for state, weight in zip(states, before, strict=True):
        np.testing.assert_array_equal(state["weight"], weight)
