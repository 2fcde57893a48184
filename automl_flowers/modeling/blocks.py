"""Freezing a backbone block by block, and cutting it where it is frozen, by its graph."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras

from search_spaces.backbones import NUM_EQUAL_BLOCKS, Backbone, assign_blocks

BATCH_NORM_MOMENTUM = 0.9
"""Of moving statistics while fine-tuning. With Keras' 0.99 they still hold a third of ImageNet's
after a hundred steps, and a model that has learnt its images scores as if it had not."""


def set_trainable_blocks(model: keras.Model, backbone: Backbone, trainable_blocks: int) -> None:
    """Freeze all layers but those of the last `trainable_blocks` blocks.

    What is frozen computes the same for the same image: a BatchNormalization stays in inference
    mode, where Keras uses, and does not update, its moving statistics, and a Dropout, which Keras
    would go on applying, drops nothing from then on. A BatchNormalization that trains follows
    the new images with `BATCH_NORM_MOMENTUM`.

    Args:
        model: Of the backbone. One without a graph of layers trains as a whole or not at all.
        backbone: Its entry.
        trainable_blocks: How many, counted from the output.
    """
    first = backbone.num_blocks - trainable_blocks
    if not is_functional(model):
        model.trainable = trainable_blocks > 0
    else:
        for operation, block in blocks_of(model, backbone):
            if isinstance(operation, keras.layers.Layer):
                operation.trainable = block >= first
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = BATCH_NORM_MOMENTUM
        if isinstance(layer, keras.layers.Dropout) and not layer.trainable:
            layer.rate = 0.0


def divide(
    model: keras.Model, backbone: Backbone, trainable_blocks: int
) -> tuple[keras.Model | None, keras.Model | None]:
    """Return the frozen part of a model and the part that trains, which share its layers.

    Args:
        model: Of the backbone.
        backbone: Its entry.
        trainable_blocks: How many train, counted from the output.

    Returns:
        Models of which the second takes what the first puts out. None for a part without a
        layer; where several tensors cross from one part to the other, as between the cells of
        NASNet, or the graph cannot be read, None and the whole model.
    """
    if trainable_blocks == 0:
        return model, None
    crossing = _crossing(model, backbone, trainable_blocks) if is_functional(model) else []
    if len(crossing) != 1:
        return None, model
    frozen = keras.Model(model.inputs[0], crossing[0], name=f"{model.name}_frozen")
    return frozen, keras.Model(crossing[0], model.outputs[0], name=f"{model.name}_trained")


def _crossing(model: keras.Model, backbone: Backbone, trainable_blocks: int) -> list[Any]:
    """Return the tensors that frozen blocks put out and blocks that train take in."""
    first = backbone.num_blocks - trainable_blocks
    block_of = {id(operation): block for operation, block in blocks_of(model, backbone)}
    taken = [
        tensor
        for nodes in model._nodes_by_depth.values()
        for node in nodes
        if block_of[id(node.operation)] >= first
        for tensor in node.input_tensors
    ]
    crossing = {
        id(tensor): tensor
        for tensor in taken
        if block_of[id(tensor._keras_history.operation)] < first
    }
    return list(crossing.values())


def is_functional(model: keras.Model) -> bool:
    """Say whether a model is a graph of layers that can be read."""
    return hasattr(model, "_nodes_by_depth")


def blocks_of(model: keras.Model, backbone: Backbone) -> list[tuple[Any, int]]:
    """Return the operations of a functional model from input to output, each with its block."""
    operations, inputs_of = read_graph(model)
    assigned = assign_blocks(backbone.blocks or _equal_parts(operations), inputs_of)
    return [(operation, assigned[name]) for name, operation in operations.items()]


def _equal_parts(operations: Mapping[str, Any]) -> list[str]:
    """Return the layers that end blocks with about the same number of layers with weights."""
    layers = [name for name, operation in operations.items() if getattr(operation, "weights", ())]
    layers = layers or list(operations)
    ends = [
        math.ceil(part * len(layers) / NUM_EQUAL_BLOCKS) for part in range(1, NUM_EQUAL_BLOCKS + 1)
    ]
    return [layers[end - 1] for end in ends]


def read_graph(model: keras.Model) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return a functional model's operations and what each takes input from.

    Keras numbers what has no name through a process: the first `add` of a model is `add` in one
    process and `add_7` in another. Here numbers begin anew, so names are the same in all.

    Returns:
        Operations by name, and for each name the names that it takes input from; both in an
        order from the input to the output.
    """
    depths = sorted(model._nodes_by_depth, reverse=True)
    nodes = [node for depth in depths for node in model._nodes_by_depth[depth]]
    operations = list({id(node.operation): node.operation for node in nodes}.values())
    names = _number_anew(operations)
    inputs_of: dict[str, list[str]] = {names[id(operation)]: [] for operation in operations}
    for node in nodes:
        needed = [names[id(parent.operation)] for parent in node.parent_nodes]
        inputs_of[names[id(node.operation)]] += needed
    return {names[id(operation)]: operation for operation in operations}, inputs_of


def _number_anew(operations: list[Any]) -> dict[int, str]:
    """Return a name by `id`, in which the numbers that Keras gave count from the first one."""
    names = {id(operation): operation.name for operation in operations}
    unnamed: dict[str, list[tuple[int, int]]] = {}
    for operation in operations:
        kind, _, number = operation.name.rpartition("_")
        if not number.isdigit():
            kind, number = operation.name, "0"
        if kind.replace("_", "") == type(operation).__name__.lower():
            unnamed.setdefault(kind, []).append((int(number), id(operation)))
    for kind, numbered in unnamed.items():
        for position, (_, identity) in enumerate(sorted(numbered)):
            names[identity] = f"{kind}_{position}" if position else kind
    return names
