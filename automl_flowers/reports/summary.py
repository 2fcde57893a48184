"""The facts of a run: what its files say, as plain data that page and command line share.

Reads only, so it works while a search is running and after it was killed, with or without an
ensemble.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.blending.pick import Candidate, candidates
from automl_flowers.config import parse_config, read_yaml
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.run_folder import RunFolder
from ensembles.averaging import average
from ensembles.metrics import confusion_matrix
from ensembles.predictions import align, load_predictions
from search_spaces.recipe import flatten


@dataclass(frozen=True)
class Confusion:
    """What was taken for what.

    Attributes:
        split: On which images.
        counts: int, `(num_classes, num_classes)`, rows are the true classes.
        class_names: Names in the order of rows and columns.
    """

    split: str
    counts: np.ndarray
    class_names: tuple[str, ...]

    def worst_pairs(self, count: int = 8) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes: true class, predicted class, images."""
        wrong = self.counts.copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind="stable")[:count]
        places = [np.unravel_index(position, wrong.shape) for position in order]
        names = self.class_names
        return [(names[t], names[p], int(wrong[t, p])) for t, p in places if wrong[t, p]]


@dataclass(frozen=True)
class Facts:
    """Everything that a report shows.

    Attributes:
        run: The run folder.
        settings: As in `config.yaml`.
        objective: What the search optimised.
        trials: All trials, in the order in which they started.
        ranking: Distinct recipes that finished, best first.
        data: As in `data.json`.
        environment: As in `environment.json`.
        blend: As in `blend.json`, or None.
        confusion: Of the blend, or None.
    """

    run: Path
    settings: dict[str, Any]
    objective: str
    trials: tuple[TrialRecord, ...]
    ranking: tuple[Candidate, ...]
    data: dict[str, Any]
    environment: dict[str, Any]
    blend: dict[str, Any] | None
    confusion: Confusion | None

    def trial(self, trial_id: str) -> TrialRecord:
        """Return a trial by its id."""
        return next(trial for trial in self.trials if trial.trial_id == trial_id)


def collect(run: RunFolder) -> Facts:
    """Read the facts of a run.

    Raises:
        RunError: If the run has no search yet.
    """
    config = parse_config(read_yaml(run.require(run.config, "search")))
    with Ledger(run.require(run.ledger, "search")) as ledger:
        trials = ledger.trials()
    blend = _read_json(run.blend)
    return Facts(
        run=run.path,
        settings=read_yaml(run.config),
        objective=config.objective,
        trials=tuple(trials),
        ranking=tuple(candidates(trials, maximise=config.maximise)),
        data=_read_json(run.data) or {},
        environment=_read_json(run.path / "environment.json") or {},
        blend=blend,
        confusion=_confusion(run, blend) if blend else None,
    )


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _confusion(run: RunFolder, blend: dict[str, Any]) -> Confusion | None:
    """Return the confusion on `test` if it has labels, else on `blend`."""
    is_scored = blend["scores"]["test"]["macro_f1"] is not None
    split = "test" if is_scored else "blend"
    files = [run.predictions / member["predictions"][split] for member in blend["members"]]
    if not all(file.exists() for file in files):
        return None
    aligned = align([load_predictions(file) for file in files])
    weights = np.array([member["weight"] for member in blend["members"]])
    known = aligned.labels >= 0
    blended = average(aligned.probabilities, weights)[known]
    counts = confusion_matrix(aligned.labels[known], blended)
    return Confusion(split, counts, tuple(aligned.class_names))


def leaderboard(facts: Facts) -> list[dict[str, Any]]:
    """Return a row for each distinct recipe that finished, best first."""
    rows = []
    for rank, candidate in enumerate(facts.ranking, start=1):
        trial = facts.trial(candidate.trial_id)
        last = trial.epochs[-1]
        rows.append(
            {
                "rank": rank,
                "name": candidate.recipe.name,
                "trial": candidate.trial_id,
                "epochs": candidate.epochs,
                "macro_f1": last.macro_f1,
                "accuracy": last.accuracy,
                "log_loss": last.log_loss,
                "seconds": _seconds(facts, trial),
                "recipe": flatten(trial.recipe),
            }
        )
    return rows


def _seconds(facts: Facts, trial: TrialRecord) -> float:
    """Return the training seconds of a trial and of those that it continues."""
    own = sum(epoch.seconds for epoch in trial.epochs)
    return own + (_seconds(facts, facts.trial(trial.parent)) if trial.parent else 0.0)


def to_dict(facts: Facts) -> dict[str, Any]:
    """Return what `report --json` prints."""
    return {
        "run": str(facts.run),
        "report": str(facts.run / "report.html"),
        "objective": facts.objective,
        "leaderboard": leaderboard(facts),
        "not_finished": [
            {"trial": trial.trial_id, "status": trial.status, "reason": trial.reason}
            for trial in facts.trials
            if trial.status != "completed"
        ],
        "blend": facts.blend,
    }


def lines(result: dict[str, Any]) -> list[str]:
    """Return the leaderboard and the blend for a terminal."""
    shown = ["rank  macro F1  epochs  seconds  recipe"]
    shown += [_leaderboard_line(row) for row in result["leaderboard"]]
    shown += [
        f"trial {trial['trial']} {trial['status']}: {trial['reason'] or 'not ended'}"
        for trial in result["not_finished"]
    ]
    if result["blend"] is not None:
        shown += _blend_lines(result["blend"])
    return [*shown, f"report  {result['report']}"]


def _leaderboard_line(row: dict[str, Any]) -> str:
    recipe = row["recipe"]
    return (
        f"{row['rank']:>4}    {row['macro_f1']:.4f}  {row['epochs']:>6}  {row['seconds']:>7.0f}  "
        f"{row['name']}: {recipe['image_size']} px, {recipe['trainable_blocks']} blocks, "
        f"{recipe['schedule']} {recipe['learning_rate']:.2g}, {recipe['augmentation']}"
    )


def _blend_lines(blend: dict[str, Any]) -> list[str]:
    shown = [f"blend of {len(blend['members'])}: {blend['reason']}"]
    shown += [f"  {member['weight']:.3f}  {member['name']}" for member in blend["members"]]
    for split in ("blend", "test"):
        score = blend["scores"][split]["macro_f1"]
        shown.append(
            f"  macro F1 on {split}: " + ("no labels" if score is None else f"{score:.4f}")
        )
    return shown
