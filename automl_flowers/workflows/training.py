"""What all workflows train with, and the settings of a run."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from automl_flowers import run_setup
from automl_flowers.accelerators import Accelerator
from automl_flowers.config import (
    DECIDED_SETTINGS,
    RunConfig,
    check_same_search,
    parse_config,
    read_yaml,
)
from automl_flowers.console import Reporter
from automl_flowers.data.prepare import ImageData
from automl_flowers.disk import GIGABYTE, DiskLimit
from automl_flowers.modeling.feature_bank import FeatureBank
from automl_flowers.modeling.program import ProgramCache
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import hash_files
from automl_flowers.tuning.callbacks import CallbackFactory
from automl_flowers.tuning.probe import ProbeFolder
from automl_flowers.tuning.trainer import Trainer, program_cache

_LAST_PROGRAMS: dict[tuple[Any, ...], ProgramCache] = {}
"""Those of the last run that this process worked on, by what they were built for."""


def make_trainer(
    config: RunConfig,
    run: RunFolder,
    data: ImageData,
    accelerator: Accelerator,
    callbacks: Sequence[CallbackFactory],
    logs: str,
    reporter: Reporter,
    *,
    ema: float = 0.0,
) -> Trainer:
    """Return what trains recipes on a run's data.

    Args:
        config: Of the run.
        run: Its folder.
        data: Its images, divided.
        accelerator: Where to train.
        callbacks: Of the user.
        logs: Name of the folder of TensorBoard logs.
        reporter: Hears of what trains otherwise than planned.
        ema: Momentum of an average of weights; a search has none.
    """
    return Trainer(
        data,
        accelerator,
        num_epochs=int(config.max_epochs or run_setup.DEFAULT_EPOCHS),
        seed=config.seed,
        weights=config.weights,
        heads=functools.cache(ProbeFolder(run.probes).head),
        callbacks=callbacks,
        logs=run.tensorboard / logs,
        programs=_programs_of(config, run, accelerator),
        fresh_programs=config.fresh_programs,
        say=reporter.say,
        bank=bank_of(config, run) if config.feature_bank == "on" else None,
        ema=ema,
    )


def drop_programs(but_of: RunFolder | None = None) -> None:
    """Free the memory of compiled models that this process was left with.

    Args:
        but_of: Run that is worked on next, whose models may be used again.
    """
    for key in list(_LAST_PROGRAMS):
        if but_of is None or key[0] != but_of.path.resolve():
            _LAST_PROGRAMS.pop(key).clear()


def _programs_of(config: RunConfig, run: RunFolder, accelerator: Accelerator) -> ProgramCache:
    """Return the compiled models of a run, which a search leaves to an ensemble after it.

    In one process, as in a notebook, what both train is compiled once, as long as the device does
    not change.
    """
    files = tuple(sorted((config.weights_sha256 or {}).items()))
    key = (run.path.resolve(), accelerator.strategy, accelerator.precision, files)
    if key not in _LAST_PROGRAMS:
        drop_programs()
        _LAST_PROGRAMS[key] = program_cache(accelerator)
    return _LAST_PROGRAMS[key]


def bank_of(config: RunConfig, run: RunFolder) -> FeatureBank:
    """Return the feature bank of a run."""
    limit = int(GIGABYTE * config.feature_bank_gigabytes)
    return FeatureBank(run.feature_bank, limit, left=DiskLimit(run.path, config.max_bytes).left)


def run_config(run: RunFolder, flags: Mapping[str, Any]) -> RunConfig:
    """Return a run's configuration with the flags that were given over it.

    What the search decided cannot be changed; the file of settings that it was given may be given
    again.

    Raises:
        RunError: If something is given that the search had otherwise.
        UserError: If a setting does not hold up, or a file of weights is not what it was.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    decided = [name for name in DECIDED_SETTINGS if name in given]
    asked_for = parse_config({name: given[name] for name in decided})
    asked_for = run_setup.in_full(asked_for, Reporter(quiet=True))
    check_same_search(asked_for, run.config, decided)
    given |= {name: getattr(asked_for, name) for name in decided}
    config = parse_config({**read_yaml(run.config), **given, "run": str(run.path)})
    hash_files(config.weights, config.weights_sha256)
    return config
