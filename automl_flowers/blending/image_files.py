"""Which images to predict: files, folders, patterns and lists, one after the other.

A folder is read when its turn comes, and a list name by name, so a million images need no more
memory than the names in the largest folder.
"""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from automl_flowers.data.sources import storage
from automl_flowers.data.sources.folders import EXTENSIONS
from automl_flowers.errors import DataError

STDIN = "-"
"""Stands for a list on stdin, a path a line."""

_HINT = "name image files, folders of images or patterns such as 'holiday/*.jpg'"


_CHUNK_BYTES = 1 << 16


def stdin_chunks() -> Iterator[bytes]:
    """Yield what stdin holds, as it comes."""
    if (stdin := getattr(sys.stdin, "buffer", None)) is not None:
        yield from iter(lambda: stdin.read1(_CHUNK_BYTES), b"")


def find_images(
    paths: Sequence[str], listed: Callable[[], Iterable[bytes]] = stdin_chunks
) -> Iterator[str]:
    """Return image files in order: those named, and all below the folders named, sorted.

    A file that is named counts whatever it is called; of a folder, and of what matches a pattern,
    those count whose extension is an image's and whose name does not begin with a dot. A file that
    several paths name, or several matches of a pattern, is found once.

    Args:
        paths: Files, folders, patterns (`holiday/**/*.jpg`, `**` for any number of folders), or
            `-` for a list.
        listed: Returns that list, piece by piece: files and folders, a line each or each ended by
            NUL. A file that is not there is found all the same, for whoever reads it to miss.

    Raises:
        DataError: At once, if there is nothing at a path.
    """
    for path in paths:
        _check(path)
    found = (file for path in paths for file in _files_of(path, listed))
    may_repeat = len(paths) > 1 or any(map(_is_pattern, paths))
    return _distinct(found) if may_repeat else found


def _check(path: str) -> None:
    if path == STDIN or os.path.lexists(path):
        return
    if not _is_pattern(path):
        raise DataError(f"There is nothing at `{path}`.", hint=_HINT)
    if next(glob.iglob(path, recursive=True), None) is None:  # noqa: PTH207 - may be absolute
        raise DataError(f"Nothing matches `{path}`.", hint=_HINT)


def _is_pattern(path: str) -> bool:
    return any(character in path for character in "*?[")


def _files_of(path: str, listed: Callable[[], Iterable[bytes]]) -> Iterator[str]:
    if path == STDIN:
        for name in map(os.fsdecode, _names_in(listed())):
            yield from _below(name) if _is_folder(name) else [str(Path(name))]
    elif _is_folder(path):
        yield from _below(path)
    elif os.path.lexists(path):
        yield str(Path(path))
    else:
        for match in sorted(glob.glob(path, recursive=True)):  # noqa: PTH207 - may be absolute
            yield from _below(match) if _is_folder(match) else [str(Path(match))] * _is_image(match)


def _names_in(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the names in a list, each as soon as it has ended.

    They end in NUL, as `find -print0` writes them, where the first piece with an end has one, for
    then a line's end may be part of a name.
    """
    end, rest = b"", b""
    for chunk in chunks:
        rest += chunk
        end = end or next((one for one in (b"\0", b"\n") if one in rest), b"")
        *names, rest = rest.split(end) if end else [rest]
        yield from _without_ends(names, end)
    yield from _without_ends([rest], end)


def _without_ends(names: Iterable[bytes], end: bytes) -> Iterator[bytes]:
    """Yield names that are not empty, lines without what Windows ends them with."""
    yield from filter(None, (name if end == b"\0" else name.rstrip(b"\r\n") for name in names))


def _below(folder: str) -> Iterator[str]:
    """Yield the images below a folder; links to folders are not followed."""
    with storage.reading(folder), os.scandir(folder) as entries:
        visible = [entry for entry in entries if not entry.name.startswith(".")]
    for entry in sorted(visible, key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _below(entry.path)
        elif _is_image(entry.name) and (entry.is_symlink() or entry.is_file()):
            yield str(Path(entry.path))


def _is_folder(path: str) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises where a name is too long


def _is_image(name: str) -> bool:
    return Path(name).suffix.casefold() in EXTENSIONS


def _distinct(files: Iterator[str]) -> Iterator[str]:
    seen = set()
    for file in files:
        if file not in seen:
            seen.add(file)
            yield file
