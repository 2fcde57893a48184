"""The facts of a run: what its files say, as plain data that page and command line share.

Reads only, so it works while a search is running and after it was killed, with or without an
ensemble.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automl_flowers.config import RunConfig, parse_config, read_yaml
from automl_flowers.errors import RunError
from automl_flowers.ledger import TrialRecord
from automl_flowers.reports.ensemble import (
    SPLITS,
    BlendFacts,
    Confusion,
    MemberCurve,
    read_blend,
    read_confusion,
    read_curves,
)
from automl_flowers.reports.reading import read_json, read_ledger
from automl_flowers.reports.scores import ScoreLine, score_lines
from automl_flowers.reports.standings import Standing, rank_recipes, ranked
from automl_flowers.run_folder import RunFolder
from automl_flowers.tuning.plans import make_plan
from automl_flowers.tuning.probe_rule import Probe, choose_backbones, comparable, read_skipped

__all__ = ["Facts", "collect", "next_steps", "to_dict"]


@dataclass(frozen=True)
class Facts:
    """Everything that a report shows.

    Attributes:
        run: The run folder.
        settings: As in `config.yaml`.
        objective: What the search optimised.
        trials: All trials, in the order in which they started.
        standings: A line for each distinct recipe: ranked ones, best first, then the others.
        planned_trials: How many the search runs if nothing fails.
        is_search_over: Whether there is nothing left to run.
        log_sampled: Hyperparameters that were drawn uniformly in the logarithm.
        probes: What linear heads on frozen features scored, best first.
        left_out: Backbones that were not searched because of that.
        data: As in `data.json`.
        environment: As in `environment.json`.
        blend: The blend, or None.
        no_blend: Why there is no blend.
        curves: Learning curves of retrained models.
        confusion: Of the blend, or None.
        no_confusion: Why there is no confusion.
    """

    run: RunFolder
    settings: dict[str, Any]
    objective: str
    trials: tuple[TrialRecord, ...]
    standings: tuple[Standing, ...]
    planned_trials: int
    is_search_over: bool
    log_sampled: frozenset[str]
    probes: tuple[Probe, ...]
    left_out: tuple[str, ...]
    data: dict[str, Any]
    environment: dict[str, Any]
    blend: BlendFacts | None
    no_blend: str
    curves: tuple[MemberCurve, ...]
    confusion: Confusion | None
    no_confusion: str

    @property
    def ranked(self) -> list[Standing]:
        """The standings that have a score, best first."""
        return ranked(self.standings)

    @property
    def images(self) -> dict[str, int]:
        """How many images each split has, training first."""
        counts = self.data.get("images", {})
        return {split: counts[split] for split in ("train", *SPLITS) if split in counts}

    @property
    def scores(self) -> tuple[ScoreLine, ...]:
        """Every score with the images that it was taken on."""
        return score_lines(self.ranked, self.blend, self.images)

    @property
    def statuses(self) -> dict[str, int]:
        """How many trials ended how."""
        return dict(Counter(str(trial.status) for trial in self.trials))

    @property
    def no_trial(self) -> str:
        """What stands where trials would be shown."""
        is_made_again = self.blend is not None and not self.trials
        return "There was no search." if is_made_again else "No trial has finished yet."


def collect(run: RunFolder) -> Facts:
    """Read the facts of a run.

    Args:
        run: Its folder; a search may be writing to it.

    Raises:
        RunError: If the run has no search yet, or a file of it is broken.
        ConfigError: If its configuration does not hold up.
    """
    settings = read_yaml(run.require(run.config, "search"))
    config = parse_config(settings)
    trials, has_ended = read_ledger(
        run.require(run.ledger, "search"), lambda ledger: (ledger.trials(), ledger.has_ended())
    )
    is_made_again = run.blend.exists() and not trials  # from its recipe file, without a search
    probes = _probes(run)
    blend, no_blend = read_blend(run)
    confusion, no_confusion = read_confusion(run, blend) if blend else (None, no_blend)
    return Facts(
        run=run,
        settings=settings,
        objective=config.objective,
        trials=tuple(trials),
        standings=_standings(run, trials, maximise=config.maximise),
        planned_trials=0 if is_made_again else _count_planned(config, len(trials)),
        is_search_over=has_ended or is_made_again,
        log_sampled=_log_sampled(run.space),
        probes=probes,
        left_out=_left_out(run, probes) if config.probe == "drop" else (),
        data=read_json(run.data) or {},
        environment=read_json(run.environment) or {},
        blend=blend,
        no_blend=no_blend,
        curves=read_curves(run, blend),
        confusion=confusion,
        no_confusion=no_confusion,
    )


def _probes(run: RunFolder) -> tuple[Probe, ...]:
    read = [content for path in sorted(run.probes.glob("*.json")) if (content := read_json(path))]
    return tuple(sorted((Probe(**content) for content in read), key=lambda p: -p.macro_f1))


def _left_out(run: RunFolder, probes: Sequence[Probe]) -> tuple[str, ...]:
    if not probes:
        return ()
    names = dict.fromkeys(probe.backbone for probe in probes)
    skipped = {size for _, size in read_skipped(run.probes)}
    sizes = {probe.image_size for probe in probes} | skipped
    worth = choose_backbones(tuple(names), comparable(probes, sorted(sizes), skipped))
    return tuple(name for name in names if name not in worth)


def _standings(
    run: RunFolder, trials: Sequence[TrialRecord], *, maximise: bool
) -> tuple[Standing, ...]:
    try:
        return rank_recipes(trials, maximise=maximise)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"`{run.ledger}` holds recipes that this version cannot read: {error}.",
            hint="report with the version in environment.json",
        ) from error


def _count_planned(config: RunConfig, num_trials: int) -> int:
    """Return how many trials a search runs if nothing fails; those so far where time ends it."""
    if config.is_endless:
        return num_trials
    return sum(stage.size for bracket in make_plan(config) for stage in bracket)


def _log_sampled(space: Path) -> frozenset[str]:
    content = read_yaml(space) if space.exists() else {}
    return frozenset(
        name
        for name, domain in content.items()
        if isinstance(domain, Mapping) and domain.get("sampling") == "log"
    )


def next_steps(facts: Facts) -> list[tuple[str, str]]:
    """Return commands that go on from here, the most useful first, each with what it does."""
    run = shlex.quote(str(facts.run.path))
    steps = []
    if not facts.is_search_over:
        command = f"automl-flowers search --config {run}/config.yaml --run {run}"
        steps.append((command, "goes on with the search, unless it is running right now"))
    if facts.blend is not None:
        steps.append((f"automl-flowers predict photos/ --run {run}", "classifies your own images"))
        again = f"--top {len(facts.blend.members)} --external more_photos/ --run {run}"
        purpose = "blends again, with more training images where they help"
        steps.append((f"automl-flowers ensemble {again}", purpose))
    elif facts.ranked:
        command = f"automl-flowers ensemble --top {min(3, len(facts.ranked))} --run {run}"
        steps.append((command, "retrains the best recipes, blends them, writes submission.csv"))
    return [*steps, (f"automl-flowers report --run {run}", "writes this page again")]


def to_dict(facts: Facts, page: Path) -> dict[str, Any]:
    """Return what `report --json` prints: plain data without NaN.

    Args:
        facts: From `collect`.
        page: Where the page was written.
    """
    leaderboard = [_row(standing) for standing in facts.ranked]
    run = facts.run
    files = {
        "report": page,
        "ledger": run.ledger,
        "blend": run.blend,
        "submission": run.submission,
    }
    return {
        "run": str(run.path),
        "objective": facts.objective,
        "search": {
            "planned": facts.planned_trials,
            "is_over": facts.is_search_over,
            **{name: facts.statuses.get(name, 0) for name in _STATUSES},
        },
        "frozen_features": [
            {
                "backbone": probe.backbone,
                "image_size": probe.image_size,
                "macro_f1": probe.macro_f1,
                "left_out": probe.backbone in facts.left_out,
            }
            for probe in facts.probes
        ],
        "best": leaderboard[0] if leaderboard else None,
        "leaderboard": leaderboard,
        "not_finished": [_unfinished(trial) for trial in facts.trials if _is_open(trial)],
        "scores": [{**asdict(line), "interval": _as_list(line.interval)} for line in facts.scores],
        "blend": facts.blend.content if facts.blend else None,
        "paths": {
            name: str(path) for name, path in files.items() if name == "report" or path.exists()
        },
        "next": next_steps(facts)[0][0],
    }


_STATUSES = ("completed", "failed", "infeasible", "running")


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _is_open(trial: TrialRecord) -> bool:
    return trial.status != "completed"


def _row(standing: Standing) -> dict[str, Any]:
    return {
        "rank": standing.rank,
        "name": standing.name,
        "trial": standing.trial.trial_id,
        "continues": standing.trial.parent,
        "epochs": standing.epochs,
        "score": standing.score,
        **standing.scores,
        "seconds": round(standing.seconds, 3),
        "recipe": standing.recipe,
    }


def _unfinished(trial: TrialRecord) -> dict[str, Any]:
    return {
        "trial": trial.trial_id,
        "name": f"{trial.recipe['backbone']}-{trial.identity[:6]}",
        "status": trial.status,
        "epochs": len(trial.epochs),
        "reason": trial.reason,
    }
