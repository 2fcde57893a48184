"""What the commands return: plain, typed, and printable as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from automl_flowers.blending.pick import Candidate, candidates, is_maximised
from automl_flowers.ledger import TrialRecord


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        run: The run folder.
        trials: All trials, as recorded.
        objective: What was optimised.
    """

    run: Path
    trials: tuple[TrialRecord, ...]
    objective: str

    @property
    def leaderboard(self) -> list[Candidate]:
        """The distinct recipes that completed a trial, best first."""
        return candidates(self.trials, maximise=is_maximised(self.objective))

    @property
    def best(self) -> Candidate | None:
        """The best recipe with its score, or None if nothing completed."""
        return next(iter(self.leaderboard), None)

    def to_dict(self) -> dict[str, Any]:
        """Return what `search --json` prints."""
        finished = {t.trial_id: t for t in self.trials if t.status == "completed"}
        best, entry = self.best, None
        if best:
            last = finished[best.trial_id].epochs[-1]
            entry = {
                "trial": best.trial_id,
                "recipe": best.recipe.to_dict(),
                "epochs": best.epochs,
                **{f"val_{n}": getattr(last, n) for n in ("macro_f1", "accuracy", "log_loss")},
            }
        return {
            "run": str(self.run),
            "trials": len(finished),
            "failed": sum(trial.status in ("failed", "infeasible") for trial in self.trials),
            "recipes": len({trial.identity for trial in self.trials}),
            "best": entry,
        }


@dataclass(frozen=True)
class EnsembleResult:
    """A blend: its members, weights and scores, and where they lie.

    Attributes:
        run: The run folder.
        summary: What `RUN/blend.json` says.
        submission: Path of `submission.csv`, or None if there are no test images.
    """

    run: Path
    summary: Mapping[str, Any]
    submission: Path | None

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each member, by its name."""
        return {member["name"]: member["weight"] for member in self.summary["members"]}

    @property
    def scores(self) -> Mapping[str, Any]:
        """Scores of the blend on `val`, `blend` and `test`; None where labels are missing."""
        scores: Mapping[str, Any] = self.summary["scores"]
        return scores

    def to_dict(self) -> dict[str, Any]:
        """Return what `ensemble --json` prints."""
        return {"run": str(self.run), **self.summary}


@dataclass(frozen=True)
class ExportResult:
    """A whole ensemble as one model.

    Attributes:
        out: The folder that holds it.
        facts: What `OUT/model.json` says: input, output, class names, what it was checked on.
    """

    out: Path
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what `export --json` prints."""
        return {"out": str(self.out), **self.facts}


@dataclass(frozen=True)
class Prediction:
    """What a run's models say of one image.

    Attributes:
        path: Of the image.
        label: Class index.
        class_name: Name of the class.
        probability: Of that class, after blending.
        probabilities: Of each class by its name, where these were asked for.
    """

    path: str
    label: int
    class_name: str
    probability: float
    probabilities: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what `predict --json` prints."""
        facts = dict(vars(self))
        if self.probabilities is None:
            del facts["probabilities"]
        return facts
