"""Sheets of pictures: many beside one another, each with a title, as a PNG.

Drawing only; which pictures stand on a sheet is said by `automl_flowers.reports.pictures`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from automl_flowers.errors import UserError
from automl_flowers.files import atomic_path

GUTTER = 6
"""Pixels between pictures."""

TITLE_HEIGHT = 16
"""Pixels of the line above a picture."""

_FONT_SIZE = 11
_PAPER, _INK = "white", "#1f2530"

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Cell:
    """A picture on a sheet.

    Attributes:
        picture: Uint8, shape `(height, width, 3)`, the same for all cells of a sheet.
        title: One line.
    """

    picture: Images
    title: str = ""


@dataclass(frozen=True)
class Sheet:
    """Pictures in rows.

    Attributes:
        name: Of its file, without an extension.
        heading: What it shows.
        columns: Pictures in a row.
        cells: Row after row.
    """

    name: str
    heading: str
    columns: int
    cells: tuple[Cell, ...]


def draw(sheet: Sheet) -> Images:
    """Return a sheet as pixels, uint8, `(height, width, 3)`; titles are shortened to fit."""
    height, width = sheet.cells[0].picture.shape[:2]
    columns = min(sheet.columns, len(sheet.cells))
    rows = -(-len(sheet.cells) // sheet.columns)
    across, down = width + GUTTER, height + TITLE_HEIGHT + GUTTER
    paper = Image.new("RGB", (GUTTER + columns * across, GUTTER + rows * down), _PAPER)
    pen = ImageDraw.Draw(paper)
    font = ImageFont.load_default(_FONT_SIZE)
    for number, cell in enumerate(sheet.cells):
        row, column = divmod(number, sheet.columns)
        left, top = GUTTER + column * across, GUTTER + row * down
        pen.text((left, top), _fitting(cell.title, pen, font, width), fill=_INK, font=font)
        paper.paste(Image.fromarray(cell.picture), (left, top + TITLE_HEIGHT))
    return np.asarray(paper)


_Font = ImageFont.ImageFont | ImageFont.FreeTypeFont


def _fitting(text: str, pen: ImageDraw.ImageDraw, font: _Font, width: int) -> str:
    """Return a text on one line, its end left out where it is too wide."""
    line = " ".join(text.split())
    shown = line
    while shown and pen.textlength(shown, font=font) > width:
        line = line[:-1]
        shown = f"{line.rstrip()}..."
    return shown


def write_sheet(sheet: Sheet, out: Path) -> None:
    """Write a sheet as a PNG, all or nothing.

    Raises:
        UserError: If it cannot be written.
    """
    try:
        with atomic_path(out) as temporary:
            Image.fromarray(draw(sheet)).save(temporary, format="PNG", compress_level=1)
    except OSError as error:
        raise UserError(
            f"Cannot write `{out}`: {error.strerror or error}.",
            hint="choose a file in a folder that you may write to",
        ) from error


def stack(sheets: Sequence[Sheet], name: str, heading: str) -> Sheet:
    """Return sheets of the same columns, all of their rows full, as one."""
    cells = tuple(cell for sheet in sheets for cell in sheet.cells)
    return Sheet(name, heading, sheets[0].columns, cells)
