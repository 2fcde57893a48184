"""What the head that fine-tuning starts from is worth.

    python benchmarks/starting_head.py [--data DIR] [--image-size 96] [--seeds 3] --out FILE.json

Trains one recipe from random numbers, from the head that predicts best on frozen features, and
from the one of small weights, all else equal, and writes macro F1 on val after every epoch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from automl_flowers.accelerators import set_up
from automl_flowers.data.prepare import ImageData, prepare
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.modeling import features
from automl_flowers.tuning.trainer import Trainer
from ensembles import metrics
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

BACKBONE = "efficientnet_lite0"


def make_recipe(image_size: int) -> Recipe:
    """Return what is trained."""
    return Recipe(
        backbone=BACKBONE,
        image_size=image_size,
        trainable_blocks=8,
        dropout=0.2,
        l2=1e-6,
        label_smoothing=0.1,
        class_weighting="none",
        augmentation="medium",
        optimizer="adam",
        batch_size=32,
        schedule=Schedule("cosine", 2e-3, {"warmup": 0.1}),
    )


def compare(data: ImageData, image_size: int, num_epochs: int, seeds: int) -> dict[str, Any]:
    """Return the score of each head on frozen features, and the curves of each, one a seed."""
    train, val = (data.examples(split, image_size) for split in ("train", "val"))
    encoder = features.build_encoder(BACKBONE, image_size)
    of_train, of_val = (features.extract(encoder, examples) for examples in (train, val))
    num_classes = data.manifest.num_classes
    heads = {
        "random": None,
        "best": features.fit_head(of_train, train.labels, num_classes),
        "start": features.fit_start(of_train, train.labels, num_classes),
    }
    starts: list[features.Head | None] = [None]
    recipe, result = make_recipe(image_size), {}
    for name, head in heads.items():
        starts[0] = head
        curves = []
        for seed in range(seeds):
            trainer = Trainer(
                data,
                set_up("auto"),
                num_epochs=num_epochs,
                seed=seed,
                heads=lambda backbone, size: starts[0],
            )
            curve: list[float] = []
            trainer.train(recipe, 0, num_epochs, None, lambda r, _s, c=curve: c.append(r.macro_f1))
            curves.append([round(value, 4) for value in curve])
        frozen = None if head is None else metrics.macro_f1(val.labels, head.probabilities(of_val))
        result[name] = {
            "frozen": frozen and round(frozen, 4),
            "curves": curves,
            "median": [round(statistics.median(at), 4) for at in zip(*curves, strict=True)],
        }
    return result


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data")
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        address = given.data or str(embedded_default())
        data = prepare(address, seed=0, image_size=given.image_size, cache=Path(temporary))
        scores = compare(data, given.image_size, given.epochs, given.seeds)
    result = {"recipe": make_recipe(given.image_size).to_dict(), "val_macro_f1": scores}
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
