"""Tests for decoding files chunk by chunk, and deciding what they show."""

import itertools
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from automl_flowers.blending import predict
from automl_flowers.blending.predict import Prediction, chunk_sizes, decide, decoded_chunks
from automl_flowers.data.sources.images import decode_image


@pytest.fixture
def files(garden):
    return sorted(str(path) for path in garden.rglob("*.png"))[:7]


def test_chunks_hold_all_images_in_order_at_every_size(files):
    chunks = list(decoded_chunks(files, (8, 16), itertools.repeat(3)))

    assert [len(chunk.files) for chunk in chunks] == [3, 3, 1]
    assert [file for chunk in chunks for file in chunk.files] == files
    for size in (8, 16):
        images = np.concatenate([chunk.images[size] for chunk in chunks])
        for file, image in zip(files, images, strict=True):
            expected = decode_image(Path(file).read_bytes(), size)
            np.testing.assert_array_equal(image, expected)


def test_what_can_be_read_is_kept_and_the_rest_named(files, tmp_path):
    words, missing = tmp_path / "words.jpg", tmp_path / "missing.jpg"
    words.write_text("words")
    odd = os.fsdecode(b"r\xf6se.jpg")

    [chunk] = decoded_chunks(
        [files[0], str(words), str(missing), odd, files[1]], (8,), itertools.repeat(9)
    )

    assert chunk.files == (files[0], files[1])
    assert chunk.images[8].shape == (2, 8, 8, 3)
    assert [(problem.path, problem.reason) for problem in chunk.problems] == [
        (str(words), "It is no image in one of the formats JPEG, PNG, WEBP, BMP, GIF."),
        (str(missing), "No such file or directory."),
        ("r\N{REPLACEMENT CHARACTER}se.jpg", "Its name is not UTF-8."),
    ]


def test_a_file_is_read_once_and_decoded_once_a_size(files, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        predict, "decode_image", lambda data, size: decoded.append(size) or decode_image(data, size)
    )

    list(decoded_chunks(files, (8, 16), itertools.repeat(4)))

    assert sorted(decoded) == [8] * 7 + [16] * 7


def test_one_chunk_is_decoded_ahead_and_no_more(files):
    taken = []

    def watched():
        for file in files:
            taken.append(file)
            yield file

    chunks = decoded_chunks(watched(), (8,), itertools.repeat(2))
    assert taken == []

    next(chunks)
    assert len(taken) == 4
    next(chunks)
    assert len(taken) == 6


def test_whoever_stops_early_leaves_no_threads(files):
    chunks = decoded_chunks(files, (8,), itertools.repeat(2))
    next(chunks)

    chunks.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_no_files_are_no_chunks():
    assert list(decoded_chunks([], (8,), itertools.repeat(2))) == []


def test_chunks_grow_from_a_batch_to_full_batches_that_fit():
    sizes = list(itertools.islice(chunk_sizes([32, 64], 16), 20))

    assert sizes[:4] == [16, 32, 64, 128]
    assert sizes[-1] == sizes[-2]
    assert all(size % 16 == 0 for size in sizes)
    assert sizes[-1] * 3 * (32**2 + 64**2) <= predict.PIXEL_BYTES


def test_a_batch_is_taken_even_if_it_does_not_fit():
    assert next(chunk_sizes([4096], 64)) == 64


def test_the_most_probable_class_is_decided_on():
    probabilities = np.array([[0.25, 0.5, 0.25], [0.5, 0.25, 0.25]])
    names = ["daisy", "rose", "tulip"]

    assert list(decide(["a", "b"], probabilities, names)) == [
        Prediction("a", 1, "rose", 0.5),
        Prediction("b", 0, "daisy", 0.5),
    ]
    [first, _] = decide(["a", "b"], probabilities, names, every_class=True)
    assert first.probabilities == {"daisy": 0.25, "rose": 0.5, "tulip": 0.25}
