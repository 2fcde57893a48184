"""Tests for how differently members err."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.diversity import measure_diversity

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(seed=SEEDS, num_models=st.integers(2, 5))
def test_it_is_the_mean_over_pairs(simulate, seed, num_models):
    labels, probabilities = simulate(seed, num_models=num_models)
    votes = probabilities.argmax(axis=-1)
    pairs = [(a, b) for a in range(num_models) for b in range(a)]

    diversity = measure_diversity(labels, probabilities)

    assert diversity.disagreement == pytest.approx(
        np.mean([np.mean(votes[a] != votes[b]) for a, b in pairs])
    )
    assert diversity.both_wrong == pytest.approx(
        np.mean([np.mean((votes[a] != labels) & (votes[b] != labels)) for a, b in pairs])
    )
    assert np.mean(diversity.of_members) == pytest.approx(diversity.disagreement)


def test_copies_do_not_differ(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    diversity = measure_diversity(labels, np.repeat(probabilities, 3, axis=0))

    assert diversity.disagreement == 0.0
    assert diversity.of_members == (0.0, 0.0, 0.0)


def test_member_unlike_the_others_stands_out(simulate):
    labels, probabilities = simulate(seed=0, num_models=4)
    probabilities[2] = np.random.default_rng(0).permutation(probabilities[2])

    assert np.argmax(measure_diversity(labels, probabilities).of_members) == 2


def test_one_member_has_nobody_to_differ_from(simulate):
    diversity = measure_diversity(*simulate(seed=0, num_models=1))

    assert (diversity.disagreement, diversity.both_wrong) == (None, None)
