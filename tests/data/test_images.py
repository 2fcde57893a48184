"""Tests for reading and decoding images."""

import io
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from automl_flowers.data.sources.images import (
    decode_image,
    decode_whole,
    examine,
    read_image_bytes,
)
from automl_flowers.errors import DataError, UserError

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def save(image, image_format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def gradient(width, height):
    """Return an image whose red grows to the right and whose green grows downwards."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[..., 0] = np.linspace(0, 255, width)[None, :]
    pixels[..., 1] = np.linspace(0, 255, height)[:, None]
    return Image.fromarray(pixels)


def png_header(width, height):
    """Return the start of a PNG that claims a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    checksum = struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + body + checksum + b"\0\0\x01\0IDAT"


def test_a_file_is_read_whole(tmp_path, encode):
    (tmp_path / "a.jpg").write_bytes(encode())
    row = pd.Series({"path": str(tmp_path / "a.jpg"), "offset": -1, "length": -1})

    assert read_image_bytes(row) == encode()


def test_a_missing_file_is_named(tmp_path):
    row = pd.Series({"path": str(tmp_path / "a.jpg"), "offset": -1, "length": -1})

    with pytest.raises(DataError, match=r"Cannot read `.*a\.jpg`: No such file") as caught:
        read_image_bytes(row)

    assert "check the address" in caught.value.hint


@pytest.mark.parametrize(
    ("image_format", "mode"),
    [
        ("JPEG", "RGB"),
        ("JPEG", "L"),
        ("JPEG", "CMYK"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "LA"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("PNG", "I;16"),
        ("WEBP", "RGB"),
        ("WEBP", "RGBA"),
        ("BMP", "RGB"),
        ("GIF", "P"),
    ],
)
@pytest.mark.parametrize("size", [(40, 30), (5, 9), (1, 1), (16, 16)])
def test_every_format_and_mode_becomes_a_square_of_rgb(encode, image_format, mode, size):
    if mode == "I;16":
        data = save(Image.fromarray(np.full(size[::-1], 40_000, dtype=np.uint16)))
    else:
        data = encode(image_format, size=size, mode=mode)

    pixels = decode_image(data, 16)

    assert pixels.shape == (16, 16, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    np.testing.assert_array_equal(pixels, decode_image(data, 16))


def test_the_centre_square_is_kept():
    image = Image.new("RGB", (12, 4), RED)
    image.paste(GREEN, (4, 0, 8, 4))

    pixels = decode_image(save(image), 4)

    assert (pixels == GREEN).all()


def test_an_image_of_the_right_size_keeps_its_pixels():
    image = gradient(9, 9)

    np.testing.assert_array_equal(decode_image(save(image), 9), np.asarray(image))


def test_shrinking_averages_instead_of_skipping():
    checkerboard = np.indices((64, 64)).sum(axis=0) % 2 * 255

    pixels = decode_image(save(Image.fromarray(checkerboard.astype(np.uint8))), 8)

    np.testing.assert_allclose(pixels, 127.5, atol=8)


def test_a_large_jpeg_decoded_at_reduced_scale_looks_the_same():
    image = gradient(512, 512)

    reduced = decode_image(save(image, "JPEG", quality=95), 32)

    full = decode_image(save(image), 32)
    np.testing.assert_allclose(reduced.astype(int), full.astype(int), atol=6)


@pytest.mark.parametrize(
    ("image_size", "scale"), [(32, 8), (33, 4), (64, 4), (65, 2), (128, 2), (129, 1), (512, 1)]
)
def test_a_jpeg_is_decoded_at_the_smallest_scale_that_is_twice_the_target(image_size, scale):
    rng = np.random.default_rng(0)
    data = save(Image.fromarray(rng.integers(0, 256, (512, 512, 3), np.uint8)), "JPEG")

    pixels = decode_image(data, image_size)

    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (512 // scale, 512 // scale))
    assert image.size == (512 // scale, 512 // scale)
    expected = image.resize((image_size, image_size), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(pixels, expected)


@pytest.mark.parametrize("size", [(20, 20), (21, 14), (14, 21)])
@pytest.mark.parametrize(
    ("orientation", "undo"),
    [
        (1, lambda image: image),
        (2, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        (3, lambda image: image.rotate(180)),
        (4, lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        (5, lambda image: image.transpose(Image.Transpose.TRANSPOSE)),
        (6, lambda image: image.rotate(90, expand=True)),
        (7, lambda image: image.transpose(Image.Transpose.TRANSVERSE)),
        (8, lambda image: image.rotate(270, expand=True)),
    ],
)
def test_an_image_stored_in_any_orientation_comes_out_upright(size, orientation, undo):
    upright = gradient(*size)
    exif = Image.Exif()
    exif[0x0112] = orientation

    pixels = decode_image(save(undo(upright), exif=exif), 14)

    expected = decode_image(save(upright), 14)
    np.testing.assert_allclose(pixels.astype(int), expected.astype(int), atol=1)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_unknown_orientation_is_taken_as_upright(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation

    pixels = decode_image(save(gradient(8, 8), exif=exif), 8)

    np.testing.assert_array_equal(pixels, np.asarray(gradient(8, 8)))


def test_damaged_exif_data_do_not_cost_the_image(encode):
    data = encode("JPEG", exif=b"Exif\x00\x00nonsense")

    assert decode_image(data, 8).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_become_white(mode):
    image = Image.new("RGBA", (8, 8), (*BLUE, 0)).convert(mode)
    options = {"transparency": image.getpixel((0, 0))} if mode == "P" else {}

    assert (decode_image(save(image, **options), 8) == 255).all()


@pytest.mark.parametrize(("value", "expected"), [(0, 0), (0x8000, 0x80), (0xFFFF, 0xFF)])
def test_sixteen_bits_keep_the_upper_eight(value, expected):
    data = save(Image.fromarray(np.full((4, 4), value, dtype=np.uint16)))

    assert (decode_image(data, 4) == expected).all()


def test_cmyk_keeps_its_colours():
    data = save(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)

    np.testing.assert_allclose(decode_image(data, 8)[4, 4], RED, atol=6)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    data = save(frames[0], "GIF", save_all=True, append_images=frames[1:])

    assert (decode_image(data, 8) == RED).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "It is no image in one of the formats JPEG, PNG, WEBP, BMP, GIF"),
        (b"<html>404</html>", "It is no image in one of the formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "It is no image in one of the formats"),
        (save(gradient(64, 64), "JPEG")[:-20], "The image is damaged: image file is truncated"),
        (save(gradient(64, 64), "TIFF"), "It is no image in one of the formats"),
        (png_header(100, 100), "The image is damaged"),
        (png_header(9_500, 9_500), "The image has more than 89478485 pixels, the most"),
        (png_header(50_000, 50_000), "The image has more than 89478485 pixels, the most"),
    ],
    ids=["empty", "html", "postscript", "cut", "tiff", "no pixels", "large", "bomb"],
)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_what_cannot_be_decoded_is_refused_in_one_sentence(data, message):
    with pytest.raises(DataError, match=message) as caught:
        decode_image(data, 8)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", ["open", "Image.resize", "Image.getexif", "Image.convert"])
def test_too_little_memory_is_no_fault_of_the_image(monkeypatch, place):
    def fail(*_arguments, **_options):
        raise MemoryError

    data = save(gradient(9, 9), "PNG")
    monkeypatch.setattr(f"PIL.Image.{place}", fail)

    for decode in (lambda: decode_image(data, 8), lambda: examine(data)):
        with pytest.raises(UserError, match="memory does not suffice") as caught:
            decode()
        assert not isinstance(caught.value, DataError)


def test_too_little_memory_for_a_whole_image_is_no_fault_of_it(monkeypatch):
    def fail(*_arguments, **_options):
        raise MemoryError

    data = save(gradient(9, 9), "PNG")
    monkeypatch.setattr(Image, "open", fail)

    with pytest.raises(UserError, match="memory does not suffice") as caught:
        decode_whole(data, 8)
    assert not isinstance(caught.value, DataError)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=150, deadline=None)
@given(
    image_format=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF"]),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=4),
)
def test_damaged_bytes_give_pixels_or_a_data_error(encode, image_format, flips):
    data = bytearray(encode(image_format, size=(12, 9)))
    for place, flip in flips:
        data[int(place * (len(data) - 1))] ^= flip

    try:
        pixels = decode_image(bytes(data), 8)
    except DataError:
        return

    assert pixels.shape == (8, 8, 3)
