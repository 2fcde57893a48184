"""The backbones of `keras.applications`, family by family.

Input conventions are those of each module's `preprocess_input`. Families whose `preprocess_input`
does nothing rescale inside the model and take raw pixels: MobileNetV3, EfficientNet,
EfficientNetV2 and ConvNeXt. Files, addresses and hashes are Keras' own; the tests compare all of
this, and the number of parameters, with the Keras that is installed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from search_spaces.backbones.entry import CAFFE, IMAGENET, RAW, SIGNED, Backbone, InputConvention

_HOST = "https://storage.googleapis.com"


def _entry(
    name: str,
    constructor: str,
    num_parameters: int,
    file: str,
    file_hash: str | None,
    *,
    family: str,
    convention: InputConvention,
    source: str,
    blocks: Sequence[str],
    folder: str,
    image_size: int = 224,
    min_image_size: int = 32,
    file_there: str | None = None,
) -> Backbone:
    """Return an entry; `file_there` is the name of `file` in `folder`, if it has another one."""
    return Backbone(
        name=name,
        family=family,
        constructor=constructor,
        input_convention=convention,
        image_size=image_size,
        min_image_size=min_image_size,
        blocks=tuple(blocks),
        source=source,
        num_parameters=num_parameters,
        weights_url=f"{_HOST}/{folder}/{file_there or file}",
        weights_file=file,
        weights_hash=file_hash,
    )


def _count(name: str, numbers: range) -> list[str]:
    """Return `name` with each number in place of `{}`."""
    return [name.format(number) for number in numbers]


def _stages(name: str, repeats: Sequence[int], first: int = 1) -> list[str]:
    """Return `name` with the number of each stage and of each of its blocks in place of `{}`."""
    return [
        name.format(stage, block)
        for stage, count in enumerate(repeats, first)
        for block in range(1, count + 1)
    ]


def _lettered_stages(repeats: Sequence[int]) -> list[str]:
    """Return `block1a_`, `block2a_`, `block2b_` and so on."""
    return [
        f"block{stage}{chr(ord('a') + block)}_"
        for stage, count in enumerate(repeats, 1)
        for block in range(count)
    ]


def _unnamed(layer: str, count: int) -> list[str]:
    """Return the names that Keras gives to so many layers without one."""
    return [layer, *_count(layer + "_{}", range(1, count))]


def _scale_depth(repeats: Sequence[int], factor: float) -> list[int]:
    return [math.ceil(factor * count) for count in repeats]


def _kernels(stem: str) -> str:
    return f"{stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"


# VGG ----------------------------------------------------------------------------------------------


def _vgg(depth: int, num_parameters: int, file_hash: str) -> Backbone:
    return _entry(
        f"vgg{depth}",
        f"VGG{depth}",
        num_parameters,
        _kernels(f"vgg{depth}"),
        file_hash,
        family="vgg",
        convention=CAFFE,
        source="Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556",
        blocks=_count("block{}_", range(1, 6)),
        folder=f"tensorflow/keras-applications/vgg{depth}",
    )


_VGG = (
    _vgg(16, 14_714_688, "6d6bbae143d832006294945121d1f1fc"),
    _vgg(19, 20_024_384, "253f8cb515780f3b799900260a226db6"),
)


# ResNet -------------------------------------------------------------------------------------------

_RESNET_REPEATS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def _resnet(depth: int, num_parameters: int, file_hash: str) -> Backbone:
    return _entry(
        f"resnet{depth}",
        f"ResNet{depth}",
        num_parameters,
        _kernels(f"resnet{depth}"),
        file_hash,
        family="resnet",
        convention=CAFFE,
        source="He et al. 2016, https://arxiv.org/abs/1512.03385",
        blocks=["conv1_", *_stages("conv{}_block{}_", _RESNET_REPEATS[depth], first=2)],
        folder="tensorflow/keras-applications/resnet",
    )


def _resnet_v2(depth: int, num_parameters: int, file_hash: str) -> Backbone:
    return _entry(
        f"resnet{depth}_v2",
        f"ResNet{depth}V2",
        num_parameters,
        _kernels(f"resnet{depth}v2"),
        file_hash,
        family="resnet_v2",
        convention=SIGNED,
        source="He et al. 2016, https://arxiv.org/abs/1603.05027",
        blocks=["conv1_", *_stages("conv{}_block{}_", _RESNET_REPEATS[depth], first=2)],
        folder="tensorflow/keras-applications/resnet",
    )


_RESNET = (
    _resnet(50, 23_587_712, "4d473c1dd8becc155b73f8504c6f6626"),
    _resnet(101, 42_658_176, "88cf7a10940856eca736dc7b7e228a21"),
    _resnet(152, 58_370_944, "ee4c566cf9a93f14d82f913c2dc6dd0c"),
    _resnet_v2(50, 23_564_800, "fac2f116257151a9d068a22e544a4917"),
    _resnet_v2(101, 42_626_560, "c0ed64b8031c3730f411d2eb4eea35b5"),
    _resnet_v2(152, 58_331_648, "ed17cf2e0169df9d443503ef94b23b33"),
)


# Inception and Xception ---------------------------------------------------------------------------

_INCEPTION = (
    _entry(
        "inception_v3",
        "InceptionV3",
        21_802_784,
        _kernels("inception_v3"),
        "bcbd6486424b2319ff4ef7d526e38f63",
        family="inception_v3",
        convention=SIGNED,
        source="Szegedy et al. 2016, https://arxiv.org/abs/1512.00567",
        blocks=[*_unnamed("max_pooling2d", 2), *_count("mixed{}", range(11))],
        folder="tensorflow/keras-applications/inception_v3",
        image_size=299,
        min_image_size=75,
    ),
    _entry(
        "inception_resnet_v2",
        "InceptionResNetV2",
        54_336_736,
        _kernels("inception_resnet_v2"),
        "d19885ff4a710c122648d3b5c3b684e4",
        family="inception_resnet_v2",
        convention=SIGNED,
        source="Szegedy et al. 2017, https://arxiv.org/abs/1602.07261",
        blocks=[
            *_unnamed("max_pooling2d", 2),
            "mixed_5b",
            *_count("block35_{}_", range(1, 11)),
            "mixed_6a",
            *_count("block17_{}_", range(1, 21)),
            "mixed_7a",
            *_count("block8_{}_", range(1, 11)),
            "conv_7b_",
        ],
        folder="tensorflow/keras-applications/inception_resnet_v2",
        image_size=299,
        min_image_size=75,
    ),
    _entry(
        "xception",
        "Xception",
        20_861_480,
        _kernels("xception"),
        "b0042744bf5b25fce3cb969f33bebb97",
        family="xception",
        convention=SIGNED,
        source="Chollet 2017, https://arxiv.org/abs/1610.02357",
        blocks=["block1_", *_unnamed("add", 12), "block14_"],
        folder="tensorflow/keras-applications/xception",
        image_size=299,
        min_image_size=71,
    ),
)


# DenseNet -----------------------------------------------------------------------------------------


def _densenet(depth: int, num_parameters: int, file_hash: str) -> Backbone:
    return _entry(
        f"densenet{depth}",
        f"DenseNet{depth}",
        num_parameters,
        _kernels(f"densenet{depth}"),
        file_hash,
        family="densenet",
        convention=IMAGENET,
        source="Huang et al. 2017, https://arxiv.org/abs/1608.06993",
        blocks=["conv1_", "conv2_", "pool2_", "conv3_", "pool3_", "conv4_", "pool4_", "conv5_"],
        folder="tensorflow/keras-applications/densenet",
    )


_DENSENET = (
    _densenet(121, 7_037_504, "30ee3e1110167f948a6b9946edeeb738"),
    _densenet(169, 12_642_880, "b8c4d4c20dd625c148057b9ff1c1176b"),
    _densenet(201, 18_321_984, "c13680b51ded0fb44dff2d8f86ac8bb1"),
)


# NASNet -------------------------------------------------------------------------------------------


def _nasnet(
    size: str, image_size: int, repeats: int, num_parameters: int, file_hash: str
) -> Backbone:
    cells = "normal_concat_{}"
    return _entry(
        f"nasnet_{size}",
        f"NASNet{size.title()}",
        num_parameters,
        f"nasnet_{size}_no_top.h5",
        file_hash,
        family="nasnet",
        convention=SIGNED,
        source="Zoph et al. 2018, https://arxiv.org/abs/1707.07012",
        blocks=[
            "stem_",
            "reduction_concat_stem_1",
            "reduction_concat_stem_2",
            *_count(cells, range(repeats)),
            f"reduction_concat_reduce_{repeats}",
            *_count(cells, range(repeats + 1, 2 * repeats + 1)),
            f"reduction_concat_reduce_{2 * repeats}",
            *_count(cells, range(2 * repeats + 1, 3 * repeats + 1)),
        ],
        folder="tensorflow/keras-applications/nasnet",
        file_there=f"NASNet-{size}-no-top.h5",
        image_size=image_size,
    )


_NASNET = (
    _nasnet("mobile", 224, 4, 4_269_716, "1ed92395b5b598bdda52abe5c0dbfd63"),
    _nasnet("large", 331, 6, 84_916_818, "d81d89dc07e6e56530c4e77faddd61b5"),
)


# MobileNet ----------------------------------------------------------------------------------------


def _mobilenet_v3(size: str, repeats: int, num_parameters: int, file_hash: str) -> Backbone:
    return _entry(
        f"mobilenet_v3_{size}",
        f"MobileNetV3{size.title()}",
        num_parameters,
        f"weights_mobilenet_v3_{size}_224_1.0_float_no_top_v2.h5",
        file_hash,
        family="mobilenet_v3",
        convention=RAW,
        source="Howard et al. 2019, https://arxiv.org/abs/1905.02244",
        blocks=[
            "conv_bn",
            "expanded_conv_",
            *_count("expanded_conv_{}_", range(1, repeats)),
            "conv_1_bn",
        ],
        folder="tensorflow/keras-applications/mobilenet_v3",
    )


_MOBILENET = (
    _entry(
        "mobilenet",
        "MobileNet",
        3_228_864,
        "mobilenet_1_0_224_tf_no_top.h5",
        None,
        family="mobilenet",
        convention=SIGNED,
        source="Howard et al. 2017, https://arxiv.org/abs/1704.04861",
        blocks=["conv1_", *_count("conv_pw_{}_", range(1, 14))],
        folder="tensorflow/keras-applications/mobilenet",
    ),
    _entry(
        "mobilenet_v2",
        "MobileNetV2",
        2_257_984,
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
        None,
        family="mobilenet_v2",
        convention=SIGNED,
        source="Sandler et al. 2018, https://arxiv.org/abs/1801.04381",
        blocks=["Conv1_", "expanded_conv_", *_count("block_{}_", range(1, 17)), "Conv_1_"],
        folder="tensorflow/keras-applications/mobilenet_v2",
    ),
    _mobilenet_v3("small", 11, 939_120, "d3e8ec802a04aa4fc771ee12a9a9b836"),
    _mobilenet_v3("large", 15, 2_996_352, "07fb09a5933dd0c8eaafa16978110389"),
)


# EfficientNet -------------------------------------------------------------------------------------


def _efficientnet(
    variant: int, image_size: int, depth: float, num_parameters: int, file_hash: str
) -> Backbone:
    repeats = _scale_depth((1, 2, 2, 3, 3, 4, 1), depth)
    return _entry(
        f"efficientnet_b{variant}",
        f"EfficientNetB{variant}",
        num_parameters,
        f"efficientnetb{variant}_notop.h5",
        file_hash,
        family="efficientnet",
        convention=RAW,
        source="Tan & Le 2019, https://arxiv.org/abs/1905.11946",
        blocks=["stem_", *_lettered_stages(repeats), "top_"],
        folder="keras-applications",
        image_size=image_size,
    )


def _efficientnet_v2(
    variant: str, image_size: int, repeats: Sequence[int], num_parameters: int, file_hash: str
) -> Backbone:
    return _entry(
        f"efficientnet_v2_{variant}",
        f"EfficientNetV2{variant.upper()}",
        num_parameters,
        f"efficientnetv2-{variant}_notop.h5",
        file_hash,
        family="efficientnet_v2",
        convention=RAW,
        source="Tan & Le 2021, https://arxiv.org/abs/2104.00298",
        blocks=["stem_", *_lettered_stages(repeats), "top_"],
        folder="tensorflow/keras-applications/efficientnet_v2",
        image_size=image_size,
    )


_V2_B = functools.partial(_scale_depth, (1, 2, 2, 3, 5, 8))
_V2_S = (2, 4, 4, 6, 9, 15)
_V2_M = (3, 5, 5, 7, 14, 18, 5)
_V2_L = (4, 7, 7, 10, 19, 25, 7)

_EFFICIENTNET = (
    _efficientnet(0, 224, 1.0, 4_049_571, "50bc09e76180e00e4465e1a485ddc09d"),
    _efficientnet(1, 240, 1.1, 6_575_239, "74c4e6b3e1f6a1eea24c589628592432"),
    _efficientnet(2, 260, 1.2, 7_768_569, "111f8e2ac8aa800a7a99e3239f7bfb39"),
    _efficientnet(3, 300, 1.4, 10_783_535, "af6d107764bb5b1abb91932881670226"),
    _efficientnet(4, 380, 1.8, 17_673_823, "ebc24e6d6c33eaebbd558eafbeedf1ba"),
    _efficientnet(5, 456, 2.2, 28_513_527, "38879255a25d3c92d5e44e04ae6cec6f"),
    _efficientnet(6, 528, 2.6, 40_960_143, "9ecce42647a20130c1f39a5d4cb75743"),
    _efficientnet(7, 600, 3.1, 64_097_687, "cbcfe4450ddf6f3ad90b1b398090fe4a"),
    _efficientnet_v2("b0", 224, _V2_B(1.0), 5_919_312, "893217f2bb855e2983157299931e43ff"),
    _efficientnet_v2("b1", 240, _V2_B(1.1), 6_931_124, "0e80663031ca32d657f9caa404b6ec37"),
    _efficientnet_v2("b2", 260, _V2_B(1.2), 8_769_374, "1dfe2e7a5d45b6632553a8961ea609eb"),
    _efficientnet_v2("b3", 300, _V2_B(1.4), 12_930_622, "f6abf7b5849ac99a89b50dd3fd532856"),
    _efficientnet_v2("s", 384, _V2_S, 20_331_360, "af0682fb74e8c54910f2d4393339c070"),
    _efficientnet_v2("m", 480, _V2_M, 53_150_388, "1b8dc055df72dde80d614482840fe342"),
    _efficientnet_v2("l", 480, _V2_L, 117_746_848, "b0b66b5c863aef5b46e8608fe1711615"),
)


# ConvNeXt -----------------------------------------------------------------------------------------


def _convnext(
    size: str, constructor: str, repeats: Sequence[int], num_parameters: int, file_hash: str
) -> Backbone:
    *residuals, _last = _unnamed("add", sum(repeats))
    return _entry(
        f"convnext_{size}",
        constructor,
        num_parameters,
        f"convnext_{size}_notop.h5",
        file_hash,
        family="convnext",
        convention=RAW,
        source="Liu et al. 2022, https://arxiv.org/abs/2201.03545",
        blocks=[*residuals, "layer_normalization"],  # which follows the last residual
        folder="tensorflow/keras-applications/convnext",
    )


_TINY, _DEEP = (3, 3, 9, 3), (3, 3, 27, 3)
# fmt: off
_CONVNEXT = (
    _convnext("tiny", "ConvNeXtTiny", _TINY, 27_820_128,
              "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1"),
    _convnext("small", "ConvNeXtSmall", _DEEP, 49_454_688,
              "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab"),
    _convnext("base", "ConvNeXtBase", _DEEP, 87_566_464,
              "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45"),
    _convnext("large", "ConvNeXtLarge", _DEEP, 196_230_336,
              "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd"),
    _convnext("xlarge", "ConvNeXtXLarge", _DEEP, 348_147_968,
              "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05"),
)
# fmt: on

ENTRIES: tuple[Backbone, ...] = (
    *_VGG,
    *_RESNET,
    *_INCEPTION,
    *_DENSENET,
    *_NASNET,
    *_MOBILENET,
    *_EFFICIENTNET,
    *_CONVNEXT,
)
