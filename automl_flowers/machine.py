"""What there is on this machine: the facts that `doctor` judges. It judges nothing itself.

Nothing here needs TensorFlow: a child process imports it, because an import that aborts would
end this one, and the network is asked meanwhile. Each part is thin; what a part cannot find out
is None or empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from automl_flowers.files import read_if_there
from automl_flowers.memory import container_limit, machine_memory
from automl_flowers.published_weights import (
    NETWORK_SECONDS,
    WEIGHTS_URL,
    can_reach,
    kept_file,
    keras_home,
)
from automl_flowers.run_folder import RUNS
from automl_flowers.tpu_probe import (
    TpuProbe,
    explain_silence,
    find_hints,
    probe_tpu,
    run_limited,
    tpu_addresses,
)
from search_spaces.backbones import BACKBONES

if TYPE_CHECKING:
    from packaging.requirements import Requirement

IMPORT_SECONDS = 60.0
TPU_SECONDS = 60.0

TENSORFLOW_BUILDS = (
    *("tensorflow", "tensorflow-cpu", "tensorflow-tpu", "tensorflow-rocm", "tensorflow-macos"),
    *("tf-nightly", "tf-nightly-cpu"),
)
"""Packages that bring a module called `tensorflow`."""

EXTRAS = ("cpu", "gpu", "tpu")
"""Our extras that bring TensorFlow."""

PACKAGES = (
    *("automl-flowers", *TENSORFLOW_BUILDS, "keras", "keras-tuner", "tensorboard", "numpy"),
    *("opencv-python-headless", "protobuf", "jax", "libtpu", "tensorflow-addons", "tf-keras"),
)
"""Packages whose versions are looked up."""

VARIABLES = (
    *("KERAS_BACKEND", "TF_USE_LEGACY_KERAS", "TF_DETERMINISTIC_OPS", "TF_ENABLE_ONEDNN_OPTS"),
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"),
    "CUDA_VISIBLE_DEVICES",
)
"""Environment variables that change what a search computes."""

_INSTRUCTIONS = ("avx512f", "avx2", "avx", "asimd", "neon")
_MARK = "automl-flowers-doctor "
_CHILD = "from automl_flowers.machine import report_tensorflow; report_tensorflow()"


@dataclass(frozen=True)
class TensorFlow:
    """What a child process found when it imported TensorFlow and Keras.

    Attributes:
        seconds: How long that took.
        error: The whole text of the error; empty if both can be imported.
        num_gpus: GPUs that TensorFlow sees.
        keras_backend: What Keras runs on.
    """

    seconds: float = 0.0
    error: str = ""
    num_gpus: int = 0
    keras_backend: str = "tensorflow"


@dataclass(frozen=True)
class Gpu:
    """A GPU as its driver sees it; memory in bytes."""

    name: str
    total: int
    free: int


@dataclass(frozen=True)
class Folder:
    """A place that is written to.

    Attributes:
        purpose: What for.
        path: Where; it need not exist.
        free: Bytes.
        is_writable: Whether a file could be made there, or in the folder that would hold it.
    """

    purpose: str
    path: str
    free: int
    is_writable: bool


@dataclass(frozen=True)
class MachineFacts:
    """All that the checks judge by.

    Attributes:
        python: Version.
        packages: Version of each installed package among `PACKAGES`.
        unmet: Requirements that are not met, as sentences.
        tensorflow: What its import brought.
        gpus: What the NVIDIA driver shows, whether or not TensorFlow sees it.
        tpu_hints: What speaks for a TPU.
        tpu: The TPU that was tried because of the hints, or None.
        num_cpus: Cores that this process may use.
        instructions: Widest vector instructions of the CPU, of those that change results.
        memory_total: Bytes of the machine, or None.
        memory_free: Bytes that can be had without swapping, or None.
        memory_limit: Bytes that a container may use, if fewer than the machine has.
        folders: Where files are written.
        weights: For each backbone, whether its ImageNet weights are on this machine.
        has_network: Whether the host of Keras' weights answers.
        variables: Those of `VARIABLES` that are set.
    """

    python: tuple[int, int, int] = (3, 11, 0)
    packages: Mapping[str, str] = field(default_factory=dict)
    unmet: tuple[str, ...] = ()
    tensorflow: TensorFlow = TensorFlow()
    gpus: tuple[Gpu, ...] = ()
    tpu_hints: tuple[str, ...] = ()
    tpu: TpuProbe | None = None
    num_cpus: int = 1
    instructions: str = ""
    memory_total: int | None = None
    memory_free: int | None = None
    memory_limit: int | None = None
    folders: tuple[Folder, ...] = ()
    weights: Mapping[str, bool] = field(default_factory=dict)
    has_network: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


def gather(environ: Mapping[str, str] = os.environ) -> MachineFacts:
    """Look at this machine; takes as long as importing TensorFlow, and on a hint trying the TPU.

    Args:
        environ: Environment variables to read.
    """
    answers: list[bool] = []
    asking = threading.Thread(target=lambda: answers.append(can_reach(WEIGHTS_URL)), daemon=True)
    asking.start()
    packages = installed_versions(PACKAGES)
    total, free = machine_memory()
    hints = find_hints(environ)
    tensorflow = import_in_child(environ, IMPORT_SECONDS)
    facts = MachineFacts(
        python=sys.version_info[:3],
        packages=packages,
        unmet=_unmet(packages),
        tensorflow=tensorflow,
        gpus=_nvidia_gpus(),
        tpu_hints=hints,
        tpu=_try_tpu(environ, hints) if hints and not tensorflow.error else None,
        num_cpus=_usable_cpus(),
        instructions=cpu_instructions(),
        memory_total=total,
        memory_free=free,
        memory_limit=container_limit(total),
        folders=tuple(_look_at(*place) for place in _places(environ)),
        weights={name: _has_weights(name, environ) for name in BACKBONES},
        variables={name: environ[name] for name in VARIABLES if environ.get(name)},
    )
    asking.join(NETWORK_SECONDS)  # looking up a name obeys no time limit
    return replace(facts, has_network=any(answers))


# TensorFlow, in a child process


def import_in_child(environ: Mapping[str, str], seconds: float) -> TensorFlow:
    """Import TensorFlow and Keras in a child process, which is gone when this returns.

    Args:
        environ: Environment variables for the child, on top of this process' own.
        seconds: Time limit.
    """
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    command = [sys.executable, "-P", "-c", _CHILD]
    child = run_limited(command, {**os.environ, **environ, "PYTHONPATH": path}, seconds)
    said = [line for line in child.stdout.splitlines() if line.startswith(_MARK)]
    if not said:
        return TensorFlow(error=explain_silence(child, "import tensorflow", seconds))
    return TensorFlow(**json.loads(said[-1].removeprefix(_MARK)))


def report_tensorflow() -> None:
    """Body of the child process: import TensorFlow and Keras, and print what they see."""
    began = time.monotonic()
    found: dict[str, Any] = {}
    try:
        import tensorflow as tf

        found["num_gpus"] = len(tf.config.list_physical_devices("GPU"))
        import keras

        found["keras_backend"] = keras.backend.backend()
        import keras_tuner  # noqa: F401
    except Exception as error:
        found["error"] = f"{type(error).__name__}: {error}"
    found["seconds"] = round(time.monotonic() - began, 1)
    sys.stdout.write(f"\n{_MARK}{json.dumps(found)}\n")
    sys.stdout.flush()


def _try_tpu(environ: Mapping[str, str], hints: Sequence[str]) -> TpuProbe | None:
    """Return the first TPU that answers, or else the last that does not."""
    probe = None
    for address in tpu_addresses(environ, hints):
        probe = probe_tpu(address, environ=environ, seconds=TPU_SECONDS)
        if probe.num_devices:
            break
    return probe


# Packages


def installed_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version of each package that is installed."""
    found = {}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _unmet(packages: Mapping[str, str]) -> tuple[str, ...]:
    """Return what the installed ones of `PACKAGES` ask for and do not get."""
    return tuple(
        sentence for name in packages for sentence in unmet_of(name, metadata.requires(name) or [])
    )


def unmet_of(name: str, requirements: Iterable[str]) -> list[str]:
    """Return the requirements of a package that are not met here, as sentences.

    Args:
        name: Of the package.
        requirements: As its metadata lists them. Of those of extras only builds of TensorFlow
            count, where they are installed.
    """
    from packaging.requirements import Requirement

    unmet = []
    for requirement in map(Requirement, requirements):
        found = installed_versions([requirement.name]).get(requirement.name)
        if not _applies(requirement, is_here=found is not None):
            continue
        if found is None:
            unmet.append(f"{name} needs {requirement.name}, which is missing")
        elif not requirement.specifier.contains(found, prereleases=True):
            wanted = f"{requirement.name}{requirement.specifier}"
            unmet.append(f"{name} needs {wanted}, and {found} is installed")
    return unmet


def _applies(requirement: Requirement, *, is_here: bool) -> bool:
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return True
    extras = ({"extra": extra} for extra in EXTRAS)
    is_build = is_here and requirement.name in TENSORFLOW_BUILDS
    return is_build and any(requirement.marker.evaluate(extra) for extra in extras)


# The machine


def parse_gpus(text: str) -> tuple[Gpu, ...]:
    """Read `nvidia-smi --query-gpu=name,memory.total,memory.free --format=csv,noheader,nounits`."""
    rows = [line.rsplit(",", 2) for line in text.splitlines() if line.count(",") >= 2]
    mebibyte = 2**20
    return tuple(
        Gpu(name.strip(), int(total) * mebibyte, int(free) * mebibyte)
        for name, total, free in rows
        if total.strip().isdecimal() and free.strip().isdecimal()
    )


def _nvidia_gpus() -> tuple[Gpu, ...]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    query = ["--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return parse_gpus(run_limited([program, *query], os.environ, 5).stdout)
    return ()


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_instructions() -> str:
    """Return the widest vector instructions of this CPU, of those that change results, or ""."""
    return _instructions(read_if_there(Path("/proc/cpuinfo")))


def _instructions(cpuinfo: str) -> str:
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    here = flags.group(1).split() if flags else []
    return next((name for name in _INSTRUCTIONS if name in here), "")


def _places(environ: Mapping[str, str]) -> list[tuple[str, Path]]:
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return [
        ("runs", RUNS.absolute()),
        ("drawn flowers", cache / "automl-flowers"),
        ("downloaded weights", keras_home(environ) / "models"),
        ("temporary files", Path(tempfile.gettempdir())),
    ]


def _look_at(purpose: str, path: Path) -> Folder:
    nearest = next(place for place in (path, *path.parents) if place.exists())
    return Folder(purpose, str(path), shutil.disk_usage(nearest).free, _can_write(nearest))


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError:
        return False
    return True


def _has_weights(name: str, environ: Mapping[str, str]) -> bool:
    backbone = BACKBONES[name]
    if backbone.weights_package is not None:
        return bool(installed_versions([backbone.weights_package]))
    return kept_file(backbone, environ).is_file()
