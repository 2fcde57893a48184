"""A trial's state between epochs: plain `.npz` files, kept only while they can be continued."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.errors import RunError
from automl_flowers.files import Artefact, atomic_path, sha256_of
from ensembles.predictions import DAMAGED

State = dict[str, np.ndarray]


def save_state(path: Path, state: Mapping[str, np.ndarray]) -> Artefact:
    """Write a state, all or nothing. Equal states make equal files."""
    arrays: dict[str, Any] = dict(state)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    return Artefact.of(path)


def load_state(
    path: Path,
    sha256: str | None = None,
    hint: str = "remove the run folder and start again, or restore the file",
) -> State:
    """Read what `save_state` wrote.

    Args:
        path: Of the file.
        sha256: That it should have; None to take it as it is.
        hint: What to do where that fails.

    Raises:
        RunError: If the file is missing, damaged or another one.
    """
    try:
        _check(path, sha256)
        # NumPy itself leaves a damaged file open
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except DAMAGED as error:
        raise RunError(
            f"`{path}` does not hold a readable model state: {error}", hint=hint
        ) from error


def _check(path: Path, sha256: str | None) -> None:
    if sha256 is not None and sha256_of(path) != sha256:
        raise ValueError("it is not the file that this run wrote")


def model_part(state: Mapping[str, np.ndarray]) -> State:
    """Return the part of a program's state that predicts, without the optimizer's."""
    return {name: array for name, array in state.items() if not name.startswith("optimizer/")}


class CheckpointFolder:
    """States of trials, one file a trial and epoch.

    Args:
        folder: Where they lie; made when first written to.
        make_room: Called with the bytes of a file before it is written; may raise.
    """

    def __init__(
        self, folder: Path, make_room: Callable[[int], None] = lambda num_bytes: None
    ) -> None:
        self._folder, self._make_room = folder, make_room

    def save(self, trial_id: str, epochs: int, state: Mapping[str, np.ndarray]) -> Artefact:
        """Write a trial's state after some epochs."""
        self._make_room(sum(np.asarray(array).nbytes for array in state.values()))
        return save_state(self._folder / f"{trial_id}.{epochs:04d}.npz", state)

    def load(self, file: Artefact) -> State:
        """Read what `save` wrote.

        Raises:
            RunError: If the file is missing, damaged or another one.
        """
        return load_state(self._folder / file.name, file.sha256)

    def exists(self, file: Artefact) -> bool:
        """Say whether a checkpoint is still there."""
        return (self._folder / file.name).is_file()

    def names(self) -> list[str]:
        """Return the names of the states that are there, sorted."""
        return sorted(path.name for path in self._folder.glob("*.npz"))

    def keep_only(self, names: Collection[str]) -> None:
        """Remove all checkpoints but the named ones, and what a kill left half written."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in names:
                    path.unlink()
