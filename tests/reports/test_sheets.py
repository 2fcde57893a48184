"""Tests for sheets of pictures, and for which pictures stand on them."""

import numpy as np
import pytest
from PIL import Image

from automl_flowers.data.sources import open_data
from automl_flowers.errors import UserError
from automl_flowers.reports import pictures, sheets
from automl_flowers.reports.sheets import GUTTER, TITLE_HEIGHT, Cell, Sheet
from tests.data.conftest import encode_image, serialise_example, write_image_tree
from tests.data.conftest import write_tfrecord_file as write_records

SIZE = 24
ACROSS, DOWN = SIZE + GUTTER, SIZE + TITLE_HEIGHT + GUTTER


def cells(count, title="daisy"):
    rng = np.random.default_rng(0)
    return [
        Cell(picture, title) for picture in rng.integers(0, 256, (count, SIZE, SIZE, 3), np.uint8)
    ]


def cut_out(sheet, row, column):
    top, left = GUTTER + TITLE_HEIGHT + row * DOWN, GUTTER + column * ACROSS
    return sheet[top : top + SIZE, left : left + SIZE]


def test_pictures_stand_in_rows_below_their_titles(tmp_path):
    sheet = Sheet("grid", "As they are", 3, tuple(cells(5)))

    sheets.write_sheet(sheet, tmp_path / "new" / "grid.png")

    with Image.open(tmp_path / "new" / "grid.png") as file:
        drawn = np.asarray(file)
    assert drawn.shape == (GUTTER + 2 * DOWN, GUTTER + 3 * ACROSS, 3)
    for number, cell in enumerate(sheet.cells):
        np.testing.assert_array_equal(cut_out(drawn, *divmod(number, 3)), cell.picture)
    title = drawn[GUTTER : GUTTER + TITLE_HEIGHT, GUTTER : GUTTER + SIZE]
    assert title.min() < 128
    assert (cut_out(drawn, 1, 2) == 255).all()  # nothing stands in the sixth place


@pytest.mark.parametrize("title", ["a name that is much too long for it", "two\nlines", "", "薔薇"])
def test_a_title_stays_above_its_picture(title):
    drawn = sheets.draw(Sheet("grid", "", 2, (*cells(1, title), *cells(1, ""))))

    beside = drawn[: GUTTER + TITLE_HEIGHT, GUTTER + SIZE :]
    assert (beside == 255).all()
    np.testing.assert_array_equal(cut_out(drawn, 0, 0), cells(1)[0].picture)


def test_a_sheet_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UserError, match=r"Cannot write `.*sheet\.png`"):
        sheets.write_sheet(Sheet("grid", "", 1, tuple(cells(1))), tmp_path / "file" / "sheet.png")


def test_strengths_stand_beside_what_they_were_made_of():
    originals = cells(2)

    sheet = pictures.compare([pictures.versions(originals, name) for name in ("light", "v3")])

    assert sheet.columns == 3
    assert [cell.title for cell in sheet.cells] == ["daisy", "light", "v3"] * 2
    np.testing.assert_array_equal(sheet.cells[3].picture, originals[1].picture)
    assert (sheet.cells[1].picture != sheet.cells[0].picture).any()


def test_versions_are_those_of_the_first_epochs():
    originals = cells(3)

    every, one = pictures.versions(originals, "light"), pictures.versions(originals, "light", [1])

    assert every.columns == 1 + pictures.VERSIONS
    assert len(every.cells) == 3 * every.columns
    assert [cell.title for cell in one.cells[:3]] == ["daisy", "light, epoch 1", "light, epoch 2"]
    for cell, same in zip(one.cells, every.cells[8:16], strict=True):
        np.testing.assert_array_equal(cell.picture, same.picture)


def test_pictures_are_chosen_from_every_class_in_turn(tmp_path):
    counts = {"train/common": 30, "train/rare": 1, "train/scarce": 3, "val/common": 2}
    tree = {f"{name}/{number}.jpg": None for name, many in counts.items() for number in range(many)}
    manifest = open_data(str(write_image_tree(tmp_path, tree)))

    chosen, again = (pictures.choose(manifest, 6) for _ in range(2))

    titles = [cell.title for cell in chosen]
    assert sorted(titles[:3]) == ["common", "rare", "scarce"]
    assert sorted(titles[3:5]) == ["common", "scarce"]
    assert len(pictures.choose(manifest)) == 34
    for one, other in zip(chosen, again, strict=True):
        np.testing.assert_array_equal(one.picture, other.picture)


def test_a_picture_that_is_gone_is_not_shown(tmp_path):
    tree = {f"train/{name}/{number}.jpg": None for name in "ab" for number in range(2)}
    manifest = open_data(str(write_image_tree(tmp_path, tree)))
    (tmp_path / "train/a/0.jpg").unlink()

    assert sorted(cell.title for cell in pictures.choose(manifest)) == ["a", "b", "b"]


def test_pictures_without_labels_are_shown_too(tmp_path):
    records = [serialise_example(image=encode_image(seed=k), id_=b"%d" % k) for k in range(3)]
    write_records(tmp_path / "test/00-8x6-3.tfrec", records)
    (tmp_path / "classes.txt").write_text("daisy\nrose\n")

    assert [cell.title for cell in pictures.choose(open_data(str(tmp_path)))] == ["no label"] * 3
