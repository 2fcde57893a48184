"""The blend as it would be without external images: the same recipes, from fits on ours alone.

Each member has kept external images, or not, by its score on `val`. What they are worth to the
blend is said by images that decided nothing: both blends are chosen and scored on `blend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from automl_flowers.blending.blend import weigh
from automl_flowers.blending.material import Material
from automl_flowers.blending.predict_members import predict_together
from automl_flowers.blending.retrain import Member
from automl_flowers.tuning.trainer import Trainer
from ensembles.chooser import Choice
from ensembles.predictions import AlignedPredictions


def members_without_external(members: Sequence[Member]) -> list[Member] | None:
    """Return what the members would be without external images.

    None where no member kept them, or where one did that would differ in something else, too:
    several fits, folds, several recipes, or labels that an ensemble gave.
    """
    kept = [member for member in members if member.uses_external]
    if not kept or any(member.fit_without_external is None for member in kept):
        return None
    return [_without(member) for member in members]


def _without(member: Member) -> Member:
    fit = member.fit_without_external
    return replace(member, name=member.recipe.name, fits=((fit,),)) if fit else member


def blend_without_external(
    trainer: Trainer,
    members: Sequence[Member],
    material: Material,
    rule: str,
    members_folder: Path,
    folder: Path,
) -> tuple[AlignedPredictions, Choice] | None:
    """Return what the members would say of `blend` without external images, and their blend.

    Args:
        trainer: On the run's data.
        members: As they are.
        material: What they were made of.
        rule: How members are weighed (`automl_flowers.blending.blend.weigh`).
        members_folder: Where weights lie.
        folder: Where predictions are written.

    Returns:
        None where there is nothing to compare (`members_without_external`).
    """
    plain = members_without_external(members)
    if plain is None:
        return None
    aligned = predict_together(trainer, plain, material, "blend", members_folder, folder)
    return aligned, weigh({"blend": aligned}, rule)
