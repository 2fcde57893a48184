"""Tests for weights by CMA-ES, where `cma` is installed."""

import sys

import numpy as np
import pytest

from ensembles.averaging import average, uniform_weights
from ensembles.evolution import fit_evolved_weights
from ensembles.metrics import log_loss, macro_f1


def test_weights_score_no_less_than_equal_ones_and_are_repeatable(simulate):
    labels, probabilities = simulate(seed=0)

    weights, again = (fit_evolved_weights(labels, probabilities) for _ in range(2))

    assert weights.sum() == pytest.approx(1.0)
    assert np.all(weights > 0.0)
    np.testing.assert_array_equal(weights, again)
    assert macro_f1(labels, average(probabilities, weights)) >= macro_f1(
        labels, average(probabilities)
    )


def test_poor_member_is_found_out(simulate):
    labels, probabilities = simulate(seed=0, num_examples=300)
    probabilities[2] = np.random.default_rng(0).permutation(probabilities[2])

    weights = fit_evolved_weights(labels, probabilities)

    assert weights[2] < uniform_weights(3)[2]


def test_single_member_gets_everything(simulate):
    np.testing.assert_array_equal(fit_evolved_weights(*simulate(seed=0, num_models=1)), [1.0])


def test_loss_in_place_of_a_score_is_refused(simulate):
    with pytest.raises(ValueError, match="negative_log_loss"):
        fit_evolved_weights(*simulate(seed=0), metric=log_loss)


def test_missing_library_is_answered_with_how_to_install_it(simulate, monkeypatch):
    monkeypatch.setitem(sys.modules, "cma", None)

    with pytest.raises(ImportError, match=r'pip install "automl-flowers\[cma\]"'):
        fit_evolved_weights(*simulate(seed=0))
