"""The ensemble: ledger to members and their blend."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from automl_flowers import run_setup, run_space
from automl_flowers.accelerators import Accelerator
from automl_flowers.blending import blend as blending
from automl_flowers.blending import external as external_data
from automl_flowers.blending.fits import ImageSet
from automl_flowers.blending.fold_heads import make_heads_of_fold
from automl_flowers.blending.material import (
    ALL_LABELLED,
    Material,
    check_unlabelled_test,
    collect,
    copies_of_scored,
    pseudo_labelled,
)
from automl_flowers.blending.member_plan import MemberPlan, plan_members
from automl_flowers.blending.pick import MOST_IN_SOUP, pick_members, worth_keeping
from automl_flowers.blending.predict_members import (
    predict_members,
    predict_test_by_part,
    try_views,
)
from automl_flowers.blending.recipe_soup import MemberMaker, make_member
from automl_flowers.blending.retrain import FAILURES, Member
from automl_flowers.blending.soup import remove_spent
from automl_flowers.blending.submission import submission_order
from automl_flowers.blending.without_external import blend_without_external
from automl_flowers.config import (
    RunConfig,
    parse_config,
    read_label_map,
    read_yaml,
)
from automl_flowers.console import Reporter
from automl_flowers.data.leaks import share_warning
from automl_flowers.data.prepare import ImageData, remember
from automl_flowers.data.sources import find_sample_submission
from automl_flowers.data.sources.records import RecordFeatures
from automl_flowers.errors import RunError
from automl_flowers.ledger import Ledger
from automl_flowers.results import EnsembleResult
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import NONE, weights_of
from automl_flowers.tuning.callbacks import CallbackFactory
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.probe import ProbeFolder
from automl_flowers.tuning.trainer import Trainer
from automl_flowers.workflows.ensemble_output import (
    Blended,
    external_entry,
    say_blend,
    say_tried,
    write_ensemble,
)
from automl_flowers.workflows.training import bank_of, make_trainer
from ensembles.blend import apply_blend
from ensembles.predictions import AlignedPredictions
from search_spaces.spaces import Space


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
        plans = plan_members(trials, picked, config.objective, ledger, checkpoints)
    if (config.soup or 1) > 1 and not any(plan.others for plan in plans):
        reporter.say("soup: there is no further recipe of a member's backbone and image size")
    if config.soup is None:
        plans = [plan.with_what_is_trained(config.max_epochs or 0) for plan in plans]
        config = config.model_copy(update={"soup": _most_in_soup(config)})
    if len(plans) < config.top:
        reporter.say(f"{len(plans)} recipes finished, so they are blended and not {config.top}")
    config = config.model_copy(update={"external": run_setup.locate_external(config, reporter)})
    accelerator = run_setup.set_up_device(config, reporter)
    if other := run_setup.compare_replicas(run, accelerator):
        reporter.say(f"device: {other}")
    with run.writing():
        space = run_space.effective_space(config, run, reporter)
        data = run_setup.load_data(config, run, space, reporter)
        remember(data, run.manifest, run.data, image_size=run_space.smallest_size(space))
        made = make_ensemble(config, run, space, data, accelerator, plans, callbacks, reporter)
        _remove_states(run, config)
        return made


def make_ensemble(
    config: RunConfig,
    run: RunFolder,
    space: Space,
    data: ImageData,
    accelerator: Accelerator,
    plans: Sequence[MemberPlan],
    callbacks: Sequence[CallbackFactory],
    reporter: Reporter,
    *,
    look_with: tuple[str, int] | None = None,
    check_external: Callable[[Mapping[str, str]], None] = lambda contents: None,
) -> EnsembleResult:
    """Train recipes, blend them and write what comes of it.

    Args:
        config: Settings, complete.
        run: Its folder, held for writing.
        space: Of the run.
        data: Its images, divided.
        accelerator: Where to train.
        plans: What to make of each member, the best first.
        callbacks: Of the user, for every training.
        reporter: Shows progress.
        look_with: The backbone and the image size with which external classes are looked at; by
            default those of the first member.
        check_external: Called before anything is trained, with the digits of what the images of
            each external data set show, by its name.
    """
    sample = _sample_of(data, config)
    if config.pseudo_labels is not None:
        check_unlabelled_test(data)
    scored_on = ALL_LABELLED if config.folds else ("val", "blend")
    recipes = [plan.start.recipe for plan in plans]
    backbone, size = look_with = look_with or (recipes[0].backbone, recipes[0].image_size)
    sources = _external_sources(config, data, run, space, backbone, scored_on, reporter)
    trainer = make_trainer(
        config, run, data, accelerator, callbacks, "ensemble", reporter, ema=config.ema
    )
    contents = {source.name: source.content_at(size) for source in sources}
    check_external(contents)
    if config.folds:
        reporter.say(f"folds: each member is trained {config.folds} times, on all but one of them")
    material = collect(
        data,
        size,
        external=external_data.join_sources(sources, size) if sources else None,
        final_fit=config.final_fit,
        leaks=config.leaks,
        num_folds=config.folds,
        seed=config.seed,
        heads_of_fold=make_heads_of_fold(data, config.weights, ProbeFolder(run.probes).has),
    )

    blend_members = functools.partial(
        _blend_members, config, run, trainer, plans, reporter=reporter
    )
    before: list[Member] = []
    if config.pseudo_labels is not None:
        first = blend_members(
            dataclasses.replace(material, everything=None, test=None), compares=False
        )
        said = predict_test_by_part(trainer, first.members, material, run.members, run.predictions)
        material = _with_pseudo_labels(
            material, data, first, said, config.pseudo_labels, scored_on, reporter
        )
        if not config.final_fit:  # final fits may go on from the first ensemble's weights
            before = first.members
    made = blend_members(material)
    external = [external_entry(source, contents[source.name]) for source in sources]
    sizes = sorted({*run_space.image_sizes(space), *filter(None, [data.largest_size])})
    summary = write_ensemble(config, run, made, external, recipes, sample, sizes, look_with)
    remove_spent(made.members, run.members, before)
    bank_of(config, run).clear()
    say_blend(summary, run, reporter)
    has_test = "test" in made.aligned
    return EnsembleResult(run.path, summary, run.submission if has_test else None)


def _remove_states(run: RunFolder, config: RunConfig) -> None:
    """Remove the states of a search that has ended which no ensemble takes over.

    An extension of the search that goes on with one of those trials, because it is promoted or was
    cut short, trains it again from its start. With its optimizer a state is three times as large.
    """
    top = max(config.top, parse_config(read_yaml(run.config)).top)
    with Ledger(run.ledger) as ledger:
        if not ledger.has_ended():
            return
        kept = worth_keeping(ledger.trials(), top, config.objective)
        found = [ledger.checkpoint_of(trial_id) for trial_id in kept]
    CheckpointFolder(run.checkpoints).keep_only({state[1].name for state in found if state})


def _most_in_soup(config: RunConfig) -> int:
    """Return of how many recipes a member may be made where nobody has said it.

    Of one where the others would have to be trained anew.
    """
    trains_anew = (
        *(config.external, config.folds, config.ema, config.pseudo_labels),
        config.seeds > 1,
    )
    return 1 if any(trains_anew) else MOST_IN_SOUP


def _blend_members(
    config: RunConfig,
    run: RunFolder,
    trainer: Trainer,
    plans: Sequence[MemberPlan],
    material: Material,
    *,
    reporter: Reporter,
    compares: bool = True,
) -> Blended:
    """Train the members, predict with them, weigh them, and compare with what they might be."""
    folders = run.members, run.predictions
    maker = MemberMaker(trainer, material, *folders, config.seeds, reporter.member_epoch)
    members, left_out = _make_all(plans, maker, config.soup or 1, reporter)
    members = [
        try_views(trainer, member, material, config.test_views, *folders) for member in members
    ]
    for member in members:
        say_tried(member, reporter)
    aligned = predict_members(trainer, members, material, *folders)
    choice = blending.weigh(aligned, config.blend_weights)
    plain = None
    if compares:
        plain = blend_without_external(trainer, members, material, config.blend_weights, *folders)
    return Blended(material, members, left_out, aligned, choice, plain)


def _with_pseudo_labels(
    material: Material,
    data: ImageData,
    made: Blended,
    said: Sequence[AlignedPredictions],
    confidence: float,
    scored_on: Sequence[str],
    reporter: Reporter,
) -> Material:
    """Return material with the test images that an ensemble is sure of, and say how many.

    Args:
        material: Of the second ensemble.
        data: The run's images.
        made: The first ensemble.
        said: For each part, what its fits say of the test images.
        confidence: Least probability of a class.
        scored_on: Splits that scores are taken on.
        reporter: Hears how many join.
    """
    size = made.members[0].recipe.image_size
    copied = copies_of_scored(data, scored_on)
    sure: list[ImageSet | None] = []
    for test in said:
        blended = apply_blend(made.choice.blend, test.probabilities)
        sure.append(pseudo_labelled(data, test.ids, blended, confidence, size, left_out=copied))
    counts = ", ".join(str(images.count if images else 0) for images in sure)
    reporter.say(
        f"pseudo-labels: {counts} of {len(said[0].ids)} test images are labelled "
        f"with a confidence of at least {confidence:g}"
        f"{' by the fits of each fold' if len(sure) > 1 else ''}"
    )
    parts = zip(material.parts, sure, strict=True)
    return dataclasses.replace(
        material, parts=tuple(dataclasses.replace(part, pseudo=each) for part, each in parts)
    )


def _sample_of(data: ImageData, config: RunConfig) -> str | None:
    """Return the sample submission, checked against the test images before anything is trained."""
    sample = find_sample_submission(config.data) if config.data else None
    test = data.manifest.split("test")
    if len(test):
        submission_order(list(test["id"]), sample)
    return sample


def _external_sources(
    config: RunConfig,
    data: ImageData,
    run: RunFolder,
    space: Space,
    backbone: str,
    scored_on: Sequence[str],
    reporter: Reporter,
) -> list[external_data.Source]:
    sources = external_data.read_sources(
        config.external,
        data,
        label_map=read_label_map(config.label_map),
        probe_with=backbone if config.weights != NONE else None,
        probe_weights=weights_of(config.weights, backbone),
        image_size=run_space.smallest_size(space),
        largest_size=data.largest_size,
        cache=run.cache,
        record_features=RecordFeatures.named(config.record_features),
        leaks=config.leaks,
        scored_on=(*scored_on, "test"),
        bad_images=config.bad_images,
        caching=run_setup.caching_of(config, reporter),
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
            f"{len(source.leaks.dropped)} copies of evaluation images were dropped"
        )
        if leaking := source.leaks.sentence("external"):
            reporter.say(f"external {source.name}: {leaking}")
        num_dropped = len(source.leaks.dropped)
        what = f"usable images of {source.name}"
        if warning := share_warning(num_dropped, num_dropped + source.num_used, what):
            reporter.say(warning)
    return sources


def _make_all(
    plans: Sequence[MemberPlan], maker: MemberMaker, most: int, reporter: Reporter
) -> tuple[list[Member], list[dict[str, str]]]:
    """Return the members, and the recipes that could not be retrained with the reason."""
    members: list[Member] = []
    left_out: list[dict[str, str]] = []
    for number, plan in enumerate(plans):
        recipe, progress = plan.start.recipe, plan.start.progress
        done = f", {len(progress.epochs)} epochs of it by the search" if progress else ""
        reporter.say(f"member {number + 1} of {len(plans)}: {recipe.name}{done}")
        try:
            member = make_member(maker, plan.start, plan.others, most)
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
