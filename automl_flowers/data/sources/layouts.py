"""Names in the competition's layout: shards, split folders, size folders.

    ROOT/classes.txt  ROOT/sample_submission.csv  ROOT/test_labels.csv
    ROOT/tfrecords-jpeg-192x192/train/00-192x192-798.tfrec

A *layout* is the folder that holds the split folders, or the shards themselves when there are no
split folders. External data sets come without splits, other people's copies without the size
folder; everything here accepts both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from automl_flowers.data.manifest import Problem
from automl_flowers.data.sources import storage
from automl_flowers.errors import DataError

TFDS_FILE = "dataset_info.json"
"""Beside the shards of TensorFlow Datasets."""

SUFFIX = ".tfrec"
"""Of the shards that are written; `.tfrecord` and `.tfrecords` are read, too."""

CSV_SUFFIX = ".csv"
ORIGINAL_LAYOUT = "tfrecords-jpeg-original"

SPLIT_FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "train": "train",
        "val": "val",
        "valid": "val",
        "validation": "val",
        "dev": "val",
        "blend": "blend",
        "test": "test",
        "external": "external",
    }
)

_SPLITS_IN_FRONT = {
    name: split for name, split in SPLIT_FOLDERS.items() if name not in ("blend", "external")
} | {"training": "train"}

_SIZE_FOLDER = re.compile(r"tfrecords-jpeg-(?:(\d+)x(\d+)|original)")
_SHARD = re.compile(r"\.tfrec(?:ords?)?(?:-\d+-of-\d+)?$")
_SPLIT_IN_NAME = re.compile(r"-(\w+)\.tfrecord-\d+-of-\d+$")
_WORD_IN_FRONT = re.compile(r"[a-z]+")
_COUNT = re.compile(r"\d+-(?:\d+x\d+|original)-(\d+)\.tfrec")


def parent_of(path: str) -> str:
    """Return the folder that holds `path`, local or remote."""
    return path.rstrip("/").rpartition("/")[0] or "/"


def is_shard(path: str) -> bool:
    """Return whether a file has the name of TFRecords.

    Example:
        >>> is_shard("a/00-192x192-798.tfrec"), is_shard("flowers-test.tfrecord-00000-of-00001")
        (True, True)
    """
    return _SHARD.search(path) is not None


def splits_of(shards: Sequence[str]) -> dict[str, str]:
    """Return the split of each shard, from its folder's name or its own.

    A word at the start of a name counts where all shards of the folder begin with one, and some
    of them with `train`. A shard that names no split is `train`.

    Args:
        shards: Paths of all shards of a data set.

    Example:
        >>> splits_of(["p/valid/0.tfrec", "p/flowers-test.tfrecord-00000-of-00001"]).values()
        dict_values(['val', 'test'])
        >>> splits_of(["p/train-0.tfrec", "p/val-0.tfrec"])
        {'p/train-0.tfrec': 'train', 'p/val-0.tfrec': 'val'}
    """
    in_front = {
        path: word
        for words in _words_in_front(shards)
        if _is_division(words)
        for path, word in words.items()
    }
    return {path: in_front.get(path) or _split_of(path) for path in shards}


def _split_of(path: str) -> str:
    word = _split_in_name(path) or _parts(path)[-2]
    return SPLIT_FOLDERS.get(word.casefold(), "train")


def _split_in_name(path: str) -> str | None:
    found = _SPLIT_IN_NAME.search(path)
    return found[1] if found else None


def _words_in_front(shards: Sequence[str]) -> list[dict[str, str | None]]:
    """Return the split at the start of each name, folder by folder.

    Folders that are called like a split, and files of TensorFlow Datasets, say it otherwise.
    """
    folders: dict[str, dict[str, str | None]] = {}
    for path in shards:
        if _parts(path)[-2].casefold() not in SPLIT_FOLDERS and not _split_in_name(path):
            found = _WORD_IN_FRONT.match(_name(path).casefold())
            split = _SPLITS_IN_FRONT.get(found[0]) if found else None
            folders.setdefault(parent_of(path), {})[path] = split
    return list(folders.values())


def _is_division(words: Mapping[str, str | None]) -> bool:
    return None not in words.values() and "train" in words.values()


def layout_of(path: str) -> str:
    """Return the layout folder of a shard."""
    parent = parent_of(path)
    return parent_of(parent) if _name(parent).casefold() in SPLIT_FOLDERS else parent


def is_size_folder(path: str) -> bool:
    """Return whether a folder has the competition's name for one image size."""
    return _SIZE_FOLDER.fullmatch(_name(path)) is not None


def promised_count(path: str) -> int | None:
    """Return the number of records in a shard's name, or None if the name has none.

    It stands in names of the competition's form only; elsewhere a number may be anything.

    Example:
        >>> promised_count("data-2/00-192x192-798.tfrec"), promised_count("flowers-2020.tfrec")
        (798, None)
    """
    found = _COUNT.fullmatch(_name(path))
    return int(found[1]) if found else None


def roots_above(folder: str) -> list[str]:
    """Return `folder`, and the folders above it that belong to the same data set."""
    folders = [folder]
    while is_size_folder(folders[-1]) or _name(folders[-1]).casefold() in SPLIT_FOLDERS:
        folders.append(parent_of(folders[-1]))
    return folders


def find_beside(address: str, name: str) -> str | None:
    """Return the path of the file `name` in a data set's folders, the innermost first.

    Args:
        address: Folder, glob or shard of the data set.
        name: For example `classes.txt`.

    Returns:
        Path of the first one found, or None.
    """
    paths = [storage.join(folder, name) for folder in roots_above(fixed_part(address))]
    return next((path for path in paths if storage.exists(path)), None)


def fixed_part(address: str) -> str:
    """Return the folder of a file, of a glob up to its first wildcard, or `address` itself."""
    folder = storage.normalise(address)
    while storage.is_pattern(folder) or is_shard(folder) or folder.casefold().endswith(CSV_SUFFIX):
        folder = parent_of(folder)
    return folder


def find_shards(address: str, image_size: int | None) -> tuple[list[str], list[Problem]]:
    """Return the paths of a data set's shards, and what was left out on the way.

    Args:
        address: Root, size folder, folder of shards, glob, or one shard.
        image_size: Wanted pixels; decides between several size folders.

    Raises:
        DataError: If there is no shard, or it is not clear which of them are for training.
    """
    address = storage.normalise(address)
    if storage.is_pattern(address) or is_shard(address):
        shards = [path for path in storage.match(address) if is_shard(path)]
        problems: list[Problem] = []
    else:
        shards, problems = _shards_in(_choose_layout(address, image_size))
    if not shards:
        raise DataError(f"Found no `{SUFFIX}` file at `{address}`.", hint=_where_instead(address))
    shards, more = _without_strange_splits(shards, address)
    return shards, [*problems, *more, *_not_taken_for_splits(shards)]


def _not_taken_for_splits(shards: Sequence[str]) -> Iterator[Problem]:
    """Say of each folder if names in it could be meant as a split, and are not taken so."""
    for words in _words_in_front(shards):
        others = [path for path, split in words.items() if split not in (None, "train")]
        if others and not _is_division(words):
            name = "name of 1 file begins" if len(others) == 1 else f"names of {len(others)} begin"
            yield Problem(
                others[0],
                f"The {name} with a split, but all in this folder are taken as `train`: such names "
                "count where all TFRecord files of a folder have one, some of them `train`.",
            )


def _without_strange_splits(shards: list[str], address: str) -> tuple[list[str], list[Problem]]:
    """Return the shards of splits that are known, and what is said of the others.

    A split's name stands in the names of TensorFlow Datasets' files. Elsewhere such a word may be
    anything, unless another file has the name of a split in the same place.
    """
    words = {path: _split_in_name(path) for path in shards}
    strange = {w: p for p, w in words.items() if w and w.casefold() not in SPLIT_FOLDERS}
    has_known = any(word and word.casefold() in SPLIT_FOLDERS for word in words.values())
    is_tfds = bool(strange) and any(_is_of_tfds(path) for path in strange.values())
    if not strange or not (has_known or is_tfds):
        return shards, []
    known = [path for path in shards if words[path] not in strange]
    if known:
        return known, [_left_out(word, shards, words) for word in sorted(strange)]
    if len(strange) == 1:
        ((word, path),) = strange.items()
        return shards, [Problem(path, f"The only split, `{word}`, is taken as `train`.")]
    names = ", ".join(f"`{word}`" for word in sorted(strange))
    raise DataError(
        f"`{address}` has the splits {names}, and none is called `train`.",
        hint="name the one to train on by a pattern of its files: "
        f"`'{parent_of(shards[0])}/*-{min(strange)}.tfrecord*'`",
    )


def _is_of_tfds(path: str) -> bool:
    return storage.exists(storage.join(parent_of(path), TFDS_FILE))


def _left_out(word: str, shards: list[str], words: Mapping[str, str | None]) -> Problem:
    paths = [path for path in shards if words[path] == word]
    files = "1 file is" if len(paths) == 1 else f"{len(paths)} files are"
    return Problem(
        paths[0],
        f"The split `{word}` is not known, so its {files} left out. Known are "
        f"{', '.join(SPLIT_FOLDERS)}.",
    )


def holds_shards(folder: str) -> bool:
    """Return whether a folder is a layout of TFRecords, or has one for some image size."""
    return bool(_shards_in(_choose_layout(folder, None))[0])


def first_shard_below(folder: str) -> str | None:
    """Return a shard anywhere below a local folder, hidden folders left out; None without one."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        shards = sorted(name for name in names if is_shard(name))
        if shards:
            return storage.join(parent, shards[0])
    return None


def _choose_layout(root: str, image_size: int | None) -> str:
    """Return the size folder to read, or `root` itself if it has none with shards."""
    folders = [storage.join(root, name) for name in storage.list_names(root)]
    sizes = {
        folder: _size_of(folder)
        for folder in folders
        if is_size_folder(folder) and _shards_in(folder)[0]
    }
    if not sizes:
        return root
    big_enough = [f for f in sizes if image_size is not None and sizes[f] >= image_size]
    if big_enough:
        return min(big_enough, key=sizes.__getitem__)
    return max(sizes, key=sizes.__getitem__)


def _size_of(folder: str) -> float:
    """Return the pixels of a size folder's images, infinite for originals."""
    found = _SIZE_FOLDER.fullmatch(_name(folder))
    if found is None or found[1] is None:
        return float("inf")
    return min(int(found[1]), int(found[2]))


def _shards_in(layout: str) -> tuple[list[str], list[Problem]]:
    names = storage.list_names(layout)
    loose = _shard_paths(layout, names)
    splits = [storage.join(layout, name) for name in names if name.casefold() in SPLIT_FOLDERS]
    shards = [path for split in splits for path in _shard_paths(split, storage.list_names(split))]
    if not shards:
        return loose, []
    reason = "It lies beside the split folders, in none of them."
    return shards, [Problem(path, reason) for path in loose]


def _shard_paths(folder: str, names: list[str]) -> list[str]:
    return [storage.join(folder, name) for name in names if is_shard(name)]


def _where_instead(address: str) -> str:
    """Return a hint: a folder further down that holds shards, if there is one."""
    below = first_shard_below(address)
    if below is None:
        return "give a folder of TFRecords, or a pattern such as `data/train/*.tfrec` in quotes"
    return f"there are some in `{parent_of(below)}`: give that folder, or a pattern that matches"


def _parts(path: str) -> list[str]:
    return path.rstrip("/").split("/")


def _name(path: str) -> str:
    return _parts(path)[-1]
