"""How much disk a run may take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from automl_flowers.errors import RunError

GIGABYTE = 10**9


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder; those that vanish meanwhile count nothing."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


class DiskLimit:
    """Keeps a run folder within some bytes.

    Args:
        folder: Of the run.
        limit: Most bytes that it may take; None for as many as there are.
        free: Removes what can be computed again, at least some bytes of it if there is that
            much, and returns how many.
    """

    def __init__(
        self, folder: Path, limit: int | None, free: Callable[[int], int] = lambda num_bytes: 0
    ) -> None:
        self._folder, self._limit, self._free = folder, limit, free

    def left(self) -> int | None:
        """Return the bytes that may still be written; None for any number."""
        return None if self._limit is None else self._limit - folder_bytes(self._folder)

    def make_room(self, num_bytes: int) -> None:
        """See that some more bytes can be written.

        Raises:
            RunError: If they would be beyond the limit.
        """
        left = self.left()
        if left is None or left >= num_bytes:
            return
        if self._free(num_bytes - left) >= num_bytes - left:
            return
        needed = (int(self._limit or 0) - left + num_bytes) / GIGABYTE
        raise RunError(
            f"`{self._folder}` would take {needed:.3g} GB; `--max-disk` allows "
            f"{int(self._limit or 0) / GIGABYTE:.3g} GB.",
            hint="give the same command with a larger `--max-disk`; it goes on from here",
        )
