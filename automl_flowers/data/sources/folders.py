"""Folders of images, one folder a class, read into a manifest.

    ROOT/train/daisy/image_0801.jpg     with `val` and `test` (or neither) beside `train`
    ROOT/test/one_more.jpg              test images may lie there without labels
    ROOT/daisy/image_0801.jpg           no split folders: everything is `train`

An image is known by its extension; it is opened when it is decoded, not here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from automl_flowers.data.losses import Loss
from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem, make_manifest
from automl_flowers.data.nearest import did_you_mean
from automl_flowers.data.sources import storage
from automl_flowers.errors import DataError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif"})

OTHER_PICTURES = frozenset(
    {".heic", ".heif", ".avif", ".tif", ".tiff", ".jxl", ".jp2", ".dng", ".cr2", ".cr3", ".nef"}
    | {".arw", ".raf", ".orf", ".rw2", ".psd"}
)
"""Pictures that are not read. Such a file is a photograph lost, where a text file is none."""

_SPLITS = {
    "train": "train",
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    "test": "test",
}
_CLASS_HINT = "put the images of each class into a folder named after it, such as `train/daisy/`"
_LEAVES = "The link leaves the data folder."

Entry = os.DirEntry[str]


@dataclass(frozen=True)
class _Split:
    """One split folder.

    Attributes:
        name: Split of its images.
        folder: Its path.
        class_images: Paths of the images of each class folder, by class name.
        loose_images: Paths of the images outside of class folders.
    """

    name: str
    folder: str
    class_images: Mapping[str, list[str]]
    loose_images: list[str]


def read_folder(root: str, *, source: str) -> Manifest:
    """List the images below `root` in a manifest.

    Hidden files are passed over, and so are files beside the split or class folders that are no
    images. Whatever else is no readable image file becomes a problem of the manifest: other
    files, empty files, links that leave `root`, folders within a class, images outside of one.
    Those that have the name of a picture are a `Loss`.

    Args:
        root: Folder that holds `train` (and `val`, also called `valid` or `validation`, and
            `test`), or the class folders themselves, whose images are then all `train`.
        source: Short name of the data set, for the manifest's `source` column.

    Returns:
        The manifest. Ids are paths from `root`; classes are the folders in `train`, sorted.

    Raises:
        DataError: If the folder is missing or empty, holds images but no class folders or fewer
            than two, a class is a link out of `root` or empty in `train`, or `val` or `test` has a
            class of its own.
    """
    base = Path(storage.normalise(root))
    reader = _Reader(base)
    with storage.reading(str(base)):
        splits = reader.read_splits()
    names = _class_names(splits, reader.problems)
    rows = (
        (PurePath(path).relative_to(base).as_posix(), label, split.name, source, path, -1, -1)
        for split in splits
        for path, label in _labelled(split, names)
    )
    return make_manifest(rows, names, reader.problems)


@dataclass(frozen=True)
class _Reader:
    """Walks the folders below `base` and notes what it leaves out."""

    base: Path
    problems: list[Problem] = field(default_factory=list)

    def read_splits(self) -> list[_Split]:
        """Return the split folders, or `base` as the only one."""
        entries = self._list_base()
        folders = [e for e in entries if e.is_dir() and e.name.casefold() in _SPLITS]
        beside = [e for e in entries if e not in folders]
        data = [e for e in beside if e.is_dir() or _is_image_name(e.name)]
        if not folders:
            return [self._read_split("train", str(self.base), data)]
        for entry in data:
            reason = "It lies beside the split folders, in none of them."
            self.problems.append(Problem(_printable(entry.path), reason))
        return [
            self._read_split(_SPLITS[e.name.casefold()], e.path, self._list(e.path))
            for e in folders
        ]

    def _list_base(self) -> list[Entry]:
        if not self.base.is_dir():
            raise DataError(
                f"There is no folder `{self.base}`.", hint="give the folder that holds the images"
            )
        entries = self._list(str(self.base))
        if not entries:
            raise DataError(f"The folder `{self.base}` is empty.", hint=_CLASS_HINT)
        return entries

    def _read_split(self, name: str, folder: str, entries: list[Entry]) -> _Split:
        self._require_all_classes(folder)
        classes = [entry for entry in entries if entry.is_dir()]
        loose = self._image_paths(entry for entry in entries if not entry.is_dir())
        if loose and not classes and name != "test":
            raise DataError(f"`{folder}` holds images, but no class folders.", hint=_CLASS_HINT)
        if name != "test":
            reason = "It lies beside the class folders, in none of them."
            self.problems.extend(Problem(_printable(path), reason) for path in loose)
        images = {entry.name: self._image_paths(self._list(entry.path)) for entry in classes}
        return _Split(name, folder, images, loose if name == "test" else [])

    def _require_all_classes(self, folder: str) -> None:
        """Raise if a class lies elsewhere: one class fewer would be another task."""
        for problem in self.problems:
            path = Path(problem.path)
            if problem.reason == _LEAVES and str(path.parent) == folder and path.is_dir():
                raise DataError(
                    f"The class folder `{path}` is a link out of the data folder, which is not "
                    "followed.",
                    hint="move or copy the folder there, or list the images in a CSV file",
                )

    def _image_paths(self, entries: Iterable[Entry]) -> list[str]:
        return [entry.path for entry in entries if not self._skip(entry, _why_no_image(entry))]

    def _list(self, folder: str) -> list[Entry]:
        """Return what a folder holds, sorted, without hidden entries and unusable links."""
        with os.scandir(folder) as entries:
            visible = sorted(
                (entry for entry in entries if not entry.name.startswith(".")),
                key=lambda entry: entry.name,
            )
        return [entry for entry in visible if not self._skip(entry, self._why_unusable(entry))]

    def _why_unusable(self, entry: Entry) -> str | None:
        if "\n" in entry.name or "\r" in entry.name:
            return "Its name holds a line break."
        if _printable(entry.name) != entry.name:
            return "Its name is not UTF-8."
        if not entry.is_symlink():
            return None
        target = Path(os.path.realpath(entry.path))
        if not target.is_relative_to(os.path.realpath(self.base)):
            return _LEAVES
        return None if target.exists() else "The link leads nowhere."

    def _skip(self, entry: Entry, reason: str | None) -> bool:
        """Note a problem if there is a reason, and return whether there is."""
        if reason is not None:
            is_picture = _is_image_name(entry.name) or _suffix(entry.name) in OTHER_PICTURES
            problem = Loss if is_picture else Problem
            self.problems.append(problem(_printable(entry.path), reason))
        return reason is not None


def _labelled(split: _Split, names: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    for label, name in enumerate(names):
        yield from ((path, label) for path in split.class_images.get(name, ()))
    yield from ((path, UNKNOWN) for path in split.loose_images)


def _class_names(splits: list[_Split], problems: list[Problem]) -> tuple[str, ...]:
    """Return the classes of `train`, once every split agrees with them."""
    train = [split for split in splits if split.name == "train"]
    if not train:
        raise DataError(
            f"There is no `train` folder beside `{splits[0].folder}`.",
            hint="the folders in `train` are the classes: add it, or rename the one meant by it",
        )
    for split in train:
        _require_images(split, problems)
    names = tuple(sorted({name for split in train for name in split.class_images}))
    if len(names) < 2:
        raise DataError(
            f"Telling classes apart takes at least two, but `{train[0].folder}` has "
            f"{f'only {names[0]!r}' if names else 'no class folder'}.",
            hint=_CLASS_HINT,
        )
    for split in splits:
        _require_known(split, names, train[0].folder)
    return names


def _require_images(split: _Split, problems: list[Problem]) -> None:
    """Raise if a class of a training folder has no image."""
    for name, paths in split.class_images.items():
        if not paths:
            folder = storage.join(split.folder, name)
            raise DataError(
                f"Class {name!r} has no image: `{folder}` holds none that can be read.",
                hint=_why_empty(folder, problems),
            )


def _why_empty(folder: str, problems: list[Problem]) -> str:
    inside = [problem for problem in problems if problem.path.startswith(f"{folder}/")]
    if any(Path(problem.path).is_dir() for problem in inside):
        return f"if its folders are the classes, give `{folder}` instead"
    if inside:
        return f"mend what was skipped there, first `{inside[0].path}`: {inside[0].reason}"
    return "add images, or remove the folder"


def _require_known(split: _Split, names: tuple[str, ...], train_folder: str) -> None:
    """Raise if a split has images of a class that `train` lacks."""
    strangers = [n for n, paths in split.class_images.items() if paths and n not in names]
    if strangers:
        raise DataError(
            f"Class {strangers[0]!r} is in `{split.folder}`, but not in `{train_folder}`."
            f"{did_you_mean(strangers[0], names)}",
            hint="name the class folders alike in all splits, or remove the images",
        )


def _why_no_image(entry: Entry) -> str | None:
    if entry.is_dir():
        return "It is a folder within a class folder."
    if _suffix(entry.name) in OTHER_PICTURES:
        return f"A picture of the kind {_suffix(entry.name)} is not read: save it as JPEG."
    if not _is_image_name(entry.name):
        return f"Its extension is none of {', '.join(sorted(EXTENSIONS))}."
    if not entry.is_file():
        return "It is no regular file."
    return "The file is empty." if entry.stat().st_size == 0 else None


def _is_image_name(name: str) -> bool:
    return _suffix(name) in EXTENSIONS


def _suffix(name: str) -> str:
    return PurePath(name).suffix.casefold()


def _printable(path: str) -> str:
    """Return a path as one line: bytes that are not UTF-8 replaced, line breaks written out."""
    text = os.fsencode(path).decode(errors="replace")
    return text.replace("\r", "\\r").replace("\n", "\\n")
