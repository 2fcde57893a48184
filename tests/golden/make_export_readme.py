"""Write `export_readme.md`, what stands beside an exported model.

    python tests/golden/make_export_readme.py

A person reads the difference before it is committed.
"""

from pathlib import Path

from automl_flowers.exporting.parity import Parity
from automl_flowers.exporting.readme import write_page

FACTS = {
    "format": "onnx",
    "input": {"shape": [None, 224, 224, 3]},
    "class_names": ["daisy", "rose", "tulip"],
    "members": [
        {"backbone": "efficientnet_lite0"},
        {"backbone": "densenet201"},
        {"backbone": "efficientnet_lite0"},
    ],
    "made_with": {"automl-flowers": "0.1.0"},
}
FILE = Path(__file__).with_name("export_readme.md")


def page():
    """Return the page that the golden file holds."""
    return write_page(FACTS, Parity(32, 31, 0.00123))


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
