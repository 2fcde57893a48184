"""Tests for the blend as data and for what it makes of probabilities."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average, geometric_mean
from ensembles.blend import Blend, apply_blend, plain_blend
from ensembles.calibration import temper

SEEDS = st.integers(0, 2**32 - 1)
TEMPERATURES = st.floats(0.1, 10.0)


@st.composite
def blends(draw, num_models=3, num_classes=5):
    rng = np.random.default_rng(draw(SEEDS))
    has_prior = draw(st.booleans())
    return Blend(
        kind=draw(st.sampled_from(["arithmetic", "geometric"])),
        weights=tuple(rng.dirichlet(np.ones(num_models)).tolist()),
        temperatures=tuple(draw(st.lists(TEMPERATURES, min_size=3, max_size=3))),
        global_temperature=draw(TEMPERATURES),
        prior_exponent=draw(st.floats(-1.0, 1.0)) if has_prior else 0.0,
        prior=tuple(rng.dirichlet(np.full(num_classes, 5.0)).tolist()) if has_prior else None,
    )


@settings(deadline=None)
@given(seed=SEEDS, blend=blends())
def test_rows_of_a_blend_sum_to_one(simulate, seed, blend):
    blended = apply_blend(blend, simulate(seed)[1])

    assert blended.dtype == np.float64
    assert blended.shape == (60, 5)
    assert np.all(blended >= 0.0)
    np.testing.assert_allclose(blended.sum(axis=-1), 1.0, atol=1e-12)


@settings(deadline=None)
@given(blend=blends())
def test_blend_survives_json_to_the_last_bit(blend):
    assert Blend.from_dict(json.loads(json.dumps(blend.to_dict()))) == blend


@pytest.mark.parametrize(("kind", "mean"), [("arithmetic", average), ("geometric", geometric_mean)])
def test_plain_blend_is_the_weighted_mean(simulate, kind, mean):
    probabilities = simulate(seed=0)[1].astype(np.float64)
    weights = np.array([0.2, 0.0, 0.8])

    blended = apply_blend(plain_blend(weights, kind), probabilities)

    np.testing.assert_allclose(blended, mean(probabilities, weights), atol=1e-7)


def test_each_member_has_its_own_temperature(simulate):
    probabilities = simulate(seed=0)[1].astype(np.float64)
    tempered = np.stack([temper(probabilities[0], 2.0), probabilities[1], probabilities[2]])
    third = (1 / 3, 1 / 3, 1 / 3)

    blended = apply_blend(Blend("arithmetic", third, (2.0, 1.0, 1.0)), probabilities)

    np.testing.assert_allclose(blended, average(tempered), atol=1e-7)


def test_prior_exponent_favours_rare_classes_before_the_global_temperature():
    probabilities = np.array([[[0.5, 0.5]]])
    blend = Blend("arithmetic", (1.0,), (1.0,), 0.5, prior_exponent=1.0, prior=(0.75, 0.25))

    blended = apply_blend(blend, probabilities)

    np.testing.assert_allclose(blended, [[0.1, 0.9]])  # 1 : 3, then squared


@settings(deadline=None)
@given(seed=SEEDS, temperature=TEMPERATURES)
def test_global_temperature_changes_no_predicted_class(simulate, seed, temperature):
    probabilities = simulate(seed)[1]
    plain = plain_blend([0.5, 0.3, 0.2])
    tempered = Blend(plain.kind, plain.weights, plain.temperatures, temperature)

    classes = [apply_blend(blend, probabilities).argmax(axis=-1) for blend in (plain, tempered)]

    np.testing.assert_array_equal(*classes)


@settings(deadline=None)
@given(seed=SEEDS, blend=blends())
def test_order_of_members_examples_and_classes_does_not_matter(simulate, seed, blend):
    probabilities = simulate(seed)[1].astype(np.float64)
    rng = np.random.default_rng(seed)
    members, examples, classes = (rng.permutation(size) for size in probabilities.shape)
    moved = Blend(
        blend.kind,
        tuple(blend.weights[m] for m in members),
        tuple(blend.temperatures[m] for m in members),
        blend.global_temperature,
        blend.prior_exponent,
        blend.prior and tuple(blend.prior[k] for k in classes),
    )

    blended = apply_blend(moved, probabilities[np.ix_(members, examples, classes)])

    expected = apply_blend(blend, probabilities)[np.ix_(examples, classes)]
    np.testing.assert_allclose(blended, expected, rtol=1e-9, atol=1e-12)


def test_input_is_left_as_it_was(simulate):
    probabilities = simulate(seed=0)[1].astype(np.float64)
    before = probabilities.copy()

    apply_blend(Blend("geometric", (0.5, 0.5, 0.0), (2.0, 1.0, 1.0), 0.5), probabilities)

    np.testing.assert_array_equal(probabilities, before)


def test_another_number_of_members_is_refused(simulate):
    with pytest.raises(ValueError, match="blend is of 2 members, got probabilities of 3"):
        apply_blend(plain_blend([0.5, 0.5]), simulate(seed=0)[1])


def test_another_number_of_classes_is_refused(simulate):
    blend = Blend("arithmetic", (1.0,), (1.0,), prior_exponent=0.5, prior=(0.5, 0.5))

    with pytest.raises(ValueError, match="for 2 classes, got probabilities of 5"):
        apply_blend(blend, simulate(seed=0, num_models=1)[1])


def test_broken_probabilities_are_refused(simulate):
    probabilities = simulate(seed=0)[1]
    probabilities[1, 7] = np.nan

    with pytest.raises(ValueError, match="1 of 180 rows that do not"):
        apply_blend(plain_blend([0.5, 0.5, 0.0]), probabilities)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "harmonic"}, "`kind` must be one of arithmetic, geometric, got 'harmonic'"),
        ({"weights": [0.5, 0.6]}, "`weights` must be non-negative and sum to 1"),
        ({"weights": [1.5, -0.5]}, "`weights` must be non-negative"),
        ({"weights": []}, "`weights` must be non-negative and sum to 1, got \\[\\]"),
        ({"weights": [float("nan"), 1.0]}, "`weights` must be"),
        ({"weights": "equal"}, "`weights` must be a list of numbers, got 'equal'"),
        ({"weights": [0.5, "0.5"]}, "`weights` must hold numbers, got '0.5'"),
        ({"weights": [True, 0.0]}, "`weights` must hold numbers, got True"),
        ({"temperatures": [1.0]}, "a temperature for each of the 2 weights, got 1"),
        ({"temperatures": [1.0, 0.0]}, "temperatures must be above 0 and finite"),
        ({"global_temperature": float("inf")}, "temperatures must be above 0 and finite"),
        ({"global_temperature": None}, "`global_temperature` must hold numbers, got None"),
        ({"prior_exponent": 0.5}, "`prior` must be given with a `prior_exponent` of 0.5"),
        ({"prior_exponent": float("nan")}, "`prior_exponent` must be finite"),
        ({"prior": [1.0, 0.0]}, "`prior` must be above 0 and sum to 1"),
        ({"tau": 1.0}, "must have the keys .*, got .*tau"),
    ],
)
def test_damaged_description_is_refused_with_a_reason(changes, message):
    described = plain_blend([0.5, 0.5]).to_dict()

    with pytest.raises(ValueError, match=message):
        Blend.from_dict(described | changes)


@pytest.mark.parametrize("described", [{}, {"kind": "arithmetic"}, [1.0], None])
def test_half_a_description_is_refused(described):
    with pytest.raises(ValueError, match="A blend must have the keys"):
        Blend.from_dict(described)
