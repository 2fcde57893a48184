"""From a painted scene to a photograph: light, colour cast, focus, sensor noise."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from automl_flowers.data.drawing.scenery import make_cloud
from automl_flowers.data.drawing.textures import Floats

_MID_GREY = 115.0


def photograph(scene: Image.Image, warmth: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return the scene at half its size, as a camera would have taken it.

    Args:
        scene: RGB picture at twice the wanted size, so that halving smooths its edges.
        warmth: Mean colour cast: above 0 towards yellow, below towards blue.
        rng: Draws exposure, shadows, blur and noise.
    """
    image = scene.reduce(2).convert("RGB", _grading(warmth, rng))
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(image.width * rng.uniform(0.002, 0.007)))
    pixels = np.asarray(image, dtype=np.float32) * _light(image.size, rng)[..., None]
    noise = rng.integers(0, 256, pixels.shape, dtype=np.uint8).astype(np.float32)
    pixels += (noise - np.float32(127.5)) * np.float32(rng.uniform(0.01, 0.1))
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _light(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return brightness a pixel: a gradient from one side, a vignette, sometimes leaf shadows."""
    axis = np.linspace(-1, 1, size[0], dtype=np.float32)
    angle, slope = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.3)
    ramp = slope * (math.cos(angle) * axis[None, :] + math.sin(angle) * axis[:, None])
    vignette = rng.uniform(0, 0.12) * (axis[None, :] ** 2 + axis[:, None] ** 2)
    light = rng.uniform(0.72, 1.22) * (1 + ramp - vignette)
    if rng.random() < 0.25:
        light = light * (1 - 0.42 * np.clip(2.2 * make_cloud(size, 5, rng) - 0.8, 0, 1))
    return np.asarray(light, dtype=np.float32)


def _grading(warmth: float, rng: np.random.Generator) -> tuple[float, ...]:
    """Return a colour matrix, as Pillow takes it: saturation, contrast and a colour cast."""
    saturation, contrast = rng.uniform(0.72, 1.15), rng.uniform(0.8, 1.15)
    cast = warmth + rng.normal(0, 0.06)
    rows: list[float] = []
    for channel, gain in enumerate((1 + cast, 1 + rng.normal(0, 0.02), 1 - cast)):
        mix = [(1 - saturation) / 3] * 3
        mix[channel] += saturation
        rows += [gain * contrast * share for share in mix]
        rows.append(_MID_GREY * (1 - contrast) * gain)
    return tuple(rows)
