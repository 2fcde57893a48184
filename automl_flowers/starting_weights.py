"""What backbones start from: ImageNet, random numbers, or a file.

The setting `weights` is a word for all backbones, `imagenet` or `none`, or a file for some of
them; the others then start from ImageNet. A file is its content, not its place: a run notes the
SHA-256 of each, may find it elsewhere later, and refuses another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from automl_flowers.errors import DataError, RunError
from automl_flowers.files import sha256_of

IMAGENET = "imagenet"
NONE = "none"

Weights = str | dict[str, str]
"""`"imagenet"`, `"none"`, or files by backbone."""

EXPECTED = f"input should be '{IMAGENET}', '{NONE}' or 'name=file'"


def parse_weights(value: object) -> Weights:
    """Return what a person wrote, in one form.

    Args:
        value: A word, `NAME=FILE`, several of these separated by commas or in a list, or a
            mapping from names to files.

    Raises:
        ValueError: If it is none of these, names a backbone twice, or mixes files with `none`.

    Example:
        >>> parse_weights("vgg16=a.h5,xception=b.h5")
        {'vgg16': 'a.h5', 'xception': 'b.h5'}
    """
    if isinstance(value, Mapping):
        return _check_files(list(value.items())) or IMAGENET
    parts = value if isinstance(value, list) else [value]
    words, files = [], []
    for part in parts:
        if not isinstance(part, str):
            raise ValueError(EXPECTED)
        for item in re.split(r",\s*(?=\w+=)", part.strip()):
            name, equals, file = item.partition("=")
            if equals:
                files.append((name.strip(), file.strip()))
            else:
                words.append(item)
    wanted = set(words)
    if len(wanted) > 1 or not wanted <= {IMAGENET, NONE} or not (words or files):
        raise ValueError(EXPECTED)
    if files and NONE in wanted:
        raise ValueError(f"files go with '{IMAGENET}' for the others, not with '{NONE}'")
    return _check_files(files) if files else words[0]


def _check_files(files: list[tuple[object, object]]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for name, file in files:
        if not (isinstance(name, str) and isinstance(file, str) and name and file):
            raise ValueError(EXPECTED)
        if name in checked:
            raise ValueError(f"two files are given for {name!r}")
        checked[name] = file
    return checked


def files_of(weights: Weights) -> dict[str, str]:
    """Return the files by backbone."""
    return {} if isinstance(weights, str) else weights


def weights_of(weights: Weights, backbone: str) -> str:
    """Return what one backbone starts from: `"imagenet"`, `"none"` or a path."""
    return weights if isinstance(weights, str) else weights.get(backbone, IMAGENET)


def hash_files(weights: Weights, known: Mapping[str, str]) -> dict[str, str]:
    """Return the SHA-256 of each backbone's file.

    Args:
        weights: The setting.
        known: What the files were when the run began, by backbone.

    Raises:
        DataError: If a file cannot be read.
        RunError: If a file is not what it was.
    """
    hashes = {}
    for name, file in files_of(weights).items():
        try:
            hashes[name] = sha256_of(Path(file))
        except OSError as error:
            raise DataError(
                f"The weights of {name!r} cannot be read from `{file}`: {error.strerror}.",
                hint="weights are given as `--weights NAME=FILE`",
            ) from error
        if known.get(name, hashes[name]) != hashes[name]:
            raise RunError(
                f"The weights of {name!r} in `{file}` have changed since this run began.",
                hint="put the former file back, or begin another run with `--run`",
            )
    return hashes
