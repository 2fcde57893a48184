"""What a manifest of a million rows takes: making it, dividing it, filtering it, keeping it.

    python benchmarks/manifest_scale.py --out FILE.json
    python benchmarks/manifest_scale.py --rows 100000 --out FILE.json

Writes TFRecords whose pictures are a few bytes (nothing here decodes one), reads them into a
manifest, and does to it what a search does: groups of copies, splits, folds, filters, the digits of
a cache, and a file. Each step's seconds, its CPU time and the most memory that the process held
during it are written, Linux only; memory counts from the end of the imports, TensorFlow's among
them.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from automl_flowers.data import copies, splits
from automl_flowers.data.cache import cache_key
from automl_flowers.data.leaks import EVALUATION_SPLITS, Leak, find_leaks
from automl_flowers.data.manifest import Manifest, save_manifest
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.records import write_record
from automl_flowers.environment import describe_environment

CLASSES, ROWS_A_FILE, FOLDS = 1000, 20_000, 5
COPIES = 0.05
"""Of the images: how many pairs of copies are made up."""


class Steps:
    """Runs steps one after the other, and notes what each takes."""

    def __init__(self) -> None:
        self.before = _memory("VmRSS")
        self.taken: dict[str, dict[str, float]] = {}

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        """Return what a step returns."""
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
        started, busy = time.perf_counter(), time.process_time()
        made = step()
        self.taken[name] = {
            "seconds": round(time.perf_counter() - started, 2),
            "cpu_seconds": round(time.process_time() - busy, 2),
            "peak_megabytes": round((_memory("VmHWM") - self.before) / 1e6, 1),
        }
        print(name, self.taken[name], flush=True)
        return made


def _memory(what: str) -> int:
    """Return bytes from the kernel's account of this process."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(re.findall(rf"^{what}:\s+(\d+) kB$", status, re.MULTILINE)[0])


def write_records(folder: Path, num_rows: int) -> None:
    """Write records of a class, an id and a picture that is none."""
    for first in range(0, num_rows, ROWS_A_FILE):
        count = min(ROWS_A_FILE, num_rows - first)
        file = folder / "train" / f"{first // ROWS_A_FILE:03d}-{count}.tfrec"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as out:
            for row in range(first, first + count):
                example = tf.train.Example()
                feature = example.features.feature
                feature["image"].bytes_list.value.append(b"\xff\xd8\xff")
                feature["class"].int64_list.value.append(row * 7919 % CLASSES)
                feature["id"].bytes_list.value.append(f"{row * 2654435761 % 2**32:08x}".encode())
                write_record(out, example.SerializeToString())


def make_copies(num_rows: int) -> copies.Copies:
    """Return pairs of rows that are taken for copies."""
    left, right = np.random.default_rng(0).integers(num_rows, size=(2, round(COPIES * num_rows)))
    count, differ = len(left), left != right
    return copies.Copies(
        left=np.minimum(left, right),
        right=np.maximum(left, right),
        agreement=np.full(count, 0.9, np.float32),
        is_mirrored=np.zeros(count, bool),
        has_equal_bytes=np.zeros(count, bool),
    ).take(differ)


def measure(folder: Path, num_rows: int) -> dict[str, dict[str, float]]:
    """Return what each step takes."""
    steps = Steps()
    manifest = steps.run("read", lambda: open_data(str(folder)))
    rows, pairs = manifest.rows, make_copies(num_rows)
    groups = steps.run("group copies", lambda: copies.group_copies(pairs, num_rows))
    split = steps.run(
        "split, copies together", lambda: splits.deal(rows, groups, splits.NO_SPLITS, seed=0)
    )
    steps.run("folds, copies together", lambda: splits.deal_folds(rows, groups, FOLDS, seed=0))
    divided = manifest.replace_rows(rows.assign(split=split))
    leaking = steps.run(
        "list leaks",
        lambda: list_leaks(pairs, rows["id"].to_numpy(str), split),
    )
    dropped = [leak.file for leak in leaking]
    kept = steps.run("drop leaks", lambda: _without(divided, dropped))
    steps.run("filter by split", lambda: [kept.split(n) for n in ("train", "val", "blend")])
    steps.run("filter by class", lambda: rows[rows["label"] < CLASSES // 10].reset_index(drop=True))
    steps.run("sample a tenth", lambda: rows.sample(frac=0.1, random_state=0).sort_index())
    steps.run("digits of the cache", lambda: cache_key(rows, "8"))
    steps.run("write the file", lambda: save_manifest(kept, folder / "manifest.csv"))
    return steps.taken


def list_leaks(pairs: copies.Copies, ids: np.ndarray, split: np.ndarray) -> tuple[Leak, ...]:
    """Return the training rows that are in a pair with an evaluation row."""
    is_train, is_held_out = split == "train", np.isin(split, EVALUATION_SPLITS)
    across = pairs.join(pairs.swapped())
    across = across.take(is_train[across.left] & is_held_out[across.right])
    return find_leaks(across, files=ids, source="made up", held_out=ids, splits=split)


def _without(manifest: Manifest, ids: list[str]) -> Manifest:
    rows = manifest.rows
    return manifest.replace_rows(rows[~rows["id"].isin(ids)].reset_index(drop=True))


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        write_records(Path(temporary), given.rows)
        taken = measure(Path(temporary), given.rows)
    result = {
        "rows": given.rows,
        "classes": CLASSES,
        "steps": taken,
        "cpu_seconds": round(sum(step["cpu_seconds"] for step in taken.values()), 1),
        "peak_megabytes": max(step["peak_megabytes"] for step in taken.values()),
        "environment": describe_environment(),
    }
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
