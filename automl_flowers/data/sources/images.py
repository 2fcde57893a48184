"""From a manifest row to pixels: read the bytes, decode them to a square.

Decoding is Pillow's, on the CPU, and depends on nothing but the bytes and the size, so an image
gives the same pixels on every machine with the same Pillow.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from automl_flowers.data.sources import storage
from automl_flowers.data.sources.records import image_feature, parse_example, read_payload
from automl_flowers.errors import DataError, UserError

T = TypeVar("T")

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")

EXTENSIONS_OF = {"JPEG": (".jpg", ".jpeg")}
"""By format, where they differ from its name."""

# What Pillow warns of is said here in sentences, or makes no difference to the pixels.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

_EXAMINED_SIZE = 32
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_DEPTH = 24  # position of the bits a channel in a PNG
_PNG_PIXELS = (b"IHDR", b"PLTE", b"IDAT")
_CHANGES_BY_MODE = {"L": "grey", "1": "grey", "LA": "grey", "CMYK": "cmyk", "P": "palette"}

_REDUCING_GAP = 2  # JPEG is decoded at no less than twice the target, which costs no quality
_BACKGROUND = (255, 255, 255, 255)
_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_SIDEWAYS = {
    Image.Transpose.TRANSPOSE,
    Image.Transpose.ROTATE_270,
    Image.Transpose.TRANSVERSE,
    Image.Transpose.ROTATE_90,
}


def read_image_bytes(row: Any) -> bytes:
    """Return the encoded image that a manifest row points to.

    Args:
        row: Anything with the attributes `path`, `offset` and `length`, such as a tuple of
            `rows.itertuples()`; of a record also `feature`, if its picture was given a name.

    Returns:
        The whole file, or the picture of the record at `offset`, its checksum verified.

    Raises:
        AccessError: If the file cannot be read.
        DataError: If the record is damaged or holds no image.
        UserError: If the memory does not suffice.
    """
    with _enough_memory(), storage.open_binary(row.path) as file:
        if row.offset < 0:
            return file.read()
        try:
            payload = read_payload(file, int(row.offset), int(row.length))
            return _image_of(payload, getattr(row, "feature", ""))
        except DataError as error:
            raise DataError(f"In `{row.path}`: {error}", hint=error.hint) from error


def decode_image(data: bytes, image_size: int) -> NDArray[np.uint8]:
    """Decode an image to a square of RGB pixels.

    The largest square around the centre is kept and resized once, with a triangle filter that
    widens when it shrinks (as `tf.image.resize(antialias=True)` does). EXIF orientation is
    applied; grey, palette, CMYK and 16-bit images become 8-bit RGB; transparent parts become
    white; of an animation the first frame counts.

    Args:
        data: A JPEG, PNG, WebP, BMP or GIF file.
        image_size: Height and width wanted, in pixels.

    Returns:
        Pixels in [0, 255], uint8, shape `(image_size, image_size, 3)`.

    Raises:
        DataError: If the bytes are no such image, are damaged or cut short, or hold more pixels
            than `PIL.Image.MAX_IMAGE_PIXELS`.
        UserError: If the memory does not suffice, which is no fault of the image.
    """
    return _guarded(_decode, data, image_size)


def decode_whole(data: bytes, min_side: int) -> Image.Image:
    """Decode an image as `decode_image` does, but all of it, at least as large as is needed.

    Args:
        data: A JPEG, PNG, WebP, BMP or GIF file.
        min_side: Least height and width wanted, in pixels. A JPEG may be decoded at less than its
            full size, but not at less than this; smaller images stay as they are.

    Returns:
        The upright image, RGB.

    Raises:
        DataError: As `decode_image`.
    """
    return _guarded(_decode_whole, data, min_side)


@dataclass(frozen=True)
class Nature:
    """What kind of image some bytes hold.

    Attributes:
        width: In pixels, of the upright image.
        height: In pixels, of the upright image.
        format: One of `FORMATS`.
        changes: What decoding does to it beyond reading it: some of `grey`, `palette`, `cmyk`
            (all made RGB), `deep` (16 bits a channel made 8), `transparent` (made white),
            `animated` (all but the first frame left out) and `turned` (upright, by its EXIF data).
    """

    width: int
    height: int
    format: str
    changes: tuple[str, ...]


def examine(data: bytes) -> Nature:
    """Say what kind of image some bytes hold, having decoded it once.

    Args:
        data: A JPEG, PNG, WebP, BMP or GIF file.

    Raises:
        DataError: As `decode_image`.
    """
    nature = _guarded(lambda data, _: _examine(data), data, _EXAMINED_SIZE)
    decode_image(data, _EXAMINED_SIZE)
    return nature


def _examine(data: bytes) -> Nature:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image)
        transposition = _transposition(image)
        width, height = image.size
        if transposition in _SIDEWAYS:
            width, height = height, width
        is_deep = image.format == "PNG" and data[_PNG_DEPTH] == 16
        is_gif = image.format == "GIF"  # a palette is nothing unusual there
        by_mode = None if is_gif or is_deep else _CHANGES_BY_MODE.get(image.mode)
        found = {
            by_mode: True,
            "deep": is_deep,
            "transparent": image.has_transparency_data,
            "animated": getattr(image, "is_animated", False),
            "turned": transposition is not None,
        }
        changes = tuple(change for change, is_so in found.items() if change and is_so)
        return Nature(width, height, str(image.format), changes)


def _guarded(decode: Callable[[bytes, int], T], data: bytes, size: int) -> T:
    """Decode, and say in a sentence why it cannot be done."""
    try:
        with _enough_memory():
            _check_png(data)
            return decode(data, size)
    except UserError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except UnidentifiedImageError as error:
        raise DataError(f"It is no image in one of the formats {', '.join(FORMATS)}.") from error
    except Exception as error:  # damaged files make Pillow raise almost anything
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError(f"The image is damaged: {reason}.") from error


@contextlib.contextmanager
def _enough_memory() -> Iterator[None]:
    """Say in a sentence that there is too little memory: the image is not to blame."""
    try:
        yield
    except MemoryError as error:
        raise UserError(
            "The memory does not suffice to read the images.",
            hint="close what else takes memory, and give the command again",
        ) from error


def _image_of(payload: bytes, name: str) -> bytes:
    image = image_feature(parse_example(payload), name)
    if image is None:
        raise DataError("The record's `image` must be one string of bytes.")
    return image


def _decode(data: bytes, image_size: int) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image)
        transposition = _transposition(image)
        image.draft(None, (_REDUCING_GAP * image_size, _REDUCING_GAP * image_size))
        square = _on_white(_centre_square(_to_eight_bit(image), image_size))
    if transposition is not None:
        square = square.transpose(transposition)
    return np.array(square)


def _decode_whole(data: bytes, min_side: int) -> Image.Image:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image)
        transposition = _transposition(image)
        image.draft(None, (min_side, min_side))
        whole = _on_white(_to_eight_bit(image))
    return whole if transposition is None else whole.transpose(transposition)


def _check_png(data: bytes) -> None:
    """Refuse a PNG whose pixels are not what they were: it has checksums, which Pillow passes over.

    Damage elsewhere, as in a comment, costs no photograph.
    """
    place = len(_PNG_SIGNATURE)
    while data.startswith(_PNG_SIGNATURE) and place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind, end = data[place + 4 : place + 8], place + 8 + length
        checksum = data[end : end + 4]
        is_whole = kind in _PNG_PIXELS and len(checksum) == 4
        if is_whole and struct.pack(">I", zlib.crc32(data[place + 4 : end])) != checksum:
            raise DataError("The image is damaged: a checksum does not match.")
        place = end + 4


def _check_size(image: Image.Image) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise _too_large()


def _too_large() -> DataError:
    return DataError(
        f"The image has more than {Image.MAX_IMAGE_PIXELS} pixels, the most that is decoded.",
        hint="scale it down before training",
    )


def _transposition(image: Image.Image) -> Image.Transpose | None:
    """Return what turns the image upright, or None if it is, or its EXIF data make no sense."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # a photograph is worth keeping, whatever is wrong with its EXIF data
        return None
    return _TRANSPOSITIONS.get(orientation)


def _to_eight_bit(image: Image.Image) -> Image.Image:
    """Return the image as RGB, or as RGBA if parts of it are transparent."""
    if image.mode.startswith("I"):
        wide = np.asarray(image).clip(0, 65535)
        image = Image.fromarray((wide >> 8).astype(np.uint8))
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _centre_square(image: Image.Image, image_size: int) -> Image.Image:
    """Crop and resize in one step; half pixels at the edge keep it independent of rotation."""
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize(
        (image_size, image_size),
        Image.Resampling.BILINEAR,
        box=(left, top, left + side, top + side),
    )


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image).convert("RGB")
