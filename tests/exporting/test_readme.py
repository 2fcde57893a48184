"""Tests for what stands beside an exported model."""

import json
import re
from pathlib import Path

import pytest

from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember
from automl_flowers.exporting.formats import FORMATS
from automl_flowers.exporting.parity import Parity
from automl_flowers.exporting.readme import describe, write_page
from ensembles.blend import plain_blend
from tests.golden import make_export_readme


def test_the_page_is_as_it_was():
    """Written anew by `python tests/golden/make_export_readme.py`."""
    assert make_export_readme.page() == make_export_readme.FILE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FORMATS)
def test_a_program_finds_what_it_needs_and_a_person_an_example(recipe, name):
    members = (TrainedMember("one", recipe, 8, (Path("a.npz"), Path("b.npz")), 2),)
    ensemble = Ensemble(members, plain_blend([1.0]), ("daisy", "rose"))

    facts = describe(ensemble, name, Parity(3, 3, 1e-6))
    page = write_page(facts, Parity(3, 3, 1e-6))

    assert json.loads(json.dumps(facts)) == facts
    assert facts["input"]["shape"] == [None, recipe.image_size, recipe.image_size, 3]
    assert facts["output"]["shape"] == [None, 2]
    assert facts["members"][0]["fits"] == facts["members"][0]["views"] == 2
    [example] = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    compile(example, "README.md", "exec")
    assert "1 model (efficientnet_lite0)" in page


def test_the_documentation_has_the_examples():
    text = (Path(__file__).parents[2] / "docs/predict.md").read_text(encoding="utf-8")

    assert [name for name in FORMATS if f"# {name}\n{FORMATS[name].example}" not in text] == []
