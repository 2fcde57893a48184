"""What a run predicts with: its ensemble, or the best model of its search if it has none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.blending.blend_file import blend_of
from automl_flowers.blending.fits import read_record, weights_path
from automl_flowers.blending.soup_records import digits
from automl_flowers.data.views import check_num_views
from automl_flowers.errors import RunError
from automl_flowers.files import read_json
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder
from automl_flowers.tuning.checkpoints import CheckpointFolder
from ensembles.blend import Blend, apply_blend, plain_blend
from search_spaces.recipe import Recipe


@dataclass(frozen=True)
class TrainedMember:
    """One model of an ensemble.

    Attributes:
        name: For people.
        recipe: What was trained, or one of the same architecture.
        batch_size: Images a step and replica that are known to fit into memory.
        files: Weights of its fits, whose probabilities are averaged.
        num_views: What each fit is shown of an image (`automl_flowers.data.views`).
    """

    name: str
    recipe: Recipe
    batch_size: int
    files: tuple[Path, ...]
    num_views: int = 1


@dataclass(frozen=True)
class Ensemble:
    """Members, and how they become one probability.

    Attributes:
        members: At least one; those that count for nothing are left out.
        blend: How their probabilities become one.
        class_names: In the order of the labels.
    """

    members: tuple[TrainedMember, ...]
    blend: Blend
    class_names: tuple[str, ...]

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Sizes of the images that the members look at, in pixels, smallest first."""
        return tuple(sorted({member.recipe.image_size for member in self.members}))


def blended(ensemble: Ensemble, stack: np.ndarray) -> np.ndarray:
    """Return what the members say together; nothing else combines them.

    Args:
        ensemble: Says how.
        stack: Probabilities of each member, its fits averaged, of shape
            `(num_members, num_images, num_classes)`.

    Returns:
        Probabilities, float64, `(num_images, num_classes)`.
    """
    return apply_blend(ensemble.blend, stack)


def read_ensemble(run: RunFolder, say: Callable[[str], None] = lambda text: None) -> Ensemble:
    """Return what a run predicts with.

    Args:
        run: The run.
        say: Hears that there is no ensemble yet.

    Raises:
        RunError: If the run has no model yet, `blend.json` is damaged, or its members have been
            trained otherwise since.
    """
    if not run.blend.exists():
        return _best_of_search(run, say)
    blend = read_json(run.blend)
    try:
        members = tuple(_member(run, entry) for entry in blend["members"])
        return _without_idle(Ensemble(members, blend_of(blend), tuple(blend["class_names"])))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"`{run.blend}` is damaged: it does not say what the members are ({error}).",
            hint=f"write it again with `automl-flowers ensemble --run {run.path}`",
        ) from error


def _without_idle(ensemble: Ensemble) -> Ensemble:
    """Return an ensemble without the members whose weight is 0."""
    blend = ensemble.blend
    each = zip(ensemble.members, blend.weights, blend.temperatures, strict=True)
    members, weights, temperatures = zip(*(kept for kept in each if kept[1]), strict=True)
    return replace(
        ensemble,
        members=members,
        blend=replace(blend, weights=weights, temperatures=temperatures),
    )


def _member(run: RunFolder, entry: Mapping[str, Any]) -> TrainedMember:
    recipe = Recipe.from_dict(entry.get("form") or entry["recipe"])
    # the fits that predict new images; older runs have one a member
    names = entry.get("final_fits") or [entry["name"]]
    if "trained_on" in entry:
        _check_weights(run, names, entry["trained_on"])
    return TrainedMember(
        entry["name"],
        recipe,
        entry.get("size", {}).get("fitting_batch_size", recipe.batch_size),
        tuple(weights_path(run.members, name) for name in names),
        check_num_views(entry.get("views", 1)),
    )


def _check_weights(run: RunFolder, names: Sequence[str], trained_on: Sequence[str]) -> None:
    """Refuse weights that a later ensemble has put in the place of those that are blended.

    Args:
        run: The run.
        names: Of a member's fits.
        trained_on: Digits of what each of them was trained on.

    Raises:
        RunError: If one was trained on something else.
    """
    for name, expected in zip(names, trained_on, strict=True):
        record = read_record(run.members, name)
        if record is None or digits(record["trained_on"]) != expected:
            raise RunError(
                f"The weights of {name} are not those that `{run.blend}` speaks of: an `ensemble` "
                "with other settings was stopped before it ended.",
                hint=f"run `automl-flowers ensemble --run {run.path}` again, to its end",
            )


def _best_of_search(run: RunFolder, say: Callable[[str], None]) -> Ensemble:
    names = CheckpointFolder(run.best).names()
    if not names:
        raise RunError(
            f"`{run.path}` has no model yet.",
            hint=f"run `automl-flowers search --run {run.path}` first",
        )
    trial_id, epochs, _ = names[-1].split(".")
    with Ledger(run.require(run.ledger, "search")) as ledger:
        trials = {trial.trial_id: trial for trial in ledger.trials()}
    if (trial := trials.get(trial_id)) is None:
        raise RunError(
            f"`{run.best / names[-1]}` is of trial {trial_id}, which `{run.ledger}` does not know: "
            "they are of different searches.",
            hint="restore the whole run folder, or search again in a new one",
        )
    say(
        f"no ensemble yet, so the best model of the search predicts: trial {trial_id} after "
        f"epoch {int(epochs)}"
    )
    recipe = Recipe.from_dict(trial.recipe)
    batch_size = trial.size.get("fitting_batch_size", recipe.batch_size)
    member = TrainedMember(recipe.name, recipe, batch_size, (run.best / names[-1],))
    return Ensemble((member,), plain_blend([1.0]), tuple(read_json(run.data)["class_names"]))
