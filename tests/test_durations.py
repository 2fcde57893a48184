"""Tests for durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.durations import parse_seconds, say_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("20m", 1200),
        ("3h", 10800),
        ("1h30m", 5400),
        ("1 h 30 m", 5400),
        ("1.5h", 5400),
        ("2d", 172800),
        ("45", 45),
        (45, 45),
        (0.5, 0.5),
    ],
)
def test_a_duration_is_read(text, seconds):
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "5x", "-5m", "m5", "0", 0, -1, True, None, "1h-2m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match=r"a time (is written as|must be above zero)"):
        parse_seconds(text)


@given(st.integers(1, 10**6))
def test_whole_seconds_are_read_back(seconds):
    assert parse_seconds(f"{seconds}s") == parse_seconds(str(seconds)) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(45.4, "45 s"), (99, "99 s"), (720, "12 min"), (12_000, "3 h 20 min"), (5_999, "1 h 40 min")],
)
def test_seconds_for_people(seconds, text):
    assert say_seconds(seconds) == text
