"""A run as two tables for spreadsheets and pandas: `trials.csv` and `epochs.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from automl_flowers.files import write_text
from automl_flowers.ledger import TrialRecord
from automl_flowers.reports.standings import METRICS
from search_spaces.recipe import flatten

_EPOCH_COLUMNS = ("trial", "name", "epoch", "learning_rate", "loss", *METRICS, "seconds")


def write_csv_files(trials: Sequence[TrialRecord], folder: Path) -> tuple[Path, Path]:
    """Write `trials.csv` and `epochs.csv`, and return their paths.

    Both count epochs from 1. A cell is empty where there is no value: a hyperparameter of
    another schedule, the score of a trial that failed.

    Args:
        trials: From the ledger, in the order in which they started.
        folder: Where to; made if missing, files of these names in it are replaced.
    """
    files = folder / "trials.csv", folder / "epochs.csv"
    _write(files[0], [_trial_row(trial) for trial in trials])
    _write(files[1], [row for trial in trials for row in _epoch_rows(trial)], _EPOCH_COLUMNS)
    return files


def _trial_row(trial: TrialRecord) -> dict[str, Any]:
    last = trial.epochs[-1] if trial.epochs else None
    return {
        "trial": trial.trial_id,
        "name": _name(trial),
        "status": trial.status,
        "score": trial.score,
        **{name: getattr(last, name, None) for name in (*METRICS, "loss")},
        "bracket": trial.bracket,
        "round": trial.round,
        "continues": trial.parent,
        "epochs_before": trial.first_epoch,
        "epochs_planned": trial.last_epoch,
        "epochs_trained": trial.epochs_trained,
        "seconds": sum(epoch.seconds for epoch in trial.epochs),
        "started": _time(trial.started),
        "ended": _time(trial.ended),
        "reason": trial.reason,
        **flatten(trial.recipe),
        **trial.size,
    }


def _epoch_rows(trial: TrialRecord) -> list[dict[str, Any]]:
    about = {"trial": trial.trial_id, "name": _name(trial)}
    return [{**vars(epoch), **about, "epoch": epoch.epoch + 1} for epoch in trial.epochs]


def _name(trial: TrialRecord) -> str:
    return f"{trial.recipe['backbone']}-{trial.identity[:6]}"


def _time(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _write(target: Path, rows: Sequence[Mapping[str, Any]], first: Sequence[str] = ()) -> None:
    columns = dict.fromkeys([*first, *(name for row in rows for name in row)])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(target, text.getvalue())
