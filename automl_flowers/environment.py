"""What a run ran on: versions and machine, written beside its results."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Mapping
from importlib import metadata

from automl_flowers import __version__
from automl_flowers.machine import VARIABLES, cpu_instructions
from automl_flowers.tensorflow_import import import_tensorflow

_PACKAGES = (
    "tensorflow",
    "keras",
    "keras-tuner",
    "numpy",
    "scikit-learn",
    "pillow",
    "opencv-python-headless",
)


def describe_environment() -> dict[str, str | int | None]:
    """Return versions of what determines results, and the size of the machine."""
    return {
        "automl-flowers": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        **{name: _version(name) for name in _PACKAGES},
    }


def describe_numerics(
    environ: Mapping[str, str] = os.environ,
) -> dict[str, str | int | bool | None]:
    """Return what else decides the last bits of a result: threads, instructions, determinism.

    Numbers of threads are those that TensorFlow was told to use; 0 leaves them to it. Of the
    environment variables that matter, those that are set.

    Args:
        environ: Environment variables to read.
    """
    threading = import_tensorflow().config.threading
    return {
        "intra_op_threads": threading.get_intra_op_parallelism_threads(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads(),
        "deterministic_ops": _are_operations_deterministic(),
        "cpu_instructions": cpu_instructions(),
        **{name: environ[name] for name in VARIABLES if environ.get(name)},
    }


def _are_operations_deterministic() -> bool | None:
    """Say whether someone asked TensorFlow for it; None where this version does not tell.

    There is a public function to ask for it, and none that tells.
    """
    try:
        config = importlib.import_module("tensorflow.python.framework.config")
        return bool(config.is_op_determinism_enabled())
    except (ImportError, AttributeError):
        return None


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cpu", f"{package}-tpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
