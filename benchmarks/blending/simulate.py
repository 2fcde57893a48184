"""Members whose errors are partly shared, on classes of the competition's sizes.

An image has a difficulty and looks a little like other classes, which all members see; each
member adds noise and habits of its own, has a confidence of its own, and leans to frequent
classes as far as it has learnt to.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIZES = np.array(
    [
        *(351, 33, 26, 27, 908, 112, 23, 136, 112, 108, 176, 56, 119, 340, 293, 27, 71, 64, 116),
        *(34, 25, 124, 62, 25, 109, 107, 27, 44, 153, 141, 136, 31, 30, 26, 23, 47, 74, 34, 24),
        *(94, 82, 124, 81, 142, 23, 222, 162, 337, 545, 727, 259, 135, 148, 594, 48, 75, 115, 81),
        *(46, 75, 35, 37, 120, 36, 71, 42, 27, 1010, 336, 121, 134, 177, 216, 594, 161, 395, 154),
        *(180, 111, 152, 198, 130, 173, 145, 40, 38, 155, 189, 124, 59, 137, 143, 31, 180, 169),
        *(164, 129, 53, 44, 31, 40, 32, 504, 959),
    ]
)
"""Labelled images of each class of "Petals to the Metal"."""


@dataclass(frozen=True, eq=False)
class World:
    """What stays the same however many images are drawn.

    Attributes:
        skills: How far each member tells the true class from others, in logits.
        temperatures: Of each member.
        leanings: How far each member leans to frequent classes.
        likeness: Of each class (row) to each other (column), in logits.
        habits: Of each member towards each class, in logits.
    """

    skills: np.ndarray
    temperatures: np.ndarray
    leanings: np.ndarray
    likeness: np.ndarray
    habits: np.ndarray


def make_world(seed: int, num_models: int, skill: float = 6.5) -> World:
    """Return members of skills around `skill`; 6.5 makes macro F1 about 0.9."""
    rng = np.random.default_rng(seed)
    num_classes = len(SIZES)
    return World(
        skills=rng.uniform(skill - 0.6, skill + 0.6, num_models),
        temperatures=rng.uniform(0.5, 2.0, num_models),
        leanings=rng.uniform(0.0, 0.6, num_models),
        likeness=0.8 * rng.normal(size=(num_classes, num_classes)),
        habits=0.4 * rng.normal(size=(num_models, num_classes)),
    )


def draw_labels(num_images: int) -> np.ndarray:
    """Return labels in the competition's shares, at least two of each class."""
    sizes = np.maximum(np.rint(SIZES / SIZES.sum() * num_images).astype(np.int64), 2)
    return np.repeat(np.arange(len(SIZES)), sizes)


def predict(world: World, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return what members say of new images, float32, `(num_models, num_images, num_classes)`."""
    rng = np.random.default_rng(seed)
    shape = len(labels), len(SIZES)
    frequent = np.log(SIZES / SIZES.sum())
    seen = 1.2 * rng.standard_normal(shape, dtype=np.float32)
    seen += world.likeness[labels].astype(np.float32)
    seen[np.arange(len(labels)), labels] += 1.3 * rng.standard_normal(len(labels), dtype=np.float32)
    stack = np.empty((len(world.skills), *shape), np.float32)
    for m, logits in enumerate(stack):
        rng.standard_normal(out=logits, dtype=np.float32)
        logits += seen
        logits += (world.habits[m] + world.leanings[m] * frequent).astype(np.float32)
        logits[np.arange(len(labels)), labels] += np.float32(world.skills[m])
        logits /= np.float32(world.temperatures[m])
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=1, keepdims=True)
    return stack
