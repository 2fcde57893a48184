"""Promises every entry of the backbone registry makes, present and future."""

import dataclasses
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.backbones import BACKBONES, assign_blocks, get_backbone

ENTRIES = pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda entry: entry.name)


@ENTRIES
def test_entry_is_complete(backbone):
    assert BACKBONES[backbone.name] is backbone
    assert re.fullmatch(r"[a-z0-9_]+", backbone.name)
    assert "https://" in backbone.source
    assert 0 < backbone.min_image_size <= backbone.image_size
    assert backbone.constructor == "efficientnet_lite" or backbone.constructor[0].isupper()


@ENTRIES
def test_weights_come_from_exactly_one_place(backbone):
    assert (backbone.weights_file is None) != (backbone.weights_package is None)


@ENTRIES
def test_input_convention_maps_pixels_to_small_numbers(backbone):
    convention = backbone.input_convention

    assert all(std > 0 for std in convention.std)
    assert all(0 <= mean <= 255 for mean in convention.mean)
    assert convention.channel_order in ("rgb", "bgr")
    black_and_white = [
        (pixel - mean) / std
        for mean, std in zip(convention.mean, convention.std, strict=True)
        for pixel in (0, 255)
    ]
    assert -256 < min(black_and_white) <= 0 < max(black_and_white) < 256


@ENTRIES
def test_no_block_takes_the_layers_of_another(backbone):
    assert len(backbone.blocks) > 1
    for a, b in itertools.permutations(backbone.blocks, 2):
        assert not a.startswith(b)


@ENTRIES
def test_layers_go_to_the_block_whose_prefix_they_have(backbone):
    layers = [f"{prefix}layer" for prefix in backbone.blocks]

    assert assign_blocks(backbone, layers) == list(range(len(backbone.blocks)))


@given(name=st.sampled_from(sorted(BACKBONES)), data=st.data())
def test_layers_without_a_block_stay_with_the_layer_before(name, data):
    backbone = BACKBONES[name]
    indices = st.integers(0, len(backbone.blocks) - 1)
    numbered = data.draw(st.lists(st.none() | indices, max_size=30))
    layers = ["add" if n is None else f"{backbone.blocks[n]}x" for n in numbered]

    assigned = assign_blocks(backbone, layers)

    expected, current = [], 0
    for number in numbered:
        current = current if number is None else number
        expected.append(current)
    assert assigned == expected


def test_names_and_blocks_are_the_keys_of_different_entries():
    names = [backbone.name for backbone in BACKBONES.values()]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_entry_is_found_by_name(name):
    assert get_backbone(name) is BACKBONES[name]


def test_unknown_backbone_is_answered_with_a_suggestion():
    with pytest.raises(ValueError, match=r"^Unknown backbone 'xcepton', expected one of: densenet"):
        get_backbone("xcepton")
    with pytest.raises(ValueError, match=r"Did you mean 'xception'\?$"):
        get_backbone("xcepton")


def test_registry_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        BACKBONES["xception"] = BACKBONES["vgg16"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        BACKBONES["xception"].image_size = 1  # type: ignore[misc]
