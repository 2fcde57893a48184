"""What is wrong here, and what mends it: one line a check.

    CHECKS    name -> a pure function from facts to a finding, tested as a table
    examine   all of them
    explain   remedies for the errors that a log holds

`machine` gathers the facts. A `problem` will stop a search with its defaults; a `warning` makes
it slower or poorer, or will matter elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from automl_flowers.known_errors import find_all, find_remedy
from automl_flowers.machine import (
    TENSORFLOW_BUILDS,
    Folder,
    MachineFacts,
)
from automl_flowers.published_weights import NETWORK_SECONDS, WEIGHTS_HOST
from automl_flowers.tensorflow_import import INSTALL_HINT

Level = Literal["ok", "warning", "problem"]

PYTHON_FROM, PYTHON_BEFORE = (3, 11), (3, 14)
LIBTPU = "0.0.21.1"
"""The libtpu that tensorflow-tpu 2.20.0 was run with."""

GIBIBYTE = 2**30
LITTLE_MEMORY, TOO_LITTLE_MEMORY = 3 * GIBIBYTE, GIBIBYTE
"""A search of the embedded default takes 1.1 GiB at its peak; larger backbones take more."""

LITTLE_DISK, TOO_LITTLE_DISK = 5 * GIBIBYTE, GIBIBYTE // 4

_MOST_LISTED = 6
_COLOURS = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        level: `ok`, `warning` or `problem`.
        text: What is so.
        remedy: What mends it, or None where nothing needs to.
    """

    level: Level
    text: str
    remedy: str | None = None


def _python(facts: MachineFacts) -> Finding:
    version = ".".join(map(str, facts.python))
    if PYTHON_FROM <= facts.python[:2] < PYTHON_BEFORE:
        return Finding("ok", version)
    return Finding("problem", f"{version}, and 3.11 to 3.13 work", "use Python 3.11, 3.12 or 3.13")


def _packages(facts: MachineFacts) -> Finding:
    shown = ("automl-flowers", *TENSORFLOW_BUILDS, "keras", "keras-tuner", "numpy", "jax", "libtpu")
    here = [f"{name} {facts.packages[name]}" for name in shown if name in facts.packages]
    if facts.unmet:
        mending = "`pip install --upgrade 'automl-flowers[cpu]'` in a fresh environment"
        missing = any(sentence.endswith("is missing") for sentence in facts.unmet)
        return Finding("problem" if missing else "warning", "; ".join(facts.unmet), mending)
    return Finding("ok", ", ".join(here))


def _wheels(facts: MachineFacts) -> Finding:
    """Packages that do not go together although each is fine."""
    here = facts.packages
    builds = [name for name in TENSORFLOW_BUILDS if name in here]
    if len(builds) > 1:
        return Finding(
            "warning",
            f"{' and '.join(builds)} overwrite each other's files",
            f"`pip uninstall {' '.join(builds)}`, then install the one you want",
        )
    if "tensorflow-tpu" in here and here.get("libtpu") != LIBTPU:
        return Finding(
            "warning",
            f"tensorflow-tpu beside libtpu {here.get('libtpu', 'none')}; newer ones than it was "
            "made for abort Python",
            f"`pip install libtpu=={LIBTPU}`",
        )
    if "tensorflow-addons" in here:
        return Finding(
            "warning",
            "tensorflow-addons does not work beside Keras 3",
            "`pip uninstall tensorflow-addons`; nothing here needs it",
        )
    return Finding("ok", "no packages that get in each other's way")


def _tensorflow(facts: MachineFacts) -> Finding:
    found = facts.tensorflow
    if not any(name in facts.packages for name in TENSORFLOW_BUILDS) and found.error:
        return Finding("problem", "TensorFlow is not installed", INSTALL_HINT)
    if found.error:
        first = next(line for line in found.error.splitlines() if line.strip())
        return Finding(
            "problem",
            f"cannot be imported: {first}",
            find_remedy(found.error) or f"in a fresh environment, {INSTALL_HINT}",
        )
    if found.keras_backend != "tensorflow":
        return Finding(
            "warning",
            f"imported in {found.seconds:g} s, but Keras runs on {found.keras_backend}",
            "unset KERAS_BACKEND, or set `backend` in ~/.keras/keras.json to tensorflow",
        )
    return Finding("ok", f"imported in {found.seconds:g} s, with Keras and Keras Tuner")


def _devices(facts: MachineFacts) -> Finding:
    cpu = f"CPU, {facts.num_cpus} core{'' if facts.num_cpus == 1 else 's'}"
    if facts.tensorflow.error:
        return Finding("warning", f"{cpu}; GPUs unknown without TensorFlow", "see `tensorflow`")
    if facts.tensorflow.num_gpus:
        described = "; ".join(
            f"{g.name}, {_size(g.free)} of {_size(g.total)} free" for g in facts.gpus
        )
        seen = f"{facts.tensorflow.num_gpus} GPU{'' if facts.tensorflow.num_gpus == 1 else 's'}"
        return Finding("ok", f"{seen}{f' ({described})' if described else ''}; {cpu}")
    if facts.gpus and facts.variables.get("CUDA_VISIBLE_DEVICES") != "-1":
        names = ", ".join(gpu.name for gpu in facts.gpus)
        return Finding(
            "warning",
            f"{cpu}; TensorFlow does not see the GPU that is here ({names})",
            "`pip install 'automl-flowers[gpu]'` in a fresh environment",
        )
    return Finding("ok", f"{cpu}; no GPU")


def _tpu(facts: MachineFacts) -> Finding:
    hinted = ", ".join(facts.tpu_hints)
    if not facts.tpu_hints:
        return Finding("ok", "nothing hints at one")
    if facts.tpu is None:
        return Finding("warning", f"hinted at by {hinted}, not tried", "see `tensorflow`")
    if facts.tpu.num_devices:
        return Finding("ok", f"{facts.tpu.address!r} answered with {facts.tpu.num_devices} devices")
    return Finding(
        "warning",
        f"hinted at by {hinted}, but {facts.tpu.address!r} cannot be used: {facts.tpu.summary}",
        facts.tpu.remedy or "`--strategy auto` will use the next best device",
    )


def _memory(facts: MachineFacts) -> Finding:
    if facts.memory_total is None:
        return Finding("ok", "not known on this system")
    free = facts.memory_total if facts.memory_free is None else facts.memory_free
    limited = ""
    if facts.memory_limit is not None:
        free = min(free, facts.memory_limit)
        limited = f"; this container may use {_size(facts.memory_limit)}"
    text = f"{_size(free)} of {_size(facts.memory_total)} free{limited}"
    if free >= LITTLE_MEMORY:
        return Finding("ok", text)
    remedy = "close other programs, or choose a smaller `--batch-size` and `--image-size`"
    return Finding("problem" if free < TOO_LITTLE_MEMORY else "warning", text, remedy)


def _disk(facts: MachineFacts) -> Finding:
    if not facts.folders:
        return Finding("ok", "not known on this system")
    tightest = min(facts.folders, key=lambda folder: folder.free)
    text = f"{_size(tightest.free)} free for {tightest.purpose} ({tightest.path})"
    if tightest.free >= LITTLE_DISK:
        return Finding("ok", text)
    level: Level = "problem" if tightest.free < TOO_LITTLE_DISK else "warning"
    return Finding(level, text, "make room, or put runs elsewhere with `--run`")


_MOVE = {
    "runs": "choose a folder that you may write to with `--run`",
    "drawn flowers": "set XDG_CACHE_HOME to a folder that you may write to, or give `--data`",
    "downloaded weights": "set KERAS_HOME to a folder that you may write to",
    "temporary files": "set TMPDIR to a folder that you may write to",
}


def _folders(facts: MachineFacts) -> Finding:
    closed: list[Folder] = [folder for folder in facts.folders if not folder.is_writable]
    if not closed:
        return Finding("ok", "runs, caches and temporary files can be written")
    level: Level = "warning"
    if any(folder.purpose != "downloaded weights" for folder in closed):
        level = "problem"
    listed = ", ".join(f"{folder.purpose} ({folder.path})" for folder in closed)
    return Finding(level, f"cannot write {listed}", "; ".join(_MOVE[f.purpose] for f in closed))


def _weights(facts: MachineFacts) -> Finding:
    here = [name for name, is_here in facts.weights.items() if is_here]
    missing = [name for name, is_here in facts.weights.items() if not is_here]
    if not missing:
        return Finding("ok", f"here: {', '.join(here)}")
    listed = ", ".join(missing) if len(missing) <= _MOST_LISTED else f"{len(missing)} others"
    text = f"here: {', '.join(here) or 'none'}; to be downloaded: {listed}"
    if facts.has_network:
        return Finding("ok", text)
    if here:
        return Finding("warning", text, "searches skip those that cannot be had; connect once")
    return Finding("problem", text, "connect once, or start from `--weights none`")


def _network(facts: MachineFacts) -> Finding:
    if facts.has_network:
        return Finding("ok", f"{WEIGHTS_HOST} answers")
    return Finding(
        "warning",
        f"{WEIGHTS_HOST} does not answer within {NETWORK_SECONDS:g} s; downloaded weights and "
        "gs:// addresses need it, nothing else does",
        "connect once if you want those",
    )


def _numbers(facts: MachineFacts) -> Finding:
    """What the last digits of results depend on."""
    build = next((f"{n} {facts.packages[n]}" for n in TENSORFLOW_BUILDS if n in facts.packages), "")
    parts = [build, facts.instructions, f"{facts.num_cpus} threads"]
    parts += [f"{name}={value}" for name, value in facts.variables.items()]
    return Finding("ok", f"bit-equal on CPUs with the same {', '.join(filter(None, parts))}")


CHECKS: Mapping[str, Callable[[MachineFacts], Finding]] = MappingProxyType(
    {
        "python": _python,
        "packages": _packages,
        "wheels": _wheels,
        "tensorflow": _tensorflow,
        "devices": _devices,
        "tpu": _tpu,
        "memory": _memory,
        "disk": _disk,
        "folders": _folders,
        "weights": _weights,
        "network": _network,
        "numbers": _numbers,
    }
)
"""Every check by its name, in the order of the output."""


def examine(facts: MachineFacts) -> dict[str, Finding]:
    """Return what each check finds."""
    return {name: check(facts) for name, check in CHECKS.items()}


def has_problem(findings: Mapping[str, Finding]) -> bool:
    """Say whether something will stop a search."""
    return any(finding.level == "problem" for finding in findings.values())


def to_dict(findings: Mapping[str, Finding]) -> dict[str, Any]:
    """Return findings as plain data: what `doctor --json` prints."""
    return {name: dataclasses.asdict(finding) for name, finding in findings.items()}


def explain(log: str) -> list[str]:
    """Return a line for each known error in a log: what it says, and what mends it."""
    return [f"{signature!r}: {remedy}" for signature, remedy in find_all(log)]


def show(findings: Mapping[str, Finding]) -> None:
    """Print findings to stdout, one line each, coloured in a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for name, finding in findings.items():
        remedy = f"; remedy: {finding.remedy}" if finding.remedy else ""
        level = Text(f"{finding.level:8}", style=_COLOURS[finding.level])
        console.print(level + Text(f"  {name:10}  {finding.text}{remedy}"))


def _size(number: int) -> str:
    return f"{number / GIBIBYTE:.1f} GiB"
