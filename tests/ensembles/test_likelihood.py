"""Tests for weights that minimise log loss."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average
from ensembles.likelihood import fit_likely_weights
from ensembles.metrics import log_loss

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, num_models=st.integers(2, 8))
def test_no_small_change_lowers_log_loss_by_more_than_the_penalty(simulate, seed, num_models):
    labels, probabilities = simulate(seed, num_models=num_models, num_examples=2000)
    weights = fit_likely_weights(labels, probabilities)
    best = log_loss(labels, average(probabilities, weights))

    for m in range(num_models):
        towards = 0.95 * weights + 0.05 * np.eye(num_models)[m]
        assert log_loss(labels, average(probabilities, towards)) > best - 2e-3


def test_two_members_get_the_weights_of_a_fine_grid(simulate):
    labels, probabilities = simulate(seed=0, num_models=2, num_examples=4000)
    probabilities[1] = 0.5 * probabilities[1] + 0.1

    weights = fit_likely_weights(labels, probabilities)

    grid = np.linspace(0.0, 1.0, 201)
    losses = [log_loss(labels, average(probabilities, np.array([w, 1 - w]))) for w in grid]
    assert weights[0] == pytest.approx(grid[int(np.argmin(losses))], abs=0.02)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_weights_move_with_the_members_and_copies_share(simulate, seed):
    labels, probabilities = simulate(seed)
    members = np.concatenate([probabilities, probabilities[:1]])

    weights, moved = (fit_likely_weights(labels, stack) for stack in (members, members[::-1]))

    np.testing.assert_allclose(moved[::-1], weights, atol=1e-3)
    assert weights[0] == pytest.approx(weights[3], abs=1e-3)


def test_members_that_are_sure_and_wrong_are_no_obstacle():
    labels = np.array([0, 1] * 20)
    wrong, right = np.eye(2)[1 - labels], np.eye(2)[labels]

    weights = fit_likely_weights(labels, np.stack([wrong, right]))

    assert weights[1] > 0.9
    assert weights.sum() == pytest.approx(1.0)
