"""Regenerate `augmentation_rungs.npz`: the ladder's numbers and pictures as they have always been.

A trial can be repeated, and a run gone on with, only while a name of the ladder gives the same
pictures. Written before the operations that came after block-out; regenerate it only where a
change of old recipes is meant, and say so in the changelog:

    python tests/golden/make_augmentation_rungs.py
"""

from pathlib import Path

import numpy as np

SEED, EPOCH = 3, 2
RUNGS = ("light", "medium", "strong")
FIRST_COLUMNS = 15
"""Numbers a row that these rungs use."""


def draw_pictures() -> np.ndarray:
    """Return soft coloured blobs with some noise, uint8, `(8, 30, 34, 3)`."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:1:30j, 0:1:34j]
    pictures = rng.normal(0, 6, (8, 30, 34, 3)) + rng.uniform(60, 180, (8, 1, 1, 3))
    for picture in pictures:
        for _ in range(4):
            centre_y, centre_x = rng.uniform(0.1, 0.9, 2)
            blob = np.exp(-((y - centre_y) ** 2 + (x - centre_x) ** 2) / 0.03)
            picture += blob[..., np.newaxis] * rng.uniform(-90, 90, 3)
    return np.clip(pictures, 0, 255).astype(np.uint8)


def main() -> None:
    """Write the file beside this script."""
    from automl_flowers.data.augmentation import augment, sample_parameters
    from search_spaces.augmentation import AUGMENTATIONS

    pictures = draw_pictures()
    table = sample_parameters(len(pictures), seed=SEED, epoch=EPOCH).numpy()
    made = {name: augment(pictures, table, AUGMENTATIONS[name]) for name in RUNGS}
    path = Path(__file__).with_name("augmentation_rungs.npz")
    numbers = table[:, :FIRST_COLUMNS]
    np.savez_compressed(path, pictures=pictures, numbers=numbers, **made)


if __name__ == "__main__":
    main()
