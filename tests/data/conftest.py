"""Tiny images and TFRecords for the tests of data sources.

Fixtures return functions and hold no state, so they last for the session and Hypothesis may use
them too.
"""

import errno
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


def encode_image(image_format="JPEG", size=(8, 6), mode="RGB", seed=0, **options):
    """Return an encoded image of smooth random colours, `size` as (width, height)."""
    rng = np.random.default_rng(seed)
    colours = Image.fromarray(rng.integers(0, 256, size=(2, 2, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    colours.resize(size, Image.Resampling.BILINEAR).convert(mode).save(
        buffer, image_format, **options
    )
    return buffer.getvalue()


def write_image_tree(root, tree):
    """Write files below `root`: a dict of relative path to bytes, or to None for an image."""
    for seed, (name, data) in enumerate(tree.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode_image(seed=seed) if data is None else data)
    return root


def serialise_example(*, image=b"pixels", label=None, id_=None):
    """Return a serialised `tf.train.Example`; features that are None are left out."""
    import tensorflow as tf

    example = tf.train.Example()
    feature = example.features.feature
    if image is not None:
        feature["image"].bytes_list.value.append(image)
    if label is not None:
        feature["class"].int64_list.value.append(label)
    if id_ is not None:
        feature["id"].bytes_list.value.append(id_)
    return example.SerializeToString()


def write_tfrecord_file(path, payloads):
    """Write payloads with TensorFlow's own writer; `path` may have a scheme."""
    import tensorflow as tf

    tf.io.gfile.makedirs(str(path).rpartition("/")[0])
    with tf.io.TFRecordWriter(str(path)) as writer:
        for payload in payloads:
            writer.write(payload)
    return path


@pytest.fixture
def unreadable(monkeypatch):
    """Names of files that cannot be opened as long as they are in this set."""
    names, usual = set(), Path.open

    def open_(path, *arguments, **options):
        if path.name in names:
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return usual(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", open_)
    return names


@pytest.fixture(scope="session")
def encode():
    return encode_image


@pytest.fixture(scope="session")
def write_images():
    return write_image_tree


@pytest.fixture(scope="session")
def serialise():
    return serialise_example


@pytest.fixture(scope="session")
def write_records():
    return write_tfrecord_file
