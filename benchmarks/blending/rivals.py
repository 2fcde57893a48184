"""AutoGluon, phem and `cma`, installed into an environment of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .contestants import THREADS

WORKER = Path(__file__).with_name("rival_worker.py")

PACKAGES = {
    "AutoGluon": ("autogluon.core==1.6.3",),
    "phem": ("--no-deps", "phem==0.0.0.2"),
    "what phem needs": ("cma==4.5.0", "scikit-learn"),
}
"""Of what phem asks for, only this is needed for blending; the rest of it does not build today."""

RIVALS = ("AutoGluon greedy", "phem greedy", "published CMA-ES")
"""Names that `rival_worker` knows."""


@dataclass(frozen=True, eq=False)
class RivalFit:
    """Weights, which need not be shares, the score reported and the seconds of the fit."""

    weights: np.ndarray
    reported: float
    seconds: float


def install(folder: Path) -> dict[str, str]:
    """Make the environment and return what could not be installed, with the reason.

    An environment that is there is used again.
    """
    python = python_of(folder)
    if not python.exists():
        venv.create(folder, with_pip=True)
    failures = {}
    for name, package in PACKAGES.items():
        command = [str(python), "-m", "pip", "install", "--quiet", *package]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        if ran.returncode:
            failures[name] = _reason(ran)
    return failures


def python_of(folder: Path) -> Path:
    """Return the interpreter of an environment."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def fit(name: str, labels: np.ndarray, stack: np.ndarray, folder: Path) -> RivalFit | str:
    """Return what a rival fits, or why it could not."""
    exchange = folder / "predictions.npz"
    np.savez(exchange, labels=labels, stack=stack)
    ran = subprocess.run(  # noqa: S603
        [str(python_of(folder)), str(WORKER), name, str(exchange)],
        capture_output=True,
        text=True,
        check=False,
        env=environment_of_rival(),
    )
    if ran.returncode:
        return _reason(ran)
    result = json.loads(ran.stdout.splitlines()[-1])
    return RivalFit(np.array(result["weights"]), result["reported"], result["seconds"])


def environment_of_rival() -> dict[str, str]:
    """Return the variables that a rival runs with: ours, without our paths, on our threads."""
    ours = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**ours, "OMP_NUM_THREADS": str(THREADS)}


def _reason(ran: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of what a command said, or how it ended."""
    lines = ran.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended with {ran.returncode} and said nothing"
