"""Seconds and peak memory of a command, and the bytes that it leaves on disk.

A command is started by this file, run as a small program of its own: what Linux counts as the
peak of a child includes its parent at the moment of the fork, and a benchmark that has read
pictures is not small.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_KIBIBYTE = 1 if sys.platform == "darwin" else 1024  # the unit of `ru_maxrss`
_SHOWN_LINES = 15


@dataclass(frozen=True)
class Measured:
    """What a command took.

    Attributes:
        seconds: On the wall's clock, the start of the process included.
        peak_memory_bytes: Largest resident set of the process, or of one that it waited for.
    """

    seconds: float
    peak_memory_bytes: int


class CommandError(RuntimeError):
    """A command that ended with another status than 0; the text has the end of its log."""


def run(
    command: Sequence[str],
    *,
    log: Path,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Run a command to its end.

    Args:
        command: The program and its arguments.
        log: What it says is added here.
        stdout: Its results, if they are not to go to `log`.
        environment: Added to that of this process.

    Raises:
        CommandError: If it fails.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    report = log.with_suffix(".usage.json")
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).absolute()), str(report)]
    started = time.perf_counter()
    with log.open("ab") as said, (stdout or log).open("ab" if stdout is None else "wb") as out:
        ended = subprocess.run(  # noqa: S603 - our own commands
            [*launcher, *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=said,
            env={**os.environ, **(environment or {})},
            check=False,
        )
    seconds = time.perf_counter() - started
    if ended.returncode:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_SHOWN_LINES:]
        raise CommandError(
            "\n".join([f"{' '.join(command)} ended with {ended.returncode}; {log} ends:", *lines])
        )
    peak = json.loads(report.read_text(encoding="utf-8"))["peak_memory_bytes"]
    report.unlink()
    return Measured(seconds, peak)


def disk_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder, links not followed."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if not file.is_dir())


def _launch(report: str, *command: str) -> int:
    process = subprocess.Popen(command)  # noqa: S603 - our own commands
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    peak = {"peak_memory_bytes": usage.ru_maxrss * _KIBIBYTE}
    Path(report).write_text(json.dumps(peak), encoding="utf-8")
    return process.returncode


if __name__ == "__main__":
    sys.exit(_launch(*sys.argv[1:]))
