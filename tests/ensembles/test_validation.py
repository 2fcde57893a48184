"""Tests for folds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.validation import stratified_folds

SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None)
@given(
    labels=st.lists(st.integers(0, 6), min_size=2, max_size=60).map(np.array),
    num_folds=st.integers(2, 8),
    seed=SEEDS,
)
def test_folds_differ_by_one_example_in_total_and_in_each_class(labels, num_folds, seed):
    folds = stratified_folds(labels, num_folds=num_folds, seed=seed)

    for group in [folds, *(folds[labels == k] for k in np.unique(labels))]:
        assert np.ptp(np.bincount(group, minlength=num_folds)) <= 1


def test_seed_decides_which_examples_share_a_fold():
    labels = np.zeros(50, dtype=int)

    same, again, other = (stratified_folds(labels, seed=seed) for seed in (0, 0, 1))

    np.testing.assert_array_equal(same, again)
    assert np.any(same != other)


@pytest.mark.parametrize(("num_folds", "num_examples"), [(1, 60), (5, 1)])
def test_folds_without_anything_to_hold_out_are_refused(num_folds, num_examples):
    with pytest.raises(ValueError, match="at least 2 folds and 2 examples"):
        stratified_folds(np.zeros(num_examples, dtype=int), num_folds=num_folds)
