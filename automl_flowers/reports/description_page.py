"""`description.html`: a data set on one page that needs nothing else, and has no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from PIL import Image

from automl_flowers.data import explore
from automl_flowers.reports.embedding import resource, template_environment
from automl_flowers.reports.sheets import Sheet

MOST_PROBLEMS = 1000
"""Problems that are listed; `description.json` has all."""

_QUALITY = 80


def render(facts: dict[str, Any], figures: Mapping[str, Markup], sheets: Sequence[Sheet]) -> str:
    """Return the page.

    Args:
        facts: From `automl_flowers.data.explore.summary_of`.
        figures: SVG by name: `classes` and `sizes`.
        sheets: The pictures as they are, those beside all strengths of augmentation, and one
            sheet for each strength.
    """
    page = template_environment().get_template("description.html.j2")
    pictures, compared, *strengths = sheets
    return page.render(
        facts=facts,
        changes=explore.CHANGES,
        absent_line=explore.absent_line,
        size_line=explore.size_line,
        lost_line=explore.lost_line,
        figures=figures,
        pictures=pictures,
        compared=compared,
        strengths=strengths,
        uri=_data_uri,
        problems=facts["problems"][:MOST_PROBLEMS],
        style=Markup(resource("report.css")),  # noqa: S704 - ours
    )


def _data_uri(picture: npt.NDArray[np.uint8]) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
