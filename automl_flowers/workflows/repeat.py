"""An ensemble once more: `recipe.yaml` to members, predictions, blend and submission."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from automl_flowers import run_setup, run_space
from automl_flowers.blending.member_plan import MemberPlan, Start
from automl_flowers.blending.recipe_file import read_recipe_file
from automl_flowers.config import DECIDED_SETTINGS, parse_config
from automl_flowers.console import Reporter
from automl_flowers.data.prepare import content_of_splits, remember
from automl_flowers.errors import ConfigError, RunError
from automl_flowers.ledger import Ledger
from automl_flowers.results import EnsembleResult
from automl_flowers.run_folder import RunFolder
from automl_flowers.starting_weights import NONE
from automl_flowers.tuning.callbacks import CallbackFactory
from automl_flowers.tuning.probe import ProbeFolder, probe_pairs
from automl_flowers.workflows.ensemble import make_ensemble
from automl_flowers.workflows.training import run_config


def repeat(
    file: Path,
    flags: Mapping[str, Any],
    reporter: Reporter | None = None,
    *,
    callbacks: Sequence[CallbackFactory] = (),
) -> EnsembleResult:
    """Make the ensemble of a `recipe.yaml` again, in a run of its own, with the same numbers.

    Args:
        file: The recipe file.
        flags: Settings that are to be others, by name; with other `data` the numbers are, too.
        reporter: Shows progress; by default on stderr.
        callbacks: Of the user, for every training.

    Raises:
        RunError: If the images, ours or external ones, are no longer those of the file.
        UserError: If the file, settings or data do not hold up.
    """
    made = read_recipe_file(file)
    given = {name: value for name, value in flags.items() if value is not None}
    if "top" in given:
        raise ConfigError(
            f"`top` picks from a search; the members of this ensemble are those of `{file}`.",
            hint="leave `--top` out",
        )
    backbones = list(dict.fromkeys(recipe.backbone for recipe in made.recipes))
    space_of_members = {"backbone": backbones, "image_size": list(made.image_sizes)}
    of_search = {name: value for name, value in given.items() if name != "leaks"}
    searched = parse_config({**made.search, **of_search, "space": space_of_members})
    reporter = reporter or Reporter(quiet=searched.quiet)
    accelerator = run_setup.set_up_device(searched, reporter)
    searched = run_setup.complete(searched, accelerator, reporter)
    run = RunFolder(Path(str(searched.run)))
    _check_without_trials(run)
    with run.writing():
        space = run_space.effective_space(searched, run, reporter)
        data = run_setup.load_data(searched, run, space, reporter)
        size = run_space.smallest_size(space)
        images = content_of_splits(data, size)
        if images != made.images and "data" not in given:
            raise RunError(
                f"The images at `{searched.data}` are not those that `{file}` was written for: "
                f"they show something else, or are divided otherwise ({images} instead of "
                f"{made.images}).",
                hint="restore the images, or give `--data` to make the ensemble from others",
            )
        remember(data, run.manifest, run.data, image_size=size)
        run_setup.write_settings(searched, run, space, accelerator)
        Ledger(run.ledger, writable=True).close()  # without trials, so that reports find it
        if searched.probe != "off" and searched.weights != NONE:
            pairs = made.heads
            if pairs is None:  # of an older file
                pairs = tuple(dict.fromkeys((r.backbone, r.image_size) for r in made.recipes))
            probe_pairs(pairs, data, searched.weights, ProbeFolder(run.probes), reporter.probed)
        asked_for = {n: value for n, value in given.items() if n not in DECIDED_SETTINGS}
        config = run_config(run, {**made.ensemble, **asked_for})
        config = config.model_copy(update={"external": run_setup.locate_external(config, reporter)})
        plans = [
            MemberPlan(Start(recipe), [Start(other) for other in others])
            for recipe, others in zip(made.recipes, made.others, strict=True)
        ]
        is_other = "external" in given or "data" in given
        return make_ensemble(
            *(config, run, space, data, accelerator, plans, callbacks, reporter),
            look_with=made.look_with,
            check_external=functools.partial(
                _check_external, file, None if is_other else made.external_images
            ),
        )


def _check_external(
    file: Path, expected: Mapping[str, str] | None, found: Mapping[str, str]
) -> None:
    """Refuse external images that have changed.

    Args:
        file: The recipe file.
        expected: Digits of each data set; None to take whatever is there.
        found: The same of what was read.

    Raises:
        RunError: If they differ.
    """
    if expected is None or found == expected:
        return
    names = sorted(
        name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
    )
    raise RunError(
        f"The external images of {', '.join(names)} are not those that `{file}` was written for: "
        "some show something else, came or went.",
        hint="restore the images, or give `--external` to make the ensemble with others",
    )


def _check_without_trials(run: RunFolder) -> None:
    if not run.ledger.exists():
        return
    with Ledger(run.ledger) as ledger:
        if ledger.trials():
            raise RunError(
                f"`{run.path}` holds a search.",
                hint="choose another folder with `--run`, or leave `--from` out",
            )
