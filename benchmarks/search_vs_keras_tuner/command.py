"""Arguments, and the loop over repeats and contestants."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.environment import describe_environment
from automl_flowers.errors import UserError
from automl_flowers.files import write_json, write_text

from . import compare, outcomes, plot, settings, splits
from .contestants import CONTESTANTS, Repeat, tidy
from .measure import CommandError
from .outcomes import Outcome
from .settings import Settings

WORK = Path("runs/search_vs_keras_tuner")

Contestants = Mapping[str, Callable[[Repeat], Outcome]]


def main(argv: Sequence[str] | None = None) -> None:
    """Run what has not been run yet, and write the figures of all that has."""
    arguments = parse(argv)
    try:
        chosen = choose_settings(arguments)
        repeats = prepare(chosen, arguments.repeats, arguments.work)
        for repeat in repeats:
            for _ in run_missing(repeat, CONTESTANTS):
                write_results(repeats, arguments.out)
            tidy(repeat)
        print(json.dumps(write_results(repeats, arguments.out), indent=2))
    except (UserError, CommandError) as error:
        print(f"error: {error}", file=sys.stderr)
        if hint := getattr(error, "hint", None):
            print(f"\nhint: {hint}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on with the next contestant", file=sys.stderr)
        sys.exit(130)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return the arguments."""
    usual = Settings(data="")
    parser = argparse.ArgumentParser(
        description="Plain Keras Tuner and this project on the same pictures.",
        epilog="A run that is stopped goes on where it was: whoever has ended is not run again.",
    )
    parser.add_argument("--data", help="folder with one folder a class, or a CSV file")
    parser.add_argument("--repeats", type=int, default=3, help="divisions of the pictures")
    parser.add_argument("--seed", type=int, default=usual.seed)
    parser.add_argument("--image-size", type=int, help=f"pixels; {usual.image_size} by default")
    parser.add_argument("--backbone", default=usual.backbone)
    parser.add_argument("--work", type=Path, default=WORK, help="what was run lies here")
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON file; a plot is put beside it"
    )
    parser.add_argument(
        "--smoke", action="store_true", help="two epochs of small drawn pictures: does it all run?"
    )
    arguments = parser.parse_args(argv)
    if not (arguments.data or arguments.smoke):
        parser.error("--data is needed: the folder of pictures to compare on")
    if arguments.repeats < 1:
        parser.error(f"--repeats must be at least 1, got {arguments.repeats}")
    return arguments


def choose_settings(arguments: argparse.Namespace) -> Settings:
    """Return the settings that the arguments mean; the smoke test draws its own pictures."""
    small = {"max_epochs": 2, "image_size": 32, "smoke": True} if arguments.smoke else {}
    data = arguments.data or _draw(arguments.work / "drawn")
    given = {"image_size": arguments.image_size} if arguments.image_size else {}
    return Settings(
        data=str(Path(data).absolute()),
        backbone=arguments.backbone,
        seed=arguments.seed,
        **{**small, **given},
    )


def _draw(folder: Path) -> Path:
    from automl_flowers.data.synthetic import synthesize

    if not folder.exists():
        synthesize(
            folder,
            num_classes=5,
            images_per_class=24,
            image_size=48,
            format="folders",
            external=False,
        )
    return folder


def prepare(chosen: Settings, num_repeats: int, work: Path) -> list[Repeat]:
    """Divide the pictures for every repeat, the first time, and return the repeats.

    Raises:
        UserError: If the pictures cannot be used, or `work` belongs to other settings.
    """
    work = work.absolute()
    space_file = settings.keep(chosen, work)
    folders = [work / f"repeat-{number}" for number in range(num_repeats)]
    if not all((folder / splits.SPLIT_FILE).exists() for folder in folders):
        pool = splits.pool_pictures(chosen.data, chosen.image_size, work / "cache")
        for number, folder in enumerate(folders):
            if not (folder / splits.SPLIT_FILE).exists():
                splits.write(splits.divide(pool, chosen.seed + number), folder)
    return [
        Repeat(
            folder=folder,
            seed=chosen.seed + number,
            settings=chosen,
            space_file=space_file,
            num_classes=int(splits.read(folder)["label"].max()) + 1,
        )
        for number, folder in enumerate(folders)
    ]


def run_missing(repeat: Repeat, contestants: Contestants) -> Iterator[str]:
    """Run the contestants of a repeat that have not ended, and yield the name of each."""
    for name, contest in contestants.items():
        file = repeat.outcome_file(name)
        if not file.exists():
            print(f"{repeat.folder.name}: {name}", file=sys.stderr, flush=True)
            outcomes.save(file, contest(repeat))
            yield name


def write_results(repeats: Sequence[Repeat], out: Path) -> dict[str, Any]:
    """Write and return the figures of all that has ended, with the plot beside them."""
    result = {"environment": describe_environment(), **collect(repeats)}
    write_json(out, result)
    searches = [name for name in CONTESTANTS if name in result and name != "ours_blend"]
    each = {name: result[name]["repeats"] for name in searches}
    svg = plot.draw(
        {name: [r["incumbent_val_macro_f1"] for r in ended] for name, ended in each.items()},
        {name: [r["seconds"] for r in ended] for name, ended in each.items()},
    )
    write_text(out.with_suffix(".svg"), svg)
    return result


def collect(repeats: Sequence[Repeat]) -> dict[str, Any]:
    """Return the data's and all contestants' figures, from the files that there are."""
    measured = [_read_repeat(repeat) for repeat in repeats]
    first = repeats[0]
    counts = splits.read(first.folder)["split"].value_counts()
    return {
        "data": {
            "name": Path(first.settings.data).name,
            "classes": first.num_classes,
            "pictures": {split: int(counts[split]) for split in splits.SHARES},
        },
        "settings": {
            name: getattr(first.settings, name)
            for name in ("image_size", "backbone", "max_epochs", "factor", "seed", "smoke")
        }
        | {"space": first.settings.space()},
        **compare.summarise(measured, tuple(CONTESTANTS), first.num_classes),
    }


def _read_repeat(repeat: Repeat) -> compare.Repeat:
    rows = splits.test_rows(repeat.folder)
    ended = {
        name: outcomes.load(repeat.outcome_file(name))
        for name in CONTESTANTS
        if repeat.outcome_file(name).exists()
    }
    return compare.Repeat(rows["id"].to_numpy(str), rows["label"].to_numpy(np.int64), ended)
