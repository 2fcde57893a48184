"""Retraining a picked recipe for its full horizon, with and without external data.

No checkpoint is picked: the last epoch is the member, so its score on `val` is that of the
recipe, not that of its luckiest moment. What the search has trained of a recipe is not trained
again: its state is taken over, and equals that of a new training.

External images stay in only where they do not lower that score, and both scores are kept; a
training with them that diverges or does not fit into memory leaves the member without them. A
member that was already trained on exactly these images is not trained again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from automl_flowers.data.pipeline import Examples
from automl_flowers.files import read_json, write_json
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.tuning.checkpoints import (
    CheckpointFolder,
    State,
    load_state,
    model_part,
    save_state,
)
from automl_flowers.tuning.search import InfeasibleError
from automl_flowers.tuning.trainer import Trainer
from automl_flowers.tuning.trial import DivergedError
from search_spaces.recipe import Recipe

FAILURES = (DivergedError, InfeasibleError)
"""What a training may end with without being anyone's mistake."""

OnEpoch = Callable[[str, EpochRecord], None]
"""Called with the member's name after each of its epochs."""


@dataclass(frozen=True)
class External:
    """External images that may join the training set.

    Attributes:
        examples_at: Returns them at an image size.
        content: Digits of what they show.
        num_images: How many there are.
    """

    examples_at: Callable[[int], Examples]
    content: str
    num_images: int


@dataclass(frozen=True)
class Progress:
    """What the search has trained of a recipe.

    Attributes:
        epochs: From the first on, without a gap.
        state: After them; without the optimizer's part if they are the full horizon.
        size: Layers and parameters.
    """

    epochs: tuple[EpochRecord, ...]
    state: State
    size: dict[str, int]


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
    epochs = tuple(records[number] for number in sorted(records))
    for trial in sorted(done, key=lambda trial: trial.last_epoch, reverse=True):
        found = ledger.checkpoint_of(trial.trial_id)
        if found is not None and found[0] == len(epochs) and checkpoints.exists(found[1]):
            return Progress(epochs, checkpoints.load(found[1]), trial.size)
    return None


@dataclass(frozen=True)
class Member:
    """A retrained model.

    Attributes:
        name: Of the recipe; `+external` is added where external images stayed in.
        recipe: What was trained.
        scores: On `val`, after the last epoch: macro F1, accuracy, log loss.
        score_without_external: Macro F1 on `val` without external images.
        score_with_external: Macro F1 on `val` with them; None if there were none, or if training
            with them failed.
        external_failure: Why training with them failed, or None.
        trained_on: Digits of the training images, the starting weights, the seed and the horizon.
        size: Layers and parameters.
        epochs: Its learning curve.
    """

    name: str
    recipe: Recipe
    scores: dict[str, float]
    score_without_external: float
    score_with_external: float | None
    external_failure: str | None
    trained_on: str
    size: dict[str, int]
    epochs: tuple[EpochRecord, ...]

    @property
    def digits(self) -> str:
        """Eight hexadecimal digits of what it was trained on."""
        return hashlib.sha256(self.trained_on.encode()).hexdigest()[:8]


@dataclass(frozen=True)
class _Fit:
    name: str
    trained_on: str
    size: dict[str, int]
    epochs: tuple[EpochRecord, ...]

    @property
    def macro_f1(self) -> float:
        return self.epochs[-1].macro_f1


def retrain(
    trainer: Trainer,
    recipe: Recipe,
    folder: Path,
    external: External | None,
    on_epoch: OnEpoch = lambda name, record: None,
    progress: Progress | None = None,
) -> Member:
    """Retrain a recipe and keep the better of with and without external images.

    Args:
        trainer: On the run's data.
        recipe: What to train.
        folder: Where models are written, two files each.
        external: Images that may join; None for none.
        on_epoch: Hears of every epoch.
        progress: What the search has trained of it, on these images.

    Returns:
        The member; its weights lie at `weights_path(folder, member.name)`.

    Raises:
        DivergedError: If the recipe diverges without external images.
        InfeasibleError: If the recipe does not fit into memory without external images.
    """
    without = _fit(trainer, recipe, folder, recipe.name, None, on_epoch, progress)
    added, failure = None, None
    if external is not None and external.num_images:
        try:
            added = _fit(trainer, recipe, folder, f"{recipe.name}+external", external, on_epoch)
        except FAILURES as error:
            failure = str(error)
    chosen = added if added and added.macro_f1 >= without.macro_f1 else without
    last = chosen.epochs[-1]
    return Member(
        name=chosen.name,
        recipe=recipe,
        scores={
            "macro_f1": last.macro_f1,
            "accuracy": last.accuracy,
            "log_loss": last.log_loss,
        },
        score_without_external=without.macro_f1,
        score_with_external=added.macro_f1 if added else None,
        external_failure=failure,
        trained_on=chosen.trained_on,
        size=chosen.size,
        epochs=chosen.epochs,
    )


def weights_path(folder: Path, name: str) -> Path:
    """Return where a member's weights lie."""
    return folder / f"{name}.npz"


def _fit(
    trainer: Trainer,
    recipe: Recipe,
    folder: Path,
    name: str,
    external: External | None,
    on_epoch: OnEpoch,
    progress: Progress | None = None,
) -> _Fit:
    trained_on = _trained_on(trainer, recipe, external)
    record_path = folder / f"{name}.json"
    known = _read_fit(record_path, weights_path(folder, name), name)
    if known is not None and known.trained_on == trained_on:
        return known
    epochs = list(progress.epochs) if progress else []
    state = progress.state if progress else None

    def hear(record: EpochRecord, _get_state: Any) -> None:
        epochs.append(record)
        on_epoch(name, record)

    if progress and len(epochs) == trainer.num_epochs:
        size, state = progress.size, progress.state
    else:
        more = external.examples_at(recipe.image_size) if external else None
        size = trainer.train(recipe, len(epochs), trainer.num_epochs, state, hear, more=more)
        state = trainer.model_state(recipe, more)
    record_path.unlink(missing_ok=True)  # until the end, no record speaks for these weights
    save_state(weights_path(folder, name), model_part(state))
    fit = _Fit(name, trained_on, size, tuple(epochs))
    write_json(record_path, {**asdict(fit), "recipe": recipe.to_dict()})
    return fit


def _trained_on(trainer: Trainer, recipe: Recipe, external: External | None) -> str:
    ours = trainer.data.content_hash(recipe.image_size, "train")
    added = external.content if external else "none"
    start = trainer.starting_point(recipe)
    return f"{ours}:{added}:{start}:{trainer.seed_of(recipe)}:{trainer.num_epochs}"


def _read_fit(record_path: Path, weights: Path, name: str) -> _Fit | None:
    if not (record_path.exists() and weights.exists()):
        return None
    record = read_json(record_path)
    epochs = tuple(EpochRecord(**epoch) for epoch in record["epochs"])
    return _Fit(name, record["trained_on"], record["size"], epochs)


def load_member_state(folder: Path, name: str) -> dict[str, Any]:
    """Return the weights of a retrained member."""
    return load_state(weights_path(folder, name))
