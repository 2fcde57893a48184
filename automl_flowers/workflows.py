"""The commands as functions: each reads a configuration and leaves files in the run folder.

    search    config -> manifest, ledger
    ensemble  ledger -> members, predictions, blend.json, submission.csv
    report    all of these -> report.html
    predict   members and blend.json -> a class for any image

Each is a page of composition; the work is in the rooms.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers import run_setup
from automl_flowers.accelerators import Accelerator, set_up
from automl_flowers.blending import blend as blending
from automl_flowers.blending import external as external_data
from automl_flowers.blending import predict as predicting
from automl_flowers.blending.pick import Candidate, in_order_of_picking, pick_members
from automl_flowers.blending.retrain import (
    FAILURES,
    Member,
    Progress,
    read_progress,
    retrain,
    weights_path,
)
from automl_flowers.blending.submission import submission_order, write_submission
from automl_flowers.config import (
    RunConfig,
    check_same_search,
    parse_config,
    read_yaml,
)
from automl_flowers.console import Reporter
from automl_flowers.data.prepare import ImageData, remember
from automl_flowers.data.sources import find_sample_submission
from automl_flowers.disk import GIGABYTE, DiskLimit
from automl_flowers.errors import RunError
from automl_flowers.files import read_json, write_json
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.feature_bank import FeatureBank
from automl_flowers.modeling.program import Program
from automl_flowers.results import EnsembleResult, Prediction, SearchResult
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import NONE, hash_files, weights_of
from automl_flowers.tuning.budget import Budget, TimedPace, affordable_epochs
from automl_flowers.tuning.callbacks import CallbackFactory
from automl_flowers.tuning.checkpoints import CheckpointFolder, load_state
from automl_flowers.tuning.cost import learn_costs
from automl_flowers.tuning.oracles import make_oracle
from automl_flowers.tuning.plans import has_rounds, make_plan
from automl_flowers.tuning.probe import ProbeFolder, probe_all
from automl_flowers.tuning.probe_rule import MAX_GAP, Probe, choose_backbones
from automl_flowers.tuning.search import Pace, run_search
from automl_flowers.tuning.trainer import Trainer
from ensembles.averaging import average
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import first_recipes
from search_spaces.recipe import Recipe
from search_spaces.spaces import Space


def search(
    config: RunConfig,
    reporter: Reporter | None = None,
    *,
    callbacks: Sequence[CallbackFactory] = (),
    started: float | None = None,
) -> SearchResult:
    """Run a search, or go on with one that was interrupted.

    Args:
        config: Settings; what is None is filled in and written to the run.
        reporter: Shows progress; by default on stderr.
        callbacks: Of the user, for every trial.
        started: When the command began, on `time.perf_counter`; None for now.

    Raises:
        UserError: If settings or data do not hold up, or the run folder cannot be used.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    started = time.perf_counter() if started is None else started
    accelerator = run_setup.set_up_device(config, reporter)
    given, config = config, run_setup.complete(config, accelerator, reporter)
    run = RunFolder(Path(str(config.run)))
    config = run_setup.go_on_as_recorded(config, given, run)
    check_same_search(config, run.config)
    with run.writing():
        space = run_setup.effective_space(config, run, reporter)
        data = run_setup.load_data(config, run, space, reporter)
        disk = DiskLimit(run.path, config.max_bytes, _bank(config, run).free)
        disk.make_room(run_setup.bytes_to_decode(space, data, run))
        remember(data, run.manifest, run.data, image_size=run_setup.smallest_size(space))
        worth, first = _look_first(config, data, run, space, reporter)
        forward = {(p.backbone, p.image_size): p.forward_seconds for p in _probes(run)}
        typical = Recipe.from_values(first[0])
        if config.time_budget and given.max_epochs is None and not run.config.exists():
            epochs = affordable_epochs(
                int(config.max_epochs or 1), typical, learn_costs((), forward), config.time_budget
            )
            config = config.model_copy(update={"max_epochs": epochs})
        with Ledger(run.ledger, writable=True) as ledger:
            config = run_setup.extend(config, ledger, reporter)
            run_setup.write_settings(config, run, space, accelerator)
            plan = make_plan(config)
            costs = learn_costs(ledger.trials(), forward)
            epoch_seconds = costs.epoch(typical) if forward else None
            run_setup.announce(config, plan, data, worth, run, epoch_seconds, reporter)
            if config.time_budget is not None:
                reporter.plan(seconds=config.time_budget - ledger.seconds_spent())
            trainer = _make_trainer(config, run, data, accelerator, callbacks, "search", reporter)
            if not has_rounds(config):
                first = run_setup.enqueued(config, worth)  # known good ones belong to rounds
            oracle = make_oracle(config, worth, plan, first)
            pace = _pace(config, run, ledger, forward, started)
            ledger.begin_session(time.time() - (time.perf_counter() - started))
            with _saying_where_it_stopped(ledger, run, reporter):
                trials = run_search(
                    oracle,
                    trainer.train,
                    ledger,
                    CheckpointFolder(run.checkpoints, disk.make_room),
                    CheckpointFolder(run.best, disk.make_room),
                    reporter,
                    worth_keeping=lambda records: {c.trial_id for c in _picked(records, config)},
                    pace=pace,
                )
            ledger.end_session()
    reporter.say(f"search done in {time.perf_counter() - started:.0f} s; results in {run.path}")
    return SearchResult(run.path, tuple(trials), config.objective)


@contextlib.contextmanager
def _saying_where_it_stopped(ledger: Ledger, run: RunFolder, reporter: Reporter) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        done = sum(trial.status == "completed" for trial in ledger.trials())
        reporter.close()
        reporter.say(f"stopped by hand; {done} completed trials so far in {run.path}")
        raise


def _pace(
    config: RunConfig,
    run: RunFolder,
    ledger: Ledger,
    forward: Mapping[tuple[str, int], float],
    started: float,
) -> Pace | None:
    """Return what ends the search when its time is over, or None without a budget."""
    if config.time_budget is None:
        return None
    checkpoints = CheckpointFolder(run.checkpoints)

    def has_state(trial_id: str) -> bool:
        found = ledger.checkpoint_of(trial_id)
        return found is not None and checkpoints.exists(found[1])

    return TimedPace(
        Budget(config.time_budget, ledger.seconds_spent(), started),
        int(config.max_epochs or 1),
        forward,
        lambda trials: _picked(trials, config),
        has_state,
    )


def _picked(trials: Sequence[TrialRecord], config: RunConfig) -> list[Candidate]:
    """Return the recipes that the ensemble would take now."""
    return in_order_of_picking(trials, config.objective)[: config.top]


def _probes(run: RunFolder) -> list[Probe]:
    return ProbeFolder(run.probes).all()


def _look_first(
    config: RunConfig, data: ImageData, run: RunFolder, space: Space, reporter: Reporter
) -> tuple[Space, list[dict[str, Value]]]:
    """Probe the backbones; return the space of those worth searching, and what to begin with."""
    backbones = [str(name) for name in space.choices("backbone")]
    if config.probe != "off" and config.weights != NONE:
        probes = probe_all(space, data, config.weights, ProbeFolder(run.probes), reporter.probed)
        worth = choose_backbones(probes)
        left_out = [name for name in backbones if name not in worth]
        if left_out and config.probe == "drop":
            reporter.say(
                f"left out, more than {MAX_GAP:.2f} below the best probe: {', '.join(left_out)} "
                "(`--probe keep` keeps them)"
            )
            space = space.restrict(backbone=worth)
        backbones = worth if config.probe == "drop" else [*worth, *left_out]
    return space, [*run_setup.enqueued(config, space), *first_recipes(space, backbones)]


def _make_trainer(
    config: RunConfig,
    run: RunFolder,
    data: ImageData,
    accelerator: Accelerator,
    callbacks: Sequence[CallbackFactory],
    logs: str,
    reporter: Reporter,
) -> Trainer:
    return Trainer(
        data,
        accelerator,
        num_epochs=int(config.max_epochs or run_setup.DEFAULT_EPOCHS),
        seed=config.seed,
        weights=config.weights,
        heads=functools.cache(ProbeFolder(run.probes).head),
        callbacks=callbacks,
        logs=run.tensorboard / logs,
        fresh_programs=config.fresh_programs,
        say=reporter.say,
        bank=_bank(config, run) if config.feature_bank == "on" else None,
    )


def _bank(config: RunConfig, run: RunFolder) -> FeatureBank:
    limit = int(GIGABYTE * config.feature_bank_gigabytes)
    return FeatureBank(run.feature_bank, limit, left=DiskLimit(run.path, config.max_bytes).left)


def run_config(run: RunFolder, flags: dict[str, Any]) -> RunConfig:
    """Return a run's configuration with the flags that were given over it.

    Raises:
        UserError: If a setting does not hold up, or a file of weights is not what it was.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    config = parse_config({**read_yaml(run.config), **given, "run": str(run.path)})
    hash_files(config.weights, config.weights_sha256)
    return config


def ensemble(
    config: RunConfig,
    reporter: Reporter | None = None,
    *,
    callbacks: Sequence[CallbackFactory] = (),
) -> EnsembleResult:
    """Retrain the best recipes of a run, blend them, and write the submission.

    Args:
        config: Of the run, from `run_config`.
        reporter: Shows progress; by default on stderr.
        callbacks: Of the user, for every retraining.

    Raises:
        RunError: If the search has too few finished recipes, or none can be retrained.
        UserError: If settings, external data or the sample submission do not hold up.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    run = RunFolder(Path(str(config.run)))
    with Ledger(run.require(run.ledger, "search")) as ledger:
        trials = ledger.trials()
        picked = pick_members(trials, config.top, config.objective)
        checkpoints = CheckpointFolder(run.checkpoints)
        so_far = [read_progress(trials, c.recipe.identity, ledger, checkpoints) for c in picked]
    config = config.model_copy(update={"external": run_setup.locate_external(config, reporter)})
    accelerator = run_setup.set_up_device(config, reporter)
    if other := run_setup.compare_replicas(run, accelerator):
        reporter.say(f"device: {other}")
    with run.writing():
        space = run_setup.effective_space(config, run, reporter)
        data = run_setup.load_data(config, run, space, reporter)
        remember(data, run.manifest, run.data, image_size=run_setup.smallest_size(space))
        sample = _sample_of(data, config)
        sources = _external_sources(config, data, run, space, picked[0].recipe, reporter)
        trainer = _make_trainer(config, run, data, accelerator, callbacks, "ensemble", reporter)
        recipes = [candidate.recipe for candidate in picked]
        members, left_out = _retrain_all(recipes, so_far, trainer, run, sources, reporter)
        aligned = blending.predict_members(trainer, members, run.members, run.predictions)
        choice = blending.weigh(aligned["blend"], config.blend_weights)
        if "test" in aligned:
            labels = average(aligned["test"].probabilities, choice.weights).argmax(axis=1)
            write_submission(run.submission, aligned["test"].ids, labels, sample)
        summary = blending.summarise(
            members,
            aligned,
            choice,
            files=[
                {split: blending.predictions_file(trainer, member, split) for split in aligned}
                for member in members
            ],
            external=[_external_entry(source) for source in sources],
            left_out=left_out,
        )
        summary["settings"] = _ensemble_settings(config)
        write_json(run.blend, summary)
    _say_blend(summary, run, reporter)
    return EnsembleResult(run.path, summary, run.submission if "test" in aligned else None)


def _sample_of(data: ImageData, config: RunConfig) -> str | None:
    """Return the sample submission, checked against the test images before anything is trained."""
    sample = find_sample_submission(config.data) if config.data else None
    test = data.manifest.split("test")
    if len(test):
        submission_order(list(test["id"]), sample)
    return sample


def _ensemble_settings(config: RunConfig) -> dict[str, Any]:
    names = ("top", "external", "label_map", "blend_weights", "strategy")
    return {name: getattr(config, name) for name in names}


def _external_sources(
    config: RunConfig,
    data: ImageData,
    run: RunFolder,
    space: Space,
    best: Recipe,
    reporter: Reporter,
) -> list[external_data.Source]:
    sources = external_data.read_sources(
        config.external,
        data,
        label_map=_label_map(config),
        probe_with=best.backbone if config.weights != NONE else None,
        probe_weights=weights_of(config.weights, best.backbone),
        image_size=run_setup.smallest_size(space),
        largest_size=run_setup.largest_size(space),
        cache=run.cache,
        on_progress=reporter.counting,
    )
    for source in sources:
        run_setup.say_problems(source.data.manifest.problems, reporter)
        for decision in source.decisions:
            mark = "uses" if decision.is_used else "leaves out"
            reporter.say(
                f"external {source.name}: {mark} {decision.external} "
                f"({decision.num_images} images): {decision.reason}"
            )
        reporter.say(
            f"external {source.name}: {source.num_used} images join the training set; "
            f"{len(source.copies)} near copies of evaluation images were dropped"
        )
    return sources


def _label_map(config: RunConfig) -> dict[str, str | None]:
    given = config.label_map or {}
    return read_yaml(Path(given)) if isinstance(given, str) else given


def _retrain_all(
    recipes: Sequence[Recipe],
    so_far: Sequence[Progress | None],
    trainer: Trainer,
    run: RunFolder,
    sources: Sequence[external_data.Source],
    reporter: Reporter,
) -> tuple[list[Member], list[dict[str, str]]]:
    """Return the members, and the recipes that could not be retrained with the reason."""
    external = external_data.join_sources(sources, recipes[0].image_size) if sources else None
    members: list[Member] = []
    left_out: list[dict[str, str]] = []
    for number, (recipe, progress) in enumerate(zip(recipes, so_far, strict=True)):
        done = f", {len(progress.epochs)} epochs of it by the search" if progress else ""
        reporter.say(f"member {number + 1} of {len(recipes)}: {recipe.name}{done}")
        try:
            member = retrain(
                trainer, recipe, run.members, external, reporter.member_epoch, progress
            )
        except FAILURES as error:
            reporter.say(f"member {recipe.name} left out: {error}")
            left_out.append({"name": recipe.name, "reason": str(error)})
            continue
        if member.external_failure:
            reporter.say(f"external images stay out of {member.name}: {member.external_failure}")
        members.append(member)
    if not members:
        reasons = "; ".join(f"{entry['name']}: {entry['reason']}" for entry in left_out)
        raise RunError(
            f"No recipe could be retrained ({reasons}).",
            hint="retrain others with a larger `--top`, or search again with other settings",
        )
    return members, left_out


def _external_entry(source: external_data.Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "images_used": source.num_used,
        "near_copies_dropped": list(source.copies),
        "classes": [dataclasses.asdict(decision) for decision in source.decisions],
    }


def _say_blend(summary: dict[str, Any], run: RunFolder, reporter: Reporter) -> None:
    reporter.say(summary["reason"])
    reporter.say(f"blend written to {run.blend}")
    if run.submission.exists():
        reporter.say(f"submission written to {run.submission}")


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
    models = [
        _Model(
            Recipe.from_dict(member["recipe"]),
            member["weight"],
            weights_path(run.members, member["name"]),
        )
        for member in blend["members"]
    ]
    return models, blend["class_names"]


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
