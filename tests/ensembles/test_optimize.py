"""Tests for fitting blend weights."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average
from ensembles.metrics import accuracy, log_loss, macro_f1, negative_log_loss
from ensembles.optimize import fit_weights

SEEDS = st.integers(0, 2**32 - 1)
NUM_MODELS = st.integers(1, 4)
METRICS = st.sampled_from([macro_f1, accuracy, negative_log_loss])


def blended_score(metric, labels, probabilities, weights):
    return metric(labels, average(probabilities, np.asarray(weights)))


def test_perfect_member_takes_all_the_weight():
    labels = np.array([0, 1, 2])
    perfect, wrong = np.eye(3), np.roll(np.eye(3), 1, axis=1)

    np.testing.assert_array_equal(fit_weights(labels, np.stack([wrong, perfect])), [0.0, 1.0])
    np.testing.assert_array_equal(
        fit_weights(labels, np.stack([wrong, perfect, np.roll(wrong, 1, axis=1)])), [0, 1, 0]
    )


def test_narrow_window_between_two_members_is_hit():
    # Both examples come out right only if the first member weighs from 0.80 to 0.82.
    labels = np.array([0, 1])
    first = np.array([[0.6, 0.4], [0.6, 0.4]])
    second = np.array([[0.1, 0.9], [0.04, 0.96]])

    weights = fit_weights(labels, np.stack([first, second]))

    assert 0.8 <= weights[0] <= 0.82
    assert blended_score(macro_f1, labels, np.stack([first, second]), weights) == 1.0


@pytest.mark.parametrize("percent", range(101))
def test_the_only_good_blend_of_two_is_found_wherever_it_lies(percent):
    target = np.array([percent / 100, 1 - percent / 100])
    members = np.stack([np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]])

    def closeness(labels, probabilities):
        return -float(np.abs(probabilities - target).max())

    weights = fit_weights(np.array([0, 1]), members, metric=closeness)

    np.testing.assert_allclose(weights, target, atol=1e-12)


def test_complementary_members_share_the_weight():
    labels = np.arange(3)
    members = np.full((3, 3, 3), 0.1) + 0.7 * np.eye(3)
    for k in range(3):
        members[k, k] = np.roll([0.2, 0.45, 0.35], k)

    weights = fit_weights(labels, members)

    np.testing.assert_allclose(weights, 1 / 3, atol=0.05)
    assert blended_score(macro_f1, labels, members, weights) == 1.0


def test_equal_scores_are_told_apart_by_log_loss(simulate):
    labels = np.array([0, 1])
    timid = np.full((2, 2), 0.4) + 0.2 * np.eye(2)
    bold = np.full((2, 2), 0.1) + 0.8 * np.eye(2)

    np.testing.assert_array_equal(fit_weights(labels, np.stack([timid, bold])), [0.0, 1.0])


def test_equal_scores_and_log_losses_go_to_the_most_uniform():
    labels = np.array([0])
    members = np.array([[[0.6, 0.4, 0.0]], [[0.6, 0.3, 0.1]], [[0.6, 0.0, 0.4]]])

    np.testing.assert_allclose(fit_weights(labels, members), 1 / 3)
    np.testing.assert_allclose(fit_weights(labels, members[:2]), 1 / 2)


@settings(deadline=None)
@given(seed=SEEDS, num_models=NUM_MODELS, metric=METRICS)
def test_weights_are_a_distribution_over_members(simulate, seed, num_models, metric):
    labels, probabilities = simulate(seed, num_models=num_models)

    weights = fit_weights(labels, probabilities, metric=metric)

    assert weights.shape == (num_models,)
    assert weights.dtype == np.float64
    assert np.all(weights >= 0)
    assert weights.sum() == pytest.approx(1.0)


@settings(deadline=None)
@given(seed=SEEDS, num_models=NUM_MODELS, metric=METRICS)
def test_never_worse_than_uniform_or_any_member(simulate, seed, num_models, metric):
    labels, probabilities = simulate(seed, num_models=num_models)

    weights = fit_weights(labels, probabilities, metric=metric)

    score = blended_score(metric, labels, probabilities, weights)
    assert score >= metric(labels, average(probabilities))
    assert all(score >= metric(labels, member.astype(float)) for member in probabilities)


@settings(deadline=None, max_examples=25)
@given(seed=SEEDS, order=st.permutations(range(4)))
def test_permuting_members_permutes_weights(simulate, seed, order):
    labels, probabilities = simulate(seed, num_models=4)

    weights = fit_weights(labels, probabilities)

    np.testing.assert_allclose(fit_weights(labels, probabilities[order]), weights[order])


@settings(deadline=None)
@given(seed=SEEDS, num_models=NUM_MODELS, copies=st.integers(2, 3))
def test_identical_members_get_equal_weights(simulate, seed, num_models, copies):
    labels, probabilities = simulate(seed, num_models=num_models)
    repeated = np.concatenate([probabilities, *[probabilities[:1]] * (copies - 1)])

    weights = fit_weights(labels, repeated)

    assert np.all(weights[num_models:] == weights[0])
    assert weights.sum() == pytest.approx(1.0)


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_same_input_gives_the_same_weights(simulate, seed):
    labels, probabilities = simulate(seed, num_examples=20)

    first, second = (fit_weights(labels, probabilities) for _ in range(2))

    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("seed", range(5))
def test_search_over_three_comes_close_to_every_blend_tried(simulate, seed):
    labels, probabilities = simulate(seed, num_examples=200, num_classes=10, skill=1.5)
    grid = [(i, j, 25 - i - j) for i, j in itertools.product(range(26), repeat=2) if i + j <= 25]
    best = max(blended_score(macro_f1, labels, probabilities, np.array(g) / 25) for g in grid)

    weights = fit_weights(labels, probabilities)

    assert blended_score(macro_f1, labels, probabilities, weights) >= best - 0.01


def test_score_does_not_depend_on_the_shortcut_for_settled_examples(simulate):
    labels, probabilities = simulate(seed=1)

    def plain_macro_f1(labels, blended):
        return macro_f1(labels, blended)

    np.testing.assert_array_equal(
        fit_weights(labels, probabilities),
        fit_weights(labels, probabilities, metric=plain_macro_f1),
    )


def test_three_members_take_a_few_hundred_evaluations_at_most(simulate):
    labels, probabilities = simulate(seed=2)
    calls = []

    def counted(labels, blended):
        calls.append(1)
        return macro_f1(labels, blended)

    fit_weights(labels, probabilities, metric=counted)

    assert len(calls) < 500


def test_input_is_left_as_it_was(simulate):
    labels, probabilities = simulate(seed=0)
    before = labels.copy(), probabilities.copy()

    fit_weights(labels, probabilities)

    np.testing.assert_array_equal(labels, before[0])
    np.testing.assert_array_equal(probabilities, before[1])


def test_single_member_gets_everything(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    np.testing.assert_array_equal(fit_weights(labels, probabilities), [1.0])


def test_blend_whose_score_is_nan_loses(simulate):
    labels, probabilities = simulate(seed=0, num_models=2)

    def broken_but_for_the_second(labels, blended):
        return 0.0 if np.array_equal(blended, probabilities[1]) else float("nan")

    weights = fit_weights(labels, probabilities, metric=broken_but_for_the_second)

    np.testing.assert_array_equal(weights, [0.0, 1.0])


def test_log_loss_is_refused_as_it_would_be_maximised(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match=r"Pass `ensembles.metrics.negative_log_loss`"):
        fit_weights(labels, probabilities, metric=log_loss)


def test_flat_probabilities_are_rejected_with_the_fix(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match=r"pass `probabilities\[np.newaxis\]`"):
        fit_weights(labels, probabilities[0])


def test_unknown_labels_are_rejected_with_the_fix(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match="Leave out examples whose label is unknown"):
        fit_weights(np.full_like(labels, -1), probabilities)
