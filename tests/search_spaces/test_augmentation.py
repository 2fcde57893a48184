"""Tests for the ladder of augmentation strengths."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.augmentation import (
    AUGMENTATIONS,
    LADDER,
    LIMITS,
    MIXING,
    REFUSED,
    TRAINABLE,
    AugmentationStrength,
    get_augmentation,
    training_augmentation,
)
from search_spaces.portfolio import parse_recipes
from search_spaces.spaces import load_space, parse_space

GOES_WITH = {"block_out": 0.5, "block_out_area": 0.1, "crop": 0.7}
"""What must not be 0 where something else is not."""


def test_default_strength_changes_nothing():
    assert set(dataclasses.asdict(AugmentationStrength()).values()) == {0.0}
    assert AUGMENTATIONS["none"] == AugmentationStrength()


def test_every_range_has_a_limit():
    names = [field.name for field in dataclasses.fields(AugmentationStrength)]

    assert [*LIMITS, "exclusive"] == names


def test_no_range_shrinks_along_the_ladder():
    ladder = [dataclasses.astuple(strength) for strength in LADDER.values()]

    for weaker, stronger in itertools.pairwise(ladder):
        assert all(a <= b for a, b in zip(weaker, stronger, strict=True))
        assert weaker != stronger


def test_ladder_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        AUGMENTATIONS["none"] = AugmentationStrength(flip=1.0)  # type: ignore[index]


@pytest.mark.parametrize("name", LIMITS)
def test_limits_themselves_are_allowed(name):
    AugmentationStrength(**{**GOES_WITH, name: LIMITS[name]})


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", [-0.01, math.nan, math.inf])
def test_values_out_of_range_are_refused_by_name(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must lie in \[0, .*\], got"):
        AugmentationStrength(**{**GOES_WITH, name: value})


@given(name=st.sampled_from(sorted(LIMITS)), excess=st.floats(1e-6, 1e6))
def test_values_above_the_limit_are_refused(name, excess):
    with pytest.raises(ValueError, match=f"`{name}` must lie in"):
        AugmentationStrength(**{**GOES_WITH, name: LIMITS[name] + excess})


@pytest.mark.parametrize("half", [{"block_out": 0.5}, {"block_out_area": 0.1}])
def test_half_a_block_out_is_refused(half):
    with pytest.raises(ValueError, match="both be 0 or both be positive, got block_out="):
        AugmentationStrength(**half)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"crop_least": 0.2}, "`crop_least` must not be above `crop`, got crop_least=0.2"),
        ({"mixup": 0.6, "cutmix": 0.6}, "`mixup` and `cutmix` must be 1 together at most, got"),
        ({"contrast": 0.5, "fade": 0.5}, "`contrast` and `fade` must be 0.9 together at most"),
        ({"flip": 0.7, "flip_vertical": 0.7, "exclusive": True}, "`flip` and `flip_vertical` must"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_values_that_contradict_each_other_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        AugmentationStrength(**values)


def test_variants_that_mix_are_their_rung_but_for_that():
    assert {"medium_mixup", "medium_cutmix"} == MIXING
    for name in MIXING:
        plain = dataclasses.replace(AUGMENTATIONS[name], mixup=0.0, cutmix=0.0)
        assert plain == LADDER["medium"]


def test_no_rung_and_no_grid_of_the_notebook_mixes():
    assert not any(strength.mixes for name, strength in AUGMENTATIONS.items() if "mix" not in name)


def test_what_is_refused_is_there_to_be_looked_at_and_can_be_forced():
    assert set(TRAINABLE) == set(AUGMENTATIONS) - set(REFUSED)
    for name, why in REFUSED.items():
        assert get_augmentation(name) == training_augmentation(f"{name}_forced")
        assert name in why
        with pytest.raises(ValueError, match=r"macro F1 on val was 0\.791 with it"):
            training_augmentation(name)


def test_a_space_or_a_recipe_with_what_blackens_pictures_is_refused():
    with pytest.raises(ValueError, match="it leaves many pictures black or plain"):
        parse_space("mine", {"augmentation": ["light", "v3"]})
    with pytest.raises(ValueError, match="must write 'v3_forced'"):
        parse_recipes([{"augmentation": "v3"}], load_space("small"))

    assert parse_space("mine", {"augmentation": "v3_forced"}).choices("augmentation")


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_every_strength_is_found_by_name(name):
    assert get_augmentation(name) is AUGMENTATIONS[name]


def test_unknown_strength_is_answered_with_a_suggestion():
    message = (
        f"Unknown augmentation 'ligth', expected one of: {', '.join(sorted(AUGMENTATIONS))}. "
        "Did you mean 'light'?"
    )

    with pytest.raises(ValueError, match=f"^{message.replace('?', '[?]')}$"):
        get_augmentation("ligth")


def test_unlike_any_name_is_answered_without_a_suggestion():
    with pytest.raises(ValueError, match=r"v3_forced\.$"):
        get_augmentation("qqq")
