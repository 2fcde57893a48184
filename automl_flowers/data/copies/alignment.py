"""Alignment: lay one small picture over another as well as can be, and say how alike they are.

Starting from a rough guess, an affine map is improved in a few steps (inverse compositional
Gauss-Newton, after Baker and Matthews), first coarsely, then finely. Two photographs are the same
if, laid over one another, their details agree: what is left when the light and shade of the
surroundings is taken away. Pictures of the same kind of thing agree in the large, not in detail.

Reference:
    S. Baker and I. Matthews, "Lucas-Kanade 20 Years On", IJCV 2004.
    https://doi.org/10.1023/B:VISI.0000011205.11775.fd
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter

from automl_flowers.data.copies.descriptors import Floats, shrink
from automl_flowers.data.copies.fingerprints import Thumbnails

Maps = npt.NDArray[np.float32]
"""`(n, 2, 3)`: where each point (x, y, 1) of one picture lies in the other; both in [-1, 1]."""

MIN_OVERLAP = 0.5
"""Least share of the one picture that must lie within the other."""

_MARGIN = 2
_MAX_ERROR = 0.5
"""Errors, in standard deviations, count as no more than this: a border must not pull."""
_DAMPING = 0.02
_MAX_STEP = 0.12
_MIN_DETAIL = 1.0
"""Grey levels. Where details are fainter, they are noise and rounding."""


@dataclass(frozen=True)
class Level:
    """How finely to look.

    Attributes:
        side: Of the pictures that stay in place, in pixels.
        detail: Width of the surroundings that are taken away, in pixels, odd.
        steps: Of improving the map.
    """

    side: int
    detail: int
    steps: int


COARSE = Level(side=16, detail=3, steps=4)
FINE = Level(side=32, detail=5, steps=8)


def maps_of_windows(windows: Floats, is_mirrored: npt.NDArray[np.bool_]) -> Maps:
    """Return the maps of whole pictures onto windows of others.

    Args:
        windows: Top, left, height, width in [0, 1], `(n, 4)`.
        is_mirrored: Whether the window is seen in a mirror, `(n,)`.
    """
    top, left, height, width = windows.T
    maps = np.zeros((len(windows), 2, 3), np.float32)
    maps[:, 0, 0] = np.where(is_mirrored, -width, width)
    maps[:, 1, 1] = height
    maps[:, 0, 2] = 2 * left + width - 1
    maps[:, 1, 2] = 2 * top + height - 1
    return maps


def align(fixed: Thumbnails, moving: Thumbnails, maps: Maps, level: Level) -> tuple[Maps, Floats]:
    """Improve maps, and say how well details agree under them.

    Args:
        fixed: Pictures that stay in place, `(n, SIZE, SIZE)`.
        moving: Pictures that are laid over them, `(n, SIZE, SIZE)`. They are looked at with twice
            the pixels, because what fits over a whole picture may be a window of them.
        maps: To begin with.
        level: How finely.

    Returns:
        Better maps, and the correlation of details in [-1, 1], `(n,)`; -1 where the pictures
        hardly overlap or show no details.
    """
    still, over = shrink(fixed, level.side), shrink(moving, 2 * level.side)
    points = _points(level.side)
    target = _normalised(still.reshape(len(still), level.side**2), None)
    towards = _steepest(target.reshape(still.shape), points)
    for _ in range(level.steps):
        values, covered = _sample(over, maps, points)
        error = _normalised(values, covered) - target
        error = np.clip(error, -_MAX_ERROR, _MAX_ERROR) * covered
        step = (towards @ error[:, :, None])[:, :, 0]
        maps = _compose(maps, np.clip(step, -_MAX_STEP, _MAX_STEP))
    return maps, _agreement(still, over, maps, level)


def _points(side: int) -> Floats:
    """Return the middles of pixels as x, y, 1: `(3, side * side)`, in [-1, 1]."""
    line = ((np.arange(side) + 0.5) / side * 2 - 1).astype(np.float32)
    y, x = np.meshgrid(line, line, indexing="ij")
    return np.stack([x.ravel(), y.ravel(), np.ones(side * side, np.float32)])


def _sample(pictures: Floats, maps: Maps, points: Floats) -> tuple[Floats, Floats]:
    """Return pictures at mapped points by bilinear interpolation, and 1 where there is one."""
    side = pictures.shape[1]
    places = ((maps @ points) + 1) * np.float32(side / 2) - np.float32(0.5)
    is_covered = ((places >= -0.5) & (places <= side - 0.5)).all(axis=1)
    np.clip(places, 0, side - 1.001, out=places)
    corners = places.astype(np.int32)
    places -= corners
    across, down = places[:, 0], places[:, 1]
    start = np.arange(len(pictures), dtype=np.int32)[:, None] * side**2
    corner = start + corners[:, 1] * side + corners[:, 0]
    flat = pictures.reshape(-1)
    upper = flat.take(corner)
    upper += (flat.take(corner + 1) - upper) * across
    corner += side
    lower = flat.take(corner)
    lower += (flat.take(corner + 1) - lower) * across
    lower -= upper
    lower *= down
    upper += lower
    return upper, is_covered.astype(np.float32)


def _normalised(values: Floats, covered: Floats | None) -> Floats:
    """Return pixels, `(n, pixels)`, with mean 0 and mean square 1 where they are covered."""
    if covered is None:
        covered = np.ones_like(values)
    count = np.maximum(covered.sum(axis=1, keepdims=True), 1)
    values = (values - (values * covered).sum(axis=1, keepdims=True) / count) * covered
    size = np.sqrt((values**2).sum(axis=1, keepdims=True) / count)
    return np.asarray(values / np.maximum(size, 1e-3), np.float32)


def _steepest(target: Floats, points: Floats) -> Floats:
    """Return the matrices from errors to steps of the six numbers of a map, `(n, 6, pixels)`."""
    num, side, _ = target.shape
    down, across = np.gradient(target, 2 / side, axis=(1, 2))
    slopes = [slope.reshape(num, 1, side**2) * points for slope in (across, down)]
    jacobian = np.concatenate(slopes, axis=1).astype(np.float32)
    jacobian -= jacobian.mean(axis=2, keepdims=True)
    hessian = jacobian @ jacobian.transpose(0, 2, 1)
    damping = _DAMPING * np.einsum("nii->n", hessian) / 6 + 1e-6
    hessian += damping[:, None, None] * np.eye(6, dtype=np.float32)
    return np.asarray(np.linalg.inv(hessian) @ jacobian, np.float32)


def _compose(maps: Maps, step: Floats) -> Maps:
    """Return the maps after the inverse of a step from standing still."""
    square = np.zeros((len(maps), 3, 3), np.float32)
    square[:, :2] = step.reshape(-1, 2, 3)
    square += np.eye(3, dtype=np.float32)
    return np.asarray(maps @ np.linalg.inv(square), np.float32)


def _agreement(fixed: Floats, moving: Floats, maps: Maps, level: Level) -> Floats:
    values, covered = _sample(moving, maps, _points(level.side))
    inner = np.zeros((level.side, level.side), np.float32)
    inner[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = 1
    covered *= inner.ravel()
    ours = _details(fixed, level).reshape(covered.shape)
    theirs = _details(values.reshape(fixed.shape), level).reshape(covered.shape)
    count = covered.sum(axis=1)
    both = _normalised(ours, covered) * _normalised(theirs, covered)
    agreement = both.sum(axis=1) / np.maximum(count, 1)
    for details in (ours, theirs):
        faint = ((details * covered) ** 2).sum(axis=1) < count * _MIN_DETAIL**2
        agreement[faint] = -1
    agreement[count < MIN_OVERLAP * inner.sum()] = -1
    return np.asarray(agreement, np.float32)


def _details(pictures: Floats, level: Level) -> Floats:
    """Return what differs from the mean of the surroundings."""
    around = uniform_filter(pictures, (0, level.detail, level.detail), mode="nearest")
    return pictures - around
