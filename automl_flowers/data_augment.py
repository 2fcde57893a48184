"""`data augment`: what strengths of augmentation make of real pictures, measured and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl_flowers.data.copies import OnProgress
from automl_flowers.data.inspect_augmentation import MOST_UNRECOGNISABLE, measure, sample_pictures
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.errors import ConfigError
from automl_flowers.reports import pictures
from automl_flowers.reports.sheets import Cell, Sheet, stack, write_sheet
from search_spaces.augmentation import AUGMENTATIONS, get_augmentation

_SHOWN = 6


def inspect(
    address: str,
    name: str | None = None,
    out: Path | None = None,
    *,
    image_size: int = 128,
    features: RecordFeatures = USUAL_FEATURES,
    on_progress: OnProgress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Measure strengths on a sample of real pictures, and draw some on a sheet.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        name: Of one strength; None for all.
        out: PNG file to write: pictures and versions of them, a row a picture, or a row a strength.
        image_size: Pixels of a side.
        features: What TFRecords call their label, id and picture.
        on_progress: Hears of measuring.

    Returns:
        Plain data: `address`, `sampled` pictures, `image_size`, `augmentations` (what `Measured`
        holds, of each), `harmful` names, and `sheet`, the file or None.

    Raises:
        ConfigError: If there is no such strength.
        DataError: If there is nothing to read, or no picture can be decoded.
        UserError: If the file cannot be written.
    """
    names = list(AUGMENTATIONS) if name is None else [name]
    try:
        get_augmentation(names[0])
    except ValueError as error:
        raise ConfigError(str(error)) from None
    images = sample_pictures(address, image_size, features)
    found = []
    for done, each in enumerate(names, start=1):
        found.append(measure(images, each))
        on_progress("measuring augmentations", done, len(names))
    if out is not None:
        write_sheet(_sheet(images[:_SHOWN], names), out)
    return {
        "address": address,
        "sampled": len(images),
        "image_size": image_size,
        "augmentations": [asdict(each) for each in found],
        "harmful": [each.augmentation for each in found if each.is_harmful],
        "sheet": None if out is None else str(out),
    }


def _sheet(images: npt.NDArray[np.uint8], names: Sequence[str]) -> Sheet:
    """Return several pictures by one strength, or one picture a strength by several."""
    cells = [Cell(image, "as it is") for image in images]
    if len(names) == 1:
        return pictures.versions(cells, names[0])
    sheets = [pictures.versions(cells, n, [k % len(cells)]) for k, n in enumerate(names)]
    return stack(sheets, "augmentation", "All strengths")


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    width = max(len(each["augmentation"]) for each in facts["augmentations"])
    shown = [f"{facts['sampled']} pictures of {facts['address']} at {facts['image_size']} px"]
    for each in facts["augmentations"]:
        share, note = each["unrecognisable"], ""
        if each["augmentation"] in facts["harmful"]:
            note = f"  more than {MOST_UNRECOGNISABLE:.0%}: not for training"
        shown.append(f"  {each['augmentation']:<{width}}  {share:>6.1%} unrecognisable{note}")
    if facts["sheet"]:
        shown.append(f"sheet: {facts['sheet']}")
    return shown
