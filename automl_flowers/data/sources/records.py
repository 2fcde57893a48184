"""TFRecord files by offset: their framing, and the `tf.train.Example` inside.

A record is framed as

    8 bytes   length of the payload, little-endian
    4 bytes   masked CRC32C of those 8 bytes
    length    payload
    4 bytes   masked CRC32C of the payload

TensorFlow's own reader ends a whole file at the first damaged record. Here a damaged payload
costs that one record; only a damaged length, which hides where the next record starts, costs the
rest of the file. A payload whose checksum does not match is never handed out.

Reference:
    https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import google_crc32c

from automl_flowers.errors import DataError
from automl_flowers.tensorflow_import import import_tensorflow

_LENGTH = struct.Struct("<Q")
_CHECKSUM = struct.Struct("<I")
HEADER_SIZE = _LENGTH.size + _CHECKSUM.size
FOOTER_SIZE = _CHECKSUM.size
_MASK_DELTA = 0xA282EAD8


@dataclass(frozen=True)
class RecordFeatures:
    """What records call what they hold; of several names the first that a record has counts.

    Attributes:
        label: Names of the class index, an integer.
        id: Names of the id, one line of text.
        image: Name of the picture, or empty: one of `IMAGE_NAMES`, or the only feature that begins
            as a picture does. It counts where a record has it.
    """

    label: tuple[str, ...] = ("class", "label", "image/class/label")
    id: tuple[str, ...] = ("id",)
    image: str = ""

    @classmethod
    def named(cls, names: Mapping[Any, str]) -> RecordFeatures:
        """Return the usual names behind those that a person gave, by `label`, `id` and `image`.

        Data sets that call them differently are read together by names with `|` between them; of a
        picture there is one name.

        Example:
            >>> RecordFeatures.named({"label": "flower|species"}).label
            ('flower', 'species', 'class', 'label', 'image/class/label')
        """
        usual = cls()
        label, id_ = (names[what].split("|") if what in names else [] for what in ("label", "id"))
        return cls((*label, *usual.label), (*id_, *usual.id), names.get("image", ""))


USUAL_FEATURES = RecordFeatures()

IMAGE_NAMES = ("image", "image/encoded")
"""What records call their picture: in the competition and TensorFlow Datasets, and in TensorFlow's
models."""

_PICTURES_BEGIN_WITH = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"RIFF", b"BM")
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Record:
    """One intact record.

    Attributes:
        number: Position in the file, counted from 0, damaged records included.
        offset: First byte of the payload in the file.
        payload: Its bytes, checksum verified.
    """

    number: int
    offset: int
    payload: bytes


@dataclass(frozen=True)
class Damage:
    """One place where a file cannot be read.

    Attributes:
        number: Position of the damaged record, counted from 0.
        offset: Where it begins in the file.
        reason: What is wrong, as the end of a sentence.
        ends_file: Whether everything after it is lost too.
    """

    number: int
    offset: int
    reason: str
    ends_file: bool


def masked_crc(data: bytes) -> int:
    """Return the CRC32C of `data`, rotated and shifted as TFRecord files store it."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def scan_records(file: BinaryIO, file_size: int) -> Iterator[Record | Damage]:
    """Yield each record of a file in order, intact or damaged.

    Args:
        file: Opened for reading at its start.
        file_size: Its size in bytes; keeps a wrong length from asking for more memory.

    Yields:
        A `Record`, or a `Damage` in its place; nothing follows a damage that ends the file.
    """
    number, offset = 0, 0
    while offset < file_size:
        item = _scan_one(file, number, offset, file_size)
        yield item
        if isinstance(item, Damage) and item.ends_file:
            return
        number, offset = number + 1, file.tell()


def read_payload(file: BinaryIO, offset: int, length: int) -> bytes:
    """Return the payload at `offset`, checksum verified.

    Raises:
        DataError: If the file ends before, or the checksum does not match.
    """
    file.seek(offset)
    payload, checksum = file.read(length), file.read(_CHECKSUM.size)
    if not _is_intact(payload, checksum):
        raise DataError(
            f"The record at byte {offset} is damaged: its checksum does not match.",
            hint="copy the file again from where it came from",
        )
    return payload


def write_record(file: BinaryIO, payload: bytes) -> None:
    """Append one framed record to a file."""
    header = _LENGTH.pack(len(payload))
    file.write(header + _CHECKSUM.pack(masked_crc(header)))
    file.write(payload)
    file.write(_CHECKSUM.pack(masked_crc(payload)))


def parse_example(payload: bytes) -> Any:
    """Return the features of a serialised `tf.train.Example`, by name.

    Raises:
        DataError: If the payload is something else.
    """
    tf = import_tensorflow()
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped, unused-ignore]

    try:
        return tf.train.Example.FromString(payload).features.feature
    except DecodeError as error:
        raise DataError("The record holds no `tf.train.Example`.") from error


def bytes_feature(features: Any, name: str) -> bytes | None:
    """Return the only value of a bytes feature, or None if there is not exactly one."""
    values: Sequence[bytes] = features[name].bytes_list.value if name in features else ()
    return bytes(values[0]) if len(values) == 1 else None


def image_feature(features: Any, given: str = "") -> bytes | None:
    """Return the encoded picture in a record's features, or None if it is not clear which it is.

    That is the one with the name that was given, or else with a usual one; if none has, the only
    feature that begins as a picture does.

    Args:
        features: From `parse_example`.
        given: What a person calls the picture, or empty.
    """
    for name in (given, *IMAGE_NAMES):
        if value := bytes_feature(features, name):
            return value
    values = [bytes_feature(features, name) for name in sorted(features)]
    pictures = [value for value in values if value and value.startswith(_PICTURES_BEGIN_WITH)]
    return pictures[0] if len(pictures) == 1 else None


def integer_feature(features: Any, name: str) -> int | None:
    """Return the only value of an integer feature, or None if there is not exactly one."""
    values: Sequence[int] = features[name].int64_list.value if name in features else ()
    return int(values[0]) if len(values) == 1 else None


def _scan_one(file: BinaryIO, number: int, offset: int, file_size: int) -> Record | Damage:
    packed_length, checksum = file.read(_LENGTH.size), file.read(_CHECKSUM.size)
    if not _is_intact(packed_length, checksum):
        is_gzip = number == 0 and packed_length.startswith(_GZIP_MAGIC)
        reason = "the file is compressed, unpack it first" if is_gzip else "its length is damaged"
        return Damage(number, offset, reason, ends_file=True)
    (length,) = _LENGTH.unpack(packed_length)
    if offset + HEADER_SIZE + length + FOOTER_SIZE > file_size:
        return Damage(number, offset, "the file ends inside it", ends_file=True)
    payload, checksum = file.read(length), file.read(_CHECKSUM.size)
    if not _is_intact(payload, checksum):
        return Damage(number, offset, "its checksum does not match", ends_file=False)
    return Record(number, offset + HEADER_SIZE, payload)


def _is_intact(data: bytes, checksum: bytes) -> bool:
    return checksum == _CHECKSUM.pack(masked_crc(data))
