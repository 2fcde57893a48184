"""A CSV file that lists images, read into a manifest.

    path,label,split
    daisy/image_0801.jpg,daisy,train
    holiday/17.jpg,,test

`path` is taken from the CSV's folder, below which it must stay, unless it is absolute. `label` is
the name of the class; without one an image is unlabelled, which is allowed in `test`. `split` is
`train`, `val` or `test`; without the column everything is `train`. `id` is optional; by default it
is the path as it is written, so a CSV of a folder has the ids of the folder.
"""

from __future__ import annotations

import csv
import io
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from automl_flowers.data.losses import Loss
from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem, make_manifest
from automl_flowers.data.nearest import did_you_mean
from automl_flowers.data.sources import storage
from automl_flowers.data.sources.layouts import CSV_SUFFIX, parent_of
from automl_flowers.errors import DataError
from search_spaces.parameters import unknown_name

COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "path": ("image", "image_path", "filename", "file_name", "file", "filepath", "file_path"),
        "label": ("class", "class_name", "label_name"),
        "split": (),
        "id": (),
    }
)
"""The columns, and the names by which other people call them."""

SPLITS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
        "test": "test",
    }
)

_REQUIRED = ("path", "label")
_DELIMITERS = (",", ";", "\t")
_MOST_UNUSABLE = 0.5
_THREADS = 16
_NOT_IN_NAMES = "\n\r\N{REPLACEMENT CHARACTER}"
_MISSING = "The file is not there."
_HEADER_HINT = "begin the file with the line `path,label`, or `path,label,split`"
_PATH_HINT = "paths start at the CSV's folder: move it to where they lead, or make them absolute"
_BACKSLASH_HINT = "write paths with `/` in the place of `\\`"


class _Line(NamedTuple):
    """What one line of the file says, blanks at the ends of its cells left out."""

    number: int
    path: str
    label: str
    split: str
    id: str


@dataclass(frozen=True, slots=True)
class _Image:
    """One image that is there: a row of the manifest but for the label's number."""

    id: str
    label: str
    split: str
    path: str


def is_csv(address: str) -> bool:
    """Return whether an address names one CSV file, by its extension."""
    return address.casefold().endswith(CSV_SUFFIX) and not storage.is_pattern(address)


def read_csv(file: str, *, source: str) -> Manifest:
    """List the images of a CSV file in a manifest.

    Columns may stand in any order and beside others, may be called by the usual other names
    (`COLUMNS`), and may be separated by commas, semicolons or tabs. Images that are not there,
    cannot be read or are empty, and those without a label outside of `test`, become problems of
    the manifest.

    Args:
        file: Path of the CSV file; UTF-8, with or without byte order mark; local, or with a
            scheme such as `gs://`.
        source: Short name of the data set, for the manifest's `source` column.

    Returns:
        The manifest. Classes are the labels in `train`, sorted: as numbers if all of them are,
        else as text.

    Raises:
        DataError: If the file cannot be read, lacks a column, names an unknown split, a path that
            leaves its folder or a class that is not in `train`; if `train` has fewer than two
            classes; or if more than half of the images are not there.
    """
    file = storage.normalise(file)
    lines = list(_read_lines(file))
    images, problems = _find_images(file, lines)
    names = _class_names(file, images)
    labels = {name: label for label, name in enumerate(names)} | {"": UNKNOWN}
    rows = ((i.id, labels[i.label], i.split, source, i.path, -1, -1) for i in images)
    return make_manifest(rows, names, problems)


def _read_lines(file: str) -> Iterator[_Line]:
    text = storage.read_text(file)
    delimiter, columns, width = _read_header(file, text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        next(reader)
        for cells in reader:
            if any(cell.strip() for cell in cells[width:]):
                raise DataError(
                    f"Line {reader.line_num} of `{file}` has {len(cells)} cells, but the first "
                    f"line has {width}.",
                    hint='put cells that hold a comma into quotes, as in `"rose, red.jpg",rose`',
                )
            if any(cell.strip() for cell in cells):
                yield _line(file, reader.line_num, cells, columns)
    except csv.Error as error:
        raise DataError(
            f"Line {reader.line_num} of `{file}` cannot be read as CSV: {error}.",
            hint="save the table again as CSV, in UTF-8",
        ) from error


def _read_header(file: str, text: str) -> tuple[str, dict[str, int], int]:
    """Return the delimiter, the place of each column, and the number of columns."""
    found = {}
    for delimiter in _DELIMITERS:
        try:
            cells = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            continue
        header = [cell.strip().casefold() for cell in cells]
        columns = {name: _place_of(file, name, header) for name in COLUMNS}
        found[delimiter] = header
        if all(columns[name] is not None for name in _REQUIRED):
            known = {name: place for name, place in columns.items() if place is not None}
            return delimiter, known, len(cells)
    raise _missing_column(file, found.get(",", []))


def _place_of(file: str, column: str, header: Sequence[str]) -> int | None:
    """Return where a column stands; by its own name if it is there, else by another's."""
    for names in ((column,), COLUMNS[column]):
        places = [place for place, name in enumerate(header) if name in names]
        if len(places) > 1:
            listed = " and ".join(f"`{header[place]}`" for place in places)
            raise DataError(
                f"`{file}` has more than one column that could be the `{column}`: {listed}.",
                hint=f"call the right one `{column}`, and no other",
            )
        if places:
            return places[0]
    return None


def _missing_column(file: str, header: Sequence[str]) -> DataError:
    if not any(header):
        return DataError(f"`{file}` has no first line with column names.", hint=_HEADER_HINT)
    column = next(name for name in _REQUIRED if _place_of(file, name, header) is None)
    listed = ", ".join(f"`{name}`" for name in header)
    return DataError(f"`{file}` has no column `{column}`; it has {listed}.", hint=_HEADER_HINT)


def _line(file: str, number: int, cells: Sequence[str], columns: Mapping[str, int]) -> _Line:
    def cell(column: str) -> str:
        place = columns.get(column, len(cells))
        return cells[place].strip() if place < len(cells) else ""

    path, split = cell("path"), cell("split") if "split" in columns else "train"
    if not path:
        raise DataError(
            f"Line {number} of `{file}` has no path.", hint="fill the column, or remove the line"
        )
    if split.casefold() not in SPLITS:
        raise DataError(
            unknown_name(f"split in line {number} of `{file}`:", split, SPLITS),
            hint="fill the column `split` everywhere, or leave it out for one to be made",
        )
    return _Line(number, path, cell("label"), SPLITS[split.casefold()], cell("id"))


def _find_images(file: str, lines: Sequence[_Line]) -> tuple[list[_Image], list[Problem]]:
    """Return the images that may be used, and why others may not."""
    if not lines:
        raise DataError(f"`{file}` lists no image.", hint="write one a line, below the first line")
    addresses = [_address(file, line) for line in lines]
    listings = _list_remote({parent_of(a) for a in addresses if storage.is_remote(a)})
    images: list[_Image] = []
    problems: list[Problem] = []
    for line, address in zip(lines, addresses, strict=True):
        identity = line.id or posixpath.normpath(line.path)
        reason = _why_not_there(address, parent_of(file), listings)
        reason = reason or _why_unusable(line, identity)
        if reason is None:
            images.append(_Image(identity, line.label, line.split, address))
        else:
            problems.append(Loss(address, reason))
    if len(problems) > _MOST_UNUSABLE * len(lines):
        first = problems[0]
        raise DataError(
            f"{len(problems)} of the {len(lines)} images in `{file}` cannot be used, for example "
            f"`{first.path}`: {first.reason}",
            hint=_BACKSLASH_HINT if "\\" in first.path else _PATH_HINT,
        )
    return images, problems


def _address(file: str, line: _Line) -> str:
    """Return the address of an image, which lies below the CSV's folder or is absolute."""
    if storage.is_remote(line.path):
        return line.path
    if Path(line.path).is_absolute():
        return storage.normalise(line.path)
    below = posixpath.normpath(line.path)
    if below.split("/")[0] == "..":
        raise DataError(
            f"Line {line.number} of `{file}` leaves the file's folder: `{line.path}`.",
            hint="put the CSV into the folder that holds all images, or write absolute paths",
        )
    return storage.join(parent_of(file), below)


def _list_remote(folders: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the names in remote folders: one question a folder instead of one an image."""
    with ThreadPoolExecutor(_THREADS) as pool:
        names = pool.map(storage.list_names, folders)
        return {folder: frozenset(n) for folder, n in zip(folders, names, strict=True)}


def _why_not_there(address: str, base: str, listings: Mapping[str, frozenset[str]]) -> str | None:
    if storage.is_remote(address):
        is_there = address.rpartition("/")[-1] in listings[parent_of(address)]
        return None if is_there else _MISSING
    try:
        return _why_not_here(address, base)
    except OSError as error:  # such as a name that is too long, or a folder that is closed
        return f"It cannot be read: {error.strerror}."


def _why_not_here(address: str, base: str) -> str | None:
    path = Path(address)
    if not path.is_file():
        return "It is no file." if path.exists() else _MISSING
    if path.stat().st_size == 0:
        return "The file is empty."
    is_below = address.startswith(f"{base}/")
    if is_below and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(base)):
        return "The link leaves the data folder."
    return None


def _why_unusable(line: _Line, identity: str) -> str | None:
    if any(character in line.label + identity for character in _NOT_IN_NAMES):
        return f"Line {line.number} holds a label or id that is not one line of text."
    if not line.label and line.split != "test":
        return f"Line {line.number} has no label, which only images of `test` may lack."
    return None


def _class_names(file: str, images: Sequence[_Image]) -> tuple[str, ...]:
    """Return the classes of `train`, once the other splits agree with them."""
    names = {image.label for image in images if image.split == "train"}
    if len(names) < 2:
        raise DataError(
            f"Telling classes apart takes at least two, but `{file}` has "
            f"{f'only {names.pop()!r}' if names else 'no image'} in `train`.",
            hint="label images of at least two classes, and give `train` some of each",
        )
    for image in images:
        if image.label and image.label not in names:
            raise DataError(
                f"Class {image.label!r} is in `{image.split}`, but not in `train`, for example in "
                f"image {image.id!r} of `{file}`.{did_you_mean(image.label, names)}",
                hint="name the classes alike in all splits, or remove the images",
            )
    if all(name.isdecimal() for name in names):
        return tuple(sorted(names, key=lambda name: (int(name), name)))
    return tuple(sorted(names))
