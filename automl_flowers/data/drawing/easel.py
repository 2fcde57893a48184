"""Putting textures and strokes on a canvas: views, affine stamps, tapering lines.

A point of the canvas is a complex number, real to the right and imaginary downwards, so that
turning is a multiplication. A flat part is placed by three such numbers, where its origin and
its two axes come to lie, and foreshortening needs no more than that.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Frame = tuple[float, float, float, float]
"""Left, right, low and high end of a texture, in the coordinates of its part."""

Placement = tuple[complex, complex, complex]
"""Where (u, v) = (0, 0) lies on the canvas, and the steps of one unit of u and of v."""

Vector = tuple[float, float, float]
"""A point or direction in a flower's own coordinates, in radii of the flower."""

_Affine = tuple[float, float, float, float, float, float]

_DARKEST, _SHADE_STEP, _SHADES = 0.66, 0.09, 6
_EDGE_ON = 2.0


class Sprite:
    """An RGBA texture with its frame, kept in a few degrees of brightness.

    Args:
        texture: Pixels, uint8, shape `(height, width, 4)`.
        frame: What its left, right, upper and lower margins mean.
    """

    def __init__(self, texture: NDArray[np.uint8], frame: Frame) -> None:
        self.frame = frame
        self.size = (texture.shape[1], texture.shape[0])
        self._texture = texture
        self._shaded: dict[int, Image.Image] = {}

    def shaded(self, brightness: float) -> Image.Image:
        """Return the texture in the kept degree of brightness nearest to `brightness`."""
        level = min(max(round((brightness - _DARKEST) / _SHADE_STEP), 0), _SHADES - 1)
        if level not in self._shaded:
            texture = self._texture.copy()
            factor = np.uint16(128 * (_DARKEST + _SHADE_STEP * level))
            texture[..., :3] = np.minimum((texture[..., :3] * factor) >> 7, 255)
            self._shaded[level] = Image.fromarray(texture)
        return self._shaded[level]

    def transform(self, placement: Placement, corner: complex) -> _Affine | None:
        """Return the map from pixels of a patch to texels, as Pillow takes it.

        Args:
            placement: Where the texture lies on the canvas.
            corner: Canvas position of the patch's first pixel.

        Returns:
            Six coefficients, or None when the texture is seen from its edge.
        """
        origin, along, across = placement
        area = along.real * across.imag - along.imag * across.real
        if abs(area) < _EDGE_ON:
            return None
        left, right, low, high = self.frame
        per_u, per_v = self.size[0] / (right - left), self.size[1] / (high - low)
        start = corner - origin
        a, b = across.imag / area * per_u, -across.real / area * per_u
        d, e = -along.imag / area * per_v, along.real / area * per_v
        c = a * start.real + b * start.imag - left * per_u
        f = d * start.real + e * start.imag - low * per_v
        return a, b, c, d, e, f


class View:
    """Where we look from: projects a flower's own coordinates onto the canvas.

    The flower's plane is x, y; its axis z points at us when `tilt` is 0 and upwards on the
    canvas when it is 90.

    Args:
        centre: Canvas position of the flower's origin.
        scale: Pixels a unit of length.
        tilt: Angle between the axis and the line of sight, in degrees.
        roll: Turn of the whole, clockwise on the canvas, in degrees.
    """

    def __init__(self, centre: complex, scale: float, tilt: float, roll: float) -> None:
        self.centre = centre
        self.scale = scale
        self.tilt = tilt
        self._cos, self._sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
        self._turn = cmath.rect(scale, math.radians(roll))

    def direction(self, x: float, y: float, z: float) -> complex:
        """Return how far a step in the flower moves on the canvas."""
        return complex(x, y * self._cos - z * self._sin) * self._turn

    def point(self, x: float, y: float, z: float) -> complex:
        """Return where a point of the flower lies on the canvas."""
        return self.centre + self.direction(x, y, z)

    def depth(self, x: float, y: float, z: float) -> float:
        """Return how near a point of the flower is to us, in its units of length."""
        return y * self._sin + z * self._cos


def stamp(
    canvas: Image.Image,
    sprite: Sprite,
    placement: Placement,
    *,
    brightness: float = 1.0,
    u_range: tuple[float, float] | None = None,
) -> None:
    """Paste a texture through an affine map; nothing happens when it is seen from its edge.

    Args:
        canvas: RGB picture to paste onto.
        sprite: The texture.
        placement: Where it goes.
        brightness: Factor on its colours.
        u_range: The part of the texture to paste, or None for all of it.
    """
    left, right, low, high = sprite.frame
    first, last = u_range or (left, right)
    origin, along, across = placement
    corners = [origin + u * along + v * across for u in (first, last) for v in (low, high)]
    box = _box(corners, canvas.size)
    matrix = sprite.transform(placement, complex(box[0], box[1]))
    if matrix is None or box[2] <= box[0] or box[3] <= box[1]:
        return
    texture = sprite.shaded(brightness)
    if u_range:
        per_u = sprite.size[0] / (right - left)
        matrix, texture = _cut(matrix, texture, (first - left) * per_u, (last - left) * per_u)
    size = (box[2] - box[0], box[3] - box[1])
    patch = texture.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    canvas.paste(patch, box[:2], patch)


def _box(corners: Sequence[complex], size: tuple[int, int]) -> tuple[int, int, int, int]:
    across, down = [point.real for point in corners], [point.imag for point in corners]
    left, top = max(0, math.floor(min(across))), max(0, math.floor(min(down)))
    right, bottom = min(size[0], math.ceil(max(across))), min(size[1], math.ceil(max(down)))
    return left, top, right, bottom


def _cut(
    matrix: _Affine, texture: Image.Image, first: float, last: float
) -> tuple[_Affine, Image.Image]:
    start, end = max(0, math.floor(first)), min(texture.width, math.ceil(last))
    a, b, c, d, e, f = matrix
    return (a, b, c - start, d, e, f), texture.crop((start, 0, end, texture.height))


def stroke(
    canvas: Image.Image, points: Sequence[complex], width: float, colour: tuple[int, int, int]
) -> None:
    """Draw a stem: a dark line with a lighter one inside, off its middle.

    Args:
        canvas: RGB picture to draw on.
        points: Positions along the line.
        width: In pixels.
        colour: Colour in full light.
    """
    draw = ImageDraw.Draw(canvas)
    dark = tuple(int(value * 0.62) for value in colour)
    outer = [(point.real, point.imag) for point in points]
    draw.line(outer, dark, max(1, round(width)), joint="curve")
    shift = width * 0.15
    inner = [(point.real - shift, point.imag - shift) for point in points]
    draw.line(inner, colour, max(1, round(width * 0.5)), joint="curve")


def dot(
    draw: ImageDraw.ImageDraw, at: complex, radius: float, colour: tuple[int, int, int]
) -> None:
    """Draw a filled circle.

    Args:
        draw: What draws on the canvas.
        at: Its middle.
        radius: In pixels.
        colour: Its colour.
    """
    box = (at.real - radius, at.imag - radius, at.real + radius, at.imag + radius)
    draw.ellipse(box, fill=colour)


def curve(start: complex, bend: complex, end: complex, count: int = 12) -> list[complex]:
    """Return `count` points on the quadratic curve from `start` to `end`, pulled to `bend`."""
    steps = [index / (count - 1) for index in range(count)]
    return [(1 - t) ** 2 * start + 2 * t * (1 - t) * bend + t * t * end for t in steps]
