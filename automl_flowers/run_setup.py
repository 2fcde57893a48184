"""What every command does first: device, complete settings and images of a run.

Whatever is decided here is written to the run, and checked when the run goes on: a search that
continues with other images would be a mixture of two.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import yaml

from automl_flowers.accelerators import Accelerator, explain_other_replicas, set_up
from automl_flowers.config import (
    DEFAULT_MAX_EPOCHS,
    RunConfig,
    parse_config,
    read_yaml,
    write_config,
)
from automl_flowers.console import Reporter
from automl_flowers.data import inspect_augmentation
from automl_flowers.data.cache import count_bytes
from automl_flowers.data.caching import Caching
from automl_flowers.data.collections import locate_sources
from automl_flowers.data.explore import absent_line
from automl_flowers.data.leaks import Policy, share_warning
from automl_flowers.data.locate import locate
from automl_flowers.data.manifest import Problem
from automl_flowers.data.prepare import ImageData, prepare, size_before, unread_before
from automl_flowers.data.sources import data_set_name, storage
from automl_flowers.data.sources.records import RecordFeatures
from automl_flowers.environment import describe_environment, describe_numerics
from automl_flowers.errors import ConfigError, RunError
from automl_flowers.files import read_json, write_json, write_text
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RUNS, RunFolder
from automl_flowers.run_space import image_sizes, smallest_size, space_in_full
from automl_flowers.starting_weights import files_of, hash_files
from automl_flowers.tuning.hyperband import Bracket, count_epochs
from automl_flowers.tuning.plans import describe_plan
from search_spaces.backbones import get_backbone
from search_spaces.spaces import Space

DEFAULT_EPOCHS = 12
"""Full horizon of trials in spaces that are not presets."""

_MOST_PROBLEMS_SAID = 3


def set_up_device(config: RunConfig, reporter: Reporter) -> Accelerator:
    """Return the device to train on, and say why this one."""
    accelerator = set_up(config.strategy, config.precision)
    for note in accelerator.notes:
        reporter.say(f"device: {note}")
    reporter.say(f"device: {accelerator.kind}, {accelerator.precision}. {accelerator.reason}")
    return accelerator


def compare_replicas(run: RunFolder, accelerator: Accelerator) -> str | None:
    """Say what it means that the search ran on another number of replicas; None if it did not."""
    if not run.environment.exists():
        return None
    before = read_json(run.environment).get("replicas")
    return explain_other_replicas(before, accelerator.num_replicas) if before else None


def complete(config: RunConfig, accelerator: Accelerator, reporter: Reporter) -> RunConfig:
    """Fill in what depends on the data, the device or other settings.

    Raises:
        DataError: If there is no data set at one of the addresses.
    """
    has_accelerator = accelerator.kind != "cpu"
    usual = "demo" if config.data is None else ("petals" if has_accelerator else "small")
    space = config.space or usual
    config = in_full(config.model_copy(update={"space": space}), reporter)
    config = config.model_copy(
        update={
            "max_epochs": config.max_epochs or DEFAULT_MAX_EPOCHS.get(str(space), DEFAULT_EPOCHS),
            "precision": accelerator.precision,
        }
    )
    name = data_set_name(config.data) if config.data else "flowers"
    run = config.run or str(RUNS / f"{name}-{config.digits()}")
    return config.model_copy(update={"run": run})


def in_full(config: RunConfig, reporter: Reporter) -> RunConfig:
    """Return settings as a run keeps them: addresses in full, files of weights by their content.

    Raises:
        DataError: If there is no data set at one of the addresses.
    """
    space, enqueue = config.space, config.enqueue
    return config.model_copy(
        update={
            "data": None if config.data is None else locate(config.data, reporter.say),
            "external": locate_external(config, reporter),
            "space": space_in_full(space) if space else space,
            "enqueue": storage.normalise(enqueue) if isinstance(enqueue, str) else enqueue,
            **_complete_weights(config),
        }
    )


def go_on_as_recorded(config: RunConfig, given: RunConfig, run: RunFolder) -> RunConfig:
    """Return the settings with those of the run where a person gave none.

    These are the ones that a search may have chosen or changed by itself. With `extend`, the time
    that a person gives is that of before an extension that was killed.
    """
    if not run.config.exists():
        return config
    recorded = parse_config(read_yaml(run.config))
    by_hand = {name for name in given.model_fields_set if getattr(given, name) is not None}
    if recorded.extended and given.extend is not None:
        by_hand.discard("time_budget")
    chosen = {"max_epochs", "factor", "time_budget"} - by_hand
    update: dict[str, Any] = {name: getattr(recorded, name) for name in chosen}
    return config.model_copy(update={**update, "extended": recorded.extended})


def begin(
    config: RunConfig,
    run: RunFolder,
    space: Space,
    accelerator: Accelerator,
    ledger: Ledger,
    reporter: Reporter,
) -> RunConfig:
    """Write a search's settings, and return them, with more time if that is asked for.

    Raises:
        RunError: If there is no search to extend.
    """
    extended = _extend(config, ledger, reporter)
    write_settings(extended, run, space, accelerator)
    if extended is not config:  # recorded last: a kill before it loses no time
        ledger.record_event("search extended", f"to {extended.time_budget:.0f} s")
    return extended


def _extend(config: RunConfig, ledger: Ledger, reporter: Reporter) -> RunConfig:
    """Return the settings with more time for a search that has ended.

    One that has not just goes on, so the same command may be given again after a kill.

    Raises:
        RunError: If there is no search to extend.
    """
    if config.extend is None:
        return config
    if not ledger.trials():
        raise RunError(
            "There is no search yet that could be extended.",
            hint="start one with `--time-budget`",
        )
    if not ledger.has_ended():
        reporter.say("the search has not ended yet, so it goes on and is not extended again")
        return config
    seconds = ledger.seconds_spent() + config.extend
    return config.model_copy(update={"time_budget": seconds, "extended": True})


def locate_external(config: RunConfig, reporter: Reporter) -> list[str]:
    """Return where the external data lie.

    Raises:
        DataError: If there is no data set at one of the addresses.
    """
    return locate_sources(config.external, reporter.say)


def _complete_weights(config: RunConfig) -> dict[str, Any]:
    files = files_of(config.weights)
    for name in files:
        try:
            get_backbone(name)
        except ValueError as error:
            raise ConfigError(f"`weights`: {error}") from None
    weights = {name: storage.normalise(file) for name, file in files.items()} or config.weights
    return {"weights": weights, "weights_sha256": hash_files(weights, config.weights_sha256)}


def bytes_to_decode(sizes: Collection[int], data: ImageData, run: RunFolder) -> int:
    """Return the bytes of pictures decoded at some sizes that are still to be written."""
    needed = (count_bytes(len(data.manifest.rows), size) for size in sizes)
    to_disk = sum(each for each in needed if data.caching.choose(each, run.cache) == "disk")
    decoded = sum(file.stat().st_size for file in run.cache.glob("images-*"))
    return max(to_disk - decoded, 0)


def caching_of(config: RunConfig, reporter: Reporter) -> Caching:
    """Return how this command keeps decoded pictures."""
    return Caching(config.cache, lambda text: reporter.say(f"pictures: {text}"))


def load_data(
    config: RunConfig,
    run: RunFolder,
    space: Space,
    reporter: Reporter,
    *,
    largest_size: int | None = None,
) -> ImageData:
    """Read and divide the images, and say what was skipped.

    Args:
        config: Complete settings.
        run: Its folder. A run that goes on reads what it read when it began.
        space: What may be chosen.
        reporter: Says it.
        largest_size: The largest that will be asked for, in pixels; None for the space's.
    """
    address = config.data or _embedded_default(reporter)
    data = prepare(
        address,
        seed=config.seed,
        image_size=smallest_size(space),
        largest_size=_size_to_read(run) or largest_size or image_sizes(space)[-1],
        features=RecordFeatures.named(config.record_features),
        cache=run.cache,
        leaks=_policy_of(config, run),
        bad_images=config.bad_images,
        caching=caching_of(config, reporter),
        left_out=unread_before(run.data),
        on_progress=reporter.counting,
    )
    say_problems(data.manifest.problems, reporter)
    if leaking := data.leaks.sentence("training"):
        reporter.say(f"data: {leaking}")
    num_dropped = len(data.leaks.dropped)
    num_train = num_dropped + int((data.manifest.rows["split"] == "train").sum())
    if warning := share_warning(num_dropped, num_train, "training images"):
        reporter.say(warning)
    return data


def warn_about_augmentation(
    config: RunConfig, space: Space, data: ImageData, reporter: Reporter
) -> None:
    """Say which strengths of a space make many of a few training pictures unrecognisable."""
    examples = data.examples("train", smallest_size(space))
    order = np.random.default_rng(0).permutation(len(examples))
    images = examples.take(order[: inspect_augmentation.SAMPLE])
    where = f"--data {shlex.quote(config.data)}" if config.data else ""
    for name in space.choices("augmentation"):
        measured = inspect_augmentation.measure(images, str(name))
        if measured.is_harmful:
            reporter.say(f"warning: {inspect_augmentation.warning(measured, where)}")


def _policy_of(config: RunConfig, run: RunFolder) -> Policy:
    """Return what the search did about leaks in our data: an ensemble trains on the same images."""
    return parse_config(read_yaml(run.config)).leaks if run.config.exists() else config.leaks


def _size_to_read(run: RunFolder) -> int | None:
    """Return the size that a run read its images for, which it keeps; None if it is new."""
    return size_before(run.data) if run.config.exists() else None


def _embedded_default(reporter: Reporter) -> str:
    from automl_flowers.data.synthetic import embedded_default

    what = "drawing flowers"
    return str(embedded_default(lambda done, total: reporter.counting(what, done, total)))


def say_problems(problems: Sequence[Problem], reporter: Reporter) -> None:
    """Say what was skipped: the first few by name, the rest by number."""
    if problems:
        shown = "; ".join(f"{p.path}: {p.reason}" for p in problems[:_MOST_PROBLEMS_SAID])
        left = len(problems) - _MOST_PROBLEMS_SAID
        more = f" and {left} more (data.json lists all)" if left > 0 else ""
        reporter.say(f"skipped {len(problems)} files: {shown}{more}")


def write_settings(
    config: RunConfig, run: RunFolder, space: Space, accelerator: Accelerator
) -> None:
    """Write what the run is made with: settings, space and environment.

    Raises:
        RunError: If the run began on another number of replicas: half-trained states count
            their steps in other batches.
    """
    other = compare_replicas(run, accelerator)
    if other is not None:
        raise RunError(
            f"{other} A search cannot change its batches half way.",
            hint="go on with the same device, or start a new run with `--run`",
        )
    write_config(config, run.config)
    write_text(run.space, yaml.safe_dump(space.to_dict(), sort_keys=False))
    write_json(run.environment, _environment(accelerator))


def _environment(accelerator: Accelerator) -> dict[str, Any]:
    return {
        **describe_environment(),
        **describe_numerics(),
        "device": accelerator.kind,
        "replicas": accelerator.num_replicas,
        "precision": accelerator.precision,
        "reason": accelerator.reason,
    }


def announce(
    config: RunConfig,
    plan: Sequence[Bracket],
    data: ImageData,
    space: Space,
    run: RunFolder,
    epoch_seconds: float | None,
    reporter: Reporter,
) -> None:
    """Say what the search will cost before it starts.

    Args:
        config: Complete settings.
        plan: Brackets.
        data: The images, divided.
        space: What may be chosen.
        run: Its folder.
        epoch_seconds: What an epoch of a typical recipe is predicted to take, or None.
        reporter: Says it.
    """
    counts = data.manifest.rows["split"].value_counts()
    listed = ", ".join(f"{count} {split}" for split, count in counts.items())
    reporter.say(f"data: {data.manifest.num_classes} classes; images: {listed}")
    for split in ("train", "val"):
        absent = data.manifest.absent_classes(split)
        if absent:
            reporter.say(f"data: {absent_line(split, data.manifest.num_classes, absent)}")
    reporter.say(f"run folder: {run.path}")
    if not config.is_endless:
        reporter.plan(count_epochs(plan))
    for line in describe_plan(config, counts["train"], space.name, epoch_seconds):
        reporter.say(line)
