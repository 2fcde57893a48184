"""Draws a planned data set and writes it, as TFRecords or as folders of images."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from PIL import Image

from automl_flowers.data.drawing import GARDEN, INDOORS, draw_flower, species_for
from automl_flowers.data.sources.records import write_record
from automl_flowers.data.synthetic_plan import Item, Plan, Settings, item_generator
from automl_flowers.files import write_json, write_text
from automl_flowers.tensorflow_import import import_tensorflow

OnProgress = Callable[[int, int], None]
"""Called with the number of images drawn, and of images in all."""

SETTINGS_FILE = "synthetic.json"
DUPLICATES_FILE = "external_planted_duplicates.csv"

_MAX_SHARDS = 16
_SHARD_SIZE = 64
_QUALITIES = (60, 96)
_COPY_QUALITIES = (45, 80)


def write_data_set(
    root: Path, settings: Settings, plan: Plan, on_progress: OnProgress | None = None
) -> None:
    """Draw and write all images, then the lists that go with them, the settings last.

    Args:
        root: Empty folder.
        settings: Of the data set.
        plan: Made from `settings`.
        on_progress: Called after each image.
    """
    target = _Target(root, settings)
    total = sum(len(items) for items in plan.items.values())
    done = 0
    for split, items in plan.items.items():
        write_split = _write_shards if target.is_tfrecord else _write_images
        for _ in write_split(target.images(split), items, plan, settings):
            done += 1
            if on_progress is not None:
                on_progress(done, total)
        text = "".join(f"{name}\n" for name in plan.class_names)
        write_text(target.layout(split) / "classes.txt", text)
    _write_lists(target, plan)
    write_json(root / SETTINGS_FILE, {"settings": asdict(settings), "counts": plan.counts()})


def draw_jpeg(item: Item, settings: Settings) -> bytes:
    """Return an image of the data set as JPEG; its bytes depend on seed, size and item alone.

    Args:
        item: Which image.
        settings: Of the data set.
    """
    rng = item_generator(item, settings.seed)
    if item.copy is not None:
        original = Image.open(io.BytesIO(draw_jpeg(item.copy.original, settings)))
        copy = _TRANSFORMS[item.copy.transform](original, rng)
        return _encode(copy, int(rng.integers(*_COPY_QUALITIES)))
    look = INDOORS if item.split == "external" else GARDEN
    pixels = draw_flower(species_for(item.class_index), rng, settings.image_size, look=look)
    return _encode(Image.fromarray(pixels), int(rng.integers(*_QUALITIES)))


@dataclass(frozen=True)
class _Target:
    """Where things go."""

    root: Path
    settings: Settings

    @property
    def is_tfrecord(self) -> bool:
        return self.settings.format == "tfrecord"

    def layout(self, split: str) -> Path:
        """Return the folder that holds the split folders, or the external data."""
        root = self.root / "external" if split == "external" else self.root
        return root / f"tfrecords-jpeg-{_size_name(self.settings)}" if self.is_tfrecord else root

    def images(self, split: str) -> Path:
        """Return the folder of a split's shards or class folders."""
        layout = self.layout(split)
        return layout if split == "external" else layout / split

    def id_of(self, item: Item, plan: Plan) -> str:
        """Return the id under which a reader knows an image: a folder image's is its path."""
        if self.is_tfrecord:
            return item.id
        path = f"{plan.class_names[item.label]}/{item.id}.jpg"
        return path if item.split == "external" else f"{item.split}/{path}"


def _size_name(settings: Settings) -> str:
    return f"{settings.image_size}x{settings.image_size}"


def _write_shards(
    folder: Path, items: Sequence[Item], plan: Plan, settings: Settings
) -> Iterator[None]:
    folder.mkdir(parents=True)
    num_shards = min(_MAX_SHARDS, -(-len(items) // _SHARD_SIZE))
    size = -(-len(items) // num_shards)
    for number, start in enumerate(range(0, len(items), size)):
        part = items[start : start + size]
        path = folder / f"{number:02d}-{_size_name(settings)}-{len(part)}.tfrec"
        with path.open("wb") as file:
            for item in part:
                write_record(file, _serialise(item, draw_jpeg(item, settings)))
                yield


def _serialise(item: Item, image: bytes) -> bytes:
    tf = import_tensorflow()

    example = tf.train.Example()
    feature = example.features.feature
    feature["image"].bytes_list.value.append(image)
    feature["id"].bytes_list.value.append(item.id.encode())
    if item.split != "test":
        feature["class"].int64_list.value.append(item.label)
    return bytes(example.SerializeToString(deterministic=True))


def _write_images(
    folder: Path, items: Sequence[Item], plan: Plan, settings: Settings
) -> Iterator[None]:
    for name in plan.class_names:
        (folder / name).mkdir(parents=True)
    for item in items:
        path = folder / plan.class_names[item.label] / f"{item.id}.jpg"
        path.write_bytes(draw_jpeg(item, settings))
        yield


def _write_lists(target: _Target, plan: Plan) -> None:
    test = sorted((target.id_of(item, plan), item.label) for item in plan.items["test"])
    zeros = [(id_, 0) for id_, _ in test]
    _write_csv(target.root / "sample_submission.csv", ("id", "label"), zeros)
    _write_csv(target.root / "test_labels.csv", ("id", "label"), test)
    copies = [
        (target.id_of(item, plan), target.id_of(item.copy.original, plan), item.copy.transform)
        for item in plan.items.get("external", ())
        if item.copy is not None
    ]
    if copies:
        header = ("external_id", "test_id", "transform")
        _write_csv(target.root / DUPLICATES_FILE, header, sorted(copies))


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _encode(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _reencode(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image


def _resize(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    side = round(image.width * rng.uniform(0.5, 0.8))
    small = image.resize((side, side), Image.Resampling.BILINEAR)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def _crop(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    left, top, right, bottom = rng.uniform(0.02, 0.06, 4) * image.width
    box = (left, top, image.width - right, image.height - bottom)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


_TRANSFORMS: Mapping[str, Callable[[Image.Image, np.random.Generator], Image.Image]] = (
    MappingProxyType(
        {"reencoded": _reencode, "resized": _resize, "mirrored": _mirror, "cropped": _crop}
    )
)
