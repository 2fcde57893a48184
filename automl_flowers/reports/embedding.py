"""What every page shares: templates that escape, a policy that loads nothing, embedded figures.

A page is one file. Its content security policy forbids it to load anything and to run any script
but those that are written in it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from automl_flowers.reports import words

if TYPE_CHECKING:
    import plotly.graph_objects as go


def template_environment() -> Environment:
    """Return where templates are found and how they are filled: everything is escaped."""
    environment = Environment(
        loader=PackageLoader("automl_flowers.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= words.FILTERS
    return environment


def resource(name: str) -> str:
    """Return the text of a file beside the templates."""
    templates = resources.files("automl_flowers.reports") / "templates"
    return (templates / name).read_text(encoding="utf-8")


def policy_for(scripts: Iterable[str]) -> str:
    """Return the content security policy: these scripts, inline style, nothing from elsewhere."""
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    hashes = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Embedded:
    """A figure as it stands in the page.

    Attributes:
        content: JSON that no HTML parser takes for anything else.
        height: In pixels, so that the page does not move when figures are drawn.
        width: In pixels, or None for that of the page.
        caption: What it shows, for small figures.
    """

    content: Markup
    height: int
    width: int | None
    caption: str = ""


def embed(figure: go.Figure, caption: str = "") -> Embedded:
    """Return a figure as it stands in a page."""
    content = htmlsafe_json_dumps(figure, dumps=lambda made, **_: made.to_json())
    return Embedded(content, figure.layout.height, figure.layout.width, caption)
