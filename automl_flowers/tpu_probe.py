"""Is there a TPU that works? Find out without hanging or dying of the question.

    find_hints, tpu_addresses   what speaks for a TPU, and where it may be
    probe_tpu                   try one address in a child process with a time limit
    start_tpu                   take a TPU that answered

A libtpu that does not fit TensorFlow aborts the interpreter, and connecting to a dead address
waits for ever, both inside C++, where neither `try` nor a thread helps. So a child process goes
first, and its silence is an answer too.
"""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from automl_flowers.errors import UserError
from automl_flowers.known_errors import find_remedy

IMPORT_STEP = "import tensorflow"

_REMOTE_HINTS = ("TPU_NAME", "COLAB_TPU_ADDR")
_LOCAL_HINTS = ("TPU_WORKER_ID", "TPU_ACCELERATOR_TYPE", "ISTPUVM")
# Numbered only: /dev/accel/ holds other makers' chips, /dev/vfio/vfio is on machines without any.
_DEVICE_FILES = ("accel[0-9]*", "vfio/[0-9]*")

_PROBE_MARK = "automl-flowers-probe "
_PROBE_CODE = (
    "import sys; from automl_flowers.tpu_probe import probe_main; "
    "probe_main(sys.argv[1], float(sys.argv[2]))"
)
_GRACE_SECONDS = 5

_LOGGER = logging.getLogger(__name__)
_held: dict[str, Any] = {}


@dataclass(frozen=True)
class TpuProbe:
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
        return next(iter(_spoken(self.error)), "")

    @property
    def remedy(self) -> str | None:
        """What mends the error, if that is known."""
        return find_remedy(self.error)


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


def explain_failures(probes: Sequence[TpuProbe], hints: Sequence[str]) -> tuple[str, ...]:
    """Return a note for each probe that failed: what was tried, why, and what mends it."""
    why = f" (tried because of {', '.join(hints)})" if hints else ""
    notes = []
    for probe in probes:
        if not probe.num_devices:
            said = probe.summary.rstrip(".")
            advice = f" Remedy: {probe.remedy}." if probe.remedy else ""
            notes.append(f"TPU: {probe.address!r}{why} cannot be used: {said}.{advice}")
    return tuple(notes)


def explain_no_hints() -> str:
    """Return a note for a TPU that was not tried."""
    sought = ", ".join((*_REMOTE_HINTS, *_LOCAL_HINTS, "/dev/accel*", "/dev/vfio/*"))
    return f"TPU: not tried, because nothing hints at one (none of {sought})."


def probe_tpu(address: str, *, environ: Mapping[str, str], seconds: float) -> TpuProbe:
    """Try a TPU in a child process, which is gone when this returns.

    A TPU that this process holds already is not tried again: one process holds it.

    Args:
        address: `local`, the name of a Cloud TPU, or `grpc://HOST:PORT`.
        environ: Environment variables for the child, on top of this process' own.
        seconds: Time limit; a child that needs longer is killed with all its descendants.

    Returns:
        What was found. Failures of every kind are results here, not exceptions.
    """
    if address in _held:
        return TpuProbe(address, num_devices=int(_held[address].num_replicas_in_sync))
    # -P: a `tensorflow.py` in the working directory must not shadow the installed one.
    command = [sys.executable, "-P", "-c", _PROBE_CODE, address, str(seconds)]
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    child = run_limited(command, {**os.environ, **environ, "PYTHONPATH": path}, seconds)
    return read_probe(address, child, seconds)


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
        said, complained = (file.read().decode(errors="replace") for file in (stdout, stderr))
    return Finished(exit_code, said, complained)


def read_probe(address: str, child: Finished, seconds: float) -> TpuProbe:
    """Return what a probe's child process reported, or how it fell silent.

    A child that gave its answer and then hung or crashed on its way out has answered.

    Args:
        address: What it tried.
        child: The child process, over.
        seconds: The time limit it had.
    """
    said: dict[str, Any] = {"num_devices": 0, "error": "", "step": "starting Python"}
    for line in child.stdout.splitlines():
        if line.startswith(_PROBE_MARK):
            said |= json.loads(line.removeprefix(_PROBE_MARK))
    if said["num_devices"] or said["error"]:
        return TpuProbe(address, **said)
    said["error"] = explain_silence(child, said["step"], seconds)
    return TpuProbe(address, **said, timed_out=child.exit_code is None)


def explain_silence(child: Finished, step: str, seconds: float) -> str:
    """Return how a child process fell silent, and all that it complained about.

    Args:
        child: The child process, over.
        step: What it began last.
        seconds: The time limit it had.
    """
    if child.exit_code is None:
        return f"No answer within {seconds:g} s, at the step `{step}`.\n{child.stderr}"
    code = child.exit_code
    how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit status {code}"
    lines = _spoken(child.stderr) or ["it said nothing"]
    last = next(filter(_is_fatal, lines), lines[-1])
    return f"The process ended {how} at the step `{step}`: {last}\n{child.stderr}"


def probe_main(address: str, seconds: float) -> None:
    """Body of the probe's child process: try a TPU, and print each step and the result.

    Args:
        address: `local`, the name of a Cloud TPU, or `grpc://HOST:PORT`.
        seconds: The parent's time limit. Shortly after it this process ends by itself, in case
            the parent is no longer there to end it.
    """
    # Only the child imports TensorFlow, and `tensorflow_import` needs the hints and remedies here.
    from automl_flowers.tensorflow_import import import_tensorflow

    signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)
    try:
        _report(step=IMPORT_STEP)
        tf = import_tensorflow(quiet=False)
        _connect(tf, address, lambda step: _report(step=step))
        _report(step="count the devices")
        num_devices = len(tf.config.list_logical_devices("TPU"))
    except UserError as error:
        _report(error=str(error))
    except Exception as error:
        _report(error=f"{type(error).__name__}: {error}")
    else:
        _report(num_devices=num_devices, error="" if num_devices else "It shows no device.")


def start_tpu(tf: Any, address: str) -> Any:
    """Return the strategy of a TPU that answered; this process then holds the TPU.

    Raises:
        UserError: If it fails all the same.
    """
    if address not in _held:
        try:
            resolver = _connect(tf, address, lambda step: _LOGGER.debug("TPU: %s", step))
            _held[address] = tf.distribute.TPUStrategy(resolver)
        except Exception as error:
            raise UserError(
                f"The TPU {address!r} answered its probe, but then failed: {error}",
                hint=find_remedy(str(error)) or "start again, or choose `gpu` or `cpu`",
            ) from error
    return _held[address]


def _connect(tf: Any, address: str, announce: Callable[[str], None]) -> Any:
    """Start the TPU at `address` and return its resolver, announcing each step before it."""
    announce("find the TPU")
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=address)
    if resolver.master() not in ("", "local"):
        announce("connect to the TPU")
        _check_that_it_listens(resolver.master())
        tf.config.experimental_connect_to_cluster(resolver)
    announce("start the TPU")
    tf.tpu.experimental.initialize_tpu_system(resolver)
    return resolver


def _check_that_it_listens(master: str) -> None:
    """Refuse an address that refuses us: TensorFlow would ask it again for ever.

    Raises:
        ConnectionRefusedError: If nothing listens there.
    """
    address = urlsplit(master)
    try:
        socket.create_connection((address.hostname, address.port or 0), _GRACE_SECONDS).close()
    except ConnectionRefusedError:
        raise ConnectionRefusedError(f"Nothing listens at {master}.") from None
    except OSError:
        return  # TensorFlow may know another way


def _report(**fields: object) -> None:
    sys.stdout.write(f"\n{_PROBE_MARK}{json.dumps(fields)}\n")
    sys.stdout.flush()


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


def _spoken(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _is_fatal(line: str) -> bool:
    """Tell whether a log line of TensorFlow's C++ is of level F, the one that aborts."""
    return line.startswith(("F0", "F1", "F ")) or " F " in line[:40]
