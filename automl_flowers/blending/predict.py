"""Classifying any images with a run's ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from automl_flowers.data.cache import Images
from automl_flowers.data.manifest import Problem
from automl_flowers.data.pipeline import Examples
from automl_flowers.data.sources.images import decode_image
from automl_flowers.errors import DataError
from automl_flowers.modeling.program import Program
from automl_flowers.results import Prediction
from automl_flowers.tuning import trial
from automl_flowers.tuning.checkpoints import State

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif")


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Return image files, each once: those named, and all below the folders named, sorted.

    Raises:
        DataError: If a path does not exist, or there is no image at all.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise DataError(f"There is nothing at `{path}`.", hint="name image files or folders")
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [p for p in inside if p.is_file() and _is_image(p, path)]
    if not found:
        raise DataError(
            "There are no images at the paths given.",
            hint=f"images end in {', '.join(IMAGE_SUFFIXES)}",
        )
    return list(dict.fromkeys(found))


def _is_image(path: Path, named: Path) -> bool:
    return path == named or path.suffix.lower() in IMAGE_SUFFIXES


def decode_files(
    paths: Sequence[Path], image_size: int
) -> tuple[list[Path], Images, list[Problem]]:
    """Return the readable files, their images, and why the others are not.

    Raises:
        DataError: If none of them is readable.
    """
    kept: list[Path] = []
    images: list[Images] = []
    problems: list[Problem] = []
    for path in paths:
        try:
            images.append(decode_image(path.read_bytes(), image_size))
            kept.append(path)
        except (DataError, OSError) as error:
            problems.append(Problem(str(path), str(error)))
    if not images:
        raise DataError(
            f"None of the {len(paths)} files can be read, for example `{problems[0].path}`: "
            f"{problems[0].reason}",
            hint="check that these are image files and that the copy is complete",
        )
    return kept, np.stack(images), problems


def predict_images(program: Program, state: State, images: Images) -> np.ndarray:
    """Return a member's probabilities, float32, `(num_images, num_classes)`."""
    program.set_model_state(state)
    count = len(images)
    examples = Examples(
        caches=(images,),
        cache_of=np.zeros(count, np.int64),
        row_of=np.arange(count),
        labels=np.full(count, -1, np.int64),
        ids=np.arange(count).astype(str),
    )
    return trial.predict(program, examples)


def decide(
    paths: Sequence[Path], probabilities: np.ndarray, class_names: Sequence[str]
) -> list[Prediction]:
    """Return the most probable class of each image."""
    labels = probabilities.argmax(axis=1)
    return [
        Prediction(str(path), int(label), class_names[label], float(row[label]))
        for path, label, row in zip(paths, labels, probabilities, strict=True)
    ]
