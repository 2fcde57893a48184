"""Predictions as CSV or JSON, row by row: to stdout, or to a file that appears when it is whole."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from automl_flowers.files import atomic_path

if TYPE_CHECKING:
    from automl_flowers.results import Prediction


def write_predictions(
    predictions: Iterable[Prediction], out: Path | None = None, *, as_json: bool = False
) -> None:
    """Write predictions as they come.

    Args:
        predictions: At least one.
        out: File to write, all or nothing; None for stdout, which gets each row at once.
        as_json: JSON instead of CSV; the ending `.json` says so, too.
    """
    write = _write_json if as_json or (out and out.suffix.lower() == ".json") else _write_csv
    if out is None:
        write(_flushing(predictions, sys.stdout), sys.stdout)
        return
    with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write(predictions, file)


def _flushing(predictions: Iterable[Prediction], file: TextIO) -> Iterator[Prediction]:
    for prediction in predictions:
        yield prediction
        file.flush()


def _write_csv(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Write `path,label,class_name,probability`, and a column a class where these are known."""
    writer = csv.writer(file, lineterminator="\n")
    for number, made in enumerate(predictions):
        each = made.probabilities or {}
        if number == 0:
            columns = [f"probability_{name}" for name in each]
            writer.writerow(("path", "label", "class_name", "probability", *columns))
        top = (made.path, made.label, made.class_name, made.probability)
        writer.writerow((*top, *each.values()))


def _write_json(predictions: Iterable[Prediction], file: TextIO) -> None:
    """Write a list of objects, each on a line of its own."""
    before = "[\n"
    for made in predictions:
        file.write(before + json.dumps(made.to_dict(), allow_nan=False))
        before = ",\n"
    file.write("\n]\n")
