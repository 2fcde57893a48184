"""The main job on a folder of photographs: search, ensemble, ensemble with external data.

    python benchmarks/main_job.py --data DIR [--external DIR] --out FILE.json

Runs the command line three times, as a user would, and writes the seconds of each and the scores
from `blend.json`. The test images of DIR must have labels; they are used for scoring only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--external", type=Path)
    parser.add_argument("--max-epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", type=Path, help="keep the run folder here")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as temporary:
        run = arguments.run or Path(temporary) / "run"
        result = measure(arguments, run)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def measure(arguments: argparse.Namespace, run: Path) -> dict[str, Any]:
    """Return seconds and scores of each command."""
    search_seconds, found = timed(
        *("search", "--data", arguments.data, "--run", run, "--max-epochs", arguments.max_epochs),
        *("--seed", arguments.seed),
    )
    ensemble_seconds, blend = timed("ensemble", "--top", 3, "--run", run)
    result = {
        "data": arguments.data.name,
        "environment": json.loads((run / "environment.json").read_text(encoding="utf-8")),
        "search": {
            "seconds": search_seconds,
            "trials": found["trials"],
            "recipes": found["recipes"],
            "best_val_macro_f1": found["best"]["val_macro_f1"],
        },
        "ensemble": {"seconds": ensemble_seconds, **scores_of(blend)},
    }
    if arguments.external:
        seconds, blend = timed(
            "ensemble", "--top", 3, "--run", run, "--external", arguments.external
        )
        result["ensemble_with_external"] = {
            "seconds": seconds,
            **scores_of(blend),
            "without_external": blend["without_external"],
            "external": blend["external"],
        }
    return result


def timed(*arguments: Any) -> tuple[float, dict[str, Any]]:
    """Run a command and return its seconds and what it printed as JSON."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "automl_flowers", *map(str, arguments), "--json"]
    process = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603
    return round(time.perf_counter() - started, 1), json.loads(process.stdout)


def scores_of(blend: dict[str, Any]) -> dict[str, Any]:
    """Return the blend's and the members' scores, without their recipes."""
    return {
        "rule": blend["rule"],
        "blend_split": blend["scores"]["blend"],
        "test": blend["scores"]["test"],
        "members": [
            {
                "name": member["name"],
                "weight": member["weight"],
                "blend_macro_f1": member["scores"]["blend"]["macro_f1"],
                "test_macro_f1": member["scores"]["test"]["macro_f1"],
                "val_macro_f1_without_external": member["val_macro_f1_without_external"],
                "val_macro_f1_with_external": member["val_macro_f1_with_external"],
            }
            for member in blend["members"]
        ],
    }


if __name__ == "__main__":
    main()
