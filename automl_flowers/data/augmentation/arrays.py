"""Types and small helpers that all operations share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from automl_flowers.errors import UserError


def require_exact(version: str) -> None:
    """Refuse an OpenCV that places pixels by 32nds: the same recipe would be another experiment.

    Args:
        version: As `cv2.__version__`.

    Raises:
        UserError: If it is older than 5.
    """
    if int(version.partition(".")[0]) < 5:
        raise UserError(
            f"OpenCV {version} is imported here, and 5 or newer is needed: older ones place pixels "
            "less exactly.",
            hint="run `pip uninstall -y opencv-python opencv-contrib-python opencv-python-headless`"
            ", then `pip install 'opencv-python-headless>=5'`; packages of OpenCV overwrite one "
            "another",
        )


require_exact(cv2.__version__)
cv2.setNumThreads(1)  # batches are made side by side already

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[Any]
"""One picture, uint8 or float32, shape `(height, width, 3)`."""

Step = Callable[[Pixels, int], Pixels]
"""What an operation does to one picture of a batch, given its position there."""


def place(
    position: Floats, fraction: Floats, side: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return start and length of whole pixels inside [0, `side`), at least one.

    Args:
        position: In [0, 1), shape `(batch,)`.
        fraction: Length over side, in [0, 1], shape `(batch,)`.
        side: Pixels.
    """
    length = np.clip(np.rint(fraction * side), 1, side).astype(np.int64)
    room = side - length
    start = (position * (room + 1).astype(np.float32)).astype(np.int64)
    return np.minimum(start, room), length


def to_float(image: Pixels) -> Pixels:
    """Return a picture as float32, the same one if it is already."""
    return image.astype(np.float32, copy=False)


def to_uint8(image: Pixels) -> Pixels:
    """Round and clip float pixels; uint8 pixels pass."""
    if image.dtype == np.uint8:
        return image
    return np.asarray(cv2.addWeighted(image, 1.0, image, 0.0, 0.0, dtype=cv2.CV_8U))
