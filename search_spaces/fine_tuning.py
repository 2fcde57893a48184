"""Fine-tuning space: how much of a pretrained backbone trains, on what, and by which rule."""

from __future__ import annotations

import math

from search_spaces.backbones import BACKBONES, Backbone
from search_spaces.parameters import Parameter

OPTIMIZERS = ("adam", "adamw", "nadam", "rmsprop")
"""Adaptive rules that share one range of learning rates. On the competition's data they ended
within 0.001 macro F1 of one another, while SGD, Adagrad and Adadelta needed other ranges."""

PARAMETERS = (
    Parameter("backbone", "name", "efficientnet_lite0", options=BACKBONES),
    Parameter("image_size", "int", 224, 16, 1024),
    Parameter("trainable_fraction", "float", 0.3, 0.0, 1.0),
    Parameter("optimizer", "name", "adam", options=OPTIMIZERS),
    Parameter("batch_size", "int", 32, 1, 4096),
    Parameter("learning_rate", "float", 1e-3, 1e-7, 1.0),
)


def count_trainable_blocks(backbone: Backbone, fraction: float) -> int:
    """Return how many blocks, counted from the top, a fraction stands for.

    Any fraction above 0 trains at least one block; 1 trains all of them.

    Args:
        backbone: The registry entry.
        fraction: Share of the blocks, in [0, 1].
    """
    blocks = math.ceil(round(fraction * backbone.num_blocks, 9))
    return min(backbone.num_blocks, max(blocks, 1 if fraction > 0 else 0))
