"""Tests for learning-rate schedules."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.schedules import (
    SCHEDULES,
    Schedule,
    constant,
    cosine,
    cosine_restarts,
    learning_rate_table,
    one_cycle,
    ramp,
)

KINDS = pytest.mark.parametrize("kind", SCHEDULES)
FRACTIONS = st.floats(0.0, 1.0)
HORIZONS = st.integers(1, 60)


def values_of(parameter):
    if parameter.kind == "int":
        return st.integers(parameter.low, parameter.high)
    return st.floats(parameter.low, parameter.high)


@st.composite
def schedules(draw, kind=None):
    kind = kind or draw(st.sampled_from(sorted(SCHEDULES)))
    parameters = {p.name: draw(values_of(p)) for p in SCHEDULES[kind].parameters}
    return Schedule(kind, draw(st.floats(1e-7, 1.0)), parameters)


def default_schedule(kind, peak=1e-3):
    return Schedule(kind, peak, {p.name: p.default for p in SCHEDULES[kind].parameters})


def competition_ramp(e, *, start, peak, floor, R, S, d):  # noqa: N803 - the notebooks' letters
    """Return the "TPU schedule" as the competition's notebooks write it."""
    if e < R:
        return start + (peak - start) / R * e
    if e < R + S:
        return peak
    return floor + (peak - floor) * d ** (e - R - S)


def test_ramp_gives_the_rates_of_the_competition():
    schedule = Schedule("ramp", 4e-4, {"warmup": 0.2, "sustain": 0.0, "decay": 0.8})

    rates = [schedule.learning_rate(epoch, 25) for epoch in (0, 1, 5, 6, 7, 25)]

    expected = [1e-5, 8.8e-5, 4e-4, 1e-5 + 3.9e-4 * 0.8, 1e-5 + 3.9e-4 * 0.64]
    np.testing.assert_allclose(rates, [*expected, 1e-5 + 3.9e-4 * 0.8**20], rtol=1e-12)


@given(
    fraction=FRACTIONS,
    num_epochs=HORIZONS,
    warmup=st.just(0.0) | st.floats(1e-6, 0.9),  # the formula divides by it
    sustain=st.floats(0.0, 0.9),
    decay=st.floats(0.01, 1.0),
)
def test_ramp_is_the_formula_of_the_competition(fraction, num_epochs, warmup, sustain, decay):
    epoch = fraction * num_epochs

    share = ramp(epoch, num_epochs=num_epochs, warmup=warmup, sustain=sustain, decay=decay)

    expected = competition_ramp(
        epoch,
        start=1e-5,
        peak=4e-4,
        floor=1e-5,
        R=warmup * num_epochs,
        S=sustain * num_epochs,
        d=decay,
    )
    assert 4e-4 * share == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("epoch", "share"),
    [(0, 0.04), (1.5, (0.04 + 1) / 2), (3, 1.0), (6.5, (1 + 4e-6) / 2), (10, 4e-6)],
)
def test_one_cycle_rises_to_its_peak_and_falls_to_nearly_nothing(epoch, share):
    assert one_cycle(epoch, num_epochs=10, warmup=0.3) == pytest.approx(share)


@pytest.mark.parametrize(
    ("epoch", "share"),
    [(0, 0.0), (0.5, 0.5), (1, 1.0), (3.25, 0.5 + math.sqrt(2) / 4), (5.5, 0.5), (10, 0.0)],
)
def test_cosine_rises_in_a_line_and_falls_in_half_a_cosine(epoch, share):
    assert cosine(epoch, num_epochs=10, warmup=0.1) == pytest.approx(share, abs=1e-15)


@pytest.mark.parametrize(
    ("epoch", "share"),
    [(0, 1.0), (2.5, 0.5), (4.999999, 0.0), (5, 1.0), (7.5, 0.5), (10, 0.0)],
)
def test_cosine_restarts_falls_twice_in_two_cycles(epoch, share):
    assert cosine_restarts(epoch, num_epochs=10, cycles=2) == pytest.approx(share, abs=1e-9)


@given(fraction=FRACTIONS, num_epochs=HORIZONS)
def test_one_restart_cycle_is_a_cosine_without_warmup(fraction, num_epochs):
    epoch = fraction * num_epochs

    restarted = cosine_restarts(epoch, num_epochs=num_epochs, cycles=1)

    assert restarted == pytest.approx(cosine(epoch, num_epochs=num_epochs, warmup=0.0), abs=1e-12)


@given(fraction=FRACTIONS, num_epochs=HORIZONS)
def test_constant_is_constant(fraction, num_epochs):
    assert constant(fraction * num_epochs, num_epochs=num_epochs) == 1.0


@given(schedule=schedules(), fraction=FRACTIONS, num_epochs=HORIZONS)
def test_learning_rate_lies_between_zero_and_the_peak(schedule, fraction, num_epochs):
    rate = schedule.learning_rate(fraction * num_epochs, num_epochs)

    assert 0.0 <= rate <= schedule.peak_learning_rate


@given(schedule=schedules(), factor=st.floats(1e-3, 1e3))
def test_peak_only_scales(schedule, factor):
    scaled = Schedule(schedule.kind, schedule.peak_learning_rate * factor, schedule.parameters)

    rates = learning_rate_table(schedule, steps_per_epoch=3, num_epochs=4)
    scaled_rates = learning_rate_table(scaled, steps_per_epoch=3, num_epochs=4)

    np.testing.assert_allclose(scaled_rates, rates * factor, rtol=1e-5, atol=1e-12)


@given(schedule=schedules(), steps=st.integers(1, 9), num_epochs=st.integers(1, 20))
def test_table_holds_the_rate_in_the_middle_of_every_step(schedule, steps, num_epochs):
    table = learning_rate_table(schedule, steps_per_epoch=steps, num_epochs=num_epochs)

    assert table.shape == (steps * num_epochs,)
    assert table.dtype == np.float32
    for step, rate in enumerate(table):
        middle = (step + 0.5) / steps
        assert rate == np.float32(schedule.learning_rate(middle, num_epochs))


@given(schedule=schedules(), num_epochs=st.integers(2, 20), data=st.data())
def test_rate_never_depends_on_where_a_fit_began(schedule, num_epochs, data):
    promoted_at = data.draw(st.integers(1, num_epochs - 1))
    whole = learning_rate_table(schedule, steps_per_epoch=4, num_epochs=num_epochs)

    epochs = promoted_at + (np.arange((num_epochs - promoted_at) * 4) + 0.5) / 4
    resumed = [schedule.learning_rate(epoch, num_epochs) for epoch in epochs]

    np.testing.assert_array_equal(whole[promoted_at * 4 :], np.float32(resumed))


@pytest.mark.parametrize("kind", ["ramp", "one_cycle", "cosine"])
@given(data=st.data(), num_epochs=HORIZONS)
def test_schedules_with_a_warmup_rise_once_and_fall_once(kind, data, num_epochs):
    schedule = data.draw(schedules(kind))
    epochs = np.linspace(0, num_epochs, 200)
    rates = np.array([schedule.learning_rate(epoch, num_epochs) for epoch in epochs])

    rising = epochs <= schedule.parameters["warmup"] * num_epochs
    tolerance = 1e-9 * schedule.peak_learning_rate
    assert np.all(np.diff(rates[rising]) >= -tolerance)
    assert np.all(np.diff(rates[~rising]) <= tolerance)


@KINDS
def test_every_kind_reaches_its_peak(kind):
    table = learning_rate_table(default_schedule(kind), steps_per_epoch=100, num_epochs=20)

    assert table.max() == pytest.approx(1e-3, rel=2e-3)


@KINDS
def test_every_entry_is_complete(kind):
    entry = SCHEDULES[kind]

    assert entry.name == kind
    for parameter in entry.parameters:
        assert parameter.check(parameter.default) == parameter.default


def test_schedules_are_values():
    a, b = default_schedule("cosine"), default_schedule("cosine")

    assert a == b
    assert len({a, b, default_schedule("ramp")}) == 2


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (("cosin", 1e-3, {}), "Unknown schedule 'cosin'.*Did you mean 'cosine'"),
        (("constant", 0.0, {}), "`peak_learning_rate` must be above 0, got 0.0"),
        (("constant", math.nan, {}), "`peak_learning_rate` must be above 0, got nan"),
        (("constant", math.inf, {}), "`peak_learning_rate` must be above 0, got inf"),
        (("cosine", 1e-3, {}), r"Schedule 'cosine' takes \['warmup'\], got \[\]"),
        (("constant", 1e-3, {"warmup": 0.1}), r"Schedule 'constant' takes \[\], got \['warmup'\]"),
        (("cosine", 1e-3, {"warmup": 1.0}), r"`warmup` must lie in \[0, 0.9\], got 1.0"),
        (("cosine_restarts", 1e-3, {"cycles": 1.5}), "`cycles` must be a whole number, got 1.5"),
    ],
)
def test_schedules_that_do_not_hold_up_are_refused(fields, sentence):
    with pytest.raises(ValueError, match=sentence):
        Schedule(*fields)


@pytest.mark.parametrize("epoch", [-0.1, 10.1, math.nan])
def test_epochs_outside_the_horizon_are_refused(epoch):
    with pytest.raises(ValueError, match=r"`epoch` must lie in \[0, 10\], got"):
        default_schedule("cosine").learning_rate(epoch, 10)
