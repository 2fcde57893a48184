"""Tests for the ladder of augmentation strengths."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.augmentation import (
    AUGMENTATIONS,
    LIMITS,
    AugmentationStrength,
    get_augmentation,
)

BLOCK_OUT = {"block_out": 0.5, "block_out_area": 0.1}


def test_default_strength_changes_nothing():
    assert set(dataclasses.asdict(AugmentationStrength()).values()) == {0.0}
    assert AUGMENTATIONS["none"] == AugmentationStrength()


def test_every_range_has_a_limit():
    assert list(LIMITS) == [field.name for field in dataclasses.fields(AugmentationStrength)]


def test_no_range_shrinks_along_the_ladder():
    ladder = [dataclasses.astuple(strength) for strength in AUGMENTATIONS.values()]

    for weaker, stronger in itertools.pairwise(ladder):
        assert all(a <= b for a, b in zip(weaker, stronger, strict=True))
        assert weaker != stronger


def test_ladder_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        AUGMENTATIONS["none"] = AugmentationStrength(flip=1.0)  # type: ignore[index]


@pytest.mark.parametrize("name", LIMITS)
def test_limits_themselves_are_allowed(name):
    AugmentationStrength(**{**BLOCK_OUT, name: LIMITS[name]})


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must lie in \[0, .*\], got"):
        AugmentationStrength(**{**BLOCK_OUT, name: value})


@given(name=st.sampled_from(sorted(LIMITS)), excess=st.floats(1e-6, 1e6))
def test_values_above_the_limit_are_refused(name, excess):
    with pytest.raises(ValueError, match=f"`{name}` must lie in"):
        AugmentationStrength(**{**BLOCK_OUT, name: LIMITS[name] + excess})


@pytest.mark.parametrize("half", [{"block_out": 0.5}, {"block_out_area": 0.1}])
def test_half_a_block_out_is_refused(half):
    with pytest.raises(ValueError, match="both be 0 or both be positive, got block_out="):
        AugmentationStrength(**half)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_strength_is_found_by_name(name):
    assert get_augmentation(name) is AUGMENTATIONS[name]


def test_unknown_strength_is_answered_with_a_suggestion():
    message = (
        "Unknown augmentation 'ligth', expected one of: light, medium, none, strong. "
        "Did you mean 'light'?"
    )

    with pytest.raises(ValueError, match=f"^{message.replace('?', '[?]')}$"):
        get_augmentation("ligth")


def test_unlike_any_name_is_answered_without_a_suggestion():
    with pytest.raises(ValueError, match=r"strong\.$"):
        get_augmentation("qqq")
