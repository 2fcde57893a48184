"""Tests for averaging the weights of fits into one model."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.fits import load_weights, weights_path
from automl_flowers.blending.material import collect
from automl_flowers.blending.predict_members import predict_members, score_member
from automl_flowers.blending.retrain import retrain
from automl_flowers.blending.soup import make_soup, mean_state, try_soup
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
    first, second = states_of(member, folders[0])
    soup = load_weights(folders[0], f"{member.name}.soup{NUM_SEEDS}")
    assert soup.keys() == first.keys()
    for name, value in soup.items():
        if np.issubdtype(value.dtype, np.floating):
            np.testing.assert_allclose(value, (first[name] + second[name]) / 2, rtol=1e-5)
        else:
            np.testing.assert_array_equal(value, first[name])
    assert replace(tried, fits=member.fits, final_fits=member.final_fits, tried_soup=None) == member


def test_the_better_of_weights_and_probabilities_is_kept(trainer, member, material, folders):
    """With weights far apart, their mean is no model; with the same ones, it is that model."""
    members_folder, predictions = folders
    one = member.fits[0][0]
    apart = replace(one, name="apart", trained_on="apart")
    shuffled = {
        name: np.random.default_rng(0).permutation(value.ravel()).reshape(value.shape)
        for name, value in load_weights(members_folder, one.name).items()
    }
    save_state(weights_path(members_folder, "apart"), shuffled)
    twin = replace(one, name="twin", trained_on="twin")
    weights_path(members_folder, "twin").write_bytes(
        weights_path(members_folder, one.name).read_bytes()
    )

    def tried(other):
        pair = replace(member, name=other.name, fits=((one, other),))
        return try_soup(trainer, pair, replace(material, everything=None), *folders)

    same = tried(twin)
    assert [fit.name for fit in same.all_fits] == [f"{one.name}.soup2"]
    assert same.final_fits == same.all_fits
    assert same.tried_soup.weights == pytest.approx(same.tried_soup.probabilities)
    far = tried(apart)
    kept = far.tried_soup.weights["log_loss"] <= far.tried_soup.probabilities["log_loss"]
    assert len(far.all_fits) == (1 if kept else 2)
    predicted = predict_members(trainer, [same, far], material, members_folder, predictions)
    assert predicted["val"].probabilities.shape[0] == 2


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


def test_a_soup_of_other_fits_has_other_predictions(trainer, member, material, folders):
    soups = [make_soup(fits, folders[0]) for fits in (member.fits[0], member.fits[0][::-1])]

    assert soups[0].trained_on != soups[1].trained_on
    scores = [
        score_member(trainer, replace(member, fits=((soup,),)), material, "val", *folders)
        for soup in (soups[0], soups[0])
    ]
    assert scores[0] == scores[1]


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
