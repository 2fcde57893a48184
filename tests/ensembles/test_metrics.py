"""Tests for the metrics, against hand-computed values and scikit-learn."""

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.metrics import (
    LOG_LOSS_FLOOR,
    absent_classes,
    accuracy,
    confusion_matrix,
    f1_per_class,
    log_loss,
    macro_f1,
    negative_log_loss,
    of_classes,
    unchecked,
)

SEEDS = st.integers(0, 2**32 - 1)
SIZES = st.integers(1, 40)
METRICS = [macro_f1, accuracy, log_loss, negative_log_loss]


def random_blend(seed, num_examples=30, num_classes=6):
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_examples)
    raw = rng.random((num_examples, num_classes)) + 0.3 * np.eye(num_classes)[labels]
    return labels, raw / raw.sum(axis=-1, keepdims=True)


def test_macro_f1_of_a_small_confusion_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2])
    probabilities = np.eye(3)[[0, 0, 1, 1, 2, 2]]

    score = macro_f1(labels, probabilities)

    assert score == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)


def test_absent_class_is_left_out_but_predicting_it_costs_the_true_one():
    labels = np.array([0, 0, 1, 1])

    assert macro_f1(labels, np.eye(3)[[0, 0, 1, 1]]) == 1.0
    assert macro_f1(labels, np.eye(3)[[0, 0, 1, 2]]) == pytest.approx((1 + 2 / 3) / 2)


def test_equal_probabilities_go_to_the_lowest_class():
    tied = np.full((2, 3), 1 / 3)

    assert accuracy(np.array([0, 0]), tied) == 1.0
    assert accuracy(np.array([1, 2]), tied) == 0.0


@settings(deadline=None)
@given(seed=SEEDS, num_examples=SIZES)
def test_macro_f1_is_scikit_learns_over_present_classes(seed, num_examples):
    labels, probabilities = random_blend(seed, num_examples)

    expected = sklearn.metrics.f1_score(
        labels, probabilities.argmax(axis=-1), labels=np.unique(labels), average="macro"
    )

    assert macro_f1(labels, probabilities) == pytest.approx(expected)


@settings(deadline=None)
@given(seed=SEEDS, num_examples=SIZES)
def test_f1_per_class_is_scikit_learns_and_nan_where_absent(seed, num_examples):
    labels, probabilities = random_blend(seed, num_examples)
    present = np.unique(labels)

    f1 = f1_per_class(labels, probabilities)

    expected = sklearn.metrics.f1_score(
        labels, probabilities.argmax(axis=-1), labels=present, average=None
    )
    np.testing.assert_allclose(f1[present], expected)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(f1)), absent_classes(labels, 6))


@settings(deadline=None)
@given(seed=SEEDS, num_examples=SIZES)
def test_accuracy_and_confusion_are_scikit_learns(seed, num_examples):
    labels, probabilities = random_blend(seed, num_examples)
    predicted = probabilities.argmax(axis=-1)

    np.testing.assert_array_equal(
        confusion_matrix(labels, probabilities),
        sklearn.metrics.confusion_matrix(labels, predicted, labels=range(6)),
    )
    assert accuracy(labels, probabilities) == pytest.approx(
        sklearn.metrics.accuracy_score(labels, predicted)
    )


@settings(deadline=None)
@given(seed=SEEDS, num_examples=SIZES)
def test_log_loss_is_scikit_learns(seed, num_examples):
    labels, probabilities = random_blend(seed, num_examples)

    expected = sklearn.metrics.log_loss(labels, probabilities, labels=range(6))

    assert log_loss(labels, probabilities) == pytest.approx(expected)


@settings(deadline=None)
@given(seed=SEEDS)
def test_every_score_ignores_the_order_of_examples(seed):
    labels, probabilities = random_blend(seed)
    order = np.random.default_rng(seed).permutation(len(labels))

    for metric in METRICS:
        assert metric(labels[order], probabilities[order]) == pytest.approx(
            metric(labels, probabilities)
        )


@settings(deadline=None)
@given(seed=SEEDS)
def test_macro_f1_ignores_how_classes_are_numbered(seed):
    labels, probabilities = random_blend(seed)
    order = np.random.default_rng(seed).permutation(6)

    renumbered = macro_f1(np.argsort(order)[labels], probabilities[:, order])

    assert renumbered == pytest.approx(macro_f1(labels, probabilities))


def test_log_loss_of_an_impossible_true_class_is_bounded():
    loss = log_loss(np.array([1]), np.array([[1.0, 0.0]], np.float32))

    assert loss == pytest.approx(-np.log(LOG_LOSS_FLOOR))
    assert loss < 16


def test_negative_log_loss_is_the_score_to_maximise():
    labels, probabilities = random_blend(0)

    assert negative_log_loss(labels, probabilities) == -log_loss(labels, probabilities)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_unchecked_form_gives_the_same_score(metric):
    labels, probabilities = random_blend(0)

    assert unchecked(metric) is not metric
    assert unchecked(metric)(labels, probabilities) == metric(labels, probabilities)


@pytest.mark.parametrize("metric", [macro_f1, accuracy], ids=lambda metric: metric.__name__)
def test_form_of_classes_gives_the_same_score(metric):
    labels, probabilities = random_blend(0)

    score = of_classes(metric)(labels, probabilities.argmax(axis=-1), 6)

    assert score == metric(labels, probabilities)


def test_foreign_metric_is_used_as_it_is():
    def foreign(labels, probabilities):
        return 0.0

    assert unchecked(foreign) is foreign
    assert of_classes(foreign) is None
    assert of_classes(log_loss) is None


def test_no_class_is_absent_when_all_are_named():
    assert absent_classes(np.array([2, 0, 1]), 3).size == 0


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        (np.array([0]), np.ones((1, 1, 2)) / 2, "pass their `average`"),
        (np.array([0]), np.ones((1, 0)), "at least one class"),
        (np.array([0]), np.array([[np.nan, 1.0]]), "NaN or infinity in 1 of 1 rows"),
        (np.array([0, 1]), np.eye(2)[:1], "got 2 labels and 1 rows"),
        (np.array([], int), np.ones((0, 2)), "at least one, got 0 labels"),
        (np.array([0.0]), np.eye(2)[:1], "got float64 of shape"),
        (np.eye(2, dtype=int), np.eye(2), r"pass `labels.argmax\(axis=-1\)`"),
        (np.array([0, 2]), np.eye(2), "1 of 2 outside, the first 2"),
        (np.array([-1, 0]), np.eye(2), r"Leave out examples whose label is unknown \(-1\)"),
    ],
)
@pytest.mark.parametrize("metric", [*METRICS, f1_per_class, confusion_matrix])
def test_wrong_input_is_answered_with_what_to_do(metric, labels, probabilities, message):
    if metric in (log_loss, negative_log_loss) and np.isnan(probabilities).any():
        message = "NaN"

    with pytest.raises(ValueError, match=message):
        metric(labels, probabilities)


@pytest.mark.parametrize("row", [[2.0, -1.0], [0.5, 0.4], [3.0, 1.0]])
def test_log_loss_refuses_what_is_no_distribution(row):
    with pytest.raises(ValueError, match="pass them through softmax first"):
        log_loss(np.array([0]), np.array([row]))
