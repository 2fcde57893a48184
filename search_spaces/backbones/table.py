"""The table in `docs/backbones.md`; `python -m search_spaces.backbones.table` prints it anew."""

from __future__ import annotations

import sys

from search_spaces.backbones import BACKBONES, CONVENTIONS, Backbone

HEADINGS = ("name", "parameters", "pixels", "at least", "input", "blocks", "source")


def markdown_table() -> str:
    """Return what is to be known of every backbone that ships, as a Markdown table."""
    entries = [entry for entry in BACKBONES.values() if entry.constructor != "registered"]
    rows = [HEADINGS, ("---",) * len(HEADINGS), *map(_row, entries)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _row(entry: Backbone) -> tuple[str, ...]:
    convention = next(n for n, known in CONVENTIONS.items() if known == entry.input_convention)
    return (
        f"`{entry.name}`",
        f"{(entry.num_parameters or 0) / 1e6:.1f} M",
        str(entry.image_size),
        str(entry.min_image_size),
        convention,
        str(entry.num_blocks),
        _link(entry.source),
    )


def _link(source: str) -> str:
    text, _, address = source.rpartition(", ")
    return f"[{text or 'the authors'}]({address})"


if __name__ == "__main__":
    sys.stdout.write(markdown_table())
