"""Tests for what a space may say about one hyperparameter."""

import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from search_spaces.parameters import Choice, Parameter, Range, parse_domain, unknown_name

DROPOUT = Parameter("dropout", "float", 0.2, 0.0, 0.9)
BATCH_SIZE = Parameter("batch_size", "int", 32, 1, 4096)
WEIGHTING = Parameter("weighting", "name", "none", options=("none", "balanced"))
OPTIMIZER = Parameter("optimizer", "name", "adam", options=("adam", "nadam"))


class Declared:
    """Remembers what was declared and answers like a `HyperParameters` at its defaults."""

    def __init__(self):
        self.calls = []

    def Choice(self, name, values, **options):  # noqa: N802 - Keras Tuner's name
        self.calls.append(("Choice", name, values, options))
        return values[0]

    def Float(self, name, low, high, **options):  # noqa: N802 - Keras Tuner's name
        self.calls.append(("Float", name, low, high, options))
        return low


def test_unknown_name_lists_what_exists_and_suggests_the_nearest():
    sentence = unknown_name("fruit", "appel", ["pear", "apple"])

    assert sentence == "Unknown fruit 'appel', expected one of: apple, pear. Did you mean 'apple'?"


def test_unlike_any_name_is_answered_without_a_suggestion():
    assert unknown_name("fruit", 7, ["pear"]) == "Unknown fruit 7, expected one of: pear."


@pytest.mark.parametrize(
    ("parameter", "written", "value"),
    [
        (DROPOUT, "0.3", 0.3),
        (DROPOUT, "0", 0.0),
        (DROPOUT, "1e-6", 1e-6),  # YAML 1.1 reads a string here
        (BATCH_SIZE, "16", 16),
        (BATCH_SIZE, "16.0", 16),
        (WEIGHTING, "balanced", "balanced"),
        (WEIGHTING, "none", "none"),
        (WEIGHTING, "no", "none"),  # YAML 1.1 reads False here
    ],
)
def test_values_come_back_in_the_type_of_the_parameter(parameter, written, value):
    checked = parameter.check(yaml.safe_load(written))

    assert checked == value
    assert type(checked) is type(value)


@pytest.mark.parametrize(
    ("parameter", "value", "sentence"),
    [
        (DROPOUT, "much", "`dropout` must be a number, got 'much'."),
        (DROPOUT, True, "`dropout` must be a number, got True."),
        (DROPOUT, None, "`dropout` must be a number, got None."),
        (DROPOUT, 0.95, "`dropout` must lie in [0, 0.9], got 0.95."),
        (DROPOUT, -0.1, "`dropout` must lie in [0, 0.9], got -0.1."),
        (DROPOUT, math.nan, "`dropout` must lie in [0, 0.9], got nan."),
        (DROPOUT, math.inf, "`dropout` must lie in [0, 0.9], got inf."),
        (BATCH_SIZE, 1.5, "`batch_size` must be a whole number, got 1.5."),
        (BATCH_SIZE, math.nan, "`batch_size` must be a whole number, got nan."),
        (BATCH_SIZE, math.inf, "`batch_size` must be a whole number, got inf."),
        (BATCH_SIZE, "1e400", "`batch_size` must be a whole number, got '1e400'."),
        (BATCH_SIZE, 0, "`batch_size` must lie in [1, 4096], got 0."),
        (
            OPTIMIZER,
            "adma",
            "Unknown `optimizer` 'adma', expected one of: adam, nadam. Did you mean 'adam'?",
        ),
        (OPTIMIZER, False, "Unknown `optimizer` False, expected one of: adam, nadam."),
        (WEIGHTING, None, "Unknown `weighting` None, expected one of: balanced, none."),
        (OPTIMIZER, {"a": 1}, "Unknown `optimizer` {'a': 1}, expected one of: adam, nadam."),
    ],
)
def test_values_that_do_not_hold_up_are_refused_by_name(parameter, value, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        parameter.check(value)


@given(value=st.floats(0.0, 0.9))
def test_every_number_in_range_is_kept(value):
    assert DROPOUT.check(value) == value


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("0.2", Choice((0.2,))),
        ("[0, 0.2, 4e-1]", Choice((0.0, 0.2, 0.4))),
        ("{min: 0.0, max: 0.5}", Range(0.0, 0.5)),
        ("{min: 0.0, max: 0.5, step: 0.1}", Range(0.0, 0.5, 0.1)),
        ("{min: 1e-6, max: 1e-3, sampling: log}", Range(1e-6, 1e-3, None, "log")),
    ],
)
def test_a_domain_is_read_from_a_value_a_list_or_a_range(written, domain):
    assert parse_domain(DROPOUT, yaml.safe_load(written)) == domain


@pytest.mark.parametrize(
    ("parameter", "written", "sentence"),
    [
        (DROPOUT, "[]", "`dropout` needs at least one value, got an empty list."),
        (DROPOUT, "[0.1, 1e-1]", "`dropout` lists a value twice: [0.1, '1e-1']."),
        (DROPOUT, "[0.1, 2]", "`dropout` must lie in [0, 0.9], got 2."),
        (DROPOUT, "[{min: 0}]", "`dropout` must be a number, got {'min': 0}."),
        (
            DROPOUT,
            "{min: 0, max: 0.5, setp: 0.1}",
            (
                "Unknown key of `dropout` 'setp', expected one of: max, min, sampling, step. "
                "Did you mean 'step'?"
            ),
        ),
        (DROPOUT, "{min: 0}", "A range for `dropout` needs `min` and `max`, got {'min': 0}."),
        (DROPOUT, "{}", "A range for `dropout` needs `min` and `max`, got {}."),
        (DROPOUT, "{min: 0.5, max: 0.5}", "`dropout` needs min < max, got 0.5 and 0.5."),
        (DROPOUT, "{min: 0.1, max: 1}", "`dropout` must lie in [0, 0.9], got 1."),
        (
            DROPOUT,
            "{min: 0.1, max: 0.5, sampling: lgo}",
            (
                "Unknown sampling of `dropout` 'lgo', expected one of: linear, log. "
                "Did you mean 'log'?"
            ),
        ),
        (
            DROPOUT,
            "{min: 0, max: 0.5, sampling: log}",
            "`dropout` needs min > 0 with log sampling, got 0.",
        ),
        (
            DROPOUT,
            "{min: 0.1, max: 0.5, sampling: log, step: 0.1}",
            "`step` of `dropout` goes with linear sampling only.",
        ),
        (
            BATCH_SIZE,
            "{min: 8, max: 64}",
            "`batch_size` takes a list of values, not a range; got {'min': 8, 'max': 64}.",
        ),
    ],
)
def test_domains_that_contradict_themselves_are_refused(parameter, written, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        parse_domain(parameter, yaml.safe_load(written))


@pytest.mark.parametrize("step", ["0", "-0.1", ".nan", ".inf", "0.6", "1e-9", "fine", "null"])
def test_steps_that_do_not_divide_the_range_are_refused(step):
    written = f"{{min: 0.0, max: 0.5, step: {step}}}"

    with pytest.raises(ValueError, match=r"^`step` of `dropout` must be a number that divides"):
        parse_domain(DROPOUT, yaml.safe_load(written))


def test_steps_are_round_numbers_and_reach_the_end():
    assert Range(0.0, 0.5, 0.1).values() == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    assert Range(0.1, 0.5, 0.3).values() == (0.1, 0.4)


@given(low=st.integers(0, 500), step=st.integers(1, 200), num_steps=st.integers(1, 50))
def test_a_range_that_its_step_divides_holds_both_ends(low, step, num_steps):
    high = low + step * num_steps
    assume(high <= 900)

    values = Range(low / 1000, high / 1000, step / 1000).values()

    assert values == tuple((low + k * step) / 1000 for k in range(num_steps + 1))


def test_a_range_without_a_step_has_no_list():
    with pytest.raises(TypeError, match="without a step"):
        Range(0.0, 0.5).values()


def test_a_choice_declares_its_values():
    hp: Any = Declared()

    assert Choice((16, 32)).declare(hp, "batch_size") == 16
    assert hp.calls == [("Choice", "batch_size", [16, 32], {})]


def test_a_range_declares_its_ends_and_sampling():
    hp: Any = Declared()

    assert Range(1e-6, 1e-3, None, "log").declare(hp, "l2") == 1e-6
    assert hp.calls == [("Float", "l2", 1e-6, 1e-3, {"sampling": "log"})]


def test_a_range_with_a_step_declares_every_step():
    hp: Any = Declared()

    Range(0.0, 0.2, 0.1).declare(hp, "dropout")

    assert hp.calls == [("Choice", "dropout", [0.0, 0.1, 0.2], {})]
