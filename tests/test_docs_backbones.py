"""The page on backbones says what the registry says."""

from pathlib import Path

from search_spaces.backbones import BACKBONES
from search_spaces.backbones.table import HEADINGS, markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "backbones.md"


def test_the_table_is_that_of_the_registry():
    lines = PAGE.read_text(encoding="utf-8").splitlines(keepends=True)
    start = lines.index(f"| {' | '.join(HEADINGS)} |\n")
    end = lines.index("\n", start)

    hint = "renew it with the output of `python -m search_spaces.backbones.table`"
    assert "".join(lines[start:end]) == markdown_table(), hint


def test_the_table_has_a_row_for_each():
    table = markdown_table()

    rows = [line.partition("|")[2].partition("|")[0].strip(" `") for line in table.splitlines()]
    assert rows[2:] == [n for n, entry in BACKBONES.items() if entry.constructor != "registered"]
    assert "| `densenet201` | 18.3 M | 224 | 32 | imagenet | 8 | [Huang et al. 2017](" in table
