"""Keras' preprocessing layers on batches of decoded images that are kept in memory."""

from __future__ import annotations

import math

import keras
import pandas as pd
import tensorflow as tf

from search_spaces.augmentation import AugmentationStrength

from .usual import AUTOTUNE, SHUFFLED, decoded


def batches(
    rows: pd.DataFrame, image_size: int, batch_size: int, strength: AugmentationStrength
) -> tf.data.Dataset:
    """Return endless batches of augmented images, float32 in [0, 255]."""
    pipeline = make_layers(strength)
    return (
        decoded(rows, image_size)
        .cache()
        .repeat()
        .shuffle(SHUFFLED)
        .batch(batch_size, drop_remainder=True)
        .map(lambda images: pipeline(images, training=True), AUTOTUNE)
        .prefetch(AUTOTUNE)
    )


def make_layers(strength: AugmentationStrength) -> keras.layers.Layer:
    """Return the layers that do what a strength of this project does."""
    layers = keras.layers
    mirrored = {"fill_mode": "reflect"}
    saturation = strength.saturation / 2  # 0.5 leaves an image as it is
    return layers.Pipeline(
        [
            layers.RandomFlip("horizontal"),
            layers.RandomRotation(strength.rotation / 360, **mirrored),
            layers.RandomShear(math.tan(math.radians(strength.shear)), **mirrored),
            layers.RandomZoom((-strength.zoom, strength.zoom), **mirrored),
            layers.RandomTranslation(strength.shift, strength.shift, **mirrored),
            layers.RandomContrast(strength.contrast),
            layers.RandomSaturation((0.5 - saturation, 0.5 + saturation)),
            layers.RandomHue(strength.hue),
            layers.RandomBrightness(strength.brightness),
            layers.RandomErasing(
                factor=(strength.block_out, strength.block_out),
                scale=(strength.block_out_area / 4, strength.block_out_area),
            ),
        ]
    )
