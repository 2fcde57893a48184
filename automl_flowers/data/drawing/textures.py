"""Textures of petals, leaves and flower centres, computed with NumPy.

A texture is an RGBA picture in the coordinates of its own part: `u` runs along a petal from its
base at 0 to its tip at 1, `v` across it, in half-widths. Placing, turning and foreshortening it
is the business of `easel`. Around the opaque part lies a soft dark halo, which becomes the
shadow that a petal casts on the one below it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw

from automl_flowers.data.drawing.easel import Sprite
from automl_flowers.data.drawing.traits import Palette, Part, Petal

Floats = NDArray[np.floating[Any]]
Colour = tuple[int, int, int]

_TEXELS_PER_PIXEL = 0.65
_HALO = 0.07
_PETAL_FRAME = (-0.06, 1.08, -1.3, 1.3)
_DISC_FRAME = (-1.0, 1.0, -1.0, 1.0)
_FIBRES = 97
_GOLDEN_ANGLE = 2.39996


def petal_sprite(petal: Petal, palette: Palette, rng: np.random.Generator, length: float) -> Sprite:
    """Return the texture of a petal or leaf.

    Args:
        petal: Shape and pattern.
        palette: Colours.
        rng: Draws fibres, ruffles, teeth and spots.
        length: Length, in pixels, at which it will be seen.
    """
    length = max(8.0, _TEXELS_PER_PIXEL * length)
    u, v = _petal_grid(petal, length)
    half_width = _half_width(petal, u, rng)
    across = v / np.maximum(half_width, np.float32(0.06))
    colour = _gradient(palette, u, across)
    mask = _PATTERNS[petal.pattern](u, across, rng)
    colour += mask[..., None] * (rgb(palette.accent) - colour)
    colour *= _relief(u, across, rng)[..., None]
    inside = np.minimum((half_width - np.abs(v)) * petal.width, _tip_end(petal, v, rng) - u)
    return Sprite(_with_alpha(colour, np.minimum(inside, u + 0.02), length), _PETAL_FRAME)


def disc_sprite(part: Part, radius: float) -> Sprite:
    """Return a domed disc of small florets, spiralling by the golden angle.

    Args:
        part: Its colour, and as accent the colour of its rim.
        radius: Radius, in pixels, at which it will be seen.
    """
    side = max(12, round(2 * radius))
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    main, rim = rgb(part.colour), rgb(part.accent)
    draw.ellipse((0, 0, side - 1, side - 1), fill=as_ints(main * 0.45))
    count = min(170, max(30, side * 2))
    dot = side * 0.4 / math.sqrt(count)
    for index in range(count, 0, -1):
        distance, angle = math.sqrt(index / count) * 0.93, index * _GOLDEN_ANGLE
        x = side / 2 * (1 + distance * math.cos(angle))
        y = side / 2 * (1 + distance * math.sin(angle))
        colour = main + (rim - main) * min(1.0, max(0.0, 2.6 * (distance - 0.45)))
        colour = colour * (1.12 - 0.35 * distance**2 + 0.12 * (-1) ** index)
        draw.ellipse((x - dot, y - dot, x + dot, y + dot), fill=as_ints(colour))
    return Sprite(np.asarray(image), _DISC_FRAME)


def throat_sprite(part: Part, radius: float) -> Sprite:
    """Return a soft glow that fades outwards, for the throat of a trumpet.

    Args:
        part: Its colour.
        radius: Radius, in pixels, at which it will be seen.
    """
    side = max(12, round(2 * radius))
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    distance = np.hypot(axis[None, :], axis[:, None])
    alpha = np.clip(1.35 * (1 - distance), 0, 1) ** 1.3
    colour = rgb(part.colour) * (0.75 + 0.25 * distance[..., None])
    texture = np.concatenate([np.clip(colour, 0, 255), 245 * alpha[..., None]], axis=-1)
    return Sprite(texture.astype(np.uint8), _DISC_FRAME)


def rgb(colour: str) -> Floats:
    """Return a colour as float32, shape `(3,)`, in [0, 255]."""
    return np.array(ImageColor.getrgb(colour)[:3], dtype=np.float32)


def as_ints(colour: Floats) -> Colour:
    """Return a colour as three integers in [0, 255], which is what Pillow draws with."""
    red, green, blue = (int(value) for value in np.clip(colour, 0, 255))
    return red, green, blue


def _petal_grid(petal: Petal, length: float) -> tuple[Floats, Floats]:
    left, right, low, high = _PETAL_FRAME
    columns = max(12, round(length * (right - left)))
    rows = max(8, round(length * petal.width * (high - low)))
    u = np.linspace(left, right, columns, dtype=np.float32)[None, :]
    v = np.linspace(low, high, rows, dtype=np.float32)[:, None]
    return u, v


def _half_width(petal: Petal, u: Floats, rng: np.random.Generator) -> Floats:
    rise, fall = 0.3 + 1.2 * petal.taper, 0.42 + 1.05 * petal.pointedness
    peak = rise / (rise + fall)
    clipped = np.clip(u, 0, 1)
    profile = (clipped / peak) ** rise * ((1 - clipped) / (1 - peak)) ** fall
    phase, waves = rng.uniform(0, 2 * math.pi), rng.uniform(2.5, 4.5)
    ripple = 1 + petal.ruffle * np.sin(2 * math.pi * waves * u + phase)
    return np.asarray(profile * ripple, dtype=np.float32)


def _tip_end(petal: Petal, v: Floats, rng: np.random.Generator) -> Floats:
    cleft = petal.notch * np.clip(1 - np.abs(v) / 0.5, 0, 1)
    teeth = petal.fringe * np.abs(np.sin(v * rng.uniform(6, 9) + rng.uniform(0, 3)))
    return np.asarray(1 - cleft - teeth, dtype=np.float32)


def _gradient(palette: Palette, u: Floats, across: Floats) -> Floats:
    base, tip = rgb(palette.base), rgb(palette.tip)
    amount = np.clip(u, 0, 1) ** 0.8 + 0.06 * np.minimum(across * across, 1)
    return np.asarray(base + np.minimum(amount, 1)[..., None] * (tip - base), dtype=np.float32)


def _relief(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    """Return the brightness that makes a flat texture look curved, folded and fibrous."""
    near, side = np.clip(np.abs(across), 0, 1), np.clip(across, -1, 1)
    fold = np.exp(-((across / 0.1) ** 2)) * (1 - 0.7 * np.clip(u, 0, 1))
    fibres = _fibres(rng)[((side + 1) * (_FIBRES // 2)).astype(np.intp)]
    curve = 1.06 - 0.22 * near**4 - 0.09 * fold + rng.uniform(-0.09, 0.09) * side
    foot_shadow = 0.3 * np.clip(1 - u / 0.35, 0, 1) ** 2
    return np.asarray(curve + fibres - foot_shadow, dtype=np.float32)


def _fibres(rng: np.random.Generator) -> Floats:
    knots = rng.normal(0, 0.035, _FIBRES // 4)
    places = np.linspace(0, len(knots) - 1, _FIBRES)
    return np.interp(places, np.arange(len(knots)), knots).astype(np.float32)


def _with_alpha(colour: Floats, inside: Floats, length: float) -> NDArray[np.uint8]:
    """Add the alpha channel: solid where `inside` is positive, a dark halo a little beyond."""
    solid = np.clip(inside * length * 0.8 + 0.5, 0, 1)
    halo = 0.3 * np.clip(1 + inside / _HALO, 0, 1) ** 2
    visible = np.maximum(solid, halo)
    painted = np.clip(colour, 0, 255) * (solid / np.maximum(visible, 1e-3))[..., None]
    return np.concatenate([painted, 255 * visible[..., None]], axis=-1).astype(np.uint8)


def _plain(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    return np.zeros_like(u)


def _veins(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    lines = (0.5 + 0.5 * np.cos(across * 4.5 * math.pi)) ** 4
    return np.asarray(0.75 * lines * (1 - np.clip(u, 0, 1)) ** 0.7)


def _stripe(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(0.8 * np.exp(-((across / 0.22) ** 2)) * (1 - np.clip(u, 0, 1) ** 3))


def _star(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(0.85 * np.exp(-((across / (0.42 - 0.3 * np.clip(u, 0, 1))) ** 2)))


def _blotch(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    return np.asarray(np.clip(1.8 - u / 0.2, 0, 1))


def _rim(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    margin = np.maximum(np.abs(across), np.clip(u, 0, 1) ** 2)
    return np.clip((margin - 0.72) / 0.15, 0, 1)


def _spots(u: Floats, across: Floats, rng: np.random.Generator) -> Floats:
    rows, columns = across.shape
    image = Image.new("L", (columns, rows))
    draw = ImageDraw.Draw(image)
    radius = max(0.6, columns / 75)
    for _ in range(16):
        x, y = columns * rng.uniform(0.12, 0.72), rows * rng.uniform(0.28, 0.72)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=230)
    return np.asarray(image, dtype=np.float32) / 255


_PATTERNS: Mapping[str, Callable[[Floats, Floats, np.random.Generator], Floats]] = MappingProxyType(
    {
        "plain": _plain,
        "veins": _veins,
        "stripe": _stripe,
        "star": _star,
        "blotch": _blotch,
        "rim": _rim,
        "spots": _spots,
    }
)
"""How much of the accent colour shows, in [0, 1], by `Petal.pattern`."""
