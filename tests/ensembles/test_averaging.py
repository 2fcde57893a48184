"""Tests for the weighted mean of probabilities."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average, geometric_mean, uniform_weights, weighted_sum

SEEDS = st.integers(0, 2**32 - 1)


def test_weights_decide_the_share_of_each_member():
    members = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])

    np.testing.assert_array_equal(average(members, np.array([0.25, 0.75])), [[0.25, 0.75]])


def test_members_count_equally_by_default(simulate):
    _, probabilities = simulate(seed=0)

    np.testing.assert_allclose(average(probabilities), probabilities.mean(axis=0), rtol=1e-6)


@settings(deadline=None)
@given(seed=SEEDS, num_models=st.integers(1, 5))
def test_mean_is_a_distribution_between_the_members(simulate, seed, num_models):
    probabilities = simulate(seed, num_models=num_models)[1].astype(np.float64)
    weights = np.random.default_rng(seed).dirichlet(np.ones(num_models))

    blended = average(probabilities, weights)

    assert blended.dtype == np.float64
    np.testing.assert_allclose(blended.sum(axis=-1), 1.0, atol=1e-5)
    assert np.all(blended >= probabilities.min(axis=0) - 1e-12)
    assert np.all(blended <= probabilities.max(axis=0) + 1e-12)


def test_member_of_weight_one_comes_back_unchanged(simulate):
    _, probabilities = simulate(seed=0)

    np.testing.assert_array_equal(average(probabilities, np.eye(3)[1]), probabilities[1])


@pytest.mark.parametrize("num_classes", [2, 3, 7, 104])
def test_equal_columns_stay_equal(num_classes):
    rng = np.random.default_rng(0)
    values = np.repeat(rng.random((3, 50, 1)), num_classes, axis=-1)
    probabilities = values / values.sum(axis=-1, keepdims=True)

    blended = average(probabilities, np.array([0.29, 0.57, 0.14]))

    assert np.all(blended == blended[:, :1])


def test_unchecked_form_gives_the_same_mean(simulate):
    _, probabilities = simulate(seed=0)
    weights = np.array([0.2, 0.0, 0.8])

    np.testing.assert_array_equal(
        weighted_sum(probabilities.astype(float), weights), average(probabilities, weights)
    )


def test_uniform_weights_sum_to_one():
    assert uniform_weights(7).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([0.5, 0.5], r"one entry per model, shape \(3,\), got shape \(2,\)"),
        ([0.5, 0.5, 0.5], "with sum 1.5. Divide them by their sum"),
        ([-0.5, 1.0, 0.5], "must be non-negative"),
        ([np.nan, 0.5, 0.5], "must be non-negative"),
    ],
)
def test_wrong_weights_are_answered_with_what_to_do(simulate, weights, message):
    _, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match=message):
        average(probabilities, np.array(weights))


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.eye(2), r"pass `probabilities\[np.newaxis\]`"),
        (np.ones((0, 3, 2)), "at least one model and class"),
        (np.ones((1, 3, 0)), "at least one model and class"),
        (np.full((2, 3, 4), 0.3), "got 6 of 6 rows that do not; the first sums to 1.2"),
        (np.array([[[2.0, -1.0]]]), "with a minimum of -1"),
        (np.array([[[np.nan, 1.0]]]), "if they hold NaN, predict them again"),
    ],
)
def test_wrong_probabilities_are_answered_with_what_to_do(probabilities, message):
    with pytest.raises(ValueError, match=message):
        average(probabilities)


@settings(deadline=None)
@given(seed=SEEDS)
def test_geometric_mean_is_the_normalised_product_of_roots(simulate, seed):
    probabilities = simulate(seed)[1].astype(np.float64)
    weights = np.array([0.5, 0.2, 0.3])

    product = np.prod(probabilities ** weights[:, None, None], axis=0)

    expected = product / product.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(geometric_mean(probabilities, weights), expected, atol=1e-5)


def test_zero_of_one_member_is_no_veto_in_the_geometric_mean():
    members = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])

    np.testing.assert_allclose(geometric_mean(members), [[0.5, 0.5]])


def test_geometric_mean_of_copies_is_the_copy(simulate):
    _, probabilities = simulate(seed=0)
    copies = np.repeat(probabilities[:1], 3, axis=0)

    np.testing.assert_allclose(geometric_mean(copies), probabilities[0], rtol=1e-5)


def test_weights_of_zero_only_are_refused(simulate):
    with pytest.raises(ValueError, match="whose weight is above 0, got none"):
        weighted_sum(simulate(seed=0)[1], np.zeros(3))


def test_float32_members_are_averaged_in_float64(simulate):
    _, probabilities = simulate(seed=0)

    np.testing.assert_array_equal(average(probabilities), average(probabilities.astype(np.float64)))
