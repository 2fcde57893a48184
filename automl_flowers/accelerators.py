"""Which device to train on: choose it, set it up, never hang, and say why.

Three layers, from pure to real:

    find_hints, probe_tpu, ...   gather plain facts: what hints at a TPU, did it answer, which GPUs
    decide                       facts -> decision; a pure function, tested as a table
    set_up                       gathers, decides and builds the `tf.distribute` strategy

A TPU is tried only where something hints at one, and first by a child process with a time limit:
a libtpu that does not fit TensorFlow aborts the interpreter, and connecting to a dead address
waits for ever, both inside C++, where neither `try` nor a thread helps. Every step down from a
better device leaves a note with its reason. A device asked for by name is had or refused.

TensorFlow is imported inside functions only, so importing this module takes milliseconds. Call
`set_up` once, before any other TensorFlow operation.
"""

from __future__ import annotations

import difflib
import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from automl_flowers.errors import ConfigError, UserError

Kind = Literal["tpu", "mirrored", "gpu", "cpu"]

STRATEGIES = ("auto", "tpu", "mirrored", "gpu", "cpu")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")

INSTALL_HINT = (
    "run `pip install 'automl-flowers[cpu]'`, or `[gpu]` or `[tpu]` in place of `[cpu]` for a "
    "build that uses those"
)

_LIBTPU_TOO_NEW = "libtpu is too new for this TensorFlow; run `pip install libtpu==0.0.21.1`"

REMEDIES: tuple[tuple[str, str], ...] = (
    ("ConfigureDistributedTpuOp_DoWork not available", _LIBTPU_TOO_NEW),
    ("No TPU platform found", _LIBTPU_TOO_NEW),
    (
        "No OpKernel was registered to support Op 'ConfigureDistributedTPU'",
        "this TensorFlow has no TPU support; uninstall it, then install `automl-flowers[tpu]`",
    ),
    (
        "tpu_node_interfaces",
        "TensorFlow supports TPUs but finds no chip; give this machine a TPU and start it again",
    ),
    (
        "libtpu_lockfile",
        "stop the other process that holds the TPU, or set ALLOW_MULTIPLE_LIBTPU_LOAD=1",
    ),
    ("Failed to fetch URL", "outside Google Cloud, set TPU_SKIP_MDS_QUERY=1"),
    ("Please provide a TPU Name", "name the TPU, as in `tpu:local`, or by TPU_NAME"),
    (
        "Name or service not known",
        "outside Google Cloud a TPU has no name; use `tpu:local` or `tpu:grpc://HOST:8470`",
    ),
    (
        "File system scheme '[local]' not implemented",
        "this TPU is on another host and cannot read local files; use gs:// paths",
    ),
    ("SIGSEGV", "TensorFlow 2.17 and 2.18 are known to crash so on TPU VMs; use 2.20"),
    ("No answer within", "check that the TPU is on and its address right, or allow more seconds"),
)
"""Known signatures in a TPU's error, each with what mends it; the first that occurs counts."""

_REMOTE_HINTS = ("TPU_NAME", "COLAB_TPU_ADDR")
_LOCAL_HINTS = ("TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE", "ISTPUVM")
# Numbered only: /dev/accel/ holds other makers' chips, /dev/vfio/vfio is on machines without any.
_DEVICE_FILES = ("accel[0-9]*", "vfio/[0-9]*")

_BFLOAT16_CAPABILITY = (8, 0)
_FLOAT16_CAPABILITY = (7, 0)

_IMPORT_STEP = "import tensorflow"
_PROBE_MARK = "automl-flowers-probe "
_PROBE_CODE = (
    "import sys; from automl_flowers.accelerators import probe_main; "
    "probe_main(sys.argv[1], float(sys.argv[2]))"
)
_GRACE_SECONDS = 5

_LOGGER = logging.getLogger(__name__)
_tpu_strategies: dict[str, Any] = {}


@dataclass(frozen=True)
class Accelerator:
    """A device that is set up and ready to train on.

    Attributes:
        kind: `tpu`; `mirrored`, several devices of this machine kept in step; `gpu`, one; or
            `cpu`. Under `mirrored`, Keras 3.15 on TensorFlow 2.21 fails with `jit_compile=True`
            and with `steps_per_execution` above 1.
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

    def global_batch_size(self, per_replica: int) -> int:
        """Return the number of examples in one step over all replicas.

        Args:
            per_replica: Examples that one replica sees in a step, at least 1.

        Raises:
            ConfigError: If `per_replica` is below 1.
        """
        if per_replica < 1:
            raise ConfigError(f"The batch size per replica must be at least 1, got {per_replica}.")
        return per_replica * self.num_replicas


@dataclass(frozen=True)
class Probe:
    """What a child process found at one TPU address.

    Attributes:
        address: What was tried: `local`, a TPU's name, or `grpc://HOST:PORT`.
        num_devices: TPU cores that answered; 0 if the TPU cannot be used.
        error: The whole text of the error; empty if the TPU can be used.
        step: What the child began last.
        timed_out: Whether the child was stopped because its time was over.
    """

    address: str
    num_devices: int = 0
    error: str = ""
    step: str = ""
    timed_out: bool = False

    @property
    def summary(self) -> str:
        """The first line of the error that says something."""
        return next((line.strip() for line in self.error.splitlines() if line.strip()), "")


@dataclass(frozen=True)
class Facts:
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
    probes: tuple[Probe, ...] = ()
    gpu_capabilities: tuple[tuple[int, int] | None, ...] = ()
    num_cpus: int = 1
    has_nvidia_device: bool = False

    @property
    def tpu(self) -> Probe | None:
        """The TPU that can be used, or None."""
        return next((probe for probe in self.probes if probe.num_devices), None)

    @property
    def num_gpus(self) -> int:
        """How many GPUs TensorFlow sees."""
        return len(self.gpu_capabilities)


@dataclass(frozen=True)
class Decision:
    """Which device to build, and why.

    Attributes:
        kind: As in `Accelerator`.
        reason: As in `Accelerator`.
        notes: As in `Accelerator`.
        precision: As in `Accelerator`.
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
    wanted, tpu_name = parse_strategy(strategy)
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


def import_tensorflow() -> Any:
    """Import TensorFlow and return it.

    Raises:
        UserError: If TensorFlow is not installed or cannot be imported; the hint holds the
            command that installs it.
    """
    try:
        import tensorflow
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise _broken_tensorflow(str(error)) from error
        raise UserError("TensorFlow is not installed.", hint=INSTALL_HINT) from None
    except ImportError as error:
        raise _broken_tensorflow(str(error)) from error
    return tensorflow


def split_cpu(num_devices: int) -> None:
    """Divide the CPU into logical devices, so that `mirrored` can be tried without a GPU.

    It shows that a program runs on several replicas; it makes nothing faster.

    Args:
        num_devices: How many logical devices, at least 1.

    Raises:
        ConfigError: If `num_devices` is below 1.
        UserError: If TensorFlow is missing, or has already started with another number.

    Example:
        >>> split_cpu(2)  # doctest: +SKIP
        >>> set_up("mirrored").num_replicas  # doctest: +SKIP
        2
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


def parse_strategy(strategy: str) -> tuple[str, str | None]:
    """Return the kind of strategy asked for, and the TPU's name if one was given.

    Args:
        strategy: As in `set_up`.

    Raises:
        ConfigError: If it is unknown; the message suggests the closest one.
    """
    kind, colon, name = strategy.partition(":")
    if not colon:
        _check_name("strategy", strategy, STRATEGIES)
        return kind, None
    if kind != "tpu" or not name:
        raise ConfigError(
            f"Unknown strategy {strategy!r}: a colon is for a TPU's name, as in `tpu:local`."
        )
    return kind, name


def decide(strategy: str, precision: str, facts: Facts) -> Decision:
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


def find_hints(environ: Mapping[str, str], dev: Path = Path("/dev")) -> tuple[str, ...]:
    """Return what speaks for a TPU: names of variables that are set, paths of device files.

    Args:
        environ: Environment variables; an empty one counts as not set.
        dev: Folder of device files.
    """
    variables = (name for name in (*_REMOTE_HINTS, *_LOCAL_HINTS) if environ.get(name))
    files = (str(path) for pattern in _DEVICE_FILES for path in sorted(dev.glob(pattern)))
    return (*variables, *files)


def tpu_addresses(environ: Mapping[str, str], hints: Sequence[str]) -> tuple[str, ...]:
    """Return the TPU addresses worth trying, best first.

    Args:
        environ: Environment variables that may hold an address.
        hints: What `find_hints` found. Without any, only `local` is left to try.
    """
    colab = environ.get("COLAB_TPU_ADDR", "")
    if colab and "://" not in colab:
        colab = f"grpc://{colab}"
    named = [address for address in (environ.get("TPU_NAME", ""), colab) if address]
    is_local = not named or any(hint not in _REMOTE_HINTS for hint in hints)
    return tuple(dict.fromkeys([*named, "local"] if is_local else named))


def find_remedy(error: str) -> str | None:
    """Return what mends a known TPU error, or None for an unknown one."""
    return next((remedy for signature, remedy in REMEDIES if signature in error), None)


def probe_tpu(address: str, *, environ: Mapping[str, str], seconds: float) -> Probe:
    """Try a TPU in a child process, which is gone when this returns.

    Args:
        address: `local`, the name of a Cloud TPU, or `grpc://HOST:PORT`.
        environ: Environment variables for the child, on top of this process' own.
        seconds: Time limit; a child that needs longer is killed with all its descendants.

    Returns:
        What was found. Failures of every kind are results here, not exceptions.
    """
    # -P: a `tensorflow.py` in the working directory must not shadow the installed one.
    command = [sys.executable, "-P", "-c", _PROBE_CODE, address, str(seconds)]
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    child = run_limited(command, {**os.environ, **environ, "PYTHONPATH": path}, seconds)
    return read_probe(address, child, seconds)


@dataclass(frozen=True)
class Finished:
    """A child process that is over.

    Attributes:
        exit_code: Its exit code, negative for a signal, or None if it had to be killed.
        stdout: What it printed.
        stderr: What it complained about.
    """

    exit_code: int | None
    stdout: str
    stderr: str


def run_limited(command: Sequence[str], environ: Mapping[str, str], seconds: float) -> Finished:
    """Run a command in a process group of its own, and kill the group when time is over.

    Output goes to files, not pipes: a descendant that outlives the command cannot make the
    reader wait.

    Args:
        command: Program and arguments.
        environ: All its environment variables.
        seconds: Time limit.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen(  # noqa: S603  (our own interpreter, no shell)
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
        exit_code = _wait_or_kill(process, seconds)
        stdout.seek(0)
        stderr.seek(0)
        return Finished(
            exit_code,
            stdout.read().decode(errors="replace"),
            stderr.read().decode(errors="replace"),
        )


def read_probe(address: str, child: Finished, seconds: float) -> Probe:
    """Return what a probe's child process reported, or how it fell silent.

    A child that gave its answer and then hung or crashed on its way out has answered.

    Args:
        address: What it tried.
        child: The child process, over.
        seconds: The time limit it had.
    """
    said: dict[str, Any] = {"step": "starting Python"}
    for line in child.stdout.splitlines():
        if line.startswith(_PROBE_MARK):
            said |= json.loads(line.removeprefix(_PROBE_MARK))
    num_devices, error = said.get("num_devices", 0), said.get("error", "")
    silent = not num_devices and not error
    return Probe(
        address=address,
        num_devices=num_devices,
        error=_explain_silence(child, said["step"], seconds) if silent else error,
        step=said["step"],
        timed_out=silent and child.exit_code is None,
    )


def probe_main(address: str, seconds: float) -> None:
    """Body of the probe's child process: try a TPU, and print each step and the result.

    Args:
        address: `local`, the name of a Cloud TPU, or `grpc://HOST:PORT`.
        seconds: The parent's time limit. Shortly after it this process ends by itself, in case
            the parent is no longer there to end it.
    """
    signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)
    try:
        _report(step=_IMPORT_STEP)
        tf = import_tensorflow()
        _connect_tpu(tf, address, lambda step: _report(step=step))
        _report(step="count the devices")
        num_devices = len(tf.config.list_logical_devices("TPU"))
    except UserError as error:
        _report(error=str(error))
    except Exception as error:
        _report(error=f"{type(error).__name__}: {error}")
    else:
        _report(num_devices=num_devices, error="" if num_devices else "It shows no device.")


def _report(**fields: object) -> None:
    sys.stdout.write(f"\n{_PROBE_MARK}{json.dumps(fields)}\n")
    sys.stdout.flush()


def _check_name(setting: str, name: str, known: Iterable[str]) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name.lower(), known, n=1)
    suggestion = f" Did you mean {close[0]!r}?" if close else ""
    expected = ", ".join(known) + (", tpu:NAME" if setting == "strategy" else "")
    raise ConfigError(f"Unknown {setting} {name!r}, expected one of: {expected}.{suggestion}")


def _broken_tensorflow(error: str) -> UserError:
    return UserError(
        f"TensorFlow is installed but cannot be imported: {error}",
        hint=find_remedy(error) or INSTALL_HINT,
    )


def _gather(wanted: str, tpu_name: str | None, environ: Mapping[str, str], seconds: float) -> Facts:
    hints = find_hints(environ)
    addresses: tuple[str, ...] = ()
    if tpu_name:
        addresses = (tpu_name,)
    elif wanted == "tpu" or (wanted == "auto" and hints):
        addresses = tpu_addresses(environ, hints)
    facts = Facts(hints=hints, probes=_probe_in_turn(addresses, environ, seconds))
    if addresses and (wanted == "tpu" or facts.tpu):
        return facts
    return _with_local_devices(facts, import_tensorflow())


def _probe_in_turn(
    addresses: Iterable[str], environ: Mapping[str, str], seconds: float
) -> tuple[Probe, ...]:
    probes: list[Probe] = []
    for address in addresses:
        if address in _tpu_strategies:
            held = int(_tpu_strategies[address].num_replicas_in_sync)
            probes.append(Probe(address, num_devices=held))
        else:
            probes.append(probe_tpu(address, environ=environ, seconds=seconds))
        _check_import(probes[-1])
        if probes[-1].num_devices:
            break
    return tuple(probes)


def _check_import(probe: Probe) -> None:
    """Refuse to import what ended the child; say beforehand if it merely took too long there."""
    if probe.step != _IMPORT_STEP:
        return
    if not probe.timed_out:
        hint = find_remedy(probe.error) or INSTALL_HINT
        raise UserError(f"TensorFlow cannot be used here. {probe.summary}", hint=hint)
    _LOGGER.warning("TPU %r: %s", probe.address, probe.summary)


def _with_local_devices(facts: Facts, tf: Any) -> Facts:
    cpu = tf.config.get_visible_devices("CPU")[0]
    details = map(tf.config.experimental.get_device_details, tf.config.get_visible_devices("GPU"))
    return replace(
        facts,
        gpu_capabilities=tuple(detail.get("compute_capability") for detail in details),
        num_cpus=len(tf.config.get_logical_device_configuration(cpu) or [cpu]),
        has_nvidia_device=Path("/dev/nvidia0").exists(),
    )


def _choose_automatically(facts: Facts) -> Decision:
    if facts.tpu:
        return _choose_tpu(facts)
    notes = _tpu_notes(facts)
    if facts.num_gpus >= 2:
        return replace(_choose_mirrored(facts), notes=notes)
    if facts.num_gpus == 1:
        return Decision("gpu", "TensorFlow sees one GPU, so training runs on it.", notes)
    reason = "No TPU and no GPU can be used here, so training runs on the CPU."
    return Decision("cpu", reason, (*notes, _no_gpu(facts)))


def _choose_tpu(facts: Facts) -> Decision:
    tpu = facts.tpu
    if tpu is None:
        raise _no_tpu(facts.probes)
    failed = (probe for probe in facts.probes if not probe.num_devices)
    notes = tuple(_failed_probe(probe, facts.hints) for probe in failed)
    if tpu.num_devices == 1:
        notes += ("TPU: one device answered; if it has more, start its session again.",)
    reason = f"The TPU {tpu.address!r} answered with {_count(tpu.num_devices, 'device')}."
    return Decision("tpu", reason, notes, devices=(tpu.address,))


def _choose_mirrored(facts: Facts) -> Decision:
    if facts.num_gpus >= 2:
        reason = f"TensorFlow sees {facts.num_gpus} GPUs, so each step is shared among them."
        return Decision("mirrored", reason, devices=_names("gpu", facts.num_gpus))
    if facts.num_cpus >= 2 and not facts.num_gpus:
        reason = f"`mirrored` was asked for, over {facts.num_cpus} logical CPU devices."
        return Decision("mirrored", reason, devices=_names("cpu", facts.num_cpus))
    raise UserError(
        "`mirrored` needs two devices of one kind, but TensorFlow sees "
        f"{_count(facts.num_gpus, 'GPU')} and {_count(facts.num_cpus, 'CPU device')}.",
        hint="choose `gpu`" if facts.num_gpus else "choose `cpu`, or call `split_cpu(2)` first",
    )


def _choose_gpu(facts: Facts) -> Decision:
    if not facts.num_gpus:
        raise UserError(
            f"`gpu` was asked for. {_no_gpu(facts)}",
            hint="run `pip install 'automl-flowers[gpu]'` where there is one, or choose `auto`",
        )
    idle = facts.num_gpus - 1
    notes = (f"Mirrored: {_count(idle, 'further GPU')} left unused; choose `mirrored`.",)
    return Decision("gpu", "`gpu` was asked for.", notes if idle else ())


def _choose_cpu(facts: Facts) -> Decision:
    notes = (f"GPU: {_count(facts.num_gpus, 'GPU')} left unused; choose `auto`.",)
    return Decision("cpu", "`cpu` was asked for.", notes if facts.num_gpus else ())


_CHOOSERS: Mapping[str, Callable[[Facts], Decision]] = {
    "auto": _choose_automatically,
    "tpu": _choose_tpu,
    "mirrored": _choose_mirrored,
    "gpu": _choose_gpu,
    "cpu": _choose_cpu,
}


def _tpu_notes(facts: Facts) -> tuple[str, ...]:
    if facts.probes:
        return tuple(_failed_probe(probe, facts.hints) for probe in facts.probes)
    sought = ", ".join((*_REMOTE_HINTS, *_LOCAL_HINTS, "/dev/accel*", "/dev/vfio/*"))
    return (f"TPU: not tried, because nothing hints at one (none of {sought}).",)


def _failed_probe(probe: Probe, hints: Sequence[str]) -> str:
    remedy = find_remedy(probe.error)
    advice = f" Remedy: {remedy}." if remedy else ""
    why = f" (tried because of {', '.join(hints)})" if hints else ""
    return f"TPU: {probe.address!r}{why} cannot be used: {probe.summary.rstrip('.')}.{advice}"


def _no_tpu(probes: Sequence[Probe]) -> UserError:
    remedies = [remedy for remedy in (find_remedy(probe.error) for probe in probes) if remedy]
    return UserError(
        " ".join(f"The TPU {p.address!r} cannot be used: {p.summary}" for p in probes),
        hint=remedies[0] if remedies else "choose `auto` for the best device that can be had",
    )


def _no_gpu(facts: Facts) -> str:
    if facts.has_nvidia_device:
        return (
            "GPU: the machine has an NVIDIA GPU, but this TensorFlow sees none: it is a build for "
            "CPUs, or the CUDA libraries are missing. Remedy: `pip install 'automl-flowers[gpu]'`."
        )
    return "GPU: TensorFlow sees none."


def _with_automatic_precision(chosen: Decision, facts: Facts) -> Decision:
    if chosen.kind == "tpu":
        return replace(chosen, precision="mixed_bfloat16")
    if chosen.kind == "cpu" or not facts.gpu_capabilities:
        return chosen
    known = [capability for capability in facts.gpu_capabilities if capability]
    lowest = min(known) if len(known) == facts.num_gpus else (0, 0)
    if lowest >= _BFLOAT16_CAPABILITY:
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


def _names(unit: str, number: int) -> tuple[str, ...]:
    return tuple(f"/{unit}:{index}" for index in range(number))


def _build(decision: Decision, tf: Any) -> Any:
    if decision.kind == "tpu":
        return _build_tpu(tf, decision.devices[0])
    if decision.kind == "mirrored":
        return tf.distribute.MirroredStrategy(decision.devices)
    _hide_gpus(tf, keep=1 if decision.kind == "gpu" else 0)
    return tf.distribute.get_strategy()


def _build_tpu(tf: Any, address: str) -> Any:
    if address not in _tpu_strategies:
        try:
            resolver = _connect_tpu(tf, address, lambda step: _LOGGER.debug("TPU: %s", step))
            _tpu_strategies[address] = tf.distribute.TPUStrategy(resolver)
        except Exception as error:
            raise UserError(
                f"The TPU {address!r} answered its probe, but then failed: {error}",
                hint=find_remedy(str(error)) or "start again, or choose `gpu` or `cpu`",
            ) from error
    return _tpu_strategies[address]


def _connect_tpu(tf: Any, address: str, announce: Callable[[str], None]) -> Any:
    """Start the TPU at `address` and return its resolver, announcing each step before it."""
    announce("find the TPU")
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
    if resolver.master() not in ("", "local"):
        announce("connect to the TPU")
        tf.config.experimental_connect_to_cluster(resolver)
    announce("start the TPU")
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return resolver


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


def _wait_or_kill(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """Return the exit code, or None after killing the process group; kill it on Ctrl-C too."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.returncode is None:
            _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=_GRACE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOGGER.warning("Process %d could not be ended: %s", process.pid, error)


def _explain_silence(child: Finished, step: str, seconds: float) -> str:
    if child.exit_code is None:
        return f"No answer within {seconds:g} s, at the step `{step}`.\n{child.stderr}"
    code = child.exit_code
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
    complaints = [line.strip() for line in child.stderr.splitlines() if line.strip()]
    fatal = next((line for line in complaints if _is_fatal(line)), None)
    last = fatal or (complaints[-1] if complaints else "it said nothing")
    return f"The process ended {how} at the step `{step}`: {last}\n{child.stderr}"


def _is_fatal(line: str) -> bool:
    """Tell whether a log line of TensorFlow's C++ is of level F, the one that aborts."""
    return line.startswith(("F0", "F1", "F ")) or " F " in line[:40]
