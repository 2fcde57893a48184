"""How to make each row of docs/bad_data.md, for real.

A case changes a data set of four good images, two a class, and returns its address. It is
registered under the name of its row; what becomes of it is in the table.
"""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image

from tests.data.conftest import encode_image, serialise_example, write_image_tree
from tests.data.conftest import write_tfrecord_file as write_records

SIZE = (40, 40)
GOOD = 4
"""Images of the data set before it is changed."""

CASES = {}
"""By the name of the row: what makes it, and how many images that costs."""


def case(title, lost=0):
    """Register a case under the name of its row."""

    def register(make):
        assert title not in CASES, title
        CASES[title] = make, lost
        return make

    return register


def encode(image_format="JPEG", mode="RGB", seed=9, size=SIZE, **options):
    return encode_image(image_format, size=size, mode=mode, seed=seed, **options)


def photos(folder):
    tree = {f"{name}/{k}.jpg": encode(seed=k) for name in ("daisy", "rose") for k in range(2)}
    return write_image_tree(folder / "photos", tree)


def with_file(title, name, make, lost=0):
    """Register a case in which one file is added to a folder of photographs."""

    @case(title, lost)
    def _(folder):
        root = photos(folder)
        place = os.fsencode(root / "rose") + b"/" + os.fsencode(name)
        with open(place, "wb") as file:  # noqa: PTH123 - a Path cannot hold every name
            file.write(make())
        return root


def png_header(width, height):
    """Return the start of a PNG that claims a size and holds no pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"\0\0\1\0IDAT"


def chunk(kind, data):
    checksum = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + checksum


def with_text_bomb():
    """Return a small PNG whose text becomes 100 MB when it is unpacked."""
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(bytes(1_000_000)) for _ in range(100)) + packer.flush()
    whole = encode("PNG")
    text = chunk(b"zTXt", b"Comment\0\0" + packed)
    return whole[:33] + text + whole[33:]


def deep():
    buffer = io.BytesIO()
    Image.fromarray(np.full(SIZE, 40_000, np.uint16)).save(buffer, "PNG")
    return buffer.getvalue()


def animated(image_format):
    frames = [Image.new("RGB", SIZE, colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, image_format, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def sideways():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encode(size=(60, 40), exif=exif)


# Files

with_file("A file of zero bytes", "a.jpg", lambda: b"", lost=1)
with_file("A JPEG that lost its end", "a.jpg", lambda: encode()[:-60], lost=1)
with_file("A PNG in which a byte changed", "a.png", lambda: flipped(encode("PNG"), 300), lost=1)
with_file("A JPEG in which a byte changed", "a.jpg", lambda: flipped(encode(), 100))
with_file("A web page saved as `.jpg`", "a.jpg", lambda: b"<html>404</html>", lost=1)
with_file("A TIFF called `.jpg`", "a.jpg", lambda: encode("TIFF"), lost=1)
with_file("A HEIC photograph of a phone", "a.heic", lambda: b"\0\0\0\x18ftypheic", lost=1)
with_file("A text file among the photographs", "notes.txt", lambda: b"words")
with_file("A photograph called `.txt`", "a.txt", encode)
with_file("A PNG called `.jpg`", "a.jpg", lambda: encode("PNG"))
with_file("A CMYK JPEG", "a.jpg", lambda: encode(mode="CMYK"))
with_file("A grey JPEG", "a.jpg", lambda: encode(mode="L"))
with_file("A PNG with 16 bits a channel", "a.png", deep)
with_file("A PNG with a palette", "a.png", lambda: encode("PNG", "P"))
with_file("A PNG with transparent parts", "a.png", lambda: encode("PNG", "RGBA"))
with_file("A WebP", "a.webp", lambda: encode("WEBP"))
with_file("An animated GIF", "a.gif", lambda: animated("GIF"))
with_file("An animated WebP", "a.webp", lambda: animated("WEBP"))
with_file("A photograph stored sideways", "a.jpg", sideways)
with_file("Damaged EXIF data", "a.jpg", lambda: encode(exif=b"Exif\0\0nonsense"))
with_file("An image of 1 x 1 pixels", "a.png", lambda: encode("PNG", size=(1, 1)))
with_file("An image 20,000 pixels wide", "a.jpg", lambda: encode(size=(20_000, 50)))
with_file("An image of 20,000 x 20,000 pixels", "a.png", lambda: png_header(20_000, 20_000), lost=1)
with_file("A decompression bomb", "a.png", lambda: png_header(60_000, 60_000), lost=1)
with_file("A PNG whose text is a decompression bomb", "a.png", with_text_bomb, lost=1)


def flipped(data, from_end):
    """Return bytes one of which has changed, in the midst of the pixels."""
    return data[:-from_end] + bytes([data[-from_end] ^ 0xFF]) + data[1 - from_end :]


# Names and links

with_file("Spaces, quotes and percent signs in a name", 'it\'s "red" 100%.jpg', encode)
with_file("A name that begins with `-`", "-rf.jpg", encode)
with_file("Letters of any alphabet in a name", "薔薇 é \N{CHERRY BLOSSOM}.jpg", encode)
with_file(
    "Control characters in a name (here of an empty file)",
    "\x1b[31mred\x07.jpg",
    lambda: b"",
    lost=1,
)
with_file("A line break in a name", "two\nlines.jpg", encode, lost=1)
with_file("A name that is not UTF-8", b"m\xfcller.jpg", encode, lost=1)
with_file("A hidden file (`.DS_Store`, `._rose.jpg`)", "._rose.jpg", lambda: b"words")


@case("A folder within a class folder")
def _(folder):
    return write_image_tree(photos(folder), {"rose/more/a.jpg": None})


@case("An image beside the class folders")
def _(folder):
    return write_image_tree(photos(folder), {"overview.jpg": None})


def with_link(title, target, lost=0):
    """Register a case in which a link is added to a folder of photographs."""

    @case(title, lost)
    def _(folder):
        root = photos(folder)
        (folder / "elsewhere.jpg").write_bytes(encode())
        (root / "rose/link.jpg").symlink_to(target)
        return root


with_link("A link to an image of the folder", "0.jpg")
with_link("A link out of the folder", "../../elsewhere.jpg", lost=1)
with_link("A link that leads nowhere", "gone.jpg", lost=1)
with_link("A link to itself", "link.jpg", lost=1)


@case("A class folder that is a link out of the folder")
def _(folder):
    root = photos(folder)
    write_image_tree(folder, {"elsewhere/a.jpg": None})
    (root / "tulip").symlink_to(folder / "elsewhere")
    return root


# TFRecords


def good_records():
    return [
        serialise_example(image=encode(seed=k), label=k % 2, id_=b"%d" % k) for k in range(GOOD)
    ]


def records(folder, payloads, name="00-40x40-{}.tfrec"):
    root = folder / "records"
    write_records(root / "train" / name.format(len(payloads)), payloads)
    (root / "classes.txt").write_text("daisy\nrose\n")
    return root


def with_record(title, make, lost=0):
    """Register a case in which one record stands amid good ones."""

    @case(title, lost)
    def _(folder):
        first, *rest = good_records()
        return records(folder, [first, make(), *rest])


def damage(folder, change, name="00-40x40-{}.tfrec"):
    """Write a shard of six records, and change its bytes where the third begins."""
    six = [serialise_example(image=encode(), label=k % 2, id_=b"%d" % k) for k in range(GOOD + 2)]
    root = records(folder, six, name)
    (shard,) = root.rglob("*.tfrec")
    data = bytearray(shard.read_bytes())
    start = sum(len(payload) + 16 for payload in six[:GOOD])
    shard.write_bytes(change(data, start))
    return root


def flip(offset):
    def change(data, start):
        data[start + offset] ^= 0xFF
        return data

    return change


@case("A record whose data are damaged", lost=1)
def _(folder):
    first, *rest = good_records()
    root = records(folder, [first, serialise_example(image=b"here", label=0, id_=b"x"), *rest])
    (shard,) = root.rglob("*.tfrec")
    shard.write_bytes(shard.read_bytes().replace(b"here", b"gone"))
    return root


@case("A record whose length is damaged", lost=2)
def _(folder):
    return damage(folder, flip(0))


@case("A record whose length's checksum is damaged", lost=2)
def _(folder):
    return damage(folder, flip(8))


@case("A damaged length in a file whose name has no count", lost=2)
def _(folder):
    return damage(folder, flip(0), name="flowers.tfrec")


@case("A file that lost its end", lost=2)
def _(folder):
    return damage(folder, lambda data, start: data[: start + 100])


@case("A file without a record")
def _(folder):
    root = records(folder, good_records())
    (root / "train/01-40x40-0.tfrec").touch()
    return root


with_record("A record without a picture", lambda: serialise_example(image=None, label=0), lost=1)
with_record("A record without a class", lambda: serialise_example(image=encode()), lost=1)
with_record("A record without an id", lambda: serialise_example(image=encode(), label=0))
with_record("A negative label", lambda: serialise_example(image=encode(), label=-1), lost=1)
with_record("A label that is no integer", lambda: typed("class", "float_list", 1.0), lost=1)
with_record("A label that is text", lambda: typed("class", "bytes_list", b"rose"), lost=1)
with_record("A record with two labels", lambda: typed("class", "int64_list", 0, 1), lost=1)
with_record("A picture that is no string of bytes", lambda: typed("image", "int64_list", 7), lost=1)
with_record("A picture that is none", lambda: serialise_example(image=b"pixels", label=0), lost=1)
with_record("An id of two lines", lambda: serialise_example(id_=b"a\nb", label=0), lost=1)
with_record("A record that is no `tf.train.Example`", lambda: b"\xff\xff\xff", lost=1)
with_record(
    "A label beyond the list of classes", lambda: serialise_example(label=2, id_=b"x"), lost=1
)
with_record("An id that is taken", lambda: serialise_example(label=0, id_=b"0"))


def typed(name, kind, *values):
    """Return a good record in which one feature has other values."""
    import tensorflow as tf

    example = tf.train.Example.FromString(serialise_example(image=encode(), label=0, id_=b"x"))
    example.features.feature[name].Clear()
    getattr(example.features.feature[name], kind).value.extend(values)
    return example.SerializeToString()
