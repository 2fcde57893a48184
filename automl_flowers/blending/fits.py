"""Fits: one training each of a recipe, to its full horizon, on stated images.

A fit is two files, its weights and the record that speaks for them. What was trained on exactly
these images from the same start is not trained again, so retraining goes on fit by fit after a
kill. The weights may be gone, once they are in a soup that took their place
(`automl_flowers.blending.soup_records`); the record stays.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automl_flowers.data.pipeline import Examples
from automl_flowers.errors import RunError
from automl_flowers.files import read_json, write_json
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.tuning.checkpoints import (
    CheckpointFolder,
    State,
    load_state,
    model_part,
    save_state,
)
from automl_flowers.tuning.further import RATE as FURTHER_RATE
from automl_flowers.tuning.trainer import StartingHeads, Trainer, TrainingImages
from search_spaces.recipe import Recipe

OnEpoch = Callable[[str, EpochRecord], None]
"""Called with the fit's name after each of its epochs."""


@dataclass(frozen=True)
class ImageSet:
    """A set of labelled images.

    Attributes:
        at: Returns them at an image size.
        content: Digits of what they show, the same at every size.
        count: How many there are.
    """

    at: Callable[[int], Examples]
    content: str
    count: int


def join(first: ImageSet | None, second: ImageSet) -> ImageSet:
    """Return images followed by others; the others alone where there are none."""
    if first is None:
        return second
    return ImageSet(
        lambda size: first.at(size).join(second.at(size)),
        f"{first.content}+{second.content}",
        first.count + second.count,
    )


@dataclass(frozen=True)
class TrainingSet:
    """What a fit trains on, and what it is scored on.

    Attributes:
        images: Ours.
        val: Scored after every epoch; None to score none.
        external: Images that join ours; None for none.
        pseudo: Test images as an ensemble labelled them, which join, too; None for none.
        suffix: What the name of a fit adds to the recipe's for what joins them.
        part: And for the division of our images.
        heads: What the fit starts from; None for what trials of the search start from.
    """

    images: ImageSet
    val: ImageSet | None
    external: ImageSet | None = None
    pseudo: ImageSet | None = None
    suffix: str = ""
    part: str = ""
    heads: StartingHeads | None = None

    @property
    def content(self) -> str:
        """Digits of all that is trained on."""
        joining = self._joining
        return f"{self.images.content}:{joining.content if joining else 'none'}"

    def at(self, image_size: int) -> TrainingImages:
        """Return the images at a size."""
        train = self.images.at(image_size)
        if (joining := self._joining) is not None:
            train = train.join(joining.at(image_size))
        return TrainingImages(
            train, self.val.at(image_size) if self.val else None, heads=self.heads
        )

    @property
    def _joining(self) -> ImageSet | None:
        return join(self.external, self.pseudo) if self.pseudo else self.external


@dataclass(frozen=True)
class Progress:
    """What the search has trained of a recipe.

    Attributes:
        epochs: From the first on, without a gap.
        load: Returns the state after them; without the optimizer's part if they are the full
            horizon.
        size: Layers and parameters.
        planned: Epochs after which the last trial was to end; a callback may have ended it before.
    """

    epochs: tuple[EpochRecord, ...]
    load: Callable[[], State]
    size: dict[str, int]
    planned: int


def read_progress(
    trials: Sequence[TrialRecord], identity: str, ledger: Ledger, checkpoints: CheckpointFolder
) -> Progress | None:
    """Return what the search has trained of a recipe, if its state is still there.

    Args:
        trials: Of the ledger.
        identity: Of the recipe.
        ledger: Knows the names of states.
        checkpoints: Of the search.
    """
    done = [trial for trial in trials if trial.identity == identity]
    records = {epoch.epoch: epoch for trial in done for epoch in trial.epochs}
    found = [(ledger.checkpoint_of(trial.trial_id), trial) for trial in done]
    there = [(state, trial) for state, trial in found if state and checkpoints.exists(state[1])]
    if not there:
        return None
    (num_epochs, file), trial = max(there, key=lambda one: one[0][0])
    epochs = tuple(records[number] for number in range(num_epochs))
    planned = trial.last_epoch if trial.status == "completed" else num_epochs
    return Progress(epochs, functools.partial(checkpoints.load, file), trial.size, planned)


@dataclass(frozen=True)
class Fit:
    """A training that has ended.

    Attributes:
        name: Of its files.
        trained_on: Digits of the training images, the starting weights, the seed and the horizon;
            of a further fit, also those of the fit that it went on from; of a soup, digits of all
            that it is made of.
        size: Layers and parameters.
        epochs: Its learning curve; the scores are NaN where none were asked for.
    """

    name: str
    trained_on: str
    size: dict[str, int]
    epochs: tuple[EpochRecord, ...]

    @property
    def macro_f1(self) -> float:
        """After the last epoch."""
        return self.epochs[-1].macro_f1


def fit(
    trainer: Trainer,
    recipe: Recipe,
    training_set: TrainingSet,
    folder: Path,
    on_epoch: OnEpoch = lambda name, record: None,
    *,
    seed_number: int = 0,
    is_spent: bool = False,
    progress: Progress | None = None,
) -> Fit:
    """Train a recipe to its full horizon, or return what was trained before.

    What a callback ended on the way there, now or in the search, is what it is then.
    The record of what was trained before is enough where nobody needs its weights any longer.

    Args:
        trainer: Of the run.
        recipe: What to train.
        training_set: On which images.
        folder: Where the two files are written.
        on_epoch: Hears of every epoch.
        seed_number: Of several fits of a recipe that differ in their seed; 0 is the search's.
        is_spent: Whether all that its weights are needed for is there, so that they may be gone.
        progress: What the search has trained of it, on these images, without an average.

    Raises:
        DivergedError: If the recipe diverges.
        InfeasibleError: If the recipe does not fit into memory.
    """
    name = fit_name(recipe, training_set, seed_number)
    trained_on = origin_of_fit(trainer, recipe, training_set, seed_number)
    if known := read_known(folder, name, trained_on, is_spent=is_spent):
        return known
    if trainer.ema:
        progress = None  # the search averages none
    curve = _Curve(name, on_epoch, list(progress.epochs) if progress else [])
    state = progress.load() if progress else None
    if progress and progress.planned == trainer.num_epochs:
        size = progress.size
    else:
        size = trainer.train(
            recipe,
            len(curve.epochs),
            trainer.num_epochs,
            state,
            curve.hear,
            images=training_set.at(recipe.image_size),
            name=name,
            seed_number=seed_number,
        )
    done = Fit(name, trained_on, size, tuple(curve.epochs))
    save_fit(folder, done, model_part(curve.state or state or {}), recipe=recipe.to_dict())
    return done


def fit_further(
    trainer: Trainer,
    recipe: Recipe,
    training_set: TrainingSet,
    start: Fit,
    folder: Path,
    on_epoch: OnEpoch = lambda name, record: None,
    *,
    seed_number: int = 0,
    is_spent: bool = False,
) -> Fit:
    """Train a fit further, on more images, or return what was trained before.

    Args:
        trainer: Of the run.
        recipe: Of both fits.
        training_set: On which images, those of the start among them.
        start: What it goes on from; its weights are read only if there is something to train.
        folder: Where the two files are written.
        on_epoch: Hears of every epoch.
        seed_number: Of several fits of a recipe that differ in their seed.
        is_spent: As in `fit`.

    Raises:
        DivergedError: If the recipe diverges.
        InfeasibleError: If the recipe does not fit into memory.
    """
    name = fit_name(recipe, training_set, seed_number)
    trained_on = origin_of_further_fit(trainer, training_set, start.trained_on)
    if known := read_known(folder, name, trained_on, is_spent=is_spent):
        return known
    curve = _Curve(name, on_epoch, [])
    size = trainer.train_further(
        recipe,
        load_weights(folder, start.name),
        curve.hear,
        images=training_set.at(recipe.image_size),
        name=name,
        seed_number=seed_number,
    )
    done = Fit(name, trained_on, size, tuple(curve.epochs))
    save_fit(folder, done, model_part(curve.state or {}), recipe=recipe.to_dict())
    return done


def origin_of_fit(
    trainer: Trainer, recipe: Recipe, training_set: TrainingSet, seed_number: int = 0
) -> str:
    """Return what `fit` notes as `trained_on`."""
    start, seed = trainer.starting_point(recipe), trainer.seed_of(recipe, seed_number)
    origin = f"{training_set.content}:{start}:{seed}:{trainer.num_epochs}"
    return f"{origin}:ema {trainer.ema}" if trainer.ema else origin


def origin_of_further_fit(trainer: Trainer, training_set: TrainingSet, start: str) -> str:
    """Return what `fit_further` notes as `trained_on`.

    Args:
        trainer: Of the run.
        training_set: On which images.
        start: The same of the fit that it goes on from.
    """
    how = f"{trainer.num_further_epochs} at {FURTHER_RATE:.3g} of the rate"
    return f"{training_set.content}:further {how}:{start}"


@dataclass
class _Curve:
    """Hears of the epochs of a fit, and keeps the state after the last."""

    name: str
    on_epoch: OnEpoch
    epochs: list[EpochRecord]
    state: State | None = None

    def hear(self, record: EpochRecord, get_state: Callable[[], State]) -> None:
        self.epochs.append(record)
        self.state = get_state()  # a callback may make any epoch the last
        self.on_epoch(self.name, record)


def fit_name(recipe: Recipe, training_set: TrainingSet, seed_number: int = 0) -> str:
    """Return the name of a fit's files."""
    seed = f".seed{seed_number}" if seed_number else ""
    return f"{recipe.name}{training_set.suffix}{training_set.part}{seed}"


def read_known(folder: Path, name: str, trained_on: str, *, is_spent: bool = False) -> Fit | None:
    """Return a fit that was trained before, if its weights need not be made again.

    Args:
        folder: Where its files lie.
        name: Of its files.
        trained_on: On just that (`Fit.trained_on`).
        is_spent: Whether its weights may be gone.
    """
    known = read_fit(folder, name)
    if known is None or known.trained_on != trained_on:
        return None
    return known if is_spent or weights_path(folder, name).exists() else None


def save_fit(folder: Path, fit: Fit, weights: State, **notes: Any) -> None:
    """Write the two files of a fit.

    Args:
        folder: Where.
        fit: What speaks for the weights.
        weights: What predicts.
        **notes: Further plain data of the record.
    """
    record_path = _record_path(folder, fit.name)
    record_path.unlink(missing_ok=True)  # until the end, no record speaks for these weights
    save_state(weights_path(folder, fit.name), weights)
    record = {**asdict(fit), "epochs": [_without_nan(epoch) for epoch in fit.epochs]}
    write_json(record_path, {**record, **notes})


def note_in_record(folder: Path, name: str, **notes: Any) -> None:
    """Add plain data to the record of a fit."""
    write_json(_record_path(folder, name), {**(read_record(folder, name) or {}), **notes})


def weights_path(folder: Path, name: str) -> Path:
    """Return where the weights of a fit lie."""
    return folder / f"{_checked(name)}.npz"


def load_weights(folder: Path, name: str) -> dict[str, Any]:
    """Return the weights of a fit."""
    path = weights_path(folder, name)
    return load_state(path, hint=f"remove `{path}` and give the command again: it is made anew")


def read_fit(folder: Path, name: str) -> Fit | None:
    """Return what the record of a fit says, or None if there is none."""
    record = read_record(folder, name)
    if record is None:
        return None
    epochs = tuple(EpochRecord(**_with_nan(epoch)) for epoch in record["epochs"])
    return Fit(name, record["trained_on"], record["size"], epochs)


def read_record(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the record of a fit with its notes, or None if there is none."""
    path = _record_path(folder, name)
    return read_json(path) if path.exists() else None


def remove_weights(folder: Path, name: str) -> None:
    """Remove the weights of a fit; its record stays."""
    weights_path(folder, name).unlink(missing_ok=True)


def _record_path(folder: Path, name: str) -> Path:
    return folder / f"{_checked(name)}.json"


def _checked(name: str) -> str:
    """Return a name that stays in its folder: records of a run may come from somebody else."""
    if not name or Path(name).name != name:
        raise RunError(
            f"{name!r} is not the name of a fit: a file of the run is damaged.",
            hint="restore the run folder, or make the ensemble in a new one (`ensemble --from`)",
        )
    return name


def _without_nan(epoch: EpochRecord) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in asdict(epoch).items()}


def _with_nan(epoch: dict[str, Any]) -> dict[str, Any]:
    return {name: math.nan if value is None else value for name, value in epoch.items()}
