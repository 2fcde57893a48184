"""What a training will take: learnt from what was measured in this run, guessed before that.

An epoch of a recipe whose workload was measured before takes what it took then. Otherwise it
is scaled from the nearest evidence by work: a forward pass over all blocks, and twice that again
for the blocks that train.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from automl_flowers.ledger import TrialRecord
from search_spaces.backbones import get_backbone
from search_spaces.recipe import Recipe

PROGRAMS_ALIVE = 3
"""Compiled models that are kept at once; another architecture takes the place of the oldest."""

FIRST_BUILD_SECONDS = 10.0
"""Building and tracing a program, before one was measured."""

SECONDS_PER_SECOND_OF_WORK = 1.5
"""An epoch's seconds over those of its work at the speed of the probe, before one was measured:
training does more than passing forward, such as augmenting images and scoring `val`."""

EPOCH_OVERHEAD_SECONDS = 1.0
"""What an epoch takes besides, however few its images: filling the pipeline, writing the state."""


@dataclass(frozen=True)
class Workload:
    """What decides how long an epoch takes, on given data and device.

    Attributes:
        backbone: Registry name.
        image_size: In pixels.
        trainable_blocks: Counted from the top.
        optimizer: Update rule.
        batch_size: Images a step and replica.
        repeats_views: Whether epochs show images again, of which much may be kept.
    """

    backbone: str
    image_size: int
    trainable_blocks: int
    optimizer: str
    batch_size: int
    repeats_views: bool

    @classmethod
    def of(cls, recipe: Recipe) -> Workload:
        """Return a recipe's."""
        return cls(
            recipe.backbone,
            recipe.image_size,
            recipe.trainable_blocks,
            recipe.optimizer,
            recipe.batch_size,
            recipe.repeats_views,
        )

    @property
    def work(self) -> float:
        """Passes over the whole backbone that a training step is worth: from 1 to 3."""
        return 1 + 2 * self.trainable_blocks / get_backbone(self.backbone).num_blocks


@dataclass(frozen=True)
class Costs:
    """Seconds of what was done, and of what was not done yet.

    Attributes:
        epochs: Median seconds of an epoch, by workload.
        builds: Seconds of each building and tracing.
        forward: Seconds of passing the training images forward once, by backbone and image size.
    """

    epochs: Mapping[Workload, float]
    builds: Sequence[float]
    forward: Mapping[tuple[str, int], float]

    @property
    def rest_on_evidence(self) -> bool:
        """Whether anything of this run was measured; without, they are the same everywhere."""
        return bool(self.epochs or self.forward)

    def epoch(self, recipe: Recipe) -> float:
        """Return the seconds that an epoch of a recipe takes."""
        wanted = Workload.of(recipe)
        if wanted in self.epochs:
            return self.epochs[wanted]
        guess = self._guess(wanted)
        ratios = [
            seconds / self._guess(known)
            for known, seconds in self.epochs.items()
            if self._is_like(known, wanted)
        ]
        return guess * (statistics.median(ratios) if ratios else 1.0)

    def build(self, recipe: Recipe) -> float:
        """Return the seconds before the first step of a recipe: none where its program is alive.

        Which ones are is known while no more were built than are kept.
        """
        if Workload.of(recipe) in self.epochs and len(self.epochs) <= PROGRAMS_ALIVE:
            return 0.0
        return statistics.median(self.builds) if self.builds else FIRST_BUILD_SECONDS

    def training(self, recipe: Recipe, num_epochs: int) -> float:
        """Return the seconds that some epochs of a recipe take, building included."""
        return self.build(recipe) + num_epochs * self.epoch(recipe)

    def _is_like(self, known: Workload, wanted: Workload) -> bool:
        """Say whether a workload tells something of another: that of a probed backbone."""
        return ((known.backbone, known.image_size) in self.forward) == (
            (wanted.backbone, wanted.image_size) in self.forward
        )

    def _guess(self, workload: Workload) -> float:
        key = (workload.backbone, workload.image_size)
        work = workload.work * self.forward.get(key, workload.image_size**2 / 1e4)
        return EPOCH_OVERHEAD_SECONDS + SECONDS_PER_SECOND_OF_WORK * work


def learn_costs(trials: Iterable[TrialRecord], forward: Mapping[tuple[str, int], float]) -> Costs:
    """Return the costs that a run's trials have shown.

    The first epoch of a workload contains its tracing, so what it took longer than the
    others counts as building, together with what a trial spent outside its epochs.

    Args:
        trials: Of the ledger, in the order in which they started.
        forward: Seconds of passing the training images forward, from the probes.
    """
    seconds: dict[Workload, list[float]] = {}
    builds: dict[Workload, float] = {}
    for trial in trials:
        if not trial.epochs:
            continue
        workload = Workload.of(Recipe.from_dict(trial.recipe))
        spent = [epoch.seconds for epoch in trial.epochs]
        if workload not in seconds and trial.ended is not None:
            outside = trial.ended - trial.started - sum(spent)
            usual = statistics.median(spent[1:]) if len(spent) > 1 else spent[0]
            builds[workload] = max(outside, 0.0) + max(spent[0] - usual, 0.0)
        seconds.setdefault(workload, []).extend(spent)
    medians = {name: statistics.median(spent) for name, spent in seconds.items()}
    return Costs(medians, list(builds.values()), dict(forward))
