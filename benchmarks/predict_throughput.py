"""Images a second: `predict` on files, beside `keras.Model.predict` on decoded images in memory.

    python benchmarks/predict_throughput.py [--data FOLDER] [--images 512] [--repeats 5] --out FILE

Ensembles of EfficientNet-Lite0 at 224 px with random heads, in batches of 32; nothing is trained,
since weights change no time. Each repeat takes, in turn:

- `streaming`: what `automl-flowers predict` does, from files to the CSV on disk
- `raw`: `Model.predict` of each fit on an array of decoded images, which are there before; what is
  frozen and the same for several fits is computed once, as by `predict`, and then the rest of each
- `decoded first`: all files decoded, in as many threads, and then `raw`

Programs are compiled before anything is timed. Files that cannot be read are left out of all ways.
Ratios are of medians; above 1 `predict` is faster. `one member` and `three members` are the figures
to quote.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.accelerators import Accelerator, set_up
from automl_flowers.blending.image_files import find_images
from automl_flowers.blending.predict import Chunk, chunk_sizes, decide, decoded_chunks
from automl_flowers.blending.predictor import Predictor
from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.images import read_image_bytes
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.environment import describe_environment
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from automl_flowers.prediction_output import write_predictions
from automl_flowers.tuning.checkpoints import save_state
from ensembles.blend import plain_blend
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

SIZE = 224
CLASS_NAMES = tuple(f"class {number}" for number in range(104))
ENSEMBLES: Mapping[str, tuple[tuple[int, int], ...]] = {
    "one member": ((4, 1),),
    "three members": ((2, 1), (4, 1), (8, 1)),
    "one member of five fits": ((4, 5),),
}
"""By name, for each member the blocks that train and the number of fits."""


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="images; by default those of the embedded default")
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        address = arguments.data or str(_write_flowers(folder / "flowers"))
        found = list(itertools.islice(find_images([address]), arguments.images))
        files = list(decode(found).files)
        accelerator = set_up("cpu", "float32")  # before anything else runs on it
        result = {
            "data": Path(address).name,
            "images": len(files),
            "unreadable": len(found) - len(files),
            "repeats": arguments.repeats,
            "environment": describe_environment(),
            "load_average": [round(value, 1) for value in os.getloadavg()],
            "ensembles": {
                name: measure(
                    make_ensemble(members, folder), files, arguments.repeats, accelerator, folder
                )
                for name, members in ENSEMBLES.items()
            },
        }
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def _write_flowers(folder: Path) -> Path:
    """Write the pictures of the embedded default as files."""
    folder.mkdir()
    rows = open_data(str(embedded_default())).rows
    for number, row in enumerate(rows.itertuples()):
        (folder / f"{number:05d}.jpg").write_bytes(read_image_bytes(row))
    return folder


def make_ensemble(members: tuple[tuple[int, int], ...], folder: Path) -> Ensemble:
    """Return an ensemble with random heads.

    Args:
        members: For each, the blocks that train and the number of fits.
        folder: Where weights are written.
    """
    made = [_make_member(blocks, fits, folder) for blocks, fits in members]
    return Ensemble(tuple(made), plain_blend([1 / len(made)] * len(made)), CLASS_NAMES)


def _make_member(blocks: int, num_fits: int, folder: Path) -> TrainedMember:
    recipe = Recipe(
        backbone="efficientnet_lite0",
        image_size=SIZE,
        trainable_blocks=blocks,
        dropout=0.2,
        l2=0.0,
        label_smoothing=0.0,
        class_weighting="none",
        augmentation="none",
        optimizer="adam",
        batch_size=32,
        schedule=Schedule("constant", 1e-3, {}),
    )
    architecture = Architecture.of(
        recipe,
        batch_size=32,
        num_classes=len(CLASS_NAMES),
        precision="float32",
        num_steps=1,
        weights="imagenet",
    )
    file = folder / f"{blocks}.npz"
    save_state(file, Program(architecture).initial_model_state)
    return TrainedMember(recipe.name, recipe, 32, (file,) * num_fits)


def measure(
    ensemble: Ensemble, files: list[str], repeats: int, accelerator: Accelerator, folder: Path
) -> dict[str, Any]:
    """Return images a second of each way, and the ratios of `predict` to the others.

    Args:
        ensemble: What predicts.
        files: Images that can be read.
        repeats: How often each way is taken.
        accelerator: Where to predict.
        folder: Where predictions are written.
    """
    predictor = Predictor(ensemble, accelerator, "imagenet")
    images = decode(files).images[SIZE]
    out = folder / "predictions.csv"
    ways: dict[str, Callable[[], object]] = {
        "streaming": lambda: stream(predictor, files, out),
        "raw": lambda: predict_raw(predictor, images),
        "decoded first": lambda: predict_raw(predictor, decode(files).images[SIZE]),
    }
    stream(predictor, files[:64], out)
    predict_raw(predictor, images)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return {
        "images_per_second": {name: round(len(files) / s, 1) for name, s in medians.items()},
        "seconds": {name: [round(s, 3) for s in times] for name, times in seconds.items()},
        "ratio_to_raw": round(medians["raw"] / medians["streaming"], 3),
        "ratio_to_decoded_first": round(medians["decoded first"] / medians["streaming"], 3),
    }


def stream(predictor: Predictor, files: list[str], out: Path) -> None:
    """Classify files and write the CSV, as `automl-flowers predict` does."""
    chunks = decoded_chunks(files, (SIZE,), chunk_sizes((SIZE,), predictor.batch_size))
    made = (decide(chunk.files, predictor.predict(chunk.images), CLASS_NAMES) for chunk in chunks)
    write_predictions(itertools.chain.from_iterable(made), out)


def decode(files: list[str]) -> Chunk:
    """Return all images that can be read at once."""
    [chunk] = decoded_chunks(files, (SIZE,), itertools.repeat(len(files)))
    return chunk


def predict_raw(predictor: Predictor, images: np.ndarray) -> None:
    """Predict decoded images with Keras' own `predict`, what fits share once and the rest each."""
    for turn in predictor.turns:
        shown, model = images, turn.program.model
        if len(turn.states) > 1 and turn.program.frozen is not None:
            shown = turn.program.frozen.predict(images, batch_size=32, verbose=0)
            model = turn.program.trained
        for _ in turn.states:
            model.predict(shown, batch_size=32, verbose=0)


if __name__ == "__main__":
    main()
