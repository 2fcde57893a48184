"""Writing files so that a reader never sees half of one.

A file is written beside its place under a temporary name, flushed to disk and renamed. A kill
at any instruction leaves the old file, the new file, or a stray `*.tmp` that nobody reads.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_flowers.errors import RunError, UserError

DISK_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
    | {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG}
)
"""What a full or forbidden disk answers, or a path that cannot be a file or a folder; any other
`OSError` that gets to the command line is a bug of ours."""


@dataclass(frozen=True)
class Artefact:
    """A file that a run has written.

    Attributes:
        name: In its folder.
        sha256: Of its content, in hexadecimal.
        num_bytes: Size.
    """

    name: str
    sha256: str
    num_bytes: int

    @classmethod
    def of(cls, path: Path) -> Artefact:
        """Return what a file is now."""
        return cls(path.name, sha256_of(path), path.stat().st_size)


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`, which becomes `target` when the block ends well.

    Args:
        target: The final path; its folder is made if missing.

    Yields:
        A path ending in `.tmp` to write to. If the block raises, it is removed and `target`
        is left as it was.

    Raises:
        IsADirectoryError: If `target` is a folder; at once, not after the block's work.
    """
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            error.filename = str(target)  # what a person knows it by
        raise
    finally:
        temporary.unlink(missing_ok=True)


def check_new_folder(target: Path) -> None:
    """Refuse a folder that is to be made but holds something, or cannot be put in place.

    Raises:
        UserError: If there is a file, a folder that is not empty, or one that cannot be replaced
            by another: the working folder, or one where a disk is mounted.
    """
    if os.path.ismount(target) or target.resolve() == Path.cwd():
        raise UserError(
            f"`{target.resolve()}` is the working folder or that of a disk, and cannot be made "
            "anew.",
            hint="name a new folder in it",
        )
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UserError(
            f"`{target}` exists and is not empty.",
            hint="name a new folder, or remove this one first",
        )


@contextlib.contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder beside `target`, which becomes `target` when the block ends well.

    Args:
        target: The final path, which must not exist or be an empty folder; the folder around it is
            made if missing.

    Yields:
        A folder to write to. If the block raises, it is removed with all that is in it.

    Raises:
        UserError: If there is something at `target`.
    """
    check_new_folder(target)
    target = target.resolve()  # a link to an empty folder stays one
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write `text` to `target` as UTF-8, all or nothing."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write `value` to `target` as indented JSON, all or nothing. NaN is refused."""
    write_text(target, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Return what a JSON file of a run holds.

    Raises:
        RunError: If it holds no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(
            f"`{path}` is damaged: {error}.",
            hint="restore it from a copy; or remove it, and give the command that wrote it again",
        ) from error


def read_if_there(path: Path) -> str:
    """Return a file's text, or nothing if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
