"""Tests for temperatures and the calibration error."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.calibration import (
    TEMPERATURE_RANGE,
    calibration_error,
    chance_calibration_error,
    fit_temperature,
    temper,
)
from ensembles.metrics import log_loss

SEEDS = st.integers(0, 2**32 - 1)


@given(seed=SEEDS)
def test_temperature_one_is_the_identity(simulate, seed):
    probabilities = simulate(seed)[1]

    assert temper(probabilities, 1.0) is probabilities


@settings(deadline=None)
@given(seed=SEEDS, temperature=st.floats(0.2, 5.0))
def test_temperature_is_undone_by_its_inverse(simulate, seed, temperature):
    probabilities = simulate(seed)[1].astype(np.float64)

    there_and_back = temper(temper(probabilities, temperature), 1.0 / temperature)

    np.testing.assert_allclose(there_and_back, probabilities / probabilities.sum(-1)[..., None])


def test_zeros_stay_zeros():
    tempered = temper(np.array([[0.0, 1.0], [1e-40, 1.0]]), 0.1)

    np.testing.assert_array_equal(tempered, [[0.0, 1.0], [0.0, 1.0]])


@pytest.mark.parametrize("distortion", [0.5, 2.0])
def test_distorted_probabilities_are_put_right(distortion):
    rng = np.random.default_rng(0)
    truth = rng.dirichlet(np.full(4, 0.5), size=20_000)
    labels = (rng.random(20_000)[:, None] > truth.cumsum(axis=-1)).sum(axis=-1).clip(max=3)
    says = temper(truth, 1.0 / distortion)

    temperature = fit_temperature(labels, says)

    assert temperature == pytest.approx(distortion, rel=0.05)
    assert calibration_error(labels, temper(says, temperature)) < 0.01
    assert calibration_error(labels, says) > 0.03


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, skill=st.floats(0.0, 4.0))
def test_fitted_temperature_raises_log_loss_by_no_more_than_caution_costs(simulate, seed, skill):
    labels, probabilities = simulate(seed, num_models=1, skill=skill)

    tempered = temper(
        probabilities[0].astype(np.float64), fit_temperature(labels, probabilities[0])
    )

    assert log_loss(labels, tempered) <= log_loss(labels, probabilities[0]) + 0.01


def test_a_few_examples_without_a_mistake_do_not_make_certain():
    few, many = (fit_temperature(np.zeros(n, int), np.tile([0.9, 0.1], (n, 1))) for n in (10, 1000))

    assert 0.5 < few < 1.0
    assert many < 0.4


def test_temperature_of_a_hopeless_member_stays_in_range():
    temperature = fit_temperature(np.ones(10, int), np.tile([0.9, 0.1], (10, 1)))

    assert temperature == pytest.approx(TEMPERATURE_RANGE[1], rel=0.01)


def test_error_of_known_bins():
    says = np.array([[0.6, 0.4], [0.6, 0.4], [0.9, 0.1], [0.9, 0.1]])

    error = calibration_error(np.array([0, 1, 0, 0]), says, num_bins=2)

    assert error == pytest.approx((0.1 + 0.1) / 2)  # 0.6 against 1/2, 0.9 against 1


@pytest.mark.parametrize(("num_examples", "num_bins"), [(136, 15), (2000, 15), (500, 5)])
def test_error_of_calibrated_probabilities_is_about_what_is_said(num_examples, num_bins):
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(300):
        confidence = rng.uniform(0.85, 1.0, num_examples)
        labels = (rng.random(num_examples) > confidence).astype(np.int64)
        says = np.stack([confidence, 1.0 - confidence], axis=1)
        errors.append(calibration_error(labels, says, num_bins=num_bins))

    expected = chance_calibration_error(0.925, num_examples, num_bins)

    assert np.mean(errors) == pytest.approx(expected, rel=0.3)


@given(seed=SEEDS, num_bins=st.integers(1, 100))
def test_error_is_a_fraction(simulate, seed, num_bins):
    labels, probabilities = simulate(seed, num_models=1)

    assert 0.0 <= calibration_error(labels, probabilities[0], num_bins=num_bins) <= 1.0


def test_no_bins_are_refused(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match="`num_bins` must be at least 1, got 0"):
        calibration_error(labels, probabilities[0], num_bins=0)


@pytest.mark.parametrize("measure", [fit_temperature, calibration_error])
def test_logits_are_refused(measure):
    with pytest.raises(ValueError, match="pass them through softmax first"):
        measure(np.array([0]), np.array([[2.0, 1.0]]))
