"""Tests for how much of a backbone trains."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.backbones import BACKBONES
from search_spaces.fine_tuning import PARAMETERS, count_trainable_blocks

XCEPTION = BACKBONES["xception"]


def test_there_are_fourteen_blocks_to_count():
    assert len(XCEPTION.blocks) == 14


@pytest.mark.parametrize(
    ("fraction", "blocks"),
    [(0.0, 0), (1e-12, 1), (0.01, 1), (1 / 14, 1), (3 / 14, 3), (0.22, 4), (0.5, 7), (1.0, 14)],
)
def test_fractions_are_rounded_up_to_whole_blocks(fraction, blocks):
    assert count_trainable_blocks(XCEPTION, fraction) == blocks


@given(name=st.sampled_from(sorted(BACKBONES)), fraction=st.floats(0.0, 1.0))
def test_a_fraction_trains_as_many_blocks_as_it_needs_and_no_more(name, fraction):
    total = len(BACKBONES[name].blocks)

    blocks = count_trainable_blocks(BACKBONES[name], fraction)

    assert 0 <= blocks <= total
    assert (blocks == 0) == (fraction == 0)
    assert fraction * total <= blocks + 1e-9
    assert blocks <= fraction * total + 1


@given(name=st.sampled_from(sorted(BACKBONES)), data=st.data())
def test_every_count_of_blocks_can_be_chosen(name, data):
    total = len(BACKBONES[name].blocks)
    blocks = data.draw(st.integers(0, total))

    assert count_trainable_blocks(BACKBONES[name], blocks / total) == blocks


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_default_holds_up(parameter):
    assert parameter.check(parameter.default) == parameter.default
