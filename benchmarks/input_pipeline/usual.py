"""What pipelines in notebooks have in common: files, decoding, shuffling, batches."""

from __future__ import annotations

import pandas as pd
import tensorflow as tf

SHUFFLED = 2048
"""Images that a notebook shuffles among one another, where it says how many."""

AUTOTUNE = tf.data.AUTOTUNE


def decoded(rows: pd.DataFrame, image_size: int) -> tf.data.Dataset:
    """Return the images of manifest rows, decoded and resized, uint8, one after the other.

    Args:
        rows: Image files, or records whose picture is called `image`.
        image_size: Height and width, in pixels.
    """
    paths = list(dict.fromkeys(rows["path"]))
    if (rows["offset"] < 0).all():
        encoded = tf.data.Dataset.from_tensor_slices(paths).map(tf.io.read_file, AUTOTUNE)
    else:
        records = tf.data.TFRecordDataset(paths, num_parallel_reads=AUTOTUNE)
        encoded = records.map(_image_of, AUTOTUNE)

    def decode(data: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_image(data, channels=3, expand_animations=False)
        image = tf.image.resize(image, [image_size, image_size])
        return tf.ensure_shape(tf.cast(image, tf.uint8), [image_size, image_size, 3])

    return encoded.map(decode, AUTOTUNE)


def _image_of(record: tf.Tensor) -> tf.Tensor:
    features = {"image": tf.io.FixedLenFeature([], tf.string)}
    return tf.io.parse_single_example(record, features)["image"]
