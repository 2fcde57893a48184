"""Promises every entry of the backbone registry makes, present and future."""

import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.backbones import (
    BACKBONES,
    add_backbone,
    assign_blocks,
    get_backbone,
    named_block,
)

ENTRIES = pytest.mark.parametrize("backbone", BACKBONES.values(), ids=lambda entry: entry.name)


@ENTRIES
def test_entry_is_complete(backbone):
    assert BACKBONES[backbone.name] is backbone
    assert re.fullmatch(r"[a-z0-9_]+", backbone.name)
    assert "https://" in backbone.source
    assert 0 < backbone.min_image_size <= backbone.image_size
    assert backbone.constructor == "efficientnet_lite" or backbone.constructor[0].isupper()
    assert backbone.num_parameters > 0
    assert backbone.family


@ENTRIES
def test_weights_come_from_exactly_one_place(backbone):
    assert (backbone.weights_file is None) != (backbone.weights_package is None)
    assert (backbone.weights_file is None) == (backbone.weights_url is None)


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
def test_blocks_have_names_of_their_own(backbone):
    assert backbone.num_blocks == len(set(backbone.blocks)) > 1


@ENTRIES
def test_layers_go_to_the_block_whose_name_they_have(backbone):
    layers = [f"{name}layer" if name.endswith("_") else name for name in backbone.blocks]
    chain = dict(zip(layers, [[], *([layer] for layer in layers)], strict=False))

    assert list(assign_blocks(backbone.blocks, chain).values()) == list(range(backbone.num_blocks))


@st.composite
def graphs(draw):
    """Blocks, and layers in order, each with some of the layers before it as inputs."""
    blocks = BACKBONES[draw(st.sampled_from(sorted(BACKBONES)))].blocks
    inputs_of = {}
    for number in range(draw(st.integers(1, 30))):
        named = draw(st.none() | st.sampled_from(blocks))
        name = f"layer{number}" if named is None else f"{named.rstrip('_')}_{number}"
        before = list(inputs_of)
        inputs_of[name] = draw(st.lists(st.sampled_from(before), max_size=3)) if before else []
    return blocks, inputs_of


@given(graph=graphs())
def test_no_block_takes_input_from_a_later_one(graph):
    blocks, inputs_of = graph

    assigned = assign_blocks(blocks, inputs_of)

    assert list(assigned) == list(inputs_of)
    assert set(assigned.values()) <= set(range(len(blocks)))
    for layer, needed in inputs_of.items():
        assert all(assigned[one] <= assigned[layer] for one in needed)


def test_what_no_block_names_goes_with_the_layers_that_it_serves():
    graph = {"a_1": [], "shortcut": ["a_1"], "c": ["a_1"], "add": ["c", "shortcut"], "b_1": ["add"]}

    assigned = assign_blocks(("a_", "add", "b_"), {**graph, "output": ["b_1"]})

    assert list(assigned.values()) == [0, 1, 1, 1, 2, 2]


def test_a_layer_that_an_earlier_block_needs_belongs_to_it():
    assigned = assign_blocks(("a_", "b_"), {"b_1": [], "a_1": ["b_1"], "b_2": ["a_1"]})

    assert assigned == {"b_1": 0, "a_1": 0, "b_2": 1}


@pytest.mark.parametrize(
    ("layer", "block"), [("conv_1_x", 1), ("conv_2_x", 0), ("conv", None), ("add", 2), ("add_1", 3)]
)
def test_the_longest_name_decides(layer, block):
    assert named_block(("conv_", "conv_1_", "add", "add_1"), layer) == block


def test_an_entry_can_be_added_once(monkeypatch):
    mine = dataclasses.replace(BACKBONES["vgg16"], name="mine")
    monkeypatch.setattr("search_spaces.backbones._ENTRIES", {})
    add_backbone(mine)

    with pytest.raises(ValueError, match="There is a backbone 'vgg16' already"):
        add_backbone(BACKBONES["vgg16"])


def test_names_and_blocks_are_the_keys_of_different_entries():
    names = [backbone.name for backbone in BACKBONES.values()]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_entry_is_found_by_name(name):
    assert get_backbone(name) is BACKBONES[name]


def test_unknown_backbone_is_answered_with_a_suggestion():
    with pytest.raises(ValueError, match=r"^Unknown backbone 'xcepton', expected one of: convnext"):
        get_backbone("xcepton")
    with pytest.raises(ValueError, match=r"Did you mean 'xception'\?$"):
        get_backbone("xcepton")


def test_registry_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        BACKBONES["xception"] = BACKBONES["vgg16"]  # type: ignore[index]
    with pytest.raises(dataclasses.FrozenInstanceError):
        BACKBONES["xception"].image_size = 1  # type: ignore[misc]
