"""How much memory there is: of the machine, and of the container that this process is in."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from automl_flowers.files import read_if_there

_GROUPS = Path("/sys/fs/cgroup")


def machine_memory() -> tuple[int | None, int | None]:
    """Return the bytes of the machine, and those that can be had without swapping.

    None for what nobody knows.
    """
    content = read_if_there(Path("/proc/meminfo"))
    kibibytes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", content, re.MULTILINE))
    if "MemTotal" in kibibytes:
        return int(kibibytes["MemTotal"]) * 1024, int(kibibytes.get("MemAvailable", 0)) * 1024
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), None
    return None, None


def container_limit(total: int | None) -> int | None:
    """Return the bytes that this container may use, or None if that is no limit.

    Args:
        total: Bytes of the machine.
    """
    return memory_limit(read_if_there(Path("/proc/self/cgroup")), _GROUPS, total)


def memory_limit(own_groups: str, root: Path, total: int | None) -> int | None:
    """Return the bytes that a container may use, or None if that is no limit.

    Args:
        own_groups: Content of `/proc/self/cgroup`.
        root: `/sys/fs/cgroup`.
        total: Bytes of the machine; a limit above says nothing.
    """
    files = [root / "memory.max", root / "memory/memory.limit_in_bytes"]
    for line in own_groups.splitlines():
        _, controllers, group = line.split(":", 2)
        if not controllers:
            files.append(root / group.lstrip("/") / "memory.max")
        elif "memory" in controllers.split(","):
            files.append(root / "memory" / group.lstrip("/") / "memory.limit_in_bytes")
    limits = [int(text) for text in map(read_if_there, files) if text.strip().isdecimal()]
    return min((limit for limit in limits if total is None or limit < total), default=None)


def free_memory() -> int | None:
    """Return the bytes that this process may still take without swapping; None if unknown."""
    total, free = machine_memory()
    limit = container_limit(total)
    if free is None or limit is None:
        return free
    return min(free, max(limit - _own_memory(), 0))


def _own_memory() -> int:
    """Return the bytes that this process holds."""
    content = read_if_there(Path("/proc/self/status"))
    found = re.search(r"^VmRSS:\s+(\d+) kB$", content, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0
