"""Tests for the exponent that shifts decisions between frequent and rare classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.metrics import macro_f1
from ensembles.prior import EXPONENTS, class_frequencies, fit_prior_exponent

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_exponent_is_the_best_of_those_compared(simulate, seed):
    labels, probabilities = simulate(seed, num_models=1)
    prior = class_frequencies(labels, 5)

    exponent = fit_prior_exponent(labels, probabilities[0], prior)

    scores = [macro_f1(labels, probabilities[0] * prior**-each) for each in EXPONENTS]
    assert macro_f1(labels, probabilities[0] * prior**-exponent) == pytest.approx(max(scores))


def test_members_that_ignore_how_frequent_classes_are_get_a_negative_exponent():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, size=4000, p=[0.85, 0.05, 0.05, 0.05])
    logits = 1.5 * np.eye(4)[labels] + rng.normal(size=(4000, 4))
    likelihoods = np.exp(logits)  # of the classes as if all were equally frequent

    exponent = fit_prior_exponent(labels, likelihoods, class_frequencies(labels, 4))

    assert exponent < 0.0


def test_exponent_is_zero_where_it_does_nothing():
    labels = np.arange(20) % 4

    assert fit_prior_exponent(labels, np.eye(4)[labels], class_frequencies(labels, 4)) == 0.0


def test_class_without_images_is_rare_but_not_impossible():
    frequencies = class_frequencies(np.array([0, 0, 0]), 2)

    np.testing.assert_allclose(frequencies, [0.8, 0.2])


@pytest.mark.parametrize("prior", [np.ones(4), np.array([1.0, 0.0, 0.5, 0.5, 0.5])])
def test_wrong_prior_is_refused(simulate, prior):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match="a share above 0 for each of 5 classes"):
        fit_prior_exponent(labels, probabilities[0], prior)
