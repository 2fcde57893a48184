"""File access for sources: plain Python for local paths, `tf.io.gfile` for `gs://` and its like.

Only an address with a scheme imports TensorFlow, so looking at a local folder stays quick.
"""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, BinaryIO, cast

from automl_flowers.errors import AccessError, DataError
from automl_flowers.tensorflow_import import import_tensorflow

_REQUESTS_AT_ONCE = 32


def is_remote(path: str) -> bool:
    """Return whether `path` has a scheme, such as `gs://`."""
    return "://" in path


def is_pattern(path: str) -> bool:
    """Return whether `path` is a glob: it has a wildcard and is not itself a local file."""
    has_wildcard = any(character in path for character in "*?[")
    return has_wildcard and (is_remote(path) or not Path(path).exists())


def normalise(address: str) -> str:
    """Return an address without `~`, `..` and trailing slashes; absolute if local."""
    if is_remote(address):
        return address.rstrip("/")
    return os.path.normpath(Path(address).expanduser().absolute())


def join(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`, local or remote."""
    return f"{folder.rstrip('/')}/{name}"


def list_names(folder: str) -> list[str]:
    """Return the names in a folder, sorted, without hidden ones; none if it is no folder."""
    with reading(folder):
        if is_remote(folder):
            gfile = _gfile()
            names = gfile.listdir(folder) if gfile.isdir(folder) else []
        else:
            names = [entry.name for entry in Path(folder).iterdir()] if _is_dir(folder) else []
    return sorted(name.rstrip("/") for name in names if not name.startswith("."))


def match(pattern: str) -> list[str]:
    """Return the paths that match a glob, sorted; local `**` goes down any number of folders.

    A folder that exists as it is written, brackets and all, stands for itself.
    """
    with reading(pattern):
        if is_remote(pattern):
            return sorted(_gfile().glob(pattern))
        here = _existing_part(pattern)
        rest = pattern[len(here) :]
        return sorted(glob.glob(glob.escape(here) + rest, recursive=True))  # noqa: PTH207 - absolute


def _existing_part(path: str) -> str:
    while path and not os.path.exists(path):  # noqa: PTH110 - a glob stays a string
        path = path.rpartition("/")[0]
    return path


def exists(path: str) -> bool:
    """Return whether there is a file or folder at `path`."""
    with reading(path):
        return bool(_gfile().exists(path)) if is_remote(path) else Path(path).exists()


def num_bytes(path: str) -> int:
    """Return the size of a file."""
    with reading(path):
        return int(_gfile().stat(path).length if is_remote(path) else Path(path).stat().st_size)


def stamps(paths: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Return for each file numbers that change whenever its content does.

    These are its size, its time of change and, of a local file, the time of change of its entry,
    which no copying program sets back. Of a remote file the object store sets the time itself.

    Args:
        paths: Local and remote ones; the remote ones are asked for side by side.

    Returns:
        Numbers by path; those of a file that is not there are -1.
    """
    here = {path: _stamp(path) for path in paths if not is_remote(path)}
    far = [path for path in paths if is_remote(path)]
    if not far:
        return here
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        return here | dict(zip(far, pool.map(_remote_stamp, far), strict=True))


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.stat(path)  # noqa: PTH116 - paths from a manifest stay strings
    except OSError:  # reading will say so
        return (-1,)
    return (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _remote_stamp(path: str) -> tuple[int, ...]:
    try:
        status = _gfile().stat(path)
    except _access_errors(path):  # reading will say so
        return (-1,)
    return (int(status.length), int(status.mtime_nsec))


@contextlib.contextmanager
def open_binary(path: str) -> Iterator[BinaryIO]:
    """Open a file for reading bytes; failures inside the block become an `AccessError`."""
    with reading(path), _opened(path) as file:
        yield file


def read_text(path: str) -> str:
    """Return a text file's content as it is, but for a byte order mark.

    Raises:
        DataError: If it cannot be read, or is not UTF-8.
    """
    with open_binary(path) as file:
        data = file.read()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"`{path}` must be UTF-8 text, but byte {error.start} is not.",
            hint="save it again as UTF-8",
        ) from error


@contextlib.contextmanager
def reading(path: str) -> Iterator[None]:
    """Turn a failed access to `path` inside the block into an `AccessError`."""
    try:
        yield
    except _access_errors(path) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise AccessError(
            f"Cannot read `{path}`: {reason}.", hint="check the address and your access rights"
        ) from error


def _access_errors(path: str) -> tuple[type[BaseException], ...]:
    if not is_remote(path):
        return (OSError,)
    tf = import_tensorflow()

    return (OSError, tf.errors.OpError)


def _opened(path: str) -> AbstractContextManager[BinaryIO]:
    if is_remote(path):
        return cast(AbstractContextManager[BinaryIO], _gfile().GFile(path, "rb"))
    return Path(path).open("rb")


def _is_dir(folder: str) -> bool:
    return Path(folder).is_dir()


def _gfile() -> Any:
    tf = import_tensorflow()

    return tf.io.gfile
