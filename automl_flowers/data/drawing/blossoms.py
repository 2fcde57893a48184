"""One flower: its petals in perspective, in the right order, with its centre.

`prepare` draws what all flowers of one plant share (colours, textures, light) once; then
`draw_blossom` puts as many flowers on the canvas as are wanted. A petal is a flat strip in
space, or three strips when it curls; each strip is one affine stamp.
"""

from __future__ import annotations

import cmath
import colorsys
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw

from automl_flowers.data.drawing.easel import Sprite, Vector, View, dot, stamp
from automl_flowers.data.drawing.textures import (
    Floats,
    as_ints,
    disc_sprite,
    petal_sprite,
    rgb,
    throat_sprite,
)
from automl_flowers.data.drawing.traits import Palette, Part, Petal, Species, Whorl

_LAYER_SHRINK = 0.86
_STEEPEST = 84.0
_VARIABLE_COUNT = 10
_SIDE_VIEW = 58.0
_CURLING = 12.0
_CONE_STEPS = 6

_Job = tuple[int, float, Callable[[], None]]
"""Layer, depth, and what draws it."""


@dataclass(frozen=True)
class Kit:
    """What the flowers of one plant share.

    Attributes:
        species: Their species.
        petals: Textures of each whorl, several so that neighbours differ.
        parts: Textures of the centre's parts; None for those drawn with lines.
        light: Where the light comes from, a unit vector in the view's coordinates.
    """

    species: Species
    petals: tuple[tuple[Sprite, ...], ...]
    parts: tuple[Sprite | None, ...]
    light: Vector


def prepare(species: Species, rng: np.random.Generator, radius: float, variants: int = 2) -> Kit:
    """Draw the textures of one plant's flowers.

    Args:
        species: What to draw.
        rng: Chooses the variety and how this plant differs from its kind.
        radius: Radius, in pixels, at which the flowers will be seen.
        variants: Textures a whorl; with more than one, neighbouring petals differ.
    """
    variety = species.varieties[int(rng.integers(len(species.varieties)))]
    shift = rng.normal(0, 1, 3)
    petals = []
    for whorl in species.whorls:
        palette = _shift_palette(whorl.palette or variety, shift)
        shapes = [_individual(whorl.petal, rng) for _ in range(variants)]
        length = radius * whorl.length
        petals.append(tuple(petal_sprite(shape, palette, rng, length) for shape in shapes))
    parts = tuple(_part_sprite(part, max(6.0, radius * part.size)) for part in species.centre)
    return Kit(species, tuple(petals), parts, _light(rng))


def draw_blossom(
    canvas: Image.Image, kit: Kit, view: View, rng: np.random.Generator, spin: float = 0.0
) -> None:
    """Draw one flower.

    Seen from the front it is built up layer by layer; seen from the side, from the far petals
    over the centre to the near ones.

    Args:
        canvas: RGB picture to draw on.
        kit: What the flowers of this plant share.
        view: Where the flower is and how it is turned.
        rng: Draws the irregularities of this flower.
        spin: Turn about its own axis, in degrees.
    """
    from_side = view.tilt > _SIDE_VIEW
    jobs = [*_petal_jobs(canvas, kit, view, rng, spin), *_part_jobs(canvas, kit, view, rng)]
    jobs.sort(key=lambda job: (0 if from_side else job[0], job[1]))
    for _, _, draw in jobs:
        draw()


def shift_colour(colour: str, shift: Floats) -> str:
    """Return a colour a little off in hue, saturation and value, as `#rrggbb`.

    Args:
        colour: Any colour that Pillow reads.
        shift: How far off, three standard normal numbers.
    """
    red, green, blue = (float(value) / 255 for value in rgb(colour))
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    hue = (hue + 0.014 * float(shift[0])) % 1.0
    saturation = min(1.0, max(0.0, saturation * (1 + 0.13 * float(shift[1]))))
    value = min(1.0, max(0.0, value * (1 + 0.07 * float(shift[2]))))
    channels = colorsys.hsv_to_rgb(hue, saturation, value)
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _shift_palette(palette: Palette, shift: Floats) -> Palette:
    colours = (palette.base, palette.tip, palette.accent)
    return Palette(*(shift_colour(colour, shift) for colour in colours))


def _individual(petal: Petal, rng: np.random.Generator) -> Petal:
    return dataclasses.replace(
        petal,
        width=petal.width * rng.uniform(0.9, 1.12),
        pointedness=min(1.0, max(0.0, petal.pointedness + rng.normal(0, 0.05))),
        notch=petal.notch * rng.uniform(0.6, 1.3),
        fringe=petal.fringe * rng.uniform(0.7, 1.3),
    )


def _part_sprite(part: Part, radius: float) -> Sprite | None:
    if part.kind in ("disc", "cone", "knob"):
        return disc_sprite(part, radius)
    return throat_sprite(part, radius) if part.kind == "throat" else None


def _light(rng: np.random.Generator) -> Vector:
    angle, height = rng.uniform(0, 2 * math.pi), rng.uniform(0.35, 0.9)
    flat = math.sqrt(1 - height * height)
    return flat * math.cos(angle), flat * math.sin(angle), height


@dataclass(frozen=True)
class _Strip:
    """A petal in space: where it points, how long and wide it is, how it bends."""

    azimuth: float
    elevation: float
    curl: float
    length: float
    half_width: float

    def angle_at(self, fraction: float) -> float:
        """Return the angle above the flower's plane, in radians, some way along."""
        return math.radians(self.elevation + self.curl * fraction)

    def pieces(self) -> Iterator[_Piece]:
        """Yield the flat pieces from base to tip."""
        count = 3 if abs(self.curl) > _CURLING else 1
        cos, sin = math.cos(self.azimuth), math.sin(self.azimuth)
        out, up = 0.04 + 0.1 * max(0.0, math.sin(self.angle_at(0))), 0.0
        step = self.length / count
        for index in range(count):
            angle = self.angle_at(index / max(1, count - 1))
            flat, rise = math.cos(angle), math.sin(angle)
            yield _Piece(
                ends=(index / count, (index + 1) / count),
                start=(out * cos, out * sin, up),
                direction=(flat * cos, flat * sin, rise),
                normal=(-rise * cos, -rise * sin, flat),
            )
            out, up = out + step * flat, up + step * rise

    def depth(self, view: View) -> float:
        """Return how near the middle of the petal is to us."""
        angle, half = self.angle_at(0.5), 0.5 * self.length
        out = half * math.cos(angle)
        x, y = out * math.cos(self.azimuth), out * math.sin(self.azimuth)
        return view.depth(x, y, half * math.sin(angle))


@dataclass(frozen=True)
class _Piece:
    """A flat piece of a petal: from which u to which, where it starts, how it lies."""

    ends: tuple[float, float]
    start: Vector
    direction: Vector
    normal: Vector


def _petal_jobs(
    canvas: Image.Image, kit: Kit, view: View, rng: np.random.Generator, spin: float
) -> Iterator[_Job]:
    stage = 0
    for whorl, sprites in zip(kit.species.whorls, kit.petals, strict=True):
        for layer in range(whorl.layers):
            for strip in _ring(whorl, layer, stage, rng, spin):
                sprite = sprites[int(rng.integers(len(sprites)))]
                depth = strip.depth(view) + rng.uniform(0, 0.04)
                yield stage, depth, partial(_draw_petal, canvas, sprite, strip, view, kit.light)
            stage += 1


def _ring(
    whorl: Whorl, layer: int, stage: int, rng: np.random.Generator, spin: float
) -> Iterator[_Strip]:
    rise = (_STEEPEST - whorl.elevation) * (layer / whorl.layers) ** 1.3
    for azimuth in _azimuths(whorl, stage, rng):
        length = whorl.length * _LAYER_SHRINK**layer * rng.uniform(0.92, 1.06)
        yield _Strip(
            azimuth=math.radians(azimuth + spin + rng.normal(0, 3)),
            elevation=whorl.elevation + rise + rng.normal(0, 4),
            curl=whorl.curl * rng.uniform(0.8, 1.2),
            length=length,
            half_width=length * whorl.petal.width,
        )


def _azimuths(whorl: Whorl, stage: int, rng: np.random.Generator) -> list[float]:
    if whorl.azimuths:
        return list(whorl.azimuths)
    count = whorl.count
    if count >= _VARIABLE_COUNT:
        count = max(_VARIABLE_COUNT - 1, round(count * rng.uniform(0.88, 1.12)))
    start = 180 / count * (stage % 2) + 23 * (stage // 2)
    return [start + 360 * index / count for index in range(count)]


def _draw_petal(
    canvas: Image.Image, sprite: Sprite, strip: _Strip, view: View, light: Vector
) -> None:
    x, y = -math.sin(strip.azimuth), math.cos(strip.azimuth)
    across = view.direction(x * strip.half_width, y * strip.half_width, 0.0)
    pieces = list(strip.pieces())
    brightness = sum(_lit(piece.normal, view, light) for piece in pieces) / len(pieces)
    for piece in pieces:
        first, last = piece.ends
        along = view.direction(*piece.direction) * strip.length
        placement = (view.point(*piece.start) - first * along, along, across)
        ends = (first - 0.06 * (first == 0), last + (0.08 if last == 1 else 0.02))
        u_range = ends if len(pieces) > 1 else None
        stamp(canvas, sprite, placement, brightness=brightness, u_range=u_range)


def _lit(normal: Vector, view: View, light: Vector) -> float:
    toward_us = view.depth(*normal)
    side = 1.0 if toward_us >= 0 else -1.0
    flat = view.direction(*normal) / view.scale
    facing = side * (flat.real * light[0] + flat.imag * light[1] + toward_us * light[2])
    return 0.74 + 0.34 * max(0.0, facing)


def _part_jobs(
    canvas: Image.Image, kit: Kit, view: View, rng: np.random.Generator
) -> Iterator[_Job]:
    for order, (part, sprite) in enumerate(zip(kit.species.centre, kit.parts, strict=True)):
        depth = view.depth(0.0, 0.0, part.height + 0.1)
        if sprite is None:
            yield 100 + order, depth, partial(_LINE_PAINTERS[part.kind], canvas, part, view, rng)
        else:
            yield 100 + order, depth, partial(_pile, canvas, part, sprite, view, rng)


def _pile(
    canvas: Image.Image, part: Part, sprite: Sprite, view: View, rng: np.random.Generator
) -> None:
    """Draw a disc, or a pile of ever smaller discs that makes a cone."""
    steps = _CONE_STEPS if part.kind == "cone" else 1
    size = part.size * rng.uniform(0.9, 1.1)
    for step in range(steps):
        radius = size * math.sqrt(1 - (step / steps) ** 2)
        middle = view.point(0, 0, part.height + 1.1 * size * step / steps)
        stamp(canvas, sprite, (middle, view.direction(radius, 0, 0), view.direction(0, radius, 0)))


def _draw_stamens(canvas: Image.Image, part: Part, view: View, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    count = int(rng.integers(12, 20)) if part.size < 0.45 else int(rng.integers(5, 8))
    filament, anther = as_ints(rgb(part.colour)), as_ints(rgb(part.accent))
    foot = view.point(0, 0, part.height)
    for index in range(count):
        angle = 2 * math.pi * index / count + rng.normal(0, 0.2)
        out = part.size * rng.uniform(0.5, 1.0)
        end = view.point(out * math.cos(angle), out * math.sin(angle), 0.5 * part.size)
        width = max(1, round(view.scale * 0.015))
        draw.line((foot.real, foot.imag, end.real, end.imag), filament, width)
        dot(draw, end, max(1.0, view.scale * 0.026), anther)


def _draw_column(canvas: Image.Image, part: Part, view: View, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    foot = view.point(0, 0, part.height)
    lean = cmath.rect(view.scale * part.size * 0.35, rng.uniform(0, 2 * math.pi))
    end = view.point(0, 0, part.height + part.size) + lean
    width = max(2, round(view.scale * 0.04))
    draw.line((foot.real, foot.imag, end.real, end.imag), as_ints(rgb(part.colour)), width)
    for _ in range(14):
        place = foot + (end - foot) * rng.uniform(0.45, 1.0)
        offset = cmath.rect(view.scale * 0.06 * rng.random(), rng.uniform(0, 2 * math.pi))
        dot(draw, place + offset, max(1.0, view.scale * 0.018), as_ints(rgb(part.accent)))


def _draw_spadix(canvas: Image.Image, part: Part, view: View, rng: np.random.Generator) -> None:
    draw = ImageDraw.Draw(canvas)
    lean = rng.uniform(0.2, 0.5)
    for step in range(16):
        reach = part.size * step / 15
        radius = view.scale * 0.075 * (1 - 0.45 * (step / 15) ** 3)
        place = view.point(0.1 * reach, lean * reach, part.height + reach)
        dot(draw, place, radius, as_ints(rgb(part.colour)))
        dot(draw, place - radius * complex(0.3, 0.3), radius * 0.55, as_ints(rgb(part.accent)))


_LinePainter = Callable[[Image.Image, Part, View, np.random.Generator], None]

_LINE_PAINTERS: Mapping[str, _LinePainter] = MappingProxyType(
    {"stamens": _draw_stamens, "column": _draw_column, "spadix": _draw_spadix}
)
