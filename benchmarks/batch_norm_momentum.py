"""What the momentum of BatchNormalization does to a short fine-tuning.

    python benchmarks/batch_norm_momentum.py [--data DIR] --out FILE.json

Trains one recipe once for each momentum and once with frozen statistics, all else equal, on the
embedded default or another data set, and writes macro F1 on val after every epoch.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import keras

from automl_flowers.accelerators import set_up
from automl_flowers.data.prepare import prepare
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.modeling.program import Program
from automl_flowers.tuning.trainer import Trainer
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=96,
    trainable_blocks=8,
    dropout=0.2,
    l2=1e-6,
    label_smoothing=0.0,
    class_weighting="none",
    augmentation="light",
    optimizer="adam",
    batch_size=32,
    schedule=Schedule("cosine", 1.5e-3, {"warmup": 0.1}),
)
CASES = {"0.99": 0.99, "0.9": 0.9, "frozen": None}


class Variant(Trainer):
    """A trainer whose programs use another momentum, or frozen statistics."""

    def __init__(self, *arguments: Any, momentum: float | None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.momentum = momentum

    def _build(self, architecture: Any) -> Program:
        program = super()._build(architecture)
        for layer in program.model._flatten_layers(include_self=False):
            if isinstance(layer, keras.layers.BatchNormalization):
                if self.momentum is None:
                    layer.trainable = False
                else:
                    layer.momentum = self.momentum
        return program


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    accelerator = set_up("auto")
    result: dict[str, Any] = {"recipe": RECIPE.to_dict(), "val_macro_f1": {}}
    with tempfile.TemporaryDirectory() as temporary:
        address = arguments.data or str(embedded_default())
        data = prepare(address, seed=0, image_size=RECIPE.image_size, cache=Path(temporary))
        for name, momentum in CASES.items():
            curve: list[float] = []
            trainer = Variant(
                data, accelerator, num_epochs=arguments.epochs, seed=0, momentum=momentum
            )
            trainer.train(
                RECIPE, 0, arguments.epochs, None, lambda r, _s, c=curve: c.append(r.macro_f1)
            )
            result["val_macro_f1"][name] = [round(value, 4) for value in curve]
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
