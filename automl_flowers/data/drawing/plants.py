"""Flowers on their plants: one, a few, a spike, a ball, or bells on an arching stem."""

from __future__ import annotations

import cmath
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from PIL import Image

from automl_flowers.data.drawing.blossoms import Kit, draw_blossom, prepare, shift_colour
from automl_flowers.data.drawing.easel import Sprite, View, curve, stamp, stroke
from automl_flowers.data.drawing.textures import Colour, as_ints, petal_sprite, rgb
from automl_flowers.data.drawing.traits import Leaf, Palette, Species

_GOLDEN_ANGLE = 137.508
_STALK_WIDTH = 0.014


@dataclass(frozen=True)
class _Site:
    """Where a plant stands.

    Attributes:
        at: Canvas position of its flower, or of the middle of its flowers.
        radius: Extent of the flower or of all of them, in pixels.
        lean: Turn of the whole plant, in degrees.
    """

    at: complex
    radius: float
    lean: float


def draw_plant(canvas: Image.Image, species: Species, rng: np.random.Generator) -> None:
    """Draw a species as the subject of a picture: one plant, or two or three.

    Args:
        canvas: RGB picture to draw on.
        species: What to draw.
        rng: Chooses how many flowers, where, how large and how turned.
    """
    for site in _sites(canvas.width, species, rng):
        _FORMS[species.form](canvas, species, site, rng)


def draw_distractor(
    canvas: Image.Image, species: Species, at: complex, radius: float, rng: np.random.Generator
) -> None:
    """Draw one small, simplified flower without its plant, for the background.

    Args:
        canvas: RGB picture to draw on.
        species: What to draw.
        at: Where.
        radius: Its radius in pixels.
        rng: Draws everything else.
    """
    kit = prepare(_simplify(species), rng, radius, variants=1)
    view = View(at, radius, rng.uniform(5, 60), rng.uniform(-40, 40))
    draw_blossom(canvas, kit, view, rng, rng.uniform(0, 360))


def leaf_sprite(leaf: Leaf, rng: np.random.Generator, length: float) -> Sprite:
    """Return the texture of a leaf, a little different every time.

    Args:
        leaf: Shape and colour.
        rng: Draws the difference.
        length: Length, in pixels, at which it will be seen.
    """
    colour = shift_colour(leaf.colour, rng.normal(0, 1, 3))
    dark = shift_colour(colour, np.array([0.0, 1.0, -2.0]))
    pale = shift_colour(colour, np.array([-1.0, -1.5, 2.0]))
    return petal_sprite(leaf.shape, Palette(dark, colour, pale), rng, length)


def _simplify(species: Species) -> Species:
    whorls = tuple(
        dataclasses.replace(whorl, count=min(whorl.count, 12), layers=min(whorl.layers, 2))
        for whorl in species.whorls
    )
    return dataclasses.replace(species, whorls=whorls)


def _sites(width: int, species: Species, rng: np.random.Generator) -> list[_Site]:
    middle = complex(width, width) / 2
    if species.form in ("spike", "bells") or rng.random() < 0.62:
        at = middle + complex(*rng.normal(0, 0.05 * width, 2))
        return [_Site(at, width * rng.uniform(0.27, 0.45), rng.normal(0, 14))]
    count = int(rng.integers(2, 4))
    sites = []
    for index in range(count):
        angle = 2 * math.pi * index / count + rng.normal(0, 0.5)
        offset = cmath.rect(0.27 * width, angle) + complex(*rng.normal(0, 0.13 * width, 2))
        sites.append(_Site(middle + offset, width * rng.uniform(0.16, 0.27), rng.normal(0, 14)))
    return sites


def _draw_stem(
    canvas: Image.Image, leaf: Leaf, ends: tuple[complex, complex], rng: np.random.Generator
) -> Colour:
    """Draw a stem with leaves and return its colour."""
    ground, top = ends
    width = canvas.width
    points = curve(ground, (ground + top) / 2 + complex(rng.normal(0, 0.1) * width, 0), top)
    length = width * rng.uniform(0.15, 0.35)
    sprite = leaf_sprite(leaf, rng, length)
    for _ in range(int(rng.integers(2, 6))):
        place = points[int(rng.integers(2, len(points) - 1))]
        _draw_leaf(canvas, sprite, place, length * rng.uniform(0.7, 1.2), leaf.shape.width, rng)
    colour = as_ints(rgb(shift_colour(leaf.colour, rng.normal(0, 1, 3))))
    stroke(canvas, points, max(2.0, width * rng.uniform(0.012, 0.022)), colour)
    return colour


def _draw_leaf(
    canvas: Image.Image,
    sprite: Sprite,
    at: complex,
    length: float,
    half_width: float,
    rng: np.random.Generator,
) -> None:
    angle = rng.uniform(-2.9, -0.25) if rng.random() < 0.8 else rng.uniform(0, 2 * math.pi)
    along = cmath.rect(length, angle)
    across = along * 1j * half_width * rng.uniform(0.45, 1.0)
    stamp(canvas, sprite, (at, along, across), brightness=rng.uniform(0.7, 1.1))


def _ground_below(canvas: Image.Image, at: complex, rng: np.random.Generator) -> complex:
    return complex(at.real + rng.normal(0, 0.17) * canvas.width, canvas.height * 1.1)


def _spin(species: Species, roll: float, rng: np.random.Generator) -> float:
    """Return a turn about the flower's axis; one that has an upside keeps it up."""
    return float(rng.normal(-roll, 5) if species.is_bilateral else rng.uniform(0, 360))


def _draw_open(
    canvas: Image.Image, species: Species, site: _Site, rng: np.random.Generator
) -> None:
    _draw_stem(canvas, species.leaf, (_ground_below(canvas, site.at, rng), site.at), rng)
    tilt, roll = abs(rng.normal(0, 27)) % 60, rng.uniform(-50, 50)
    view = View(site.at, site.radius, tilt, roll)
    spin = _spin(species, 0.7 * roll, rng)
    draw_blossom(canvas, prepare(species, rng, site.radius), view, rng, spin)


def _draw_cup(canvas: Image.Image, species: Species, site: _Site, rng: np.random.Generator) -> None:
    view = View(site.at, site.radius, rng.uniform(52, 84), site.lean)
    view.centre = view.point(0, 0, -0.4)
    _draw_stem(canvas, species.leaf, (_ground_below(canvas, site.at, rng), view.centre), rng)
    spin = _spin(species, 0.0, rng)
    draw_blossom(canvas, prepare(species, rng, site.radius), view, rng, spin)


def _draw_spike(
    canvas: Image.Image, species: Species, site: _Site, rng: np.random.Generator
) -> None:
    extent = site.radius * 1.05
    upward = cmath.rect(extent, math.radians(-90 + site.lean * 0.6))
    bottom, top = site.at - upward, site.at + upward
    ground = complex(bottom.real, canvas.height * 1.1)
    colour = _draw_stem(canvas, species.leaf, (ground, bottom), rng)
    axis = curve(bottom, site.at + complex(rng.normal(0, 0.12) * extent, 0), top, 24)
    stroke(canvas, axis, canvas.width * _STALK_WIDTH, colour)
    size = extent * rng.uniform(0.3, 0.38)
    kit = prepare(species, rng, size)
    for index in range(species.florets, -1, -1):
        height = index / species.florets
        side = (-1.0, 1.0, 0.35, -0.35)[index % 4] * rng.uniform(0.7, 1.0)
        scale = size * (1 - 0.6 * height**1.5)
        at = axis[round(height * 23)] + side * scale * 0.5
        roll = side * 62 + site.lean + rng.normal(0, 8)
        view = View(at, scale, rng.uniform(30, 62), roll)
        draw_blossom(canvas, kit, view, rng, _spin(species, roll, rng))


def _draw_umbel(
    canvas: Image.Image, species: Species, site: _Site, rng: np.random.Generator
) -> None:
    _draw_stem(canvas, species.leaf, (_ground_below(canvas, site.at, rng), site.at), rng)
    size = site.radius * 1.15 / math.sqrt(species.florets) * rng.uniform(0.95, 1.15)
    kit = prepare(species, rng, size)
    squash = rng.uniform(0.7, 1.0)
    for index in range(species.florets, 0, -1):
        distance = math.sqrt(index / species.florets)
        angle = math.radians(index * _GOLDEN_ANGLE + site.lean)
        offset = complex(math.cos(angle), math.sin(angle) * squash) * distance
        at = site.at + offset * site.radius * 0.78 + complex(*rng.normal(0, 0.06 * size, 2))
        roll = math.degrees(cmath.phase(offset)) + 90
        view = View(at, size * rng.uniform(0.85, 1.1), 58 * distance**1.5, roll)
        draw_blossom(canvas, kit, view, rng, _spin(species, roll, rng))


def _draw_bells(
    canvas: Image.Image, species: Species, site: _Site, rng: np.random.Generator
) -> None:
    side = 1 if rng.random() < 0.5 else -1
    foot, tip = (
        site.at + site.radius * complex(side * x, y) for x, y in ((-0.6, 0), (0.55, -0.75))
    )
    ground = complex(foot.real - 0.1 * side * site.radius, canvas.height * 1.1)
    colour = _draw_stem(canvas, species.leaf, (ground, foot), rng)
    arch = curve(foot, site.at + site.radius * complex(-side * 0.85, -1.5), tip, 16)
    stroke(canvas, arch, canvas.width * _STALK_WIDTH, colour)
    size = site.radius * rng.uniform(1.0, 1.25) / math.sqrt(species.florets)
    kit = prepare(species, rng, size)
    for index in range(species.florets):
        _hang_bell(canvas, kit, arch[round((index + 1) / species.florets * 15)], size, colour, rng)


def _hang_bell(
    canvas: Image.Image,
    kit: Kit,
    at: complex,
    size: float,
    colour: Colour,
    rng: np.random.Generator,
) -> None:
    hang = complex(rng.normal(0, 0.2), rng.uniform(0.25, 0.7)) * size
    stalk: Sequence[complex] = curve(at, at + hang.real, at + hang, 5)
    stroke(canvas, stalk, 0.008 * canvas.width, colour)
    view = View(at + hang, size, rng.uniform(62, 88), 180 + rng.normal(0, 22))
    draw_blossom(canvas, kit, view, rng, rng.uniform(0, 360))


_FORMS: Mapping[str, Callable[[Image.Image, Species, _Site, np.random.Generator], None]] = (
    MappingProxyType(
        {
            "open": _draw_open,
            "cup": _draw_cup,
            "spike": _draw_spike,
            "umbel": _draw_umbel,
            "bells": _draw_bells,
        }
    )
)
