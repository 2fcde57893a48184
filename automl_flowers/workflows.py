"""The commands as functions: each reads a configuration and leaves files in the run folder.

    search    config -> manifest, ledger
    ensemble  ledger -> members, predictions, blend.json, submission.csv
    report    all of these -> report.html
    predict   members and blend.json -> a class for any image

Each is a page of composition; the work is in the rooms.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from automl_flowers.accelerators import Accelerator, set_up
from automl_flowers.blending import blend as blending
from automl_flowers.blending import external as external_data
from automl_flowers.blending import predict as predicting
from automl_flowers.blending.pick import candidates, pick_members
from automl_flowers.blending.retrain import Member, load_member_state, retrain
from automl_flowers.blending.submission import write_submission
from automl_flowers.config import (
    DEFAULT_MAX_EPOCHS,
    RunConfig,
    check_same_search,
    parse_config,
    read_yaml,
    write_config,
)
from automl_flowers.console import Reporter
from automl_flowers.data.manifest import Problem
from automl_flowers.data.prepare import ImageData, prepare, remember
from automl_flowers.data.sources import data_set_name, find_sample_submission
from automl_flowers.errors import ConfigError, RunError, UserError
from automl_flowers.files import write_json, write_text
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.modeling.backbones import find_available
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from automl_flowers.run_folder import RUNS, RunFolder, latest_run
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.hyperband import Bracket, count_epochs, plan_brackets
from automl_flowers.tuning.oracle import HyperbandOracle
from automl_flowers.tuning.search import run_search
from automl_flowers.tuning.trainer import Trainer
from ensembles.averaging import average
from search_spaces.recipe import Recipe
from search_spaces.spaces import Space, load_space, parse_space

DEFAULT_EPOCHS = 12


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

    def to_dict(self) -> dict[str, Any]:
        """Return what `search --json` prints."""
        finished = [trial for trial in self.trials if trial.status == "completed"]
        best = candidates(self.trials, maximise=self.objective != "log_loss")
        entry = None
        if best:
            last = next(t for t in finished if t.trial_id == best[0].trial_id).epochs[-1]
            entry = {
                "trial": best[0].trial_id,
                "recipe": best[0].recipe.to_dict(),
                "epochs": best[0].epochs,
                **{f"val_{n}": getattr(last, n) for n in ("macro_f1", "accuracy", "log_loss")},
            }
        return {
            "run": str(self.run),
            "trials": len(finished),
            "failed": sum(trial.status in ("failed", "infeasible") for trial in self.trials),
            "recipes": len({trial.identity for trial in self.trials}),
            "best": entry,
        }


def search(config: RunConfig, reporter: Reporter | None = None) -> SearchResult:
    """Run a search, or go on with one that was interrupted.

    Args:
        config: Settings; what is None is filled in and written to the run.
        reporter: Shows progress; by default on stderr.

    Raises:
        UserError: If settings or data do not hold up, or the run folder cannot be used.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    started = time.perf_counter()
    accelerator = _set_up(config, reporter)
    config = _complete(config, accelerator)
    run = RunFolder(Path(str(config.run)))
    check_same_search(config, run.config)
    with run.writing():
        space = _effective_space(config, run, reporter)
        data = _load_data(config, run, space, reporter)
        _write_settings(config, run, space, accelerator)
        remember(data, run.manifest, run.data, image_size=_smallest(space))
        plan = plan_brackets(int(config.max_epochs or 1), config.factor, config.max_recipes)
        _announce(plan, data, space, run, reporter)
        trainer = _make_trainer(config, data, accelerator)
        oracle = HyperbandOracle(
            space, plan, objective=config.objective, maximise=config.maximise, seed=config.seed
        )
        with Ledger(run.ledger, writable=True) as ledger:
            checkpoints = CheckpointFolder(run.checkpoints)
            trials = run_search(oracle, trainer.train, ledger, checkpoints, reporter)
    reporter.say(f"search done in {time.perf_counter() - started:.0f} s; results in {run.path}")
    return SearchResult(run.path, tuple(trials), config.objective)


def _set_up(config: RunConfig, reporter: Reporter) -> Accelerator:
    accelerator = set_up(config.strategy, config.precision)
    for note in accelerator.notes:
        reporter.say(f"device: {note}")
    reporter.say(f"device: {accelerator.kind}, {accelerator.precision}. {accelerator.reason}")
    return accelerator


def _complete(config: RunConfig, accelerator: Accelerator) -> RunConfig:
    """Fill in what depends on the data, the device or other settings."""
    has_accelerator = accelerator.kind != "cpu"
    usual = "demo" if config.data is None else ("petals" if has_accelerator else "small")
    space = config.space or usual
    config = config.model_copy(
        update={
            "data": config.data and _absolute(config.data),
            "external": [_absolute(address) for address in config.external],
            "space": space if not Path(space).suffix else _absolute(space),
            "max_epochs": config.max_epochs or DEFAULT_MAX_EPOCHS.get(space, DEFAULT_EPOCHS),
            "precision": accelerator.precision,
        }
    )
    name = data_set_name(config.data) if config.data else "flowers"
    run = config.run or str(RUNS / f"{name}-{config.digits()}")
    return config.model_copy(update={"run": run})


def _absolute(address: str) -> str:
    return address if "://" in address else str(Path(address).expanduser().absolute())


def _effective_space(config: RunConfig, run: RunFolder, reporter: Reporter) -> Space:
    """Return the space of this run: as recorded, or made from the settings and what is here."""
    recorded = run.path / "space.yaml"
    space = _wanted_space(config)
    if recorded.exists():
        before = parse_space(space.name, yaml.safe_load(recorded.read_text(encoding="utf-8")))
        _check_same_space(before, space, recorded)
        return before
    if config.weights == "imagenet":
        space = _with_available_backbones(space, config, reporter)
    return space


def _wanted_space(config: RunConfig) -> Space:
    given = {
        "backbone": config.backbones,
        "image_size": config.image_size,
        "batch_size": config.batch_size,
    }
    try:
        space = load_space(str(config.space))
        return space.restrict(**{name: v for name, v in given.items() if v is not None})
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _check_same_space(before: Space, now: Space, recorded: Path) -> None:
    """Refuse a space that has changed since the run began.

    Which backbones could be had was decided then, so fewer of them is no change.
    """
    then, wanted = before.to_dict(), now.to_dict()
    differing = [name for name in then if name != "backbone" and then[name] != wanted[name]]
    if not set(then["backbone"]) <= set(wanted["backbone"]):
        differing.append("backbone")
    if differing:
        raise RunError(
            f"Space {now.name!r} has changed since this run began, in {', '.join(differing)}.",
            hint=f"choose another folder with `--run`; the space of this run is in `{recorded}`",
        )


def _smallest(space: Space) -> int:
    return min(int(size) for size in space.choices("image_size"))


def _with_available_backbones(space: Space, config: RunConfig, reporter: Reporter) -> Space:
    available, missing = find_available([str(name) for name in space.choices("backbone")])
    listed = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
    if missing and (config.backbones or not available):
        raise UserError(
            f"ImageNet weights cannot be had for: {listed}.",
            hint="choose other backbones with `--backbones`, connect to the network once, or "
            "start from random weights with `--weights none`",
        )
    if missing:
        reporter.say(f"skipped backbones: {listed}")
    return space.restrict(backbone=available)


def _load_data(config: RunConfig, run: RunFolder, space: Space, reporter: Reporter) -> ImageData:
    address = config.data or _embedded_default(reporter)
    data = prepare(
        address,
        seed=config.seed,
        image_size=_smallest(space),
        cache=run.cache,
        on_progress=reporter.counting,
    )
    _say_problems(data.manifest.problems, reporter)
    return data


def _embedded_default(reporter: Reporter) -> str:
    from automl_flowers.data.synthetic import embedded_default

    what = "drawing flowers"
    return str(embedded_default(lambda done, total: reporter.counting(what, done, total)))


def _say_problems(problems: Sequence[Problem], reporter: Reporter) -> None:
    if problems:
        shown = "; ".join(f"{p.path}: {p.reason}" for p in problems[:3])
        more = f" and {len(problems) - 3} more (data.json lists all)" if len(problems) > 3 else ""
        reporter.say(f"skipped {len(problems)} files: {shown}{more}")


def _write_settings(
    config: RunConfig, run: RunFolder, space: Space, accelerator: Accelerator
) -> None:
    write_config(config, run.config)
    write_text(run.path / "space.yaml", yaml.safe_dump(space.to_dict(), sort_keys=False))
    write_json(run.path / "environment.json", _environment(accelerator))


def _environment(accelerator: Accelerator) -> dict[str, Any]:
    from automl_flowers.environment import describe_environment

    return {
        **describe_environment(),
        "device": accelerator.kind,
        "replicas": accelerator.num_replicas,
        "precision": accelerator.precision,
        "reason": accelerator.reason,
    }


def _announce(
    plan: Sequence[Bracket], data: ImageData, space: Space, run: RunFolder, reporter: Reporter
) -> None:
    """Say what the search will cost before it starts."""
    counts = data.manifest.rows["split"].value_counts()
    listed = ", ".join(f"{count} {split}" for split, count in counts.items())
    reporter.say(f"data: {data.manifest.num_classes} classes; images: {listed}")
    recipes = sum(bracket[0].size for bracket in plan)
    epochs = count_epochs(plan)
    reporter.say(
        f"space {space.name}: {recipes} recipes in {len(plan)} brackets, at most {epochs} epochs "
        f"of {counts['train']} images; run folder {run.path}"
    )
    for number, bracket in enumerate(plan):
        rounds = ", then ".join(
            f"{r.size} x epochs {r.first_epoch + 1}-{r.last_epoch}" for r in bracket
        )
        reporter.say(f"  bracket {number}: {rounds}")
    reporter.plan(epochs)


def _make_trainer(config: RunConfig, data: ImageData, accelerator: Accelerator) -> Trainer:
    return Trainer(
        data,
        accelerator,
        num_epochs=int(config.max_epochs or DEFAULT_EPOCHS),
        seed=config.seed,
        pretrained=config.weights == "imagenet",
    )


def open_run(run: str | None) -> RunFolder:
    """Return a run folder by its path, or the latest one.

    Raises:
        RunError: If there is none.
    """
    folder = RunFolder(Path(run)) if run else latest_run()
    folder.require(folder.config, "search")
    return folder


def run_config(run: RunFolder, flags: dict[str, Any]) -> RunConfig:
    """Return a run's configuration with the flags that were given over it."""
    given = {name: value for name, value in flags.items() if value is not None}
    return parse_config({**read_yaml(run.config), **given, "run": str(run.path)})


def ensemble(config: RunConfig, reporter: Reporter | None = None) -> dict[str, Any]:
    """Retrain the best recipes of a run, blend them, and write the submission.

    Args:
        config: Of the run, from `run_config`.
        reporter: Shows progress; by default on stderr.

    Returns:
        What `blend.json` says.

    Raises:
        RunError: If the search has too few finished recipes.
        UserError: If settings or external data do not hold up.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    run = RunFolder(Path(str(config.run)))
    with Ledger(run.require(run.ledger, "search")) as ledger:
        picked = pick_members(ledger.trials(), config.top, config.objective)
    accelerator = _set_up(config, reporter)
    with run.writing():
        space = _effective_space(config, run, reporter)
        data = _load_data(config, run, space, reporter)
        remember(data, run.manifest, run.data, image_size=_smallest(space))
        sources = _external_sources(config, data, run, space, picked[0].recipe, reporter)
        trainer = _make_trainer(config, data, accelerator)
        members = _retrain_all([c.recipe for c in picked], trainer, run, sources, reporter)
        summary = _blend(config, trainer, members, sources, run)
        write_config(config, run.config)
        write_json(run.blend, summary)
    _say_blend(summary, run, reporter)
    return summary


def _external_sources(
    config: RunConfig,
    data: ImageData,
    run: RunFolder,
    space: Space,
    best: Recipe,
    reporter: Reporter,
) -> list[external_data.Source]:
    sources = [
        external_data.read_source(
            _absolute(address),
            data,
            label_map_file=Path(config.label_map) if config.label_map else None,
            probe_with=best.backbone if config.weights == "imagenet" else None,
            image_size=_smallest(space),
            cache=run.cache,
            on_progress=reporter.counting,
        )
        for address in config.external
    ]
    for source in sources:
        _say_problems(source.data.manifest.problems, reporter)
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


def _retrain_all(
    recipes: Sequence[Recipe],
    trainer: Trainer,
    run: RunFolder,
    sources: Sequence[external_data.Source],
    reporter: Reporter,
) -> list[Member]:
    external = external_data.join_sources(sources, recipes[0].image_size) if sources else None
    members = []
    for number, recipe in enumerate(recipes):
        reporter.say(f"member {number + 1} of {len(recipes)}: {recipe.name}")
        members.append(retrain(trainer, recipe, run.members, external, reporter.member_epoch))
    return members


def _blend(
    config: RunConfig,
    trainer: Trainer,
    members: Sequence[Member],
    sources: Sequence[external_data.Source],
    run: RunFolder,
) -> dict[str, Any]:
    aligned = blending.predict_members(trainer, members, run.members, run.predictions)
    choice = blending.weigh(aligned["blend"], config.blend_weights)
    if "test" in aligned:
        test = aligned["test"]
        labels = average(test.probabilities, choice.weights).argmax(axis=1)
        sample = find_sample_submission(config.data) if config.data else None
        write_submission(run.submission, test.ids, labels, sample)
    external = [
        {
            "name": source.name,
            "images_used": source.num_used,
            "near_copies_dropped": list(source.copies),
            "classes": [dataclasses.asdict(decision) for decision in source.decisions],
        }
        for source in sources
    ]
    return blending.summarise(members, aligned, choice, external=external)


def _say_blend(summary: dict[str, Any], run: RunFolder, reporter: Reporter) -> None:
    reporter.say(summary["reason"])
    reporter.say(f"blend written to {run.blend}")
    if run.submission.exists():
        reporter.say(f"submission written to {run.submission}")


def predict(
    config: RunConfig, paths: Sequence[Path], reporter: Reporter | None = None
) -> list[predicting.Prediction]:
    """Classify images with a run's ensemble.

    Args:
        config: Of the run, from `run_config`.
        paths: Image files, and folders to search for them.
        reporter: Shows progress and what was skipped; by default on stderr.

    Raises:
        RunError: If the run has no ensemble yet.
        DataError: If there are no images.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    run = RunFolder(Path(str(config.run)))
    summary: Any = predicting.read_blend(run.require(run.blend, "ensemble"))
    files = predicting.find_images(paths)
    accelerator = set_up(config.strategy, config.precision)
    probabilities, kept = [], files
    for member in summary["members"]:
        recipe = Recipe.from_dict(member["recipe"])
        kept, images, problems = predicting.decode_files(files, recipe.image_size)
        program = _prediction_program(recipe, len(summary["class_names"]), accelerator)
        state = load_member_state(run.members, member["name"])
        probabilities.append(predicting.predict_images(program, state, images))
    _say_problems(problems, reporter)
    weights = np.array([member["weight"] for member in summary["members"]])
    blended = average(np.stack(probabilities), weights)
    return predicting.decide(kept, blended, summary["class_names"])


def _prediction_program(recipe: Recipe, num_classes: int, accelerator: Accelerator) -> Program:
    architecture = Architecture.of(
        recipe,
        batch_size=accelerator.global_batch_size(recipe.batch_size),
        num_classes=num_classes,
        precision=accelerator.precision,
        num_steps=1,
        pretrained=True,
    )
    return Program(architecture, accelerator.strategy.scope)
