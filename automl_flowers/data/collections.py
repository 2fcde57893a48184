"""Collections: folders that hold several data sets, each a source of more training images.

    more_photos                          a data set; or a folder of data sets, which are all taken
    more_photos/oxford_102               one of them
    more_photos:oxford_102,tf_flowers    some of them, by name

The external data of the competition, "tf_flower_photo_tfrec", are such a folder, with `imagenet`,
`inaturalist`, `openimage`, `oxford_102` and `tf_flowers` in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from automl_flowers.data.locate import Say, locate
from automl_flowers.data.sources import data_set_name, layouts, storage
from automl_flowers.data.sources.folders import EXTENSIONS
from automl_flowers.data.tfds import PREFIX
from automl_flowers.errors import DataError
from search_spaces.parameters import unknown_name


def locate_sources(addresses: Iterable[str], say: Say = lambda text: None) -> list[str]:
    """Return the addresses of data sets, those of collections in their places, each once.

    Args:
        addresses: What a person typed: as for `automl_flowers.data.locate.locate`, or a folder of
            data sets, or such a folder with `:` and the names of some of them.
        say: Hears where names were found, and what a folder holds.

    Raises:
        DataError: If there is nothing at an address, or no data set of a name in a folder.
    """
    found = [source for address in addresses for source in _expand(address, say)]
    return list(dict.fromkeys(found))


def source_names(addresses: Sequence[str]) -> list[str]:
    """Return a short name for each data set, no two the same.

    Example:
        >>> source_names(["a/oxford_102", "a/tf_flowers", "b/oxford_102"])
        ['oxford_102', 'tf_flowers', 'oxford_102 2']
    """
    names: list[str] = []
    for address in addresses:
        usual = name = data_set_name(address)
        number = 1
        while name in names:
            number += 1
            name = f"{usual} {number}"
        names.append(name)
    return names


def list_data_sets(folder: str) -> list[str]:
    """Return the names of the data sets in a collection; none if the folder is no collection."""
    if _is_data_set(folder):
        return []
    return [name for name in storage.list_names(folder) if _is_data_set(storage.join(folder, name))]


def _expand(address: str, say: Say) -> list[str]:
    base, wanted = _split(address)
    place = locate(base, say)
    if storage.is_pattern(place):
        return [place]
    names = list_data_sets(place)
    if wanted and not names:
        raise DataError(
            f"`{base}` is no folder of several data sets, so there is no `{wanted[0]}` to choose.",
            hint=f"give `{base}` itself, or the folder above it",
        )
    for name in wanted:
        if name not in names:
            raise DataError(unknown_name(f"data set in `{base}`:", name, names))
    if names and not wanted:
        say(f"`{address}` is a folder of {len(names)} data sets: {', '.join(names)}")
    return [storage.join(place, name) for name in wanted or names] or [place]


def _split(address: str) -> tuple[str, list[str]]:
    """Return the folder in an address, and the names behind its colon."""
    base, _, names = address.rpartition(":")
    is_whole = not base or "/" in names or address.startswith(PREFIX)
    if is_whole or Path(storage.normalise(address)).exists():
        return address, []
    return base, [name.strip() for name in names.split(",") if name.strip()]


def _is_data_set(folder: str) -> bool:
    if layouts.holds_shards(folder):
        return True
    if storage.is_remote(folder) or not Path(folder).is_dir():
        return False
    return _holds_classes(folder) or any(
        _holds_classes(storage.join(folder, name))
        for name in storage.list_names(folder)
        if name.casefold() in layouts.SPLIT_FOLDERS
    )


def _holds_classes(folder: str) -> bool:
    """Return whether a folder of a local folder holds images."""
    inside = [storage.join(folder, name) for name in storage.list_names(folder)]
    return any(_holds_images(path) for path in inside if Path(path).is_dir())


def _holds_images(folder: str) -> bool:
    with storage.reading(folder), os.scandir(folder) as entries:
        return any(Path(entry.name).suffix.casefold() in EXTENSIONS for entry in entries)
