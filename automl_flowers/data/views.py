"""Views: what a model is shown of an image when it predicts, beside the image itself.

Averaging what a model says of several views steadies it. The views are the mirror image, and both
a little closer; nothing is drawn at random, so a prediction is always the same. Test-time
augmentation that moves pictures further needs many more views for the same gain (Shanmugam et
al., "Better Aggregation in Test-Time Augmentation", ICCV 2021, https://arxiv.org/abs/2011.11156).
"""

from __future__ import annotations

import tensorflow as tf

NUM_VIEWS = (1, 2, 4)
"""How many views may be asked for: the image, its mirror image, both closer."""

CLOSER = 0.85
"""Share of both sides that a closer view shows."""


def check_num_views(num_views: object) -> int:
    """Return a number of views, if it is one.

    Raises:
        ValueError: If so many views do not exist.
    """
    if num_views not in NUM_VIEWS:
        raise ValueError(f"there are {NUM_VIEWS} views, not {num_views!r}")
    return int(str(num_views))


def show(images: tf.Tensor, view: int) -> tf.Tensor:
    """Return a view of some images.

    Args:
        images: uint8, `(batch, size, size, 3)`.
        view: 0 for the images, 1 for their mirror images, 2 and 3 for both closer.

    Returns:
        uint8, of the same shape.

    Raises:
        ValueError: If there is no such view.
    """
    if not 0 <= view < NUM_VIEWS[-1]:
        raise ValueError(f"`view` must lie in 0..{NUM_VIEWS[-1] - 1}, got {view}.")
    if view >= 2:
        images = _closer(images)
    return tf.reverse(images, axis=[2]) if view % 2 else images


def closer_cut(size: int) -> int:
    """Return how many pixels a closer view cuts off at each side."""
    return round(size * (1 - CLOSER) / 2)


def _closer(images: tf.Tensor) -> tf.Tensor:
    size = images.shape[1]
    cut = closer_cut(size)
    middle = images[:, cut : size - cut, cut : size - cut]
    enlarged = tf.image.resize(middle, (size, size), method="bilinear")
    return tf.cast(tf.round(enlarged), tf.uint8)
