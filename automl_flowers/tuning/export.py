"""A run as a project of Keras Tuner: `oracle.json`, `tuner0.json` and a `trial.json` a trial.

Keras Tuner reloads such a folder as its own, so whoever has tools for its projects can use them
on a run. Trials, hyperparameters, scores, curves and promotions are there; models are not.

The ledger keeps recipes, which say what was trained. Keras Tuner wants the values that were
drawn, so a recipe is turned back into values of the space that mean the same.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from automl_flowers.config import RunConfig, parse_config, read_yaml
from automl_flowers.errors import RunError
from automl_flowers.files import read_json, write_json, write_text
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.reports.reading import read_ledger
from automl_flowers.run_folder import RunFolder
from automl_flowers.run_space import read_space
from automl_flowers.tuning.hyperband import Bracket
from automl_flowers.tuning.oracle import spread_seed
from automl_flowers.tuning.oracles import upstream_of
from automl_flowers.tuning.plans import has_rounds, make_plan
from automl_flowers.tuning.search import FINAL
from search_spaces.backbones import get_backbone
from search_spaces.fine_tuning import count_trainable_blocks
from search_spaces.hyperparameters import Value
from search_spaces.parameters import Choice
from search_spaces.recipe import Recipe
from search_spaces.spaces import PARAMETERS, Space

MARK = "exported_from.json"
"""Says which run a folder was exported from, so that it may be exported to again."""

_DIRECTIONS = {"loss": "min", "macro_f1": "max", "accuracy": "max", "log_loss": "min"}

_STATUSES = {
    "running": "RUNNING",
    "completed": "COMPLETED",
    "failed": "FAILED",
    "infeasible": "FAILED",
}


def export_project(run: RunFolder, folder: Path) -> None:
    """Write a run as a project of Keras Tuner. The run is only read.

    Args:
        run: Finished, running or killed.
        folder: Where to; new, empty, or exported to from this run before.

    Raises:
        RunError: If the run has no search yet or cannot be read, or the folder holds something
            else.
    """
    config = parse_config(read_yaml(run.require(run.config, "search")))
    trials = read_ledger(run.require(run.ledger, "search"), Ledger.trials)
    space = read_space(run)
    _claim(folder, run)
    oracle = _restore(config, space, trials)
    for trial in oracle.trials.values():
        _write(folder / f"trial_{trial.trial_id}" / "trial.json", trial.get_state())
    _write(folder / "oracle.json", oracle.get_state())
    _write(folder / "tuner0.json", {})  # without it nothing is reloaded


def _claim(folder: Path, run: RunFolder) -> None:
    """Mark a folder as exported from a run, unless it is something else."""
    mark, owner = folder / MARK, {"run": str(run.path.absolute())}
    is_ours = mark.exists() and read_json(mark) == owner
    if folder.exists() and not is_ours and (not folder.is_dir() or any(folder.iterdir())):
        raise RunError(
            f"`{folder}` is not empty and was not exported from `{run.path}`.",
            hint="give a folder that does not exist yet",
        )
    write_json(mark, owner)


def _write(target: Path, state: Any) -> None:
    write_text(target, json.dumps(state))  # a NaN stays one, as in Keras Tuner's own files


def _restore(config: RunConfig, space: Space, trials: Sequence[TrialRecord]) -> Any:
    """Return an oracle of Keras Tuner's in the state that the trials would have left it in."""
    hp = keras_tuner.HyperParameters()
    space.declare(hp)
    oracle = _make_upstream(config, hp)
    plan = make_plan(config)
    for record in trials:
        values = values_of(Recipe.from_dict(record.recipe), space)
        if has_rounds(config):
            values |= _place(record, plan)
        trial = _trial(record, hp.copy(), values)
        oracle.trials[record.trial_id] = trial
        oracle.start_order.append(record.trial_id)
        oracle._record_values(trial)
        if record.status == "running":
            oracle.ongoing_trials[f"tuner{len(oracle.ongoing_trials)}"] = trial
        else:
            oracle._run_times[record.trial_id] = 1
            oracle.end_order.append(record.trial_id)
    if has_rounds(config):
        _restore_brackets(oracle, plan, trials)
    return oracle


def _make_upstream(config: RunConfig, hp: Any) -> Any:
    options: dict[str, Any] = {
        "objective": keras_tuner.Objective(config.objective, "max" if config.maximise else "min"),
        "seed": spread_seed(config.seed),
        "hyperparameters": hp,
    }
    if has_rounds(config):
        return keras_tuner.oracles.HyperbandOracle(
            max_epochs=config.max_epochs or 1, factor=config.factor, **options
        )
    return upstream_of(config.oracle)(max_trials=make_plan(config)[0][0].size, **options)


def _trial(record: TrialRecord, hp: Any, values: dict[str, Value]) -> Any:
    hp.values = values
    trial = Trial(hp, record.trial_id, _STATUSES[record.status], record.reason)
    for name, direction in _DIRECTIONS.items():
        trial.metrics.register(name, direction)
        for epoch in record.epochs:
            trial.metrics.metrics[name].update(getattr(epoch, name), step=epoch.epoch)
    if record.score is not None:
        trial.score, trial.best_step = record.score, record.epochs_trained - 1
    return trial


def _place(record: TrialRecord, plan: Sequence[Bracket]) -> dict[str, Value]:
    """Return what Keras Tuner's Hyperband notes among a trial's hyperparameters.

    It numbers brackets by the promotions in them: the one that halves most comes first, and one
    without promotions, where we put final fits, last.
    """
    is_final = record.bracket == FINAL
    place: dict[str, Value] = {
        "tuner/epochs": record.last_epoch,
        "tuner/initial_epoch": record.first_epoch,
        "tuner/bracket": 0 if is_final else len(plan[record.bracket]) - 1,
        "tuner/round": record.round,
    }
    return place if record.parent is None else {**place, "tuner/trial_id": record.parent}


def _restore_brackets(oracle: Any, plan: Sequence[Bracket], trials: Sequence[TrialRecord]) -> None:
    """Fill the rounds of the brackets that have begun."""
    last = max([0, *(record.bracket for record in trials)])
    oracle._current_bracket = len(plan[last]) - 1
    oracle._current_iteration = last // oracle._get_num_brackets()
    oracle.hyperband_iterations = math.ceil(len(plan) / oracle._get_num_brackets())
    oracle._brackets = []
    for number, bracket in enumerate(plan[: last + 1]):
        rounds: list[list[dict[str, str | None]]] = [[] for _ in bracket]
        for record in trials:
            if record.bracket == number:
                rounds[record.round].append({"past_id": record.parent, "id": record.trial_id})
        oracle._brackets.append({"bracket_num": len(bracket) - 1, "rounds": rounds})
    oracle._remove_completed_brackets()


def values_of(recipe: Recipe, space: Space) -> dict[str, Value]:
    """Return values on `hp` that mean a recipe: `Recipe.from_values` backwards.

    Several fractions can stand for the same number of trainable blocks; the first in the space
    that does is taken, or the exact share where the space has none (an enqueued recipe).
    """
    schedule = recipe.schedule
    known = {**vars(recipe), "learning_rate": schedule.peak_learning_rate}
    known["trainable_fraction"] = _fraction(recipe, space)
    values: dict[str, Value] = {name: known[name] for name in PARAMETERS}
    parameters = {f"{schedule.kind}/{name}": value for name, value in schedule.parameters.items()}
    return {**values, "schedule": schedule.kind, **parameters}


def _fraction(recipe: Recipe, space: Space) -> float:
    backbone, blocks = get_backbone(recipe.backbone), recipe.trainable_blocks
    domain = space.domains["trainable_fraction"]
    if isinstance(domain, Choice) or domain.step is not None:
        listed = domain.values if isinstance(domain, Choice) else domain.values()
        for fraction in listed:
            if count_trainable_blocks(backbone, float(fraction)) == blocks:
                return float(fraction)
    return blocks / backbone.num_blocks
