"""How decoded pictures are kept: in a file, in memory, or not at all.

The numbers are the same either way, bit for bit; what differs is what it takes. A file outlives
the process and is mapped, so the system keeps in memory what there is room for. Memory is for
disks that are too small. What fits nowhere is decoded anew for every batch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from automl_flowers.memory import free_memory

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Kept = Literal["disk", "memory", "none"]
CacheMode = Literal["auto", "disk", "memory", "none"]

SHARE = 0.5
"""Of what is free: the most that `auto` takes. Checkpoints, programs and batches need some, too."""

_WORDS = {
    "disk": "kept on disk",
    "memory": "kept in memory",
    "none": "decoded anew for every batch",
}


class ImageStore(Protocol):
    """Decoded images of one size, wherever they are kept: an array, or what reads like one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`(num_images, size, size, 3)`."""

    def __getitem__(self, rows: npt.NDArray[np.int64], /) -> npt.NDArray[np.uint8]:
        """Return the images at some rows, uint8, `(len(rows), size, size, 3)`."""


def _quietly(text: str) -> None:
    """Say nothing."""


@dataclass(frozen=True)
class Caching:
    """How a command keeps decoded pictures.

    Attributes:
        mode: `disk`, `memory` or `none`, or `auto` for the first of these that suffices.
        say: Hears what was chosen, and how large it is.
    """

    mode: CacheMode = "auto"
    say: Callable[[str], None] = _quietly

    def choose(self, num_bytes: int, folder: Path) -> Kept:
        """Return how some pictures are kept on this machine, as it is now.

        Args:
            num_bytes: That they take.
            folder: Where files would go; it need not exist.
        """
        if self.mode != "auto":
            return self.mode
        return choose(num_bytes, free_disk(folder), free_memory())

    def announce(self, what: str, num_bytes: int, kept: Kept) -> None:
        """Say how some pictures are kept."""
        self.say(f"{what}: {num_bytes / 1e6:,.1f} MB, {_WORDS[kept]}")


AUTO = Caching()
"""Where there is room, and without a word."""


def choose(num_bytes: int, disk: int, memory: int | None) -> Kept:
    """Return the first of disk, memory and none of which `num_bytes` take half at most.

    Args:
        num_bytes: That the pictures take.
        disk: Free bytes.
        memory: Free bytes; None where nobody knows.
    """
    if num_bytes <= SHARE * disk:
        return "disk"
    if memory is not None and num_bytes <= SHARE * memory:
        return "memory"
    return "none"


def free_disk(folder: Path) -> int:
    """Return the free bytes where a folder is, or would be made."""
    places = (folder.absolute(), *folder.absolute().parents)
    nearest = next(place for place in places if place.exists())
    return shutil.disk_usage(nearest).free
