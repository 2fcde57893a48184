"""Tests for near copies."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data.duplicates import (
    _CHUNK,
    MAX_DISTANCE,
    difference_hashes,
    group_copies,
    near_pairs,
)

HASHES = st.lists(st.integers(0, 2**64 - 1), max_size=20)


def smooth_picture(seed, size=96):
    """Return random colours on an 8x8 grid, scaled up smoothly: light, shade and no edges."""
    rng = np.random.default_rng(seed)
    grid = Image.fromarray(rng.integers(0, 256, size=(8, 8, 3), dtype=np.uint8))
    return np.asarray(grid.resize((size, size), Image.Resampling.BICUBIC))


def resized(image, size):
    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.LANCZOS))


def recompressed(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def hashes(values):
    return np.array(values, dtype=np.uint64)


def distance(first, second):
    one, other = difference_hashes([first, second])
    return int(np.bitwise_count(one ^ other))


COPIES = {
    "half the size": lambda image: resized(image, 48),
    "a third of the size": lambda image: resized(image, 32),
    "twice the size": lambda image: resized(image, 192),
    "poor quality": lambda image: recompressed(image, 40),
    "half the size in poor quality": lambda image: recompressed(resized(image, 48), 50),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
}


@pytest.mark.parametrize("make", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("seed", range(5))
def test_a_copy_is_near(make, seed):
    image = smooth_picture(seed)

    assert distance(image, make(image)) <= MAX_DISTANCE


def test_different_pictures_are_far_apart():
    found = difference_hashes(smooth_picture(seed) for seed in range(60))

    pairs = near_pairs(found, found, max_distance=3 * MAX_DISTANCE)

    assert pairs.tolist() == [[k, k] for k in range(60)]


def test_a_bit_says_whether_the_picture_gets_darker_to_the_right():
    falling = np.repeat(np.arange(240, -1, -30, dtype=np.uint8)[None, :, None], 9, axis=0)
    falling = np.repeat(falling, 3, axis=2)

    found = difference_hashes([falling, falling[:, ::-1], falling[:1, :1]])

    assert found.tolist() == [2**64 - 1, 0, 0]
    assert found.dtype == np.uint64


def test_no_image_has_no_hash():
    found = difference_hashes([])

    assert found.shape == (0,)
    assert found.dtype == np.uint64


def brute_force(left, right, limit):
    return [
        [i, k]
        for i, one in enumerate(left)
        for k, other in enumerate(right)
        if (one ^ other).bit_count() <= limit
    ]


@given(left=HASHES, right=HASHES, limit=st.integers(0, 64))
def test_near_pairs_are_those_of_brute_force(left, right, limit):
    pairs = near_pairs(hashes(left), hashes(right), max_distance=limit)

    assert pairs.tolist() == brute_force(left, right, limit)


@given(data=st.data())
def test_hashes_a_few_bits_apart_are_near_pairs(data):
    one = data.draw(st.integers(0, 2**64 - 1))
    bits = data.draw(st.sets(st.integers(0, 63), max_size=MAX_DISTANCE + 1))
    other = one ^ sum(1 << bit for bit in bits)

    pairs = near_pairs(hashes([one]), hashes([other]))

    assert len(pairs) == (len(bits) <= MAX_DISTANCE)


def test_more_hashes_than_are_compared_at_once():
    rng = np.random.default_rng(0)
    left = rng.integers(2**64, size=2 * _CHUNK + 3, dtype=np.uint64)
    wanted = [0, _CHUNK - 1, _CHUNK, 2 * _CHUNK + 2]

    pairs = near_pairs(left, left[wanted])

    assert pairs.tolist() == [[k, number] for number, k in enumerate(wanted)]


def test_copies_of_copies_share_a_group():
    four, eight = 2**4 - 1, 2**8 - 1

    groups = group_copies(hashes([0, 2**64 - 1, eight, four]))

    assert groups[0] == groups[2] == groups[3] != groups[1]


@given(values=HASHES)
def test_groups_are_the_connected_parts_of_the_near_pairs(values):
    groups = group_copies(hashes(values))

    parts = [{k} for k in range(len(values))]
    for i, k in brute_force(values, values, MAX_DISTANCE):
        joined = parts[i] | parts[k]
        for member in joined:
            parts[member] = joined
    assert [{k for k in range(len(values)) if groups[k] == group} for group in groups] == parts
