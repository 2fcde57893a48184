"""Descriptors: a few numbers for what a window of a thumbnail shows, for finding candidates.

The lowest frequencies of the cosine transform of a window, weighted by their frequency (in
photographs the amplitude falls about as fast, so all count alike) and scaled to length 1. Light
and contrast cancel out, the inner product of two descriptors is the correlation of what they
show, and a mirrored picture has the same numbers, the odd ones across with the other sign.

Whoever crops a picture leaves a window of it. So the descriptor of one picture's whole is
compared with those of the other's windows, and the other way round: one of the two is a crop, or
has a border that the other has not.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from automl_flowers.data.copies.fingerprints import Thumbnails

Floats = npt.NDArray[np.float32]

NUM_FREQUENCIES = 10
_NUM_COARSE = 4
_SIDE = 32
_AT_ONCE = 4096
_MIN_DEVIATION = 2.0
"""Grey levels, of 256. What varies less shows nothing that could be recognised."""


def _make_views() -> npt.NDArray[np.float32]:
    """Return windows as top, left, height, width in [0, 1]; the first is the whole."""
    squares = [(1.0, (0.0,)), (0.88, (0.0, 0.06, 0.12)), (0.76, (0.0, 0.08, 0.16, 0.24))]
    views = [
        (top, left, side, side) for side, offsets in squares for top in offsets for left in offsets
    ]
    for part in (0.75, 0.56):  # the middle of 4:3 and 16:9: squares, or pictures between bars
        views += [((1 - part) / 2, 0, part, 1), (0, (1 - part) / 2, 1, part)]
    return np.array(views, np.float32)


VIEWS = _make_views()
WHOLE = 0
"""Position of the whole picture among the views."""


def shrink(thumbnails: npt.NDArray[np.generic], side: int) -> Floats:
    """Return pictures at a smaller size, by means of blocks.

    Args:
        thumbnails: `(num_images, size, size)`; `size` a multiple of `side`.
        side: Height and width wanted.
    """
    mean = _block_means(thumbnails.shape[1], side)
    return np.asarray(mean @ thumbnails.astype(np.float32) @ mean.T)


def prepare(thumbnails: Thumbnails) -> Floats:
    """Return what descriptors are computed from, `(num_images, 32, 32)`."""
    small = np.empty((len(thumbnails), _SIDE, _SIDE), np.float32)
    for start in range(0, len(thumbnails), _AT_ONCE):
        small[start : start + _AT_ONCE] = shrink(thumbnails[start : start + _AT_ONCE], _SIDE)
    small -= small.mean(axis=(1, 2), keepdims=True)
    return small


def describe(prepared: Floats, view: int) -> Floats:
    """Return the descriptors of one window of some pictures.

    Args:
        prepared: From `prepare`, `(num_images, 32, 32)`.
        view: Position of the window in `VIEWS`.

    Returns:
        `(num_images, num_numbers)`, each of length 1, or zero where there is nothing to see.
    """
    top, left, height, width = VIEWS[view]
    across = prepared @ _cosines(left, width).T
    spectrum = _cosines(top, height) @ across
    found = (spectrum * _weights())[:, _is_used()]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    energy = np.sqrt((spectrum**2).sum(axis=(1, 2)) / (_SIDE**2 * height * width))
    found[energy < _MIN_DEVIATION] = 0
    return np.asarray(found / np.maximum(length, 1e-6), np.float32)


def mirror(descriptors: Floats) -> Floats:
    """Return the descriptors of the mirrored pictures."""
    odd = np.broadcast_to(np.arange(NUM_FREQUENCIES) % 2, _is_used().shape)
    return descriptors * np.where(odd[_is_used()], -1, 1).astype(np.float32)


def coarse(descriptors: Floats) -> Floats:
    """Return the lowest frequencies of descriptors, scaled to length 1.

    They hardly change where a window lies a little beside what it should show.
    """
    found = descriptors[:, _weights()[_is_used()] < _NUM_COARSE]
    length = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(length, 1e-6), np.float32)


@functools.cache
def _cosines(start: float, length: float) -> Floats:
    """Return cosines over a part of a row of pixels, `(NUM_FREQUENCIES, 32)`, each of length 1.

    Pixels that the part covers in part count in part; the mean is taken out of each cosine.
    """
    edges = np.arange(_SIDE + 1) / _SIDE
    low, high = np.maximum(edges[:-1], start), np.minimum(edges[1:], start + length)
    covered = np.clip(high - low, 0, None) * _SIDE
    place = ((low + high) / 2 - start) / length
    cosines = np.cos(np.pi * np.arange(NUM_FREQUENCIES)[:, None] * place) * covered
    cosines[1:] -= cosines[1:].sum(axis=1, keepdims=True) / covered.sum() * covered
    return np.asarray(cosines / np.linalg.norm(cosines, axis=1, keepdims=True), np.float32)


@functools.cache
def _block_means(size: int, side: int) -> Floats:
    factor = size // side
    return np.repeat(np.eye(side, dtype=np.float32) / np.float32(factor), factor, axis=1)


@functools.cache
def _weights() -> Floats:
    frequencies = np.arange(NUM_FREQUENCIES)
    return np.hypot(frequencies[:, None], frequencies).astype(np.float32)


def _is_used() -> npt.NDArray[np.bool_]:
    return (_weights() > 0) & (_weights() < NUM_FREQUENCIES)
