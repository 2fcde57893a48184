"""What a run ran on: versions and machine, written beside its results."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from automl_flowers import __version__

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


def _version(package: str) -> str | None:
    for name in (package, f"{package}-cpu", f"{package}-tpu"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
