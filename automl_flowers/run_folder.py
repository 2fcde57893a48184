"""Where a run keeps what, and that only one process writes to it.

config.yaml          the effective configuration
space.yaml           what a search may choose
environment.json     device, packages and all else that numbers depend on
manifest.csv         every image: id, label, split, source, where its bytes are
data.json            class names, what was skipped while reading, how it was split
ledger.sqlite        trials and epochs
checkpoints/         states of trials that may still be continued
probes/              linear heads on frozen features
best/                the model of the best epoch so far, one file
tensorboard/         curves for TensorBoard
cache/               decoded images, fingerprints
feature_bank/        what frozen parts of backbones made of them; may be removed at any time
members/             retrained models
predictions/         their probabilities, one file a member and split
blend.json           members, weights and scores
recipe.yaml          what the ensemble was made from, to make it again
submission.csv       one label for each test image
probabilities.csv    probabilities of each class for each test image, where asked for
report.html          what happened, for people
leaks.json           copies in the data, from `data check`
leaks.html           the same for people
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import filelock

from automl_flowers.errors import RunError

RUNS = Path("runs")
"""Where runs without a `--run` of their own lie, below the working folder."""

_MADE_OF_DATA = ("images-*", "fingerprints-*")
"""Files in the cache that are made before a search begins."""


@dataclass(frozen=True)
class RunFolder:
    """The files of one run.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The effective configuration."""
        return self.path / "config.yaml"

    @property
    def space(self) -> Path:
        """What a search may choose."""
        return self.path / "space.yaml"

    @property
    def environment(self) -> Path:
        """Device, packages and all else that numbers depend on."""
        return self.path / "environment.json"

    @property
    def manifest(self) -> Path:
        """Every image."""
        return self.path / "manifest.csv"

    @property
    def data(self) -> Path:
        """Class names, problems, splits."""
        return self.path / "data.json"

    @property
    def ledger(self) -> Path:
        """Trials and epochs."""
        return self.path / "ledger.sqlite"

    @property
    def checkpoints(self) -> Path:
        """States of trials that may still be continued."""
        return self.path / "checkpoints"

    @property
    def probes(self) -> Path:
        """Linear heads on frozen features."""
        return self.path / "probes"

    @property
    def best(self) -> Path:
        """The model of the best epoch so far."""
        return self.path / "best"

    @property
    def tensorboard(self) -> Path:
        """Curves for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def cache(self) -> Path:
        """Decoded images."""
        return self.path / "cache"

    @property
    def feature_bank(self) -> Path:
        """What frozen parts of backbones made of images."""
        return self.path / "feature_bank"

    @property
    def members(self) -> Path:
        """Retrained models."""
        return self.path / "members"

    @property
    def predictions(self) -> Path:
        """Probabilities, one file a member and split."""
        return self.path / "predictions"

    @property
    def blend(self) -> Path:
        """Members, weights and scores."""
        return self.path / "blend.json"

    @property
    def recipe(self) -> Path:
        """What the ensemble was made from."""
        return self.path / "recipe.yaml"

    @property
    def submission(self) -> Path:
        """One label for each test image."""
        return self.path / "submission.csv"

    @property
    def probabilities(self) -> Path:
        """Probabilities of each class for each test image."""
        return self.path / "probabilities.csv"

    @property
    def report(self) -> Path:
        """What happened, for people."""
        return self.path / "report.html"

    def require(self, path: Path, command: str) -> Path:
        """Return `path`, which `command` would have written.

        Raises:
            RunError: If it is missing.
        """
        if not path.exists():
            raise RunError(
                f"`{self.path}` has no {path.name}, which `automl-flowers {command}` writes.",
                hint=f"run `automl-flowers {command} --run {self.path}` first",
            )
        return path

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for writing while the block runs.

        Raises:
            RunError: If another process holds it, with its process number and host, or the
                folder cannot be written to.
        """
        lock = filelock.FileLock(self.path / ".lock")
        holder = self.path / ".lock-holder.json"
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
            holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))
        except filelock.Timeout:
            raise RunError(
                f"Run `{self.path}` is in use by {_describe(holder)}.",
                hint="wait for it to end, or choose another folder with `--run`",
            ) from None
        except OSError as error:
            lock.release()
            raise RunError(
                f"Run folder `{self.path}` cannot be written to: {error.strerror or error}.",
                hint="choose another folder with `--run`",
            ) from error
        try:
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()
            self._remove_if_unused()

    def _remove_if_unused(self) -> None:
        """Leave no folder behind where nothing was written to it but what images look like.

        They are those of a search that was refused before it began.
        """
        made = {path for name in _MADE_OF_DATA for path in self.cache.glob(name)}
        ours = {self.path / ".lock", self.cache} | made
        if not ours.issuperset(self.path.iterdir()):
            return
        if self.cache.is_dir() and not ours.issuperset(self.cache.iterdir()):
            return
        shutil.rmtree(self.path)


def _describe(holder: Path) -> str:
    try:
        owner = json.loads(holder.read_text(encoding="utf-8"))
        return f"process {owner['pid']} on {owner['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def open_run(run: str | None) -> RunFolder:
    """Return a run folder by its path, or the latest one.

    Raises:
        RunError: If there is none.
    """
    folder = RunFolder(Path(run)) if run else latest_run()
    folder.require(folder.config, "search")
    return folder


def latest_run(runs: Path = RUNS) -> RunFolder:
    """Return the run whose ledger changed last.

    Raises:
        RunError: If there is none.
    """
    ledgers = sorted(runs.glob("*/ledger.sqlite"), key=_changed)
    if not ledgers:
        raise RunError(
            f"There is no run below `{runs}`.",
            hint="start one with `automl-flowers search`, or name one with `--run`",
        )
    return RunFolder(ledgers[-1].parent)


def _changed(ledger: Path) -> float:
    """Return when a ledger changed: of a running or killed run, its write-ahead log did."""
    changed = ledger.stat().st_mtime
    with contextlib.suppress(FileNotFoundError):
        changed = max(changed, ledger.with_name(f"{ledger.name}-wal").stat().st_mtime)
    return changed
