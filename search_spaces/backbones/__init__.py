"""Pretrained backbones that a search may choose.

To add one, append an entry to its family's module; the tests then check it, and the table in
`docs/backbones.md` shows it, without further changes. A person's own are added while the program
runs, by `automl_flowers.register_backbone`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from search_spaces.backbones import efficientnet_lite, keras_families
from search_spaces.backbones.entry import (
    CAFFE,
    CONVENTIONS,
    IMAGENET,
    LITE,
    NUM_EQUAL_BLOCKS,
    RAW,
    SIGNED,
    Backbone,
    InputConvention,
    assign_blocks,
    named_block,
)
from search_spaces.parameters import unknown_name

__all__ = [
    "BACKBONES",
    "CAFFE",
    "CONVENTIONS",
    "IMAGENET",
    "LITE",
    "NUM_EQUAL_BLOCKS",
    "RAW",
    "SIGNED",
    "Backbone",
    "InputConvention",
    "add_backbone",
    "assign_blocks",
    "get_backbone",
    "named_block",
]

_ENTRIES = {
    backbone.name: backbone for backbone in (*efficientnet_lite.ENTRIES, *keras_families.ENTRIES)
}

BACKBONES: Mapping[str, Backbone] = MappingProxyType(_ENTRIES)
"""Every backbone by name; `add_backbone` is the only way to change it."""


def get_backbone(name: str) -> Backbone:
    """Return the backbone called `name`.

    Raises:
        ValueError: If there is no such backbone; the message lists the names that exist and
            suggests the closest one.
    """
    try:
        return BACKBONES[name]
    except KeyError:
        raise ValueError(unknown_name("backbone", name, BACKBONES)) from None


def add_backbone(backbone: Backbone) -> None:
    """Add an entry for as long as this program runs.

    Raises:
        ValueError: If the name is taken.
    """
    if backbone.name in BACKBONES:
        raise ValueError(f"There is a backbone {backbone.name!r} already. Choose another name.")
    _ENTRIES[backbone.name] = backbone
