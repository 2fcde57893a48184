"""The search: configuration to manifest and ledger."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from automl_flowers import run_setup, run_space
from automl_flowers.accelerators import Accelerator
from automl_flowers.blending.pick import Candidate, in_order_of_picking, worth_keeping
from automl_flowers.config import (
    RunConfig,
    check_same_search,
)
from automl_flowers.console import Reporter
from automl_flowers.data.prepare import ImageData, remember
from automl_flowers.disk import DiskLimit
from automl_flowers.enqueued import enqueued
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.results import SearchResult
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import NONE
from automl_flowers.tuning.budget import Budget, TimedPace, choose_horizon, is_tight
from automl_flowers.tuning.callbacks import CallbackFactory
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.cost import Costs, Workload, learn_costs
from automl_flowers.tuning.oracles import make_oracle
from automl_flowers.tuning.plans import has_rounds, make_plan
from automl_flowers.tuning.probe import ProbeFolder, probe_all
from automl_flowers.tuning.probe_rule import (
    MAX_GAP,
    SHARE_OF_BUDGET,
    best_scores,
    choose_backbones,
)
from automl_flowers.tuning.search import Oracle, Pace, run_search
from automl_flowers.tuning.trainer import Trainer
from automl_flowers.workflows.training import bank_of, drop_programs, make_trainer
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
    drop_programs(but_of=run)
    config = run_setup.go_on_as_recorded(config, given, run)
    check_same_search(config, run.config)
    with run.writing():
        space = run_space.effective_space(config, run, reporter)
        wanted = enqueued(config, space, reporter.say)
        run_space.check_weights_files(config, run, space, wanted)
        data, disk = _read(config, run, space, wanted, reporter)
        worth, first = _look_first(config, data, run, space, wanted, accelerator, reporter)
        begin_with = [Recipe.from_values(values) for values in first]

        def trainer_of(config: RunConfig) -> Trainer:  # their programs are the same ones
            return make_trainer(config, run, data, accelerator, callbacks, "search", reporter)

        with Ledger(run.ledger, writable=True) as ledger:
            known = ledger.trials()
            config, costs = _choose_length(
                config, given, run, trainer_of(config), begin_with, known, started, reporter
            )
            config = run_setup.begin(config, run, space, accelerator, ledger, reporter)
            plan = make_plan(config)
            epoch_seconds = costs.epoch(begin_with[0]) if costs.rest_on_evidence else None
            run_setup.announce(config, plan, data, worth, run, epoch_seconds, reporter)
            if not known:
                run_setup.warn_about_augmentation(config, worth, data, reporter)
            oracle = make_oracle(config, worth, plan, first if has_rounds(config) else wanted)
            trials = _drive(
                config, oracle, trainer_of(config), costs, run, ledger, disk, started, reporter
            )
    reporter.say(f"search done in {time.perf_counter() - started:.0f} s; results in {run.path}")
    return SearchResult(run.path, tuple(trials), config.objective)


def _read(
    config: RunConfig,
    run: RunFolder,
    space: Space,
    wanted: Sequence[dict[str, Value]],
    reporter: Reporter,
) -> tuple[ImageData, DiskLimit]:
    """Return the images, of which the run takes note, and what keeps it within its disk."""
    sizes = run_space.image_sizes(space, wanted)
    data = run_setup.load_data(config, run, space, reporter, largest_size=sizes[-1])
    disk = DiskLimit(run.path, config.max_bytes, bank_of(config, run).free)
    disk.make_room(run_setup.bytes_to_decode(sizes, data, run))
    remember(data, run.manifest, run.data, image_size=run_space.smallest_size(space))
    return data, disk


def _choose_length(
    config: RunConfig,
    given: RunConfig,
    run: RunFolder,
    trainer: Trainer,
    first: Sequence[Recipe],
    trials: Sequence[TrialRecord],
    started: float,
    reporter: Reporter,
) -> tuple[RunConfig, Costs]:
    """Return the settings with the epochs that a new time budget is worth, and what these cost.

    Where nothing of this run tells, a few real steps are timed.
    """
    probes, typical = ProbeFolder(run.probes).all(), first[0]
    costs = learn_costs(trials, {(p.backbone, p.image_size): p.forward_seconds for p in probes})
    if config.time_budget and given.max_epochs is None and not run.config.exists():
        budget = Budget(config.time_budget, started=started)
        if is_tight(trainer.num_epochs, typical, costs, budget.left):
            costs = _rehearsed(costs, trainer, typical, reporter)
        config = _with_horizon(config, given, first, costs, budget)
    if not costs.rest_on_evidence:
        costs = _rehearsed(costs, trainer, typical, reporter)
    return config, costs


def _drive(
    config: RunConfig,
    oracle: Oracle,
    trainer: Trainer,
    costs: Costs,
    run: RunFolder,
    ledger: Ledger,
    disk: DiskLimit,
    started: float,
    reporter: Reporter,
) -> list[TrialRecord]:
    """Train what the oracle asks for until it or time says stop, and return all trials."""
    if config.time_budget is not None:
        reporter.plan(seconds=config.time_budget - ledger.seconds_spent())
    pace = _pace(config, run, ledger, costs.forward, started)  # before this session counts
    ledger.begin_session(time.time() - (time.perf_counter() - started))
    with _saying_where_it_stopped(ledger, run, reporter):
        trials = run_search(
            oracle,
            trainer.train,
            ledger,
            CheckpointFolder(run.checkpoints, disk.make_room),
            CheckpointFolder(run.best, disk.make_room),
            reporter,
            worth_keeping=lambda records: worth_keeping(records, config.top, config.objective),
            pace=pace,
        )
    ledger.end_session()
    return trials


def _rehearsed(guessed: Costs, trainer: Trainer, typical: Recipe, reporter: Reporter) -> Costs:
    """Return costs, of a typical recipe measured by a rehearsal if memory suffices for it."""
    timing = trainer.rehearse(typical)
    if timing is None:
        return guessed
    reporter.say(f"rehearsed {typical.name}: about {timing.epoch:.1f} s an epoch")
    return replace(guessed, epochs={Workload.of(typical): timing.epoch}, builds=[timing.build])


def _with_horizon(
    config: RunConfig, given: RunConfig, first: Sequence[Recipe], costs: Costs, budget: Budget
) -> RunConfig:
    """Return the settings with as many epochs as the time budget is worth.

    A factor above them makes Hyperband's brackets single rounds.
    """
    horizon = choose_horizon(int(config.max_epochs or 1), first, costs, budget.left)
    update = {"max_epochs": horizon.epochs}
    if not horizon.in_rounds and "factor" not in given.model_fields_set:
        update["factor"] = horizon.epochs + 1
    return config.model_copy(update=update)


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
        ledger,
    )


def _picked(trials: Sequence[TrialRecord], config: RunConfig) -> list[Candidate]:
    """Return the recipes that the ensemble would take now."""
    return in_order_of_picking(trials, config.objective)[: config.top]


def _look_first(
    config: RunConfig,
    data: ImageData,
    run: RunFolder,
    space: Space,
    wanted: Sequence[dict[str, Value]],
    accelerator: Accelerator,
    reporter: Reporter,
) -> tuple[Space, list[dict[str, Value]]]:
    """Probe the backbones; return the space of those worth searching, and what to begin with."""
    backbones, frozen = [str(name) for name in space.choices("backbone")], {}
    if config.probe != "off" and config.weights != NONE:
        is_new = config.time_budget and not run.config.exists()
        probes = probe_all(
            *(space, data, config.weights, ProbeFolder(run.probes), reporter.probed),
            # Elsewhere one device is enough; on a TPU's host it would take hours.
            scope=accelerator.strategy.scope if accelerator.kind == "tpu" else nullcontext,
            seconds=SHARE_OF_BUDGET * (config.time_budget or 0) if is_new else math.inf,
        )
        if skipped := [f"{name} {size} px" for name, size in ProbeFolder(run.probes).skipped()]:
            reporter.say(f"not probed, for want of time, and kept: {', '.join(skipped)}")
        worth, frozen = choose_backbones(backbones, probes), best_scores(probes)
        left_out = [name for name in backbones if name not in worth]
        if left_out and config.probe == "drop":
            reporter.say(
                f"left out, more than {MAX_GAP:.2f} below the best probe: {', '.join(left_out)} "
                "(`--probe keep` keeps them)"
            )
            space = space.restrict(backbone=worth)
        backbones = worth if config.probe == "drop" else [*worth, *left_out]
    return space, [*wanted, *first_recipes(space, backbones, frozen)]
