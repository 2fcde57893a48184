"""Any data set as TFRecords in the competition's layout.

    OUT/classes.txt  OUT/sample_submission.csv  OUT/test_labels.csv
    OUT/tfrecords-jpeg-192x192/train/00-192x192-800.tfrec

The result has the ids, labels and splits of its source. Labels of `test` stay out of the records,
as in the competition; what is known of them goes to `test_labels.csv`. Within a split images are
ordered by a hash of their id, so that a reader with a small shuffle buffer still sees the classes
mixed, and the same source always gives the same bytes.

Everything is written to a hidden folder beside OUT, which takes OUT's name at the end: a kill
leaves no OUT rather than half of one.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from automl_flowers.data.manifest import UNKNOWN, Manifest, Problem
from automl_flowers.data.sources import SAMPLE_SUBMISSION_FILE, layouts, open_data, storage
from automl_flowers.data.sources.csv_file import is_csv
from automl_flowers.data.sources.images import decode_image, read_image_bytes
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures, write_record
from automl_flowers.data.sources.tfrecords import (
    CLASSES_FILE,
    TEST_LABELS_FILE,
    parse_class_names,
)
from automl_flowers.errors import DataError, UserError
from automl_flowers.files import atomic_folder, check_new_folder, write_text
from automl_flowers.tensorflow_import import import_tensorflow

JPEG_QUALITY = 95
_BATCH = 64  # images in memory at a time


@dataclass(frozen=True)
class Summary:
    """What a conversion wrote.

    Attributes:
        num_images: Images written, by split.
        num_shards: Files they were written to.
        class_names: Names in the order of the labels.
        problems: What was skipped, in the source and while converting.
    """

    num_images: Mapping[str, int]
    num_shards: int
    class_names: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Target:
    root: Path
    image_size: int | None
    shard_size: int

    @property
    def size_name(self) -> str:
        return "original" if self.image_size is None else f"{self.image_size}x{self.image_size}"

    @property
    def layout(self) -> Path:
        return self.root / f"tfrecords-jpeg-{self.size_name}"


def convert(
    address: str,
    out: Path,
    *,
    image_size: int | None = None,
    shard_size: int = 800,
    features: RecordFeatures = USUAL_FEATURES,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Write a data set as TFRecords in the competition's layout.

    Args:
        address: Any data set that `open_data` reads.
        out: Folder to make; must not exist, or be empty.
        image_size: Pixels of a side; images become JPEGs of that size, quality 95. None keeps
            every image's bytes as they are, under `tfrecords-jpeg-original`.
        shard_size: Most images in one file.
        features: As for `open_data`.
        on_progress: Called with the images converted and their total.

    Returns:
        What was written. `open_data(out)` gives the ids, labels and splits of the source, but
        for images that could not be decoded; those are among the problems.

    Raises:
        UserError: If `out` is not empty, lies inside the source or cannot be written, or a
            number is below 1.
        DataError: If the source cannot be read, or none of its images can.
    """
    out = Path(storage.normalise(str(out)))
    _check_arguments(address, out, image_size, shard_size)
    manifest = open_data(address, image_size=image_size, features=features)
    try:
        with atomic_folder(out) as temporary:
            return _write(manifest, _Target(temporary, image_size, shard_size), on_progress)
    except OSError as error:
        raise UserError(
            f"Cannot write `{out}`: {error.strerror}.",
            hint="choose a folder that you may write to, on a disk with space left",
        ) from error


def _check_arguments(address: str, out: Path, image_size: int | None, shard_size: int) -> None:
    if shard_size < 1 or (image_size is not None and image_size < 1):
        raise UserError(
            "`image_size` and `shard_size` must be at least 1, "
            f"got image_size={image_size} and shard_size={shard_size}.",
            hint="leave out `image_size` to keep the images as they are",
        )
    check_new_folder(out)
    if not is_csv(address) and out.is_relative_to(layouts.fixed_part(address)):
        raise UserError(
            f"`{out}` lies inside `{address}`, from which it is to be made.",
            hint="name a folder outside of the data",
        )


def _write(manifest: Manifest, target: _Target, on_progress: Callable[[int, int], None]) -> Summary:
    problems: list[Problem] = []
    done = itertools.count(1)

    def tick() -> None:
        on_progress(next(done), len(manifest.rows))

    shards = [
        shard
        for split, rows in manifest.rows.groupby("split")
        for shard in _write_split(rows, str(split), target, problems, tick)
    ]
    ids = [id_ for shard in shards for id_ in shard]
    if not ids:
        raise DataError(
            f"None of the {len(manifest.rows)} images can be read; "
            f"the first, `{problems[0].path}`: {problems[0].reason}",
            hint="look whether the files are images, and whether they were copied completely",
        )
    rows = manifest.rows[manifest.rows["id"].isin(ids)]
    _write_tables(rows, manifest.class_names, target.root)
    return Summary(
        num_images={
            str(split): int(count) for split, count in rows["split"].value_counts().items()
        },
        num_shards=len(shards),
        class_names=manifest.class_names,
        problems=(*manifest.problems, *problems),
    )


def _write_split(
    rows: pd.DataFrame,
    split: str,
    target: _Target,
    problems: list[Problem],
    tick: Callable[[], None],
) -> Iterator[list[str]]:
    """Write the shards of one split, and yield the ids in each."""
    folder = target.layout / split
    folder.mkdir(parents=True)
    examples = _examples(_mixed(rows), target.image_size, problems, tick)
    for number in itertools.count():
        ids = _write_shard(folder / "shard.tmp", itertools.islice(examples, target.shard_size))
        if not ids:
            (folder / "shard.tmp").unlink()
            return
        name = f"{number:02d}-{target.size_name}-{len(ids)}{layouts.SUFFIX}"
        (folder / "shard.tmp").rename(folder / name)
        yield ids


def _write_shard(path: Path, examples: Iterable[tuple[str, bytes]]) -> list[str]:
    ids = []
    with path.open("wb") as file:
        for id_, payload in examples:
            write_record(file, payload)
            ids.append(id_)
        file.flush()
        os.fsync(file.fileno())
    return ids


def _mixed(rows: pd.DataFrame) -> list[Any]:
    return sorted(
        rows.itertuples(index=False),
        key=lambda row: hashlib.sha256(str(row.id).encode()).digest(),
    )


def _examples(
    rows: list[Any], image_size: int | None, problems: list[Problem], tick: Callable[[], None]
) -> Iterator[tuple[str, bytes]]:
    """Yield the id and the serialised example of each image that can be read, in order."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            for row, result in zip(
                batch, pool.map(partial(_example, image_size), batch), strict=True
            ):
                tick()
                if isinstance(result, Problem):
                    problems.append(result)
                else:
                    yield row.id, result


def _example(image_size: int | None, row: Any) -> bytes | Problem:
    try:
        data = read_image_bytes(row)
        return _serialise(row, data if image_size is None else _resized(data, image_size))
    except DataError as error:
        return Problem(row.path, f"Image {row.id!r} is left out. {error}")


def _resized(data: bytes, image_size: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(decode_image(data, image_size)).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _serialise(row: Any, image: bytes) -> bytes:
    tf = import_tensorflow()

    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["id"].bytes_list.value.append(row.id.encode())
    if row.split != "test":
        feature["class"].int64_list.value.append(row.label)
    return bytes(example.SerializeToString(deterministic=True))


def _write_tables(rows: pd.DataFrame, class_names: tuple[str, ...], root: Path) -> None:
    text = "".join(f"{name}\n" for name in class_names)
    if parse_class_names(text) != class_names:
        raise DataError(
            f"A class name with blanks at its ends cannot be written to `{CLASSES_FILE}`.",
            hint="rename the class folder",
        )
    write_text(root / CLASSES_FILE, text)
    test = rows.loc[rows["split"] == "test", ["id", "label"]]
    known = test[test["label"] != UNKNOWN]
    if len(known):
        write_text(root / TEST_LABELS_FILE, _csv(known))
    if len(test):
        write_text(root / SAMPLE_SUBMISSION_FILE, _csv(test.assign(label=0)))


def _csv(rows: pd.DataFrame) -> str:
    return rows.to_csv(index=False, lineterminator="\n")
