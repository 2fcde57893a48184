"""Prediction: members and `blend.json` to a class for any image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers import run_setup
from automl_flowers.accelerators import Accelerator, set_up
from automl_flowers.blending import predict as predicting
from automl_flowers.blending.fits import weights_path
from automl_flowers.config import (
    RunConfig,
)
from automl_flowers.console import Reporter
from automl_flowers.errors import RunError
from automl_flowers.files import read_json
from automl_flowers.ledger import Ledger
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from automl_flowers.results import Prediction
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import weights_of
from automl_flowers.tuning.checkpoints import CheckpointFolder, load_state
from ensembles.averaging import average
from search_spaces.recipe import Recipe


def predict(
    config: RunConfig, paths: Sequence[Path], reporter: Reporter | None = None
) -> list[Prediction]:
    """Classify images with a run's ensemble, or with its best model if it has none.

    Args:
        config: Of the run, from `run_config`.
        paths: Image files, and folders to search for them.
        reporter: Shows progress and what was skipped; by default on stderr.

    Raises:
        RunError: If the run has no model yet.
        DataError: If there are no images.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    run = RunFolder(Path(str(config.run)))
    models, class_names = _models_of(run, reporter)
    files = predicting.find_images(paths)
    accelerator = set_up(config.strategy, config.precision)
    probabilities, kept = [], files
    for model in models:
        kept, images, problems = predicting.decode_files(files, model.recipe.image_size)
        program = _prediction_program(
            model.recipe,
            len(class_names),
            accelerator,
            weights_of(config.weights, model.recipe.backbone),
        )
        probabilities.append(predicting.predict_images(program, load_state(model.file), images))
    run_setup.say_problems(problems, reporter)
    weights = np.array([model.weight for model in models])
    return predicting.decide(kept, average(np.stack(probabilities), weights), class_names)


@dataclass(frozen=True)
class _Model:
    recipe: Recipe
    weight: float
    file: Path


def _models_of(run: RunFolder, reporter: Reporter) -> tuple[list[_Model], list[str]]:
    """Return the models to predict with, and the names of the classes."""
    if not run.blend.exists():
        return [_best_model(run, reporter)], read_json(run.data)["class_names"]
    blend = read_json(run.blend)
    try:
        models = [
            _Model(
                Recipe.from_dict(member["recipe"]),
                member["weight"] / len(_fits_of(member)),
                weights_path(run.members, name),
            )
            for member in blend["members"]
            for name in _fits_of(member)
        ]
        return models, blend["class_names"]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"`{run.blend}` is damaged: it does not say what the members are ({error}).",
            hint=f"write it again with `automl-flowers ensemble --run {run.path}`",
        ) from error


def _fits_of(member: dict[str, Any]) -> list[str]:
    """Return the names of the fits that predict new images; older runs have one a member."""
    return member.get("final_fits") or [member["name"]]


def _best_model(run: RunFolder, reporter: Reporter) -> _Model:
    names = CheckpointFolder(run.best).names()
    if not names:
        raise RunError(
            f"`{run.path}` has no model yet.",
            hint=f"run `automl-flowers search --run {run.path}` first",
        )
    trial_id, epochs, _ = names[-1].split(".")
    with Ledger(run.require(run.ledger, "search")) as ledger:
        trial = next(t for t in ledger.trials() if t.trial_id == trial_id)
    reporter.say(
        f"no ensemble yet, so the best model of the search predicts: trial {trial_id} after "
        f"epoch {int(epochs)}"
    )
    return _Model(Recipe.from_dict(trial.recipe), 1.0, run.best / names[-1])


def _prediction_program(
    recipe: Recipe, num_classes: int, accelerator: Accelerator, weights: str
) -> Program:
    architecture = Architecture.of(
        recipe,
        batch_size=accelerator.global_batch_size(recipe.batch_size),
        num_classes=num_classes,
        precision=accelerator.precision,
        num_steps=1,
        weights=weights,
    )
    return Program(architecture, accelerator.strategy.scope)
