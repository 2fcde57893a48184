"""TFRecords in the competition's format, indexed into a manifest.

Every shard is read once, front to back: `class` and `id` of each record are kept together with
the offset of its payload; images are not decoded. Damaged records, and records that are no
labelled image, are skipped and listed among the manifest's problems.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from automl_flowers.data.losses import Loss
from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem, check_manifest
from automl_flowers.data.sources import storage
from automl_flowers.data.sources.layouts import (
    find_beside,
    find_shards,
    is_size_folder,
    layout_of,
    parent_of,
    promised_count,
    splits_of,
)
from automl_flowers.data.sources.records import (
    USUAL_FEATURES,
    Damage,
    Record,
    RecordFeatures,
    bytes_feature,
    image_feature,
    integer_feature,
    parse_example,
    scan_records,
)
from automl_flowers.errors import DataError

CLASSES_FILE = "classes.txt"
TFDS_CLASSES_FILE = "label.labels.txt"
TEST_LABELS_FILE = "test_labels.csv"
MAX_UNNAMED_CLASSES = 100_000
NUM_COMPETITION_CLASSES = 104
_THREADS = 8
_NOT_IN_IDS = "\n\r\N{REPLACEMENT CHARACTER}"


@dataclass
class _Shard:
    """What one shard holds: a column of the manifest each, with an entry a record.

    Plain numbers, because of a million records an object each would take more than all else.
    """

    path: str
    split: str
    ids: list[str] = field(default_factory=list)
    labels: array[int] = field(default_factory=partial(array, "q"))
    offsets: array[int] = field(default_factory=partial(array, "q"))
    lengths: array[int] = field(default_factory=partial(array, "q"))
    problems: list[Problem] = field(default_factory=list)

    def drop_labels_beyond(self, num_classes: int) -> list[tuple[str, int]]:
        """Take away the records whose label is that of no class; return their ids and labels."""
        lost = [
            (i, label)
            for i, label in zip(self.ids, self.labels, strict=True)
            if label >= num_classes
        ]
        if lost:
            kept = [label < num_classes for label in self.labels]
            self.ids = list(itertools.compress(self.ids, kept))
            self.labels, self.offsets, self.lengths = (
                array("q", itertools.compress(column, kept))
                for column in (self.labels, self.offsets, self.lengths)
            )
        return lost

    def table(self, source: str, feature: str) -> pd.DataFrame:
        """Return its rows of the manifest."""
        return pd.DataFrame(
            {
                "id": self.ids,
                "label": np.array(self.labels, np.int64),
                "split": self.split,
                "source": source,
                "path": self.path,
                "offset": np.array(self.offsets, np.int64),
                "length": np.array(self.lengths, np.int64),
                "feature": pd.Categorical([feature]).repeat(len(self.ids)),
            }
        )


def read_tfrecords(
    pattern_or_root: str,
    *,
    source: str,
    image_size: int | None = None,
    features: RecordFeatures = USUAL_FEATURES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Manifest:
    """Index TFRecords into a manifest.

    Class names come from `classes.txt` beside the split folders or one folder up, or from the
    `label.labels.txt` of TensorFlow Datasets; without them,
    the competition's layout means the competition's 104 classes, anything else `class_000` and
    so on. A `test_labels.csv` in the same place gives test images their labels.

    Args:
        pattern_or_root: One of: a root with a folder `tfrecords-jpeg-SxS` for each size; one such
            folder; a folder with `train`, `val` and so on; a folder of shards, which are then all
            `train` unless all their names begin with a split; a glob; one shard. Local, or with a
            scheme such as `gs://`.
        source: Short name of the data set, for the manifest's `source` column.
        image_size: Wanted pixels. Of several sizes the smallest that is big enough is read, or
            the largest if none is or this is None.
        features: What the records call their label, id and picture.
        on_progress: Called with the files read and their number.

    Returns:
        The manifest. A record without an `id` is called `SHARD#NUMBER`, with the shard's path
        below the layout's folder.

    Raises:
        DataError: If there are no shards, none of their records can be used, an id is there twice,
            or lists of classes contradict each other.
    """
    shards, problems = find_shards(pattern_or_root, image_size)
    layouts = sorted({layout_of(path) for path in shards})
    read = list(_read_shards(shards, os.path.commonpath(layouts), features, on_progress))
    problems += [problem for shard in read for problem in shard.problems]
    read = [shard for shard in read if shard.ids]
    if not read:
        raise DataError(
            f"None of the {len(shards)} TFRecord files at `{pattern_or_root}` holds an image that "
            f"can be used. The first problem, at `{problems[0].path}`: {problems[0].reason}",
            hint="every record needs a picture and, but for test images, the index of its class; "
            "if these have other names here, say which: `--record-features image=NAME,label=NAME`",
        )
    of_tests = _labels_of_tests(shards)
    names = _known_names(shards, _largest_label(read, of_tests))
    problems += _drop_labels_beyond(read, len(names) or MAX_UNNAMED_CLASSES, pattern_or_root)
    read = [shard for shard in read if shard.ids]
    _label_tests(read, of_tests)
    table = pd.concat([shard.table(source, features.image) for shard in read], ignore_index=True)
    return check_manifest(table, names or _numbered_names(1 + int(table["label"].max())), problems)


def parse_class_names(text: str) -> tuple[str, ...]:
    """Return the class names in the text of a `classes.txt`: one a line, blanks around stripped.

    Raises:
        DataError: If a line between two names is empty, or a name appears twice.
    """
    names: dict[str, None] = {}
    for number, line in enumerate(text.rstrip().split("\n"), start=1):
        name = line.strip()
        if not name or name in names:
            raise DataError(
                f"`{CLASSES_FILE}` must hold one class name a line, each once, but line {number} "
                f"is {f'{name!r} again' if name else 'empty'}.",
                hint="the label of a class is its line number minus one: list all of them in order",
            )
        names[name] = None
    return tuple(names)


def _read_shards(
    shards: list[str], base: str, features: RecordFeatures, on_progress: Callable[[int, int], None]
) -> Iterator[_Shard]:
    read = partial(_read_shard, base=base, names=features)
    splits = splits_of(shards)
    with ThreadPoolExecutor(_THREADS) as pool:
        for done, shard in enumerate(pool.map(read, splits, splits.values()), start=1):
            yield shard
            on_progress(done, len(shards))


def _read_shard(path: str, split: str, base: str, names: RecordFeatures) -> _Shard:
    shard, count, is_cut = _Shard(path, split), 0, False
    size = storage.num_bytes(path)
    with storage.open_binary(path) as file:
        for item in scan_records(file, size):
            count += 1
            if isinstance(item, Damage):
                is_cut = item.ends_file
                shard.problems.append(_damage_problem(path, item, size))
            else:
                _add_record(shard, base, item, names)
    if not is_cut:
        shard.problems.extend(_count_problems(path, count))
    return shard


def _count_problems(path: str, count: int) -> list[Problem]:
    promised = promised_count(path)
    if promised is not None and promised != count:
        reason = f"The file's name promises {promised} records, but it holds {count}."
        missing = promised - count
        return [Loss(path, reason, missing) if missing > 0 else Problem(path, reason)]
    return [] if count else [Problem(path, "The file holds no record.")]


def _damage_problem(path: str, damage: Damage, file_size: int) -> Problem:
    place = f"{path}#{damage.number}"
    if not damage.ends_file:
        return Loss(place, f"This record is lost: {damage.reason}.")
    promised = promised_count(path) or 0
    if promised > damage.number:
        lost, how = promised - damage.number, f"of the {promised} that the file's name promises"
    else:
        lost, how = _guess_lost(damage, file_size), "at a guess, by the size of those before"
    records = "1 record" if lost == 1 else f"{lost} records"
    reason = (
        f"Lost from here to the end of the file: {damage.reason}. That costs {records} {how}; "
        f"before it: {damage.number}."
    )
    return Loss(place, reason, lost)


def _guess_lost(damage: Damage, file_size: int) -> int:
    """Return how many records may follow, if they are as large as those before; at least one."""
    if damage.number == 0:
        return 1
    return max(round((file_size - damage.offset) * damage.number / damage.offset), 1)


def _add_record(shard: _Shard, base: str, record: Record, names: RecordFeatures) -> None:
    try:
        id_, label = _read_record(shard, base, record, names)
    except DataError as error:
        shard.problems.append(Loss(f"{shard.path}#{record.number}", str(error)))
        return
    shard.ids.append(id_)
    shard.labels.append(label)
    shard.offsets.append(record.offset)
    shard.lengths.append(len(record.payload))


def _read_record(
    shard: _Shard, base: str, record: Record, names: RecordFeatures
) -> tuple[str, int]:
    """Return id and label of a record that holds a picture."""
    features = parse_example(record.payload)
    if not image_feature(features, names.image):
        raise DataError(
            f"The record's `image` must be one string of bytes.{_what_there_is(features)}"
        )
    id_ = _id_of(features, names)
    id_ = id_ or f"{PurePosixPath(shard.path).relative_to(base)}#{record.number}"
    return id_, _label_of(features, names, is_optional=shard.split == "test")


def _id_of(features: Any, names: RecordFeatures) -> str | None:
    """Return the record's id, or None if it has none."""
    name = _first_present(features, names.id)
    if name is None:
        return None
    text = (bytes_feature(features, name) or b"").decode(errors="replace")
    if not text or any(character in text for character in _NOT_IN_IDS):
        raise DataError(f"The record's `{name}` must be one line of UTF-8 text that is not empty.")
    return text


def _label_of(features: Any, names: RecordFeatures, *, is_optional: bool) -> int:
    """Return the index of the record's class, or `UNKNOWN` where that is allowed."""
    name = _first_present(features, names.label)
    label = None if name is None else integer_feature(features, name)
    if is_optional and (name is None or label == UNKNOWN):
        return UNKNOWN
    if label is None or label < 0:
        there = "" if name else _what_there_is(features)
        name = name or names.label[0]
        raise DataError(f"The record's `{name}` must be one integer that is not negative.{there}")
    return label


def _first_present(features: Any, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in features), None)


def _what_there_is(features: Any) -> str:
    return f" It has: {', '.join(sorted(features)) or 'nothing'}."


def _find_all_beside(shards: list[str], name: str) -> list[str]:
    folders = {parent_of(path) for path in shards}
    paths = {find_beside(folder, name) for folder in folders}
    return sorted(path for path in paths if path is not None)


def _largest_label(read: list[_Shard], of_tests: Mapping[str, int]) -> int:
    """Return the largest label that may number a class, in records or for test images."""
    labels = itertools.chain(of_tests.values(), *(shard.labels for shard in read))
    return max((label for label in labels if label < MAX_UNNAMED_CLASSES), default=UNKNOWN)


def _drop_labels_beyond(read: list[_Shard], num_classes: int, address: str) -> list[Loss]:
    """Take the records from shards whose label is that of no class, and return what they cost.

    Raises:
        DataError: If none is left: then it is the list of classes that is wrong.
    """
    lost = [loss for shard in read for loss in shard.drop_labels_beyond(num_classes)]
    if any(shard.ids for shard in read):
        return [
            Loss(i, f"Labels must lie in 0..{num_classes - 1}, but the record has {label}.")
            for i, label in lost
        ]
    (identity, label), *_ = lost
    raise DataError(
        f"No record in `{address}` has a label in 0..{num_classes - 1}; {identity!r} has {label}.",
        hint=f"list all class names, one a line, in `{CLASSES_FILE}` beside the data",
    )


def _labels_of_tests(shards: list[str]) -> dict[str, int]:
    paths = _find_all_beside(shards, TEST_LABELS_FILE)
    return {id_: label for path in paths for id_, label in _read_labels(path)}


def _label_tests(read: list[_Shard], labels: Mapping[str, int]) -> None:
    """Label test images from `test_labels.csv`, where there is one."""
    for shard in read:
        if labels and shard.split == "test":
            known = zip(shard.ids, shard.labels, strict=True)
            found = (labels.get(i, UNKNOWN) if label == UNKNOWN else label for i, label in known)
            shard.labels = array("q", found)


def _read_labels(path: str) -> Iterator[tuple[str, int]]:
    reader = csv.DictReader(io.StringIO(storage.read_text(path), newline=""))
    for row in reader:
        try:
            yield row["id"], int(row["label"])
        except (KeyError, TypeError, ValueError):
            raise DataError(
                f"`{path}` must hold an id and a whole-numbered label in every line, "
                f"but line {reader.line_num} does not.",
                hint="begin the file with the line `id,label`, or remove it",
            ) from None


def _known_names(shards: list[str], largest: int) -> tuple[str, ...]:
    """Return the names that are listed, or the competition's where they may be meant, or none."""
    paths = _find_all_beside(shards, CLASSES_FILE)
    paths = paths or _find_all_beside(shards, TFDS_CLASSES_FILE)
    listed = {parse_class_names(storage.read_text(path)) for path in paths}
    if len(listed) > 1:
        raise DataError(
            f"`{paths[0]}` and `{paths[1]}` list different classes.",
            hint="read each of the two as a data set of its own",
        )
    if listed:
        return listed.pop()
    if largest < NUM_COMPETITION_CLASSES and any(is_size_folder(layout_of(s)) for s in shards):
        from automl_flowers.data.labels import COMPETITION_CLASS_NAMES

        return COMPETITION_CLASS_NAMES
    return ()


def _numbered_names(num_labels: int) -> tuple[str, ...]:
    if num_labels > MAX_UNNAMED_CLASSES:
        raise DataError(
            f"Labels must number the classes from 0, but the largest is {num_labels - 1}.",
            hint=f"list the class names, one a line, in `{CLASSES_FILE}` beside the data",
        )
    return tuple(f"class_{label:03d}" for label in range(num_labels))
