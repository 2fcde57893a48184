"""Tests for cross-fitting, the bootstrap and the rule that chooses weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average, uniform_weights
from ensembles.metrics import accuracy, log_loss, macro_f1
from ensembles.optimize import fit_weights
from ensembles.validation import (
    bootstrap_interval,
    choose_weights,
    cross_fitted_predictions,
    cross_fitted_score,
    stratified_folds,
)

SEEDS = st.integers(0, 2**32 - 1)


def fit_uniform(labels, probabilities):
    return uniform_weights(len(probabilities))


def one_strong_of_two(num_examples=200, num_classes=4):
    rng = np.random.default_rng(0)
    labels = np.arange(num_examples) % num_classes
    strong = 0.6 * np.eye(num_classes)[labels] + 0.4 / num_classes
    poor = rng.dirichlet(np.full(num_classes, 0.2), size=num_examples)
    return labels, np.stack([poor, strong])


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


def test_every_example_is_blended_by_weights_fitted_without_it(simulate):
    labels, probabilities = simulate(seed=0, num_examples=23)
    identities = np.arange(23)
    seen = []

    def remember(fold_labels, fold_probabilities):
        matches = (fold_probabilities[0][:, None] == probabilities[0][None]).all(axis=-1)
        seen.append(set(identities[matches.any(axis=0)]))
        return np.eye(3)[len(seen) % 3]

    blended = cross_fitted_predictions(labels, probabilities, remember)

    folds = stratified_folds(labels)
    for fold, training in enumerate(seen):
        assert training == set(identities[folds != fold])
        np.testing.assert_array_equal(
            blended[folds == fold], probabilities[(fold + 1) % 3][folds == fold]
        )


@settings(deadline=None)
@given(seed=SEEDS)
def test_fit_that_learns_nothing_scores_what_it_scores_naively(simulate, seed):
    labels, probabilities = simulate(seed)

    score = cross_fitted_score(labels, probabilities, fit_uniform, metric=macro_f1)

    assert score == macro_f1(labels, average(probabilities))


def test_cross_fitted_score_is_of_the_pooled_blend(simulate):
    labels, probabilities = simulate(seed=3)

    blended = cross_fitted_predictions(labels, probabilities, fit_weights, num_folds=3, seed=7)

    assert cross_fitted_score(
        labels, probabilities, fit_weights, metric=macro_f1, num_folds=3, seed=7
    ) == macro_f1(labels, blended)


def test_naive_score_of_indistinguishable_members_is_optimistic(simulate):
    naive, honest = [], []
    for seed in range(10):
        labels, probabilities = simulate(seed, num_examples=80, num_classes=8)
        weights = fit_weights(labels, probabilities)
        naive.append(macro_f1(labels, average(probabilities, weights)))
        honest.append(cross_fitted_score(labels, probabilities, fit_weights, metric=macro_f1))

    assert np.mean(honest) < np.mean(naive) - 0.01


@settings(deadline=None, max_examples=40)
@given(
    labels=st.lists(st.integers(0, 9), min_size=2, max_size=12).map(np.array),
    num_folds=st.integers(2, 6),
)
def test_classes_rarer_than_folds_are_no_obstacle(labels, num_folds):
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(10), size=(2, len(labels)))

    score = cross_fitted_score(
        labels, probabilities, fit_weights, metric=macro_f1, num_folds=num_folds
    )

    assert 0.0 <= score <= 1.0


@pytest.mark.parametrize(("num_folds", "num_examples"), [(1, 60), (5, 1)])
def test_cross_fitting_without_anything_to_hold_out_is_refused(simulate, num_folds, num_examples):
    labels, probabilities = simulate(seed=0, num_examples=num_examples)

    with pytest.raises(ValueError, match="at least 2 folds and 2 examples"):
        cross_fitted_predictions(labels, probabilities, fit_weights, num_folds=num_folds)


def test_fit_that_returns_no_weights_is_refused(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match="Divide them by their sum"):
        cross_fitted_predictions(labels, probabilities, lambda labels, stack: np.ones(len(stack)))


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, metric=st.sampled_from([macro_f1, accuracy, log_loss]))
def test_interval_is_ordered_and_wider_for_a_higher_level(simulate, seed, metric):
    labels, probabilities = simulate(seed, num_models=1)

    low, high = bootstrap_interval(labels, probabilities[0], metric, num_resamples=50)
    lower, higher = bootstrap_interval(
        labels, probabilities[0], metric, level=0.99, num_resamples=50
    )

    assert lower <= low <= high <= higher


def test_interval_of_accuracy_is_close_to_the_binomial_one():
    labels = np.zeros(1000, dtype=int)
    probabilities = np.eye(2)[(np.arange(1000) % 10 == 0).astype(int)]

    low, high = bootstrap_interval(labels, probabilities, accuracy)

    half_width = 1.645 * np.sqrt(0.9 * 0.1 / 1000)
    assert low == pytest.approx(0.9 - half_width, abs=0.003)
    assert high == pytest.approx(0.9 + half_width, abs=0.003)


def test_interval_shrinks_with_more_examples(simulate):
    widths = []
    for num_examples in (100, 1600):
        labels, probabilities = simulate(seed=0, num_models=1, num_examples=num_examples)
        low, high = bootstrap_interval(labels, probabilities[0], macro_f1, num_resamples=300)
        widths.append(high - low)

    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.4)


def test_interval_does_not_depend_on_the_shortcut_for_classes(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    def plain_macro_f1(labels, blended):
        return macro_f1(labels, blended)

    intervals = [
        bootstrap_interval(labels, probabilities[0], metric, num_resamples=50)
        for metric in (macro_f1, plain_macro_f1)
    ]

    assert intervals[0] == intervals[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"level": 90}, "Pass 0.9 for 90%"),
        ({"level": 0.0}, "between 0 and 1, got 0.0"),
        ({"num_resamples": 0}, "at least 1, got 0"),
    ],
)
def test_wrong_interval_options_are_answered_with_what_to_do(simulate, options, message):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match=message):
        bootstrap_interval(labels, probabilities[0], macro_f1, **options)


def test_one_member_is_single(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    choice = choose_weights(labels, probabilities)

    assert choice.rule == "single"
    np.testing.assert_array_equal(choice.weights, [1.0])
    assert choice.naive_score == choice.cross_fitted_score == macro_f1(labels, probabilities[0])


def test_members_without_labels_count_equally_and_have_no_score(simulate):
    labels, probabilities = simulate(seed=0)

    choice = choose_weights(np.full_like(labels, -1), probabilities)

    assert choice.rule == "uniform"
    np.testing.assert_array_equal(choice.weights, uniform_weights(3))
    assert choice.reason == "No image has a label, so the 3 members count equally."
    assert choice.naive_score is None
    assert choice.cross_fitted_score is None


def test_single_member_without_labels_has_no_score(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    choice = choose_weights(np.full_like(labels, -1), probabilities)

    assert (choice.rule, choice.naive_score) == ("single", None)


def test_too_few_images_a_class_leave_the_weights_uniform():
    labels, probabilities = one_strong_of_two(num_examples=39)

    choice = choose_weights(labels, probabilities)

    assert choice.rule == "uniform"
    assert choice.reason == (
        "39 labelled images over 4 classes are 9.8 a class, fewer than the 10 that fitting "
        "weights takes, so the 2 members count equally."
    )
    assert choice.naive_score == choice.cross_fitted_score


def test_just_enough_images_a_class_are_fitted():
    labels, probabilities = one_strong_of_two(num_examples=40)

    choice = choose_weights(labels, probabilities)

    assert choice.rule == "optimized"
    assert choice.weights[1] > 0.5


def test_optimised_weights_come_with_both_scores():
    labels, probabilities = one_strong_of_two()

    choice = choose_weights(labels, probabilities)

    np.testing.assert_array_equal(choice.weights, fit_weights(labels, probabilities))
    assert choice.naive_score == macro_f1(labels, average(probabilities, choice.weights))
    assert choice.cross_fitted_score == cross_fitted_score(
        labels, probabilities, fit_weights, metric=macro_f1
    )
    assert f"{choice.cross_fitted_score:.4f} when cross-fitted" in choice.reason


@pytest.mark.parametrize("seed", range(12))
def test_rule_follows_the_cross_fitted_score(simulate, seed):
    labels, probabilities = simulate(seed, num_examples=60)
    uniform_score = macro_f1(labels, average(probabilities))
    honest = cross_fitted_score(labels, probabilities, fit_weights, metric=macro_f1)

    choice = choose_weights(labels, probabilities)

    assert choice.rule == ("uniform" if honest < uniform_score else "optimized")
    assert choice.cross_fitted_score == max(honest, uniform_score)


def test_both_outcomes_of_the_rule_are_met_in_the_test_above(simulate):
    rules = {choose_weights(*simulate(seed, num_examples=60)).rule for seed in range(12)}

    assert rules == {"uniform", "optimized"}


def test_examples_of_unknown_label_are_ignored():
    labels, probabilities = one_strong_of_two()
    padded = np.concatenate([labels, [-1, -1]])
    padded_probabilities = np.concatenate([probabilities, probabilities[:, :2]], axis=1)

    choice, padded_choice = (
        choose_weights(labels, probabilities),
        choose_weights(padded, padded_probabilities),
    )

    np.testing.assert_array_equal(choice.weights, padded_choice.weights)
    assert choice.reason == padded_choice.reason


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 4]), "1 of 2 outside, the first 4"),
        (np.array([0, -2]), "1 of 2 outside, the first -2"),
        (np.array([0]), "got 1 labels and 2 rows"),
    ],
)
def test_wrong_labels_are_answered(labels, message):
    with pytest.raises(ValueError, match=message):
        choose_weights(labels, np.full((2, 2, 4), 0.25))


def test_minimum_below_two_is_refused(simulate):
    with pytest.raises(ValueError, match="`min_images_per_class` must be at least 2"):
        choose_weights(*simulate(seed=0), min_images_per_class=1)
