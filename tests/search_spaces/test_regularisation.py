"""Tests for class weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.regularisation import CLASS_WEIGHTINGS, PARAMETERS, class_weights

COUNTS = st.lists(st.integers(0, 5000), min_size=1, max_size=20).filter(any).map(np.array)


@pytest.mark.parametrize(
    ("weighting", "weights"),
    [
        ("none", [1.0, 1.0]),
        ("balanced", [5 / (2 * 1), 5 / (2 * 4)]),
        ("square_root", [1 / 0.6, 0.5 / 0.6]),  # 1 and 1/2, which average 3/5 over 5 images
    ],
)
def test_weights_of_one_and_four_images(weighting, weights):
    found = class_weights(np.array([1, 4]), weighting)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, weights, rtol=1e-6)


@pytest.mark.parametrize("weighting", CLASS_WEIGHTINGS)
@given(counts=COUNTS)
def test_weights_average_one_over_the_images(weighting, counts):
    weights = class_weights(counts, weighting)

    assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0, rel=1e-5)


@given(counts=COUNTS)
def test_balanced_classes_weigh_the_same_in_total(counts):
    totals = class_weights(counts, "balanced") * counts

    np.testing.assert_allclose(totals[counts > 0], totals.max(), rtol=1e-5)


@given(counts=COUNTS)
def test_square_root_lies_between_none_and_balanced(counts):
    ratio = class_weights(counts, "square_root") / class_weights(counts, "square_root").max()
    balanced = class_weights(counts, "balanced") / class_weights(counts, "balanced").max()

    np.testing.assert_allclose(ratio, np.sqrt(balanced), rtol=1e-4)


@pytest.mark.parametrize("weighting", CLASS_WEIGHTINGS)
def test_equal_classes_weigh_one(weighting):
    np.testing.assert_allclose(class_weights(np.array([7, 7, 7]), weighting), 1.0, rtol=1e-6)


@pytest.mark.parametrize("weighting", ["balanced", "square_root"])
def test_a_class_without_images_weighs_nothing(weighting):
    weights = class_weights(np.array([0, 2, 2]), weighting)

    np.testing.assert_allclose(weights, [0.0, 1.0, 1.0], rtol=1e-6)


def test_an_unknown_weighting_is_answered_with_a_suggestion():
    with pytest.raises(ValueError, match=r"class weighting 'balance'.*Did you mean 'balanced'"):
        class_weights(np.array([1, 1]), "balance")  # type: ignore[arg-type]


def test_no_images_at_all_are_refused():
    with pytest.raises(ValueError, match="at least one image"):
        class_weights(np.array([0, 0]), "balanced")


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_default_holds_up(parameter):
    assert parameter.check(parameter.default) == parameter.default
