"""Search, blend, predict and report from Python, as in a notebook.

    python examples/python_api.py [PHOTOS [RUN]]

PHOTOS is a folder of images in any layout that the guide names; without it, flowers are drawn.
"""

from __future__ import annotations

import sys

import keras

import automl_flowers

# What may be chosen; whatever is left out keeps its default.
SPACE = {
    "backbone": ["efficientnet_lite0"],
    "image_size": [64],
    "trainable_fraction": [0.0, 0.3],
    "augmentation": ["none", "light"],
    "learning_rate": {"min": 1e-3, "max": 1e-2, "sampling": "log"},
    "batch_size": [32],
    "schedule": {"cosine": {"warmup": 0.1}},
}


def stop_early() -> keras.callbacks.Callback:
    """Return a callback; every training calls this for one of its own."""
    return keras.callbacks.EarlyStopping("val_macro_f1", mode="max", patience=2)


def main(photos: str | None = None, run: str | None = None) -> None:
    """Run the four steps and print what each returns."""
    found = automl_flowers.search(
        photos, run=run, space=SPACE, max_epochs=3, max_recipes=4, callbacks=[stop_early]
    )
    for candidate in found.leaderboard:
        print(f"{candidate.score:.4f}  {candidate.recipe.name}")

    blend = automl_flowers.ensemble(found.run, top=2)
    print("weights", blend.weights)
    print("macro F1 on the blend split", blend.scores["blend"]["macro_f1"])

    if photos:
        for prediction in automl_flowers.predict(photos, run=found.run)[:3]:
            print(prediction.path, prediction.class_name, round(prediction.probability, 3))
    print("look at", automl_flowers.report(found.run))


if __name__ == "__main__":
    main(*sys.argv[1:])
