"""Tests for what a score on some images says about the score on others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.intervals import ClassCounts, count_classes, predict_macro_f1
from ensembles.metrics import macro_f1

SEEDS = st.integers(0, 2**32 - 1)


def confusing(num_classes, accuracy, seed=0):
    """Probability of each predicted class (column) for each true class (row)."""
    rng = np.random.default_rng(seed)
    errors = rng.dirichlet(np.full(num_classes, 0.5), size=num_classes)
    errors[np.diag_indices(num_classes)] = 0.0
    rates = rng.beta(2.0, 2.0 * accuracy / (1.0 - accuracy), size=num_classes)
    confusion = errors / errors.sum(axis=1, keepdims=True) * rates[:, None]
    confusion[np.diag_indices(num_classes)] = 1.0 - rates
    return confusion


def draw_counts(confusion, sizes, rng):
    table = np.stack([rng.multinomial(n, row) for n, row in zip(sizes, confusion, strict=True)])
    return ClassCounts(table.sum(axis=1), np.diag(table), table.sum(axis=0))


@settings(deadline=None)
@given(seed=SEEDS)
def test_counts_have_the_macro_f1_of_the_predictions(simulate, seed):
    labels, probabilities = simulate(seed, num_models=1)
    labels = np.where(labels == 3, 0, labels)  # a class that is predicted and absent

    counts = count_classes(labels, probabilities[0].argmax(axis=-1), 5)

    assert counts.macro_f1 == pytest.approx(macro_f1(labels, probabilities[0]))


def test_counts_of_several_predictions_are_their_mean():
    counts = count_classes(np.array([0, 1]), np.array([[0, 1], [1, 1]]), 2)

    np.testing.assert_array_equal(counts.actual, [1, 1])
    np.testing.assert_array_equal(counts.hits, [0.5, 1.0])
    np.testing.assert_array_equal(counts.claimed, [0.5, 1.5])


@pytest.mark.parametrize(
    ("sizes", "num_new"),
    [
        (np.full(17, 40), 680),
        (np.full(17, 40), None),
        (np.maximum(2000 // np.arange(4, 44), 5), 2000),
        (np.maximum(2000 // np.arange(4, 44), 5), None),
    ],
    ids=["even, as many", "even, very many", "uneven, as many", "uneven, very many"],
)
@pytest.mark.parametrize("accuracy", [0.85, 0.97])
def test_interval_holds_nine_times_in_ten_and_the_score_is_right_on_average(
    sizes, num_new, accuracy
):
    confusion = confusing(len(sizes), accuracy)
    rng = np.random.default_rng(0)
    truth = draw_counts(confusion, sizes * 100_000, rng).macro_f1
    held, off = [], []

    for _ in range(150):
        interval = predict_macro_f1(
            draw_counts(confusion, sizes, rng), num_new=num_new, num_draws=300
        )
        new = draw_counts(confusion, sizes, rng).macro_f1 if num_new else truth
        held.append(interval.low <= new <= interval.high)
        off.append(interval.score - new)

    assert 0.83 <= np.mean(held) <= 0.98
    assert abs(np.mean(off)) < 0.005


def test_interval_of_even_classes_is_about_as_wide_as_the_binomial_one():
    rng = np.random.default_rng(0)
    counts = draw_counts(confusing(17, 0.95), np.full(17, 40), rng)

    interval = predict_macro_f1(counts, num_new=680)

    accuracy = counts.hits.sum() / 680
    binomial = 2 * 1.645 * np.sqrt(accuracy * (1 - accuracy) * 2 / 680)
    assert interval.high - interval.low == pytest.approx(binomial, rel=0.2)


def test_score_without_a_mistake_is_not_certain():
    interval = predict_macro_f1(ClassCounts(np.array([20, 20]), *np.full((2, 2), 20.0)))

    assert interval.low < 0.98
    assert interval.high == 1.0


def test_more_images_make_it_narrower_on_either_side():
    few, many = (
        ClassCounts(np.full(5, size), np.full(5, 0.9 * size), np.full(5, float(size)))
        for size in (20, 2000)
    )

    widths = [
        interval.high - interval.low
        for interval in (
            predict_macro_f1(few, num_new=100),
            predict_macro_f1(few),
            predict_macro_f1(many, num_new=100),
            predict_macro_f1(many),
        )
    ]

    assert widths[0] > widths[1] > widths[3]
    assert widths[0] > widths[2] > widths[3]


@settings(deadline=None)
@given(seed=SEEDS, num_new=st.one_of(st.none(), st.integers(1, 200)))
def test_ends_are_scores_in_order(seed, num_new):
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 5, size=4)
    actual[0] += 1
    hits = rng.uniform(0, actual)
    claimed = hits + rng.uniform(0, 3, size=4)

    interval = predict_macro_f1(ClassCounts(actual, hits, claimed), num_new=num_new, num_draws=50)

    assert 0.0 <= interval.low <= interval.high <= 1.0


def test_higher_level_is_wider():
    counts = ClassCounts(np.array([50, 50]), np.array([45, 40]), np.array([55, 45]))

    narrow, wide = (predict_macro_f1(counts, level=level) for level in (0.5, 0.99))

    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        ([0, 0], {}, "Count at least one image"),
        ([5, 5], {"num_new": 0}, "`num_new` must be at least 1, or None for very many, got 0"),
        ([5, 5], {"level": 90}, "Pass 0.9 for 90%"),
    ],
)
def test_wrong_input_is_answered(sizes, options, message):
    sizes = np.array(sizes)

    with pytest.raises(ValueError, match=message):
        predict_macro_f1(ClassCounts(sizes, sizes, sizes), **options)
