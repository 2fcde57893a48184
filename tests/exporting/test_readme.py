"""Tests for what stands beside an exported model."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember
from automl_flowers.data.sources.images import decode_image
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


def draw(mode):
    """Return a large picture of noise in a mode of Pillow's."""
    noise = np.random.default_rng(0).integers(0, 256, (500, 600, 4), np.uint8)
    if mode == "I;16":
        return Image.fromarray(noise.view(np.uint16)[..., 0])
    if mode == "P":
        return Image.fromarray(noise[..., :3]).convert("P")
    return Image.fromarray(noise[..., : len(mode)])


@pytest.mark.parametrize(
    ("mode", "name", "orientation", "options"),
    [
        ("RGB", "sideways.jpg", 6, {}),
        ("RGBA", "transparent.png", 1, {}),
        ("RGBA", "transparent and sideways.png", 5, {}),
        ("P", "transparent palette.png", 1, {"transparency": bytes(128)}),
        ("I;16", "16 bits.png", 1, {}),
    ],
)
def test_the_example_reads_images_as_predict_does(tmp_path, mode, name, orientation, options):
    exif = Image.Exif()
    exif[274] = orientation
    draw(mode).save(tmp_path / name, exif=exif, **options)
    [code] = re.findall(r"^```python\n(.*?)^images = ", make_export_readme.page(), re.M | re.S)
    example = {}
    exec(code, example)  # noqa: S102 - what a reader is told to run

    read = example["read"](tmp_path / name)

    np.testing.assert_array_equal(read, decode_image((tmp_path / name).read_bytes(), 224))


def test_the_documentation_has_the_examples():
    text = (Path(__file__).parents[2] / "docs/predict.md").read_text(encoding="utf-8")

    assert [name for name in FORMATS if f"# {name}\n{FORMATS[name].example}" not in text] == []
