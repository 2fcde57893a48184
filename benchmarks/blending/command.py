"""Arguments, and what each of the three modes writes."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from automl_flowers.environment import describe_environment
from automl_flowers.files import write_json

from . import compare, honesty, large, real, rivals

MEMBERS_IN_SIMULATION = (3, 8)
BLEND_IMAGES = 1856
"""Half of the competition's `val`: what its ensembles are blended by."""

ALL_LABELLED = 16_465
"""Train and val of the competition, of which half is blended by where honesty is measured."""


def main() -> None:
    """Run a mode and write its JSON."""
    given = _parse()
    given.out.parent.mkdir(parents=True, exist_ok=True)
    parts = _large() if given.large else _honesty(given) if given.honesty else _comparison(given)
    name = "large" if given.large else "honesty" if given.honesty else "comparison"
    measured: dict[str, Any] = {}
    for part, figures in parts:  # written after each: the next may take an hour
        measured[part] = figures
        write_json(given.out, {name: measured, "environment": describe_environment()})
    print(given.out.read_text(encoding="utf-8"))


def _large() -> Iterator[tuple[str, Any]]:
    yield from large.measure().items()


def _honesty(given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    if (members := _real_members(given)) is not None:
        of_few = f"real, {honesty.FEW_IMAGES} images a class"
        yield "real", honesty.measure(honesty.halved(members, given.repeats), "binomial")
        yield of_few, honesty.measure(honesty.few(members, given.repeats), "binomial")
    divisions = honesty.simulated(given.repeats, 8, given.blend_images, given.test_images)
    yield "simulated", honesty.measure(divisions, "binomial by class")


def _comparison(given: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    members, repeats = _real_members(given), min(given.repeats, given.comparisons)
    environment = given.work / "rivals" if given.work else None
    if environment:
        yield "not_installed", rivals.install(environment)
    else:
        left_out = f"Left out, without a folder for them (--work): {', '.join(rivals.RIVALS)}."
        print(left_out, file=sys.stderr)
        yield "rivals", left_out
    if members is not None:
        divisions = honesty.halved(members, repeats)
        yield f"{len(members.stack)} real members", compare.compare(divisions, environment)
    for number in MEMBERS_IN_SIMULATION:
        divisions = compare.worlds(repeats, number, BLEND_IMAGES, 20_000)
        yield f"{number} simulated members", compare.compare(divisions, environment)


def _real_members(given: argparse.Namespace) -> real.Members | None:
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
    given = parser.parse_args()
    if given.blend_images > given.test_images:
        parser.error(
            f"--blend-images must not be above --test-images ({given.test_images:,}): they are "
            f"drawn from as many, got {given.blend_images:,}."
        )
    return given
