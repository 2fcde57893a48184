"""How well copies are found: against a list, against clean data, planted, and in how much time.

    python benchmarks/leak_audit.py --data DIR --external DIR --clean DIR --out FILE
    python benchmarks/leak_audit.py --data DIR --external DIR --clean DIR --cells --out FILE
    python benchmarks/leak_audit.py --scale --out FILE

The first audits the data sets as `automl-flowers data check` does. It writes, beside the JSON,
`FILE.hits.webp` and `FILE.clean.webp`: the hits that nobody has listed beside what they are copies
of, the least sure first, to be looked at. `--external` holds `labels.csv` with a column
`near_dup_of_oxford17`: the files that each is a copy of, with `;` between them.

`--cells` searches as among very many pictures: by the nearest cells, not all with all.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from automl_flowers.data.audit import Audit, audit
from automl_flowers.data.copies import Copies, find_copies, find_copies_within, neighbours
from automl_flowers.data.copies.fingerprints import (
    SIZE,
    Fingerprints,
    join,
    load_fingerprints,
    thumbnail,
)
from automl_flowers.data.findings import Pair
from automl_flowers.data.sources import open_data
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.environment import describe_environment
from automl_flowers.files import write_json

NUM_PLANTED = 200
QUALITY = 87
SIDE, ACROSS, SHEET_QUALITY = 84, 8, 70
"""Of a sheet of pairs: pixels of a picture's side, pairs in a row, quality."""
ABOVE, BELOW, LETTERS = 12, 12, 14
"""Pixels for the agreement above a pair and the names below it; letters of a name that fit."""

LISTED, LISTED_BELOW = "near_dup_of_oxford17", "oxford17/"
"""The column that lists copies, and what stands there before the ids of our pictures."""
NUM_LEFT, NUM_RIGHT, NUM_SCALE_PLANTED = 100_000, 30_000, 2_000

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("data", "external", "clean"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--cells", action="store_true", help="search as among very many pictures")
    parser.add_argument("--scale", action="store_true", help="only time a large search")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    if arguments.scale:
        result = {"scale": measure_scale()}
    else:
        with tempfile.TemporaryDirectory() as folder:
            folders = arguments.data, arguments.external, arguments.clean
            with searching_by_cells() if arguments.cells else contextlib.nullcontext():
                result = measure(*folders, arguments.out, folder, by_cells=arguments.cells)
    result["environment"] = describe_environment()
    write_json(arguments.out, result)
    print(json.dumps(result, indent=2))


@contextlib.contextmanager
def searching_by_cells() -> Iterator[None]:
    """Search by cells, however few comparisons there are."""
    usual, neighbours.MAX_COMPARISONS = neighbours.MAX_COMPARISONS, 0
    try:
        yield
    finally:
        neighbours.MAX_COMPARISONS = usual


def measure(
    data: Path, external: Path, clean: Path, out: Path, folder: str, *, by_cells: bool = False
) -> dict[str, Any]:
    """Return recall against the list, hits in clean data, and recall of planted copies.

    Planted copies are looked for in two data sets; nothing was ever chosen by the second. In a
    search by cells, pictures of `external` stand beside them, so that cells are as fine as usual.
    """
    cache = Path(folder)
    found, seconds = audited(data, external, cache)
    listed = listed_copies(external / "labels.csv")
    unlisted = [pair for pair in across(found) if pair.second.file not in listed]
    contact_sheet(unlisted, found.rows, out.with_suffix(".hits.webp"))
    nothing, _ = audited(data, clean, cache)
    in_clean = across(nothing)
    contact_sheet(in_clean, nothing.rows, out.with_suffix(".clean.webp"))
    beside = fingerprints(external, cache)[0] if by_cells else None
    return {
        "by_cells": by_cells,
        "listed": compare_with_list(across(found), listed) | seconds,
        "clean": {
            "files": int((nothing.rows["split"] == "external").sum()),
            "pairs": [(pair.second.file, pair.first.file) for pair in in_clean],
        },
        "planted": plant(*fingerprints(data, cache), beside),
        "planted_in_clean": plant(*fingerprints(clean, cache), beside),
        "embedded_default": embedded(cache),
        "within_data": len([pair for pair in found.pairs if pair.second.role != "external"]),
    }


def listed_copies(table: Path) -> dict[str, set[str]]:
    """Return what each external file is listed to be a copy of, by its file."""
    with table.open(encoding="utf-8") as file:
        return {
            row["file"]: {match.removeprefix(LISTED_BELOW) for match in row[LISTED].split(";")}
            for row in csv.DictReader(file)
            if row[LISTED]
        }


def compare_with_list(hits: Sequence[Pair], listed: dict[str, set[str]]) -> dict[str, Any]:
    """Return how many listed files were hit, with which matches, and what was hit beside them.

    `recall` counts files with any match, `recall_of_matches` those with a match that is listed, and
    `surest_match_listed` is the share of the files that were hit whose surest match is.
    """
    matches: dict[str, list[str]] = {}
    for pair in sorted(hits, key=lambda pair: -pair.agreement):
        matches.setdefault(pair.second.file, []).append(pair.first.file)
    hit = {file: matches[file] for file in listed if file in matches}
    right = [file for file, found in hit.items() if set(found) & listed[file]]
    surest = [file for file, found in hit.items() if found[0] in listed[file]]
    beside = [pair for pair in hits if pair.second.file not in listed]
    return {
        "files": len(listed),
        "recall": round(len(hit) / len(listed), 4),
        "recall_of_matches": round(len(right) / len(listed), 4),
        "surest_match_listed": round(len(surest) / max(len(hit), 1), 4),
        "missed": sorted(listed.keys() - hit.keys()),
        "other_match": {file: hit[file] for file in sorted(hit.keys() - set(right))},
        "files_hit": len(matches),
        "unlisted_files_hit": len(matches.keys() - listed.keys()),
        "unlisted_pairs": len(beside),
        "unlisted": [as_facts(pair) for pair in sorted(beside, key=lambda pair: pair.agreement)],
        "agreement_of_pairs": summary_of([pair.agreement for pair in hits]),
    }


def as_facts(pair: Pair) -> dict[str, Any]:
    """Return a hit as plain data."""
    return {"file": pair.second.file, "match": pair.first.file, "agreement": pair.agreement}


def audited(data: Path, external: Path, cache: Path) -> tuple[Audit, dict[str, float]]:
    """Return what `data check` finds, and the seconds that comparing took, of all threads too."""
    manifests = open_data(str(data)), open_data(str(external))
    for manifest in manifests:
        load_fingerprints(manifest.rows, cache)
    load, started, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    found = audit(manifests[0], manifests[1:], cache, on_progress=lambda what, done, total: None)
    return found, {
        "load_before": round(load, 1),
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
    }


def across(found: Audit) -> list[Pair]:
    """Return the pairs of one of our images, which comes first, and an external one."""
    roles = [
        (pair.first.role == "external", pair.second.role == "external") for pair in found.pairs
    ]
    return [pair for pair, role in zip(found.pairs, roles, strict=True) if role == (False, True)]


def fingerprints(folder: Path, cache: Path) -> tuple[Fingerprints, pd.DataFrame]:
    """Return the fingerprints of a data set and its manifest rows, in the same order."""
    rows = open_data(str(folder)).rows
    made = load_fingerprints(rows, cache)
    return made, rows.set_index("id").loc[list(made.ids)].reset_index()


def pairs_of(found: Copies) -> list[tuple[int, int]]:
    """Return the positions of both sides, pair by pair."""
    return list(zip(found.left.tolist(), found.right.tolist(), strict=True))


def summary_of(values: Sequence[float]) -> dict[str, float]:
    """Return quantiles, of which there are none without values."""
    if not len(values):
        return {}
    levels = (0, 0.01, 0.05, 0.5)
    return {
        str(q): round(float(v), 3) for q, v in zip(levels, np.quantile(values, levels), strict=True)
    }


def crop(share: float) -> Change:
    """Return a change that takes away a share of height and of width, anywhere."""

    def change(image: Image.Image, rng: np.random.Generator) -> Image.Image:
        width, height = (round((1 - share) * side) for side in image.size)
        left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
        return image.crop((left, top, left + width, top + height))

    return change


def border(share: float, colour: tuple[int, int, int]) -> Change:
    """Return a change that adds a frame."""
    return lambda image, rng: ImageOps.expand(image, round(share * min(image.size)), colour)


def turn_hue(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn the hue by a fifth of the circle."""
    hue, saturation, value = image.convert("HSV").split()
    turned = hue.point(lambda level: (level + 51) % 256)
    return Image.merge("HSV", (turned, saturation, value)).convert("RGB")


def rotate(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turn by 5 degrees either way; the corners become black."""
    return image.rotate(5 * rng.choice([-1, 1]), Image.Resampling.BILINEAR)


def recompress(image: Image.Image, quality: int) -> Image.Image:
    """Return a picture as it comes out of a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


CHANGES: dict[str, Change] = {
    "compressed again": lambda image, rng: image,
    "JPEG quality 40": lambda image, rng: recompress(image, 40),
    "64 px": lambda image, rng: image.resize((64, 64), Image.Resampling.BILINEAR),
    "middle square, 64 px": lambda image, rng: ImageOps.fit(image, (64, 64)),
    "mirrored": lambda image, rng: ImageOps.mirror(image),
    "cropped by 10 %": crop(0.1),
    "cropped by 25 %": crop(0.25),
    "cropped by 10 %, mirrored": lambda image, rng: ImageOps.mirror(crop(0.1)(image, rng)),
    "brighter by 20 %": lambda image, rng: ImageEnhance.Brightness(image).enhance(1.2),
    "darker by 20 %": lambda image, rng: ImageEnhance.Brightness(image).enhance(0.8),
    "hue turned by 20 %": turn_hue,
    "white border of 5 %": border(0.05, (255, 255, 255)),
    "black border of 10 %": border(0.1, (0, 0, 0)),
    "turned by 5 degrees": rotate,
    "bars, made square": lambda image, rng: ImageOps.pad(image, (224, 224)),
    "grey": lambda image, rng: image.convert("L").convert("RGB"),
}


def plant(
    ours: Fingerprints, rows: pd.DataFrame, beside: Fingerprints | None = None
) -> dict[str, dict[str, float]]:
    """Return recall, and false pairs, of each change.

    A pair is false if its originals are no copies of one another either.

    Args:
        ours: Pictures, some of which are planted.
        rows: Their manifest rows.
        beside: More pictures, half of which stand on either side; what they match does not count.
    """
    beside = beside or join([])
    here, there = (beside.take(np.arange(start, len(beside), 2)) for start in (0, 1))
    num_planted = min(NUM_PLANTED, len(ours))
    chosen = np.sort(np.random.default_rng(1).choice(len(ours), num_planted, replace=False))
    copies = find_copies_within(ours)
    alike = set(pairs_of(copies)) | set(pairs_of(copies.swapped()))
    images = [Image.open(path).convert("RGB") for path in rows["path"].iloc[chosen]]
    result = {}
    for name, change in CHANGES.items():
        rng = np.random.default_rng(2)
        made = [thumbnail(recompress(change(image, rng), QUALITY)) for image in images]
        planted = as_fingerprints(np.array(made), "planted")
        found = find_copies(join([planted, here]), join([ours, there]))
        found = found.take((found.left < num_planted) & (found.right < len(ours)))
        pairs = [(int(chosen[i]), k) for i, k in pairs_of(found)]
        result[name] = {
            "recall": len({i for i, k in pairs if i == k}) / num_planted,
            "other_pairs": len([p for p in pairs if p[0] != p[1] and p not in alike]),
        }
    return result


def embedded(cache: Path) -> dict[str, Any]:
    """Return recall of the copies planted in the embedded default."""
    root = embedded_default()
    ours, rows = fingerprints(root, cache)
    external, _ = fingerprints(root / "external", cache)
    table = pd.read_csv(root / "external_planted_duplicates.csv", dtype=str)
    planted = set(zip(table["external_id"], table["test_id"], strict=True))
    split = dict(zip(rows["id"], rows["split"], strict=True))
    found = find_copies(external, ours)
    pairs = {(external.ids[i], ours.ids[k]) for i, k in pairs_of(found)}
    return {
        "planted": len(planted),
        "recall": len(planted & pairs) / len(planted),
        "other_pairs": sorted((i, k, split[k]) for i, k in pairs - planted),
    }


def contact_sheet(pairs: Sequence[Pair], rows: pd.DataFrame, file: Path) -> None:
    """Draw pairs side by side with their names, the least sure first; nothing if there is none."""
    if not pairs:
        return
    width, height = 2 * SIDE + 8, ABOVE + SIDE + BELOW
    sheet = Image.new("RGB", (ACROSS * width, -(-len(pairs) // ACROSS) * height), "white")
    draw = ImageDraw.Draw(sheet)
    for number, pair in enumerate(sorted(pairs, key=lambda pair: pair.agreement)):
        x, y = number % ACROSS * width, number // ACROSS * height
        for place, picture in enumerate((pair.second, pair.first)):
            with Image.open(rows["path"].iloc[picture.row]) as image:
                small = ImageOps.pad(image.convert("RGB"), (SIDE, SIDE))
            sheet.paste(small, (x + place * SIDE, y + ABOVE))
            name = Path(picture.file).stem[-LETTERS:]
            draw.text((x + place * SIDE, y + ABOVE + SIDE), name, fill="black")
        draw.text((x, y), f"{number + 1} {pair.agreement:.3f}", fill="black")
    sheet.save(file, quality=SHEET_QUALITY)


def as_fingerprints(thumbnails: np.ndarray, name: str) -> Fingerprints:
    """Return thumbnails as fingerprints of different files."""
    ids = tuple(f"{name}{row}" for row in range(len(thumbnails)))
    return Fingerprints(ids, ids, ids, thumbnails)


def measure_scale(
    num_left: int = NUM_LEFT, num_right: int = NUM_RIGHT, num_planted: int = NUM_SCALE_PLANTED
) -> dict[str, Any]:
    """Return the seconds of a large search, and the recall of copies planted in it."""
    rng = np.random.default_rng(0)
    left, right = draw_textures(num_left, rng), draw_textures(num_right, rng)
    where = np.sort(rng.choice(num_left, num_planted, replace=False))
    for number, row in enumerate(where):
        left[row] = cropped(right[number], rng)
    load, started, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    found = find_copies(as_fingerprints(left, "left"), as_fingerprints(right, "right"))
    seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
    pairs = set(pairs_of(found))
    hits = [(int(row), number) in pairs for number, row in enumerate(where)]
    return {
        "left": num_left,
        "right": num_right,
        "cores": os.cpu_count(),
        "load_before": round(load, 1),
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "planted": num_planted,
        "recall": float(np.mean(hits)),
        "other_pairs": len(pairs) - sum(hits),
    }


def draw_textures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return random pictures whose frequencies are as strong as in photographs: about 1 / f."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE))
    frequency[0, 0] = np.inf
    parts = []
    for some in chunks(count, 2000):
        spectrum = np.fft.rfft2(rng.normal(size=(some, SIZE, SIZE))) / frequency
        pictures = np.fft.irfft2(spectrum, (SIZE, SIZE))
        pictures *= 50 / pictures.std(axis=(1, 2), keepdims=True)
        parts.append(np.clip(pictures + 128, 0, 255).astype(np.uint8))
    return np.concatenate(parts)


def chunks(count: int, size: int) -> Iterator[int]:
    """Yield how many of `count` come next."""
    for start in range(0, count, size):
        yield min(size, count - start)


def cropped(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a crop of a picture that keeps 75 % to 100 % of its sides; half of them mirrored."""
    side = rng.uniform(0.75, 1) * SIZE
    left, top = rng.uniform(0, SIZE - side, 2)
    box = (left, top, left + side, top + side)
    image = Image.fromarray(picture).resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
    return np.array(ImageOps.mirror(image) if rng.random() < 0.5 else image)


if __name__ == "__main__":
    main()
