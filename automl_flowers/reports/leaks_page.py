"""`leaks.html`: pictures side by side with what they are copies of, in one file without scripts."""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Sequence
from typing import Any

import pandas as pd
from PIL import Image, ImageOps

from automl_flowers.data.audit import Audit
from automl_flowers.data.audit_summary import SENTENCES
from automl_flowers.data.copies import OnProgress
from automl_flowers.data.findings import Leak, Pair, Picture
from automl_flowers.data.sources.images import decode_whole, read_image_bytes
from automl_flowers.errors import DataError
from automl_flowers.reports.embedding import resource, template_environment

SIDE = 144
"""Height and width of the pictures, in pixels."""

MOST_SHOWN = 1000
"""Entries of a section; `leaks.json` has all."""

_QUALITY = 75
_TITLES = {
    "conflicts": "Copies with two different classes",
    "between_evaluation": "Copies in two evaluation splits",
    "within": "Copies in one split",
    "repeated": "Copies in two external data sets",
}
_OUTCOMES = {
    "dropped": "would be dropped",
    "depends": "would be dropped if its copy is evaluated",
    "kept": "would be kept: a copy of training images only",
    "not used": "of a class that is not used",
}


def render(audit: Audit, facts: dict[str, Any], *, on_progress: OnProgress) -> str:
    """Return the page.

    Args:
        audit: What was found.
        facts: From `automl_flowers.data.audit_summary.summary_of`.
        on_progress: Hears of reading pictures.
    """
    leaks = audit.leaks
    sections = {name: audit.of_kind(name) for name in _TITLES}
    pictures = _Pictures(audit.rows, _count(leaks, sections), on_progress)
    page = template_environment().get_template("leaks.html.j2")
    return page.render(
        style=resource("report.css"),
        facts=facts,
        leaks=leaks[:MOST_SHOWN],
        num_leaks=len(leaks),
        sections={name: pairs[:MOST_SHOWN] for name, pairs in sections.items()},
        titles=_TITLES,
        outcomes=_OUTCOMES,
        sentences=SENTENCES,
        uri=pictures.uri,
        side=SIDE,
    )


def _count(leaks: Sequence[Leak], sections: dict[str, list[Pair]]) -> int:
    """Return how many different pictures the page shows."""
    shown = [pair for leak in leaks[:MOST_SHOWN] for pair in leak.pairs]
    shown += [pair for pairs in sections.values() for pair in pairs[:MOST_SHOWN]]
    return len({picture.row for pair in shown for picture in (pair.first, pair.second)})


class _Pictures:
    """Small versions of images, as data URIs.

    Args:
        rows: Manifest rows.
        total: How many will be asked for.
        on_progress: Hears of reading.
    """

    def __init__(self, rows: pd.DataFrame, total: int, on_progress: OnProgress) -> None:
        self._rows = rows
        self._done = 0
        self._report = functools.partial(on_progress, "making the page")
        self._total = total
        self._made: dict[int, str] = {}

    def uri(self, picture: Picture) -> str:
        """Return a picture; an empty string if it cannot be read any more."""
        if picture.row not in self._made:
            self._made[picture.row] = _data_uri(self._rows.iloc[picture.row])
            self._done += 1
            self._report(self._done, max(self._total, self._done))
        return self._made[picture.row]


def _data_uri(row: Any) -> str:
    try:
        image = decode_whole(read_image_bytes(row), SIDE)
    except (DataError, OSError):
        return ""
    buffer = io.BytesIO()
    small = ImageOps.contain(image, (SIDE, SIDE), Image.Resampling.BILINEAR)
    small.save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
