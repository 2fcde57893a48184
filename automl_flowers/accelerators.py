"""Which device to train on: choose it, set it up, and say why.

    decide    facts -> decision; a pure function, tested as a table
    set_up    gathers the facts, decides and builds the `tf.distribute` strategy

A TPU is tried only where something hints at one, and first by a child process (`tpu_probe`).
Every step down from a better device leaves a note with its reason. A device asked for by name is
had or refused.

TensorFlow is imported inside functions only, so importing this module takes milliseconds. Call
`set_up` once, before any other TensorFlow operation.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from automl_flowers.errors import ConfigError, UserError
from automl_flowers.tensorflow_import import INSTALL_HINT, import_tensorflow
from automl_flowers.tpu_probe import (
    IMPORT_STEP,
    TpuProbe,
    explain_failures,
    explain_no_hints,
    find_hints,
    probe_tpu,
    start_tpu,
    tpu_addresses,
)

Kind = Literal["tpu", "mirrored", "gpu", "cpu"]

STRATEGIES = ("auto", "tpu", "mirrored", "gpu", "cpu")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")

TPU_STEPS_PER_EXECUTION = 32
"""Most steps that a TPU takes by itself: long enough that the host's part does not show, short
enough that Ctrl-C is heard within seconds."""

_BFLOAT16_CAPABILITY = (8, 0)
_FLOAT16_CAPABILITY = (7, 0)

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accelerator:
    """A device that is set up and ready to train on.

    Attributes:
        kind: `tpu`; `mirrored`, several devices of this machine kept in step; `gpu`, one; or
            `cpu`.
        strategy: The `tf.distribute.Strategy` under whose scope models are built. For `gpu` and
            `cpu` it is TensorFlow's default strategy, which changes nothing.
        num_replicas: Copies of the model that train in step, at least 1.
        precision: Name of the Keras dtype policy to use. It is not set here.
        reason: One sentence: why this device.
        notes: One for each better device that was passed over, with the reason.
    """

    kind: Kind
    strategy: Any
    num_replicas: int
    precision: str
    reason: str
    notes: tuple[str, ...] = ()

    @property
    def max_steps_per_execution(self) -> int:
        """Most training steps to run between two looks of the host.

        A TPU waits for the host after every look, and its steps are short. Elsewhere it is 1:
        one look costs little beside a step, and under `mirrored` Keras 3.15 on TensorFlow 2.21
        fails with `steps_per_execution` above 1 ("You must feed a value for placeholder tensor").
        """
        return TPU_STEPS_PER_EXECUTION if self.kind == "tpu" else 1

    def global_batch_size(self, per_replica: int) -> int:
        """Return the number of examples in one step over all replicas.

        Raises:
            ConfigError: If `per_replica`, the examples that one replica sees, is below 1.
        """
        if per_replica < 1:
            raise ConfigError(f"The batch size per replica must be at least 1, got {per_replica}.")
        return per_replica * self.num_replicas


def explain_other_replicas(before: int, now: int) -> str | None:
    """Say what another number of replicas means for a learning rate, or return None for the same.

    A recipe's learning rate belongs to the whole step over all replicas, and is never scaled.

    Args:
        before: Replicas of the device that chose the learning rate.
        now: Replicas of the device that is to use it.
    """
    if before == now:
        return None
    larger, times = ("larger", now / before) if now > before else ("smaller", before / now)
    few = "fewer" if now > before else "more"
    return (
        f"The search ran on {_count(before, 'replica')} and this device has {now}: each step is "
        f"{times:g} times {larger} and an epoch has {few} of them, while learning rates stay as "
        "they were chosen."
    )


@dataclass(frozen=True)
class DeviceFacts:
    """All that a decision depends on.

    Attributes:
        hints: Environment variables and device files that speak for a TPU.
        probes: One for each TPU address tried; at most the last one succeeded.
        gpu_capabilities: One for each GPU that TensorFlow sees: its CUDA compute capability, or
            None where that is unknown.
        num_cpus: Logical CPU devices of TensorFlow, which is 1 unless `split_cpu` made more.
        has_nvidia_device: Whether the operating system shows an NVIDIA GPU.
    """

    hints: tuple[str, ...] = ()
    probes: tuple[TpuProbe, ...] = ()
    gpu_capabilities: tuple[tuple[int, int] | None, ...] = ()
    num_cpus: int = 1
    has_nvidia_device: bool = False

    @property
    def tpu(self) -> TpuProbe | None:
        """The TPU that can be used, or None."""
        return next((probe for probe in self.probes if probe.num_devices), None)

    @property
    def num_gpus(self) -> int:
        """How many GPUs TensorFlow sees."""
        return len(self.gpu_capabilities)


@dataclass(frozen=True)
class Decision:
    """Which device to build, and why; attributes are as in `Accelerator`, and one more.

    Attributes:
        devices: What the strategy spans: a TPU's address, or the devices of `mirrored`.
    """

    kind: Kind
    reason: str
    notes: tuple[str, ...] = ()
    precision: str = "float32"
    devices: tuple[str, ...] = ()


def set_up(
    strategy: str = "auto",
    precision: str = "auto",
    *,
    environ: Mapping[str, str] = os.environ,
    probe_seconds: float = 120.0,
) -> Accelerator:
    """Choose a device, set it up, and say why it was chosen.

    `auto` takes the first that can be had of: a TPU (tried only where something hints at one),
    all GPUs, the one GPU, the CPU. Each of the others is taken at its word. A TPU that answered
    before in this process is used again without a new probe, because one process holds it.

    Args:
        strategy: `auto`, `tpu`, `tpu:NAME`, `mirrored`, `gpu` or `cpu`. `NAME` is `local`, the
            name of a Cloud TPU, or `grpc://HOST:PORT`. `mirrored` needs two GPUs, or CPU devices
            from `split_cpu`; `gpu` uses one and hides the others.
        precision: `float32`, `mixed_bfloat16`, `mixed_float16`, or `auto`: `mixed_bfloat16` on a
            TPU and on GPUs of compute capability 8 or higher, `float32` elsewhere.
        environ: Environment variables to look for hints in; the probe's child process gets them
            on top of this process' own.
        probe_seconds: Time limit for one TPU probe, which includes importing TensorFlow.

    Returns:
        The device with its strategy, precision, reason and notes.

    Raises:
        ConfigError: If `strategy` or `precision` is unknown.
        UserError: If TensorFlow is missing or broken, if a device asked for by name cannot be
            had, or if TensorFlow is already running on devices that would have to be hidden.
    """
    wanted, tpu_name = _parse_strategy(strategy)
    _check_name("precision", precision, PRECISIONS)
    facts = _gather(wanted, tpu_name, environ, probe_seconds)
    decision = decide(wanted, precision, facts)
    built = _build(decision, import_tensorflow())
    return Accelerator(
        kind=decision.kind,
        strategy=built,
        num_replicas=int(built.num_replicas_in_sync),
        precision=decision.precision,
        reason=decision.reason,
        notes=decision.notes,
    )


def split_cpu(num_devices: int) -> None:
    """Divide the CPU into logical devices, so that `mirrored` can be tried without a GPU.

    It shows that a program runs on several replicas; it makes nothing faster. Call it first.

    Raises:
        ConfigError: If `num_devices` is below 1.
        UserError: If TensorFlow is missing, or has already started with another number.
    """
    if num_devices < 1:
        raise ConfigError(f"The CPU can be split into 1 device or more, got {num_devices}.")
    tf = import_tensorflow()
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(num_devices)]
    try:
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], parts)
    except RuntimeError as error:
        raise UserError(
            f"The CPU cannot be split into {num_devices} devices: {error}",
            hint="call `split_cpu` before anything else uses TensorFlow",
        ) from error


def decide(strategy: str, precision: str, facts: DeviceFacts) -> Decision:
    """Return which device to use, from plain facts alone.

    Args:
        strategy: One of `STRATEGIES`.
        precision: One of `PRECISIONS`.
        facts: What is known about this machine.

    Raises:
        UserError: If `strategy` names a device that cannot be had.
    """
    chosen = _CHOOSERS[strategy](facts)
    if precision != "auto":
        return replace(chosen, precision=precision)
    return _with_automatic_precision(chosen, facts)


def _parse_strategy(strategy: str) -> tuple[str, str | None]:
    """Return the kind of strategy asked for, and the TPU's name if one was given."""
    kind, colon, name = strategy.partition(":")
    if not colon:
        _check_name("strategy", strategy, STRATEGIES)
        return kind, None
    if kind != "tpu" or not name:
        raise ConfigError(
            f"Unknown strategy {strategy!r}: a colon is for a TPU's name, as in `tpu:local`."
        )
    return kind, name


def _check_name(setting: str, name: str, known: Iterable[str]) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name.lower(), known, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    expected = ", ".join(known) + (", tpu:NAME" if setting == "strategy" else "")
    raise ConfigError(f"Unknown {setting} {name!r}, expected one of: {expected}.{suggestion}")


def _gather(
    wanted: str, tpu_name: str | None, environ: Mapping[str, str], seconds: float
) -> DeviceFacts:
    hints = find_hints(environ)
    addresses: tuple[str, ...] = (tpu_name,) if tpu_name else ()
    if not tpu_name and (wanted == "tpu" or (wanted == "auto" and hints)):
        addresses = tpu_addresses(environ, hints)
    probes: list[TpuProbe] = []
    for address in addresses:
        probes.append(_probe(address, environ, seconds))
        if probes[-1].num_devices:
            break
    facts = DeviceFacts(hints, tuple(probes))
    return facts if wanted == "tpu" or facts.tpu else _with_local_devices(facts)


def _probe(address: str, environ: Mapping[str, str], seconds: float) -> TpuProbe:
    probe = probe_tpu(address, environ=environ, seconds=seconds)
    if probe.step == IMPORT_STEP and probe.timed_out:
        _LOGGER.warning("TPU %r: %s", address, probe.summary)
    elif probe.step == IMPORT_STEP:  # what ended the child would end this process
        hint = probe.remedy or INSTALL_HINT
        raise UserError(f"TensorFlow cannot be used here. {probe.summary}", hint=hint)
    return probe


def _with_local_devices(facts: DeviceFacts) -> DeviceFacts:
    tf = import_tensorflow()
    cpu = tf.config.get_visible_devices("CPU")[0]
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return replace(
        facts,
        gpu_capabilities=tuple(detail.get("compute_capability") for detail in details),
        num_cpus=len(tf.config.get_logical_device_configuration(cpu) or [cpu]),
        has_nvidia_device=Path("/dev/nvidia0").exists(),
    )


def _choose_automatically(facts: DeviceFacts) -> Decision:
    if facts.tpu:
        return _choose_tpu(facts)
    notes = explain_failures(facts.probes, facts.hints) or (explain_no_hints(),)
    if facts.num_gpus >= 2:
        return replace(_choose_mirrored(facts), notes=notes)
    if facts.num_gpus == 1:
        return Decision("gpu", "TensorFlow sees one GPU, so training runs on it.", notes)
    reason = "No TPU and no GPU can be used here, so training runs on the CPU."
    return Decision("cpu", reason, (*notes, _no_gpu(facts)))


def _choose_tpu(facts: DeviceFacts) -> Decision:
    tpu = facts.tpu
    if tpu is None:
        remedies = [probe.remedy for probe in facts.probes if probe.remedy]
        raise UserError(
            " ".join(f"The TPU {p.address!r} cannot be used: {p.summary}" for p in facts.probes),
            hint=remedies[0] if remedies else "choose `auto` for the best device that can be had",
        )
    notes = explain_failures(facts.probes, facts.hints)
    if tpu.num_devices == 1:
        notes += ("TPU: one device answered; if it has more, start its session again.",)
    reason = f"The TPU {tpu.address!r} answered with {_count(tpu.num_devices, 'device')}."
    return Decision("tpu", reason, notes, devices=(tpu.address,))


def _choose_mirrored(facts: DeviceFacts) -> Decision:
    unit, number = ("gpu", facts.num_gpus) if facts.num_gpus else ("cpu", facts.num_cpus)
    if number < 2:
        raise UserError(
            "`mirrored` needs two devices of one kind, but TensorFlow sees "
            f"{_count(facts.num_gpus, 'GPU')} and {_count(facts.num_cpus, 'CPU device')}.",
            hint="choose `gpu`" if facts.num_gpus else "choose `cpu`, or call `split_cpu(2)` first",
        )
    reason = f"TensorFlow sees {number} GPUs, so each step is shared among them."
    if unit == "cpu":
        reason = f"`mirrored` was asked for, over {number} logical CPU devices."
    devices = tuple(f"/{unit}:{index}" for index in range(number))
    return Decision("mirrored", reason, devices=devices)


def _choose_gpu(facts: DeviceFacts) -> Decision:
    if not facts.num_gpus:
        raise UserError(
            f"`gpu` was asked for. {_no_gpu(facts)}",
            hint="run `pip install 'automl-flowers[gpu]'` where there is one, or choose `auto`",
        )
    idle = facts.num_gpus - 1
    notes = (f"Mirrored: {_count(idle, 'further GPU')} left unused; choose `mirrored`.",)
    return Decision("gpu", "`gpu` was asked for.", notes if idle else ())


def _choose_cpu(facts: DeviceFacts) -> Decision:
    notes = (f"GPU: {_count(facts.num_gpus, 'GPU')} left unused; choose `auto`.",)
    return Decision("cpu", "`cpu` was asked for.", notes if facts.num_gpus else ())


_CHOOSERS: Mapping[str, Callable[[DeviceFacts], Decision]] = {
    "auto": _choose_automatically,
    "tpu": _choose_tpu,
    "mirrored": _choose_mirrored,
    "gpu": _choose_gpu,
    "cpu": _choose_cpu,
}


def _no_gpu(facts: DeviceFacts) -> str:
    if facts.has_nvidia_device:
        return (
            "GPU: the machine has an NVIDIA GPU, but this TensorFlow sees none: it is a build for "
            "CPUs, or the CUDA libraries are missing. Remedy: `pip install 'automl-flowers[gpu]'`."
        )
    return "GPU: TensorFlow sees none."


def _with_automatic_precision(chosen: Decision, facts: DeviceFacts) -> Decision:
    if chosen.kind == "cpu":
        return chosen
    lowest = min((capability or (0, 0) for capability in facts.gpu_capabilities), default=(0, 0))
    if chosen.kind == "tpu" or lowest >= _BFLOAT16_CAPABILITY:
        return replace(chosen, precision="mixed_bfloat16")
    if lowest < _FLOAT16_CAPABILITY:
        return chosen
    note = (
        "Precision: float32, because bfloat16 needs compute capability 8.0 and the GPU has "
        f"{lowest[0]}.{lowest[1]}; `mixed_float16` may be faster on it."
    )
    return replace(chosen, notes=(*chosen.notes, note))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _build(decision: Decision, tf: Any) -> Any:
    if decision.kind == "tpu":
        return start_tpu(tf, decision.devices[0])
    if decision.kind == "mirrored":
        return tf.distribute.MirroredStrategy(decision.devices)
    _hide_gpus(tf, keep=1 if decision.kind == "gpu" else 0)
    return tf.distribute.get_strategy()


def _hide_gpus(tf: Any, *, keep: int) -> None:
    gpus = tf.config.get_visible_devices("GPU")
    if len(gpus) <= keep:
        return
    try:
        tf.config.set_visible_devices(gpus[:keep], "GPU")
    except RuntimeError as error:
        raise UserError(
            "TensorFlow already runs on GPUs that were to be left unused.",
            hint="choose the device before anything else uses TensorFlow, or start with "
            f"CUDA_VISIBLE_DEVICES={0 if keep else -1}",
        ) from error
