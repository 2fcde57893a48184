"""Arguments, and what each of the three modes writes."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.environment import describe_environment

from . import compare, honesty, large, real, rivals

MEMBERS_IN_SIMULATION = (3, 8)
BLEND_IMAGES = 1856
"""Half of the competition's `val`: what its ensembles are blended by."""

ALL_LABELLED = 16_465
"""Train and val of the competition, of which half is blended by where honesty is measured."""


def main() -> None:
    """Run a mode and write its JSON."""
    given = _parse()
    if given.large:
        result: dict[str, Any] = {"large": large.measure()}
    elif given.honesty:
        result = {"honesty": _honesty(given)}
    else:
        result = {"comparison": _comparison(given)}
    result["environment"] = describe_environment()
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def _honesty(given: argparse.Namespace) -> dict[str, Any]:
    members = _real_members(given)
    measured = {
        "simulated": honesty.measure(
            honesty.simulated(given.repeats, 8, given.blend_images, given.test_images)
        )
    }
    if members is not None:
        measured["real"] = honesty.measure(honesty.halved(*members, given.repeats))
    return measured


def _comparison(given: argparse.Namespace) -> dict[str, Any]:
    members, repeats = _real_members(given), min(given.repeats, given.comparisons)
    environment = given.work / "rivals" if given.work else None
    missing = rivals.install(environment) if environment else {}
    compared: dict[str, Any] = {"not_installed": missing}
    for number in MEMBERS_IN_SIMULATION:
        divisions = compare.worlds(repeats, number, BLEND_IMAGES, 20_000)
        compared[f"{number} simulated members"] = compare.compare(divisions, environment)
    if members is not None:
        divisions = honesty.halved(*members, repeats)
        compared[f"{len(members[1])} real members"] = compare.compare(divisions, environment)
    return compared


def _real_members(given: argparse.Namespace) -> tuple[np.ndarray, np.ndarray] | None:
    if given.predictions:
        return real.read_folder(given.predictions)
    if given.data:
        with tempfile.TemporaryDirectory() as temporary:
            return real.make_from_images(given.data, given.image_size, Path(temporary))
    return None


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Blends against those of other programs.")
    parser.add_argument(
        "--honesty", action="store_true", help="what is reported against new images"
    )
    parser.add_argument("--large", action="store_true", help="50 members of 12,753 images")
    parser.add_argument("--predictions", type=Path, help="folder of saved out-of-fold predictions")
    parser.add_argument("--data", help="folder of images, to make members of")
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--comparisons", type=int, default=10, help="divisions to compare on")
    parser.add_argument("--blend-images", type=int, default=ALL_LABELLED // 2)
    parser.add_argument("--test-images", type=int, default=100_000)
    parser.add_argument("--work", type=Path, help="folder for the rivals' environment")
    parser.add_argument("--out", type=Path, required=True)
    return parser.parse_args()
