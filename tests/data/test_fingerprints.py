"""Tests for fingerprints: small grey pictures of whole images, cached."""

import io
import os

import numpy as np
import pytest
from PIL import Image, ImageOps

from automl_flowers.data.copies import fingerprints as module
from automl_flowers.data.copies.fingerprints import SIZE, join, load_fingerprints, thumbnail
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import decode_whole
from automl_flowers.errors import DataError
from tests.data.textures import texture, turn_hue


@pytest.fixture
def photos(tmp_path):
    """A folder of two classes, three pictures each."""
    for number in range(6):
        path = tmp_path / "photos" / ("daisy", "rose")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        texture(number).save(path)
    return tmp_path / "photos"


def load(photos, tmp_path, **options):
    return load_fingerprints(open_data(str(photos)).rows, tmp_path / "cache", **options)


def test_a_fingerprint_is_of_the_whole_picture():
    wide = Image.new("RGB", (200, 100))
    wide.paste((255, 255, 255), (0, 0, 20, 100))

    made = thumbnail(wide)

    assert made.shape == (SIZE, SIZE)
    assert made.dtype == np.uint8
    assert made[:, 0].min() == 255
    assert made[:, 32].max() == 0


def test_a_turn_of_the_hue_leaves_a_fingerprint_as_it_is():
    image = texture(3)

    change = np.abs(thumbnail(image).astype(int) - thumbnail(turn_hue(image)))

    assert change.max() <= 3


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (640, 480), (2000, 1999)])
def test_pictures_of_any_size_have_fingerprints_of_one_size(size):
    assert thumbnail(Image.new("RGB", size, (10, 20, 30))).tolist() == [[20] * SIZE] * SIZE


def test_fingerprints_are_in_the_order_of_the_rows_with_the_digests_of_files(photos, tmp_path):
    rows = open_data(str(photos)).rows

    made = load(photos, tmp_path)

    assert list(made.ids) == rows["id"].tolist()
    assert len(set(made.digests)) == len(made) == 6
    np.testing.assert_array_equal(made.thumbnails[0], thumbnail(texture(0)))
    some = made.of(["rose/5.png", "daisy/0.png"])
    assert some.ids == ("rose/5.png", "daisy/0.png")
    np.testing.assert_array_equal(some.thumbnails[1], made.thumbnails[0])
    both = join([made, some])
    assert len(both) == 8
    np.testing.assert_array_equal(both.thumbnails[7], made.thumbnails[0])


def test_a_second_time_nothing_is_decoded(photos, tmp_path, monkeypatch):
    first = load(photos, tmp_path)
    monkeypatch.setattr(module, "decode_whole", None)

    again = load(photos, tmp_path)

    assert again.ids == first.ids
    assert again.digests == first.digests
    assert again.problems == first.problems
    np.testing.assert_array_equal(again.thumbnails, first.thumbnails)


def test_a_file_that_changes_is_read_again(photos, tmp_path):
    first = load(photos, tmp_path)
    texture(99).save(photos / "rose/1.png")
    os.utime(photos / "rose/1.png", ns=(1, 1))

    again = load(photos, tmp_path)

    changed = [one != other for one, other in zip(first.digests, again.digests, strict=True)]
    assert [first.ids[row] for row in np.flatnonzero(changed)] == ["rose/1.png"]


def test_what_cannot_be_read_is_listed_and_stays_listed(photos, tmp_path):
    (photos / "rose/1.png").write_bytes(b"words")
    (photos / "rose/3.png").write_bytes((photos / "rose/5.png").read_bytes()[:200])

    for _ in range(2):
        made = load(photos, tmp_path)

        assert len(made) == 4
        assert [problem.path for problem in made.problems] == ["rose/1.png", "rose/3.png"]


def test_what_could_not_be_read_is_tried_again_and_nothing_else(
    photos, tmp_path, monkeypatch, unreadable
):
    unreadable.add("3.png")
    (photos / "rose/1.png").write_bytes(b"words")

    first = load(photos, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(module, "decode_whole", None)
        still = load(photos, tmp_path)
    unreadable.clear()
    then = load(photos, tmp_path)
    monkeypatch.setattr(module, "decode_whole", None)
    at_last = load(photos, tmp_path)

    for made in (first, still):
        assert (len(made), made.unread) == (4, ("rose/3.png",))
        assert {problem.path for problem in made.problems} == {"rose/1.png", "rose/3.png"}
    for made in (then, at_last):
        assert (len(made), made.unread) == (5, ())
        assert [problem.path for problem in made.problems] == ["rose/1.png"]


def test_an_image_without_fingerprint_has_a_blank_one_of_its_own(photos, tmp_path):
    made = load(photos, tmp_path).of(["rose/1.png", "gone.png", "gone_too.png"])

    assert made.ids == ("rose/1.png", "gone.png", "gone_too.png")
    assert len(set(made.digests)) == 3
    assert made.thumbnails[1:].max() == 0


def test_no_readable_picture_gives_no_fingerprint(tmp_path):
    for name in ("daisy", "rose"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        (tmp_path / "photos" / name / "a.jpg").write_bytes(b"words")

    made = load(tmp_path / "photos", tmp_path)

    assert made.thumbnails.shape == (0, SIZE, SIZE)
    assert len(made.problems) == 2


def test_progress_is_heard(photos, tmp_path):
    heard = []

    load(photos, tmp_path, on_progress=lambda *report: heard.append(report))

    assert heard == [(6, 6)]


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def test_a_whole_picture_is_upright_and_as_large_as_is_needed():
    image = texture(1, (400, 300))
    exif = Image.Exif()
    exif[0x0112] = 6

    turned = decode_whole(
        encoded(image, format="JPEG", exif=exif, quality=95, subsampling=0), 10_000
    )
    small = decode_whole(encoded(image, format="JPEG"), 64)

    assert turned.size == (300, 400)
    assert small.mode == "RGB"
    assert 64 <= min(small.size) < 300
    upright = np.asarray(image.transpose(Image.Transpose.ROTATE_270), float)
    assert np.abs(np.asarray(turned, float) - upright).mean() < 5


def test_what_is_transparent_is_white_in_a_whole_picture():
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))

    assert decode_whole(encoded(image, format="PNG"), 64).getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("data", [b"", b"words"])
def test_what_is_no_picture_is_a_sentence(data):
    with pytest.raises(DataError, match="It is no image"):
        decode_whole(data, 64)


def test_mirrored_pictures_have_mirrored_fingerprints():
    image = texture(4, (128, 128))

    np.testing.assert_array_equal(thumbnail(ImageOps.mirror(image)), thumbnail(image)[:, ::-1])
