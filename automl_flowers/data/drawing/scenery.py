"""What is behind and in front of the flowers: foliage, meadows, sky, soil, walls, blurred lights.

Backgrounds are painted small and enlarged, which blurs them as a lens does and costs little.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from automl_flowers.data.drawing.blossoms import shift_colour
from automl_flowers.data.drawing.easel import curve, dot, stamp, stroke
from automl_flowers.data.drawing.plants import draw_distractor, leaf_sprite
from automl_flowers.data.drawing.textures import Floats, as_ints, rgb
from automl_flowers.data.drawing.traits import LANCE, LOBED, OVAL, ROUND, Leaf, Species

_GREENS = ("#2f5a2c", "#4d7f3a", "#6f9a48", "#3b6b4a", "#86a65a", "#27492c", "#5c8a62")
_BLOOMS = ("#e8c948", "#d76aa0", "#f1efe6", "#8a6fc4", "#d9573c", "#e99a3e")
_EARTHS = ("#5b4330", "#7a5c42", "#4a3828", "#8c7358")
_STONES = ("#a08a6a", "#3b2c20", "#c2ae8e", "#6b5a44")
_NIGHTS = ("#0d1410", "#16221a", "#1d2c20", "#0a0d0c")
_PLASTERS = ("#cfc6b4", "#d9d4c8", "#b7aa98", "#c8b6a6")
_BRICKS = ("#9c5f4a", "#8a5240", "#b07358", "#7d4a3c")
_CLOTHS = ("#dfe3e6", "#f3efe6", "#9fb4bd", "#e7cfc6", "#54606a", "#c9d6c3", "#2c2b30")

_SCALE = 3 / 8
"""Size of the painting, in sizes of the background."""


def paint_background(
    size: int, kind: str, neighbours: Sequence[Species], rng: np.random.Generator
) -> Image.Image:
    """Return a background.

    Args:
        size: Width and height in pixels.
        kind: One of `BACKGROUNDS`.
        neighbours: Species that may stand in the background, as distractors; may be empty.
        rng: Draws everything else.
    """
    side = max(8, round(size * _SCALE))
    image = Image.new("RGB", (side, side))
    BACKGROUNDS[kind](image, rng)
    if neighbours and kind != "plain":
        for _ in range(int(rng.integers(0, 4))):
            species = neighbours[int(rng.integers(len(neighbours)))]
            draw_distractor(
                image, species, _somewhere(side, rng), side * rng.uniform(0.06, 0.15), rng
            )
    blurred = image.filter(ImageFilter.BoxBlur(side * rng.uniform(0.002, 0.025)))
    return blurred.resize((size, size), Image.Resampling.BILINEAR)


def paint_foreground(canvas: Image.Image, leaf: Leaf, rng: np.random.Generator) -> None:
    """Draw blades or leaves that come between us and the flower, mostly at the margin.

    Args:
        canvas: RGB picture to draw on.
        leaf: What the leaves look like.
        rng: Draws everything else.
    """
    if rng.random() < 0.5:
        _draw_blades(canvas, int(rng.integers(1, 4)), rng)
    else:
        _draw_near_leaves(canvas, leaf, rng)


def make_cloud(size: tuple[int, int], cells: int, rng: np.random.Generator) -> Floats:
    """Return smooth noise in [0, 1], float32.

    Args:
        size: Width and height.
        cells: About how many lumps lie side by side.
        rng: Draws the lumps.
    """
    layers = []
    for count in (cells, 3 * cells):
        lumps = Image.fromarray(rng.integers(0, 256, (count, count), dtype=np.uint8))
        layers.append(lumps.resize(size, Image.Resampling.BICUBIC))
    return np.asarray(Image.blend(layers[0], layers[1], 0.3), dtype=np.float32) / 255


def _somewhere(side: int, rng: np.random.Generator, margin: float = 0.0) -> complex:
    return complex(*rng.uniform(-margin * side, (1 + margin) * side, 2))


def _pick(colours: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    return [colours[int(index)] for index in rng.integers(0, len(colours), count)]


def _wash(image: Image.Image, colours: Sequence[str], cells: int, rng: np.random.Generator) -> None:
    """Cover the image with soft patches of the given colours."""
    shift = rng.normal(0, 1, 3)
    palette = np.stack([rgb(shift_colour(colour, shift)) for colour in colours])
    patches = palette[rng.integers(0, len(palette), (cells, cells))].astype(np.uint8)
    image.paste(Image.fromarray(patches).resize(image.size, Image.Resampling.BICUBIC))


def _grain(image: Image.Image, amount: float, rng: np.random.Generator) -> None:
    """Roughen the image."""
    texture = make_cloud(image.size, 12, rng) + make_cloud(image.size, 40, rng) - 1
    pixels = np.asarray(image, dtype=np.float32) * (1 + 0.5 * amount * texture)[..., None]
    image.paste(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))


def _scatter(
    image: Image.Image, colours: Sequence[str], size: float, rng: np.random.Generator
) -> None:
    """Draw a round spot of each colour somewhere."""
    draw = ImageDraw.Draw(image)
    for colour in colours:
        radius = size * image.width * rng.uniform(0.4, 1.4)
        dot(draw, _somewhere(image.width, rng), radius, as_ints(rgb(colour)))


def _draw_blades(image: Image.Image, count: int, rng: np.random.Generator) -> None:
    width = image.width
    for colour in _pick(_GREENS, count, rng):
        foot = complex(rng.uniform(-0.1, 1.1) * width, width * 1.05)
        tip = foot + complex(rng.normal(0, 0.25), -rng.uniform(0.4, 1.1)) * width
        points = curve(foot, complex(foot.real, tip.imag + 0.3 * width), tip, 8)
        green = as_ints(rgb(shift_colour(colour, rng.normal(0, 1, 3))))
        stroke(image, points, width * rng.uniform(0.008, 0.025), green)


def _draw_near_leaves(canvas: Image.Image, leaf: Leaf, rng: np.random.Generator) -> None:
    width = canvas.width
    sprite = leaf_sprite(leaf, rng, width * 0.35)
    for _ in range(int(rng.integers(1, 3))):
        angle = rng.uniform(0, 2 * math.pi)
        at = complex(width, width) / 2 + cmath.rect(width * rng.uniform(0.5, 0.66), angle)
        along = cmath.rect(width * rng.uniform(0.25, 0.42), angle + math.pi + rng.normal(0, 0.5))
        across = along * 1j * leaf.shape.width * rng.uniform(0.6, 1)
        stamp(canvas, sprite, (at, along, across))


def _paint_foliage(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _pick(_GREENS, 3, rng), 5, rng)
    shape = (OVAL, LANCE, LOBED, ROUND)[int(rng.integers(4))]
    width = image.width
    sprites = [
        leaf_sprite(Leaf(shape, colour), rng, width * 0.3) for colour in _pick(_GREENS, 3, rng)
    ]
    for index in range(int(rng.integers(14, 30))):
        along = cmath.rect(width * rng.uniform(0.18, 0.4), rng.uniform(0, 2 * math.pi))
        across = along * 1j * shape.width * rng.uniform(0.5, 1)
        placement = (_somewhere(width, rng, margin=0.1), along, across)
        stamp(image, sprites[index % 3], placement, brightness=rng.uniform(0.6, 1.1))


def _paint_meadow(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _pick(_GREENS, 4, rng), 6, rng)
    _draw_blades(image, int(rng.integers(25, 60)), rng)
    _scatter(image, _pick(_BLOOMS, int(rng.integers(0, 14)), rng), 0.03, rng)


def _paint_sky(image: Image.Image, rng: np.random.Generator) -> None:
    deep, pale = rgb(shift_colour("#4f8fd0", rng.normal(0, 1, 3))), rgb("#cfe2f0")
    height = np.linspace(0, 1, image.height, dtype=np.float32)[:, None]
    clouds = np.clip(2.4 * make_cloud(image.size, 4, rng) - rng.uniform(0.8, 1.6), 0, 1)
    amount = np.clip(height * 0.8 + clouds, 0, 1)[..., None]
    image.paste(Image.fromarray((deep + amount * (pale - deep)).astype(np.uint8)))
    if rng.random() < 0.6:
        _draw_blades(image, int(rng.integers(4, 14)), rng)


def _paint_soil(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _EARTHS, 9, rng)
    _grain(image, 0.9, rng)
    _scatter(image, _pick(_STONES, 26, rng), 0.025, rng)
    _draw_blades(image, int(rng.integers(0, 6)), rng)


def _paint_bokeh(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _pick(_GREENS, 3, rng) + _pick(_BLOOMS, 1, rng), 4, rng)
    layer = image.copy()
    _scatter(layer, _pick((*_GREENS, *_BLOOMS, "#f4f1d8"), 18, rng), 0.08, rng)
    image.paste(Image.blend(image, layer, 0.5))


def _paint_shade(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _NIGHTS, 4, rng)


def _paint_wall(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _PLASTERS if rng.random() < 0.6 else _BRICKS, 6, rng)
    _grain(image, 0.35, rng)
    draw = ImageDraw.Draw(image)
    pitch = image.width * rng.uniform(0.1, 0.25)
    for index in range(1, int(image.width / pitch)):
        draw.line((0, index * pitch, image.width, index * pitch), (90, 80, 70), 1)


def _paint_plain(image: Image.Image, rng: np.random.Generator) -> None:
    _wash(image, _pick(_CLOTHS, 1, rng) * 2 + ["#ffffff"], 3, rng)


BACKGROUNDS: Mapping[str, Callable[[Image.Image, np.random.Generator], None]] = MappingProxyType(
    {
        "foliage": _paint_foliage,
        "meadow": _paint_meadow,
        "sky": _paint_sky,
        "soil": _paint_soil,
        "bokeh": _paint_bokeh,
        "shade": _paint_shade,
        "wall": _paint_wall,
        "plain": _paint_plain,
    }
)
"""Painters of backgrounds, by name."""
