"""Tests for linear heads on frozen features."""

import numpy as np
import pytest

from automl_flowers.modeling.features import START_STRENGTH, STRENGTHS, fit_head, fit_start
from ensembles import metrics


def clusters(num_classes, per_class=20, spread=0.5, seed=0):
    """Return features of classes around centres of their own, of uneven scale, and labels."""
    generator = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(num_classes, 12))
    labels = np.repeat(np.arange(num_classes), per_class)
    features = centres[labels] + spread * generator.normal(size=(len(labels), 12))
    return (features * np.geomspace(0.01, 100, 12) + 5).astype(np.float32), labels


@pytest.mark.parametrize("num_classes", [2, 3, 7])
def test_a_head_learns_what_can_be_told_apart(num_classes):
    head = fit_head(*clusters(num_classes), num_classes)
    features, labels = clusters(num_classes, seed=5)

    probabilities = head.probabilities(features)

    assert head.strength in STRENGTHS
    assert (head.kernel.dtype, head.bias.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert metrics.macro_f1(labels, probabilities) > 0.9


def test_noise_gets_a_stronger_penalty_than_what_can_be_told_apart():
    clear = fit_head(*clusters(4, spread=0.1), 4)
    noisy = fit_head(*clusters(4, spread=20), 4)

    assert noisy.strength < clear.strength == max(STRENGTHS)


@pytest.mark.parametrize("fit", [fit_head, fit_start])
@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-3])
def test_a_feature_that_hardly_varies_does_not_decide(fit, spread):
    features, labels = clusters(3, spread=2.0)
    hardly = np.random.default_rng(2).normal(0.5, spread, len(labels))
    head = fit(np.c_[features, hardly].astype(np.float32), labels, 3)

    usual = np.abs(head.kernel[:-1] * features.std(axis=0)[:, None]).max()
    assert np.abs(head.kernel[-1]).max() <= 2 * usual / np.median(features.std(axis=0))


def test_fine_tuning_starts_from_small_weights_that_know_the_classes():
    features, labels = clusters(4)
    best, start = fit_head(features, labels, 4), fit_start(features, labels, 4)

    assert np.linalg.norm(start.kernel) < np.linalg.norm(best.kernel) / 2
    assert metrics.macro_f1(labels, start.probabilities(features)) > 0.9


def test_features_that_never_vary_say_nothing():
    head = fit_start(np.ones((9, 2), np.float32), np.repeat(np.arange(3), 3), 3)

    np.testing.assert_allclose(head.probabilities(np.ones((1, 2), np.float32)), 1 / 3, atol=1e-3)


def test_a_class_without_an_example_is_never_said():
    features, labels = clusters(3)
    labels = np.array([0, 2, 5])[labels]

    head = fit_head(features, labels, 6)

    probabilities = head.probabilities(features)
    assert probabilities.shape == (60, 6)
    assert probabilities[:, [1, 3, 4]].max() < 0.05
    assert metrics.macro_f1(labels, probabilities) > 0.9


def test_a_class_with_a_single_example_is_no_obstacle():
    features, labels = clusters(4)
    keep = np.r_[0:60, 65]

    head = fit_head(features[keep], labels[keep], 4)

    assert head.kernel.shape == (12, 4)
    assert np.isfinite(head.kernel).all()


def test_two_classes_of_which_one_has_a_single_example_make_a_head():
    features, labels = clusters(2)
    keep = np.r_[19:40]

    head = fit_head(features[keep], labels[keep], 2)

    assert head.strength == START_STRENGTH
    assert head.probabilities(features[keep])[:, 0].argmax() == 0


def test_the_same_examples_give_the_same_head():
    first, second = (fit_head(*clusters(3), 3) for _ in range(2))

    np.testing.assert_array_equal(first.kernel, second.kernel)
