"""What stands beside an exported model: its contract, for a person and for a program."""

from __future__ import annotations

from typing import Any

from automl_flowers.blending.read_ensemble import Ensemble
from automl_flowers.environment import describe_environment
from automl_flowers.exporting.formats import FORMATS
from automl_flowers.exporting.parity import Parity

FACTS = "model.json"

_PAGE = """\
# {title}

`{file}` classifies photographs into {num_classes} classes: {members}, blended. It was made by
automl-flowers {version}; to use it, that is not needed.

## Contract

| | |
|---|---|
| input `images` | uint8, `(any number, {size}, {size}, 3)`, RGB, 0 to 255 |
| output | float32, `(any number, {num_classes})`, probabilities that sum to 1 |

The pixels go in as they are: nothing is to be scaled or normalised. An image is turned upright by
its EXIF data, cropped to the largest square around its centre, and resized once to {size} x {size}
by Pillow's `BILINEAR`, which widens when it shrinks. With another resizing, probabilities differ a
little. Transparent parts become white; of 16 bits a channel the upper eight count.

The order of the classes is that of `class_names` in `{facts}`. They are inside the model, too:
`{class_names}`.

## Example

Needs `pip install pillow {install}`.

```python
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

SIZE = {size}


def read(path):
    image = Image.open(path)
    image.draft(None, (2 * SIZE, 2 * SIZE))  # large JPEGs are decoded at a fraction of their size
    if image.mode.startswith("I"):  # 16 bits
        image = Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    box = (left, top, left + side, top + side)
    square = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
    square = ImageOps.exif_transpose(square)
    if square.mode == "RGBA":
        white = Image.new("RGBA", square.size, "white")
        square = Image.alpha_composite(white, square).convert("RGB")
    return np.asarray(square)


images = np.stack([read(path) for path in ["rose.jpg"]])
class_names = json.loads(Path("{facts}").read_text(encoding="utf-8"))["class_names"]

{example}
for row in probabilities:
    print(class_names[row.argmax()], row.max())
```

## Checked

Opened again after it was written, {parity}.
"""


def describe(ensemble: Ensemble, format_name: str, parity: Parity) -> dict[str, Any]:
    """Return what a program has to know of an exported model, as plain data.

    Args:
        ensemble: That is in it.
        format_name: Of its file.
        parity: What the check found.
    """
    size, num_classes = max(ensemble.image_sizes), len(ensemble.class_names)
    return {
        "format": format_name,
        "file": FORMATS[format_name].file,
        "input": {"name": "images", "dtype": "uint8", "shape": [None, size, size, 3]},
        "output": {"dtype": "float32", "shape": [None, num_classes]},
        "class_names": list(ensemble.class_names),
        "members": [
            {
                "name": member.name,
                "backbone": member.recipe.backbone,
                "image_size": member.recipe.image_size,
                "fits": len(member.files),
                "views": member.num_views,
            }
            for member in ensemble.members
        ],
        "blend": ensemble.blend.to_dict(),
        "checked": vars(parity),
        "made_with": describe_environment(),
    }


def write_page(facts: dict[str, Any], parity: Parity) -> str:
    """Return `README.md` of an exported model.

    Args:
        facts: From `describe`.
        parity: What the check found.
    """
    chosen = FORMATS[facts["format"]]
    backbones = sorted({member["backbone"] for member in facts["members"]})
    count = len(facts["members"])
    return _PAGE.format(
        title=f"Image classifier, {chosen.title}",
        file=chosen.file,
        num_classes=len(facts["class_names"]),
        members=f"{count} model{'s' if count > 1 else ''} ({', '.join(backbones)})",
        version=facts["made_with"]["automl-flowers"],
        size=facts["input"]["shape"][1],
        facts=FACTS,
        install=chosen.install,
        example=chosen.example,
        class_names=chosen.class_names,
        parity=parity,
    )
