"""What an ensemble writes and says: its blend, submission and recipe file, and sentences."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from automl_flowers.blending import blend as blending
from automl_flowers.blending import external as external_data
from automl_flowers.blending.material import Material
from automl_flowers.blending.predict_members import predictions_file
from automl_flowers.blending.recipe_file import write_recipe_file
from automl_flowers.blending.retrain import Member
from automl_flowers.blending.submission import write_probabilities, write_submission
from automl_flowers.config import RunConfig, parse_config, read_yaml
from automl_flowers.console import Reporter
from automl_flowers.files import read_json, write_json
from automl_flowers.run_folder import RunFolder
from automl_flowers.tuning.probe import ProbeFolder
from ensembles.blend import apply_blend
from ensembles.chooser import Choice
from ensembles.predictions import AlignedPredictions
from search_spaces.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Blended:
    """Members, and how they are blended.

    Attributes:
        material: What they were made of.
        members: As they predict.
        left_out: Recipes that could not be retrained, with the reason.
        aligned: What the members predict of each split.
        choice: How that becomes one.
        without_external: What the members would say of `blend` without external images, and how
            that would become one; None where there is nothing to compare.
    """

    material: Material
    members: list[Member]
    left_out: list[dict[str, str]]
    aligned: dict[str, AlignedPredictions]
    choice: Choice
    without_external: tuple[AlignedPredictions, Choice] | None = None


def write_ensemble(
    config: RunConfig,
    run: RunFolder,
    made: Blended,
    external: list[dict[str, Any]],
    recipes: Sequence[Recipe],
    sample: str | None,
    image_sizes: Sequence[int],
    look_with: tuple[str, int],
) -> dict[str, Any]:
    """Write what an ensemble says, what it is and how to make it again.

    Args:
        config: Settings, complete.
        run: Its folder.
        made: The ensemble.
        external: An entry for each external data set, from `external_entry`.
        recipes: Of all members that were asked for.
        sample: Sample submission, whose order is taken; None for the order of the images.
        image_sizes: That the search had to choose from.
        look_with: The backbone and image size with which external classes were looked at.

    Returns:
        What `blend.json` says.
    """
    aligned = made.aligned
    if "test" in aligned:
        test = aligned["test"]
        probabilities = apply_blend(made.choice.blend, test.probabilities)
        _write_test(run, config, test, probabilities, sample)
    summary = blending.summarise(
        *(made.members, aligned, made.choice),
        files=[
            {split: predictions_file(member, made.material, split) for split in aligned}
            for member in made.members
        ],
        external=external,
        without_external=made.without_external,
        left_out=made.left_out,
    )
    summary["folds"] = config.folds
    summary["settings"] = _ensemble_settings(config)
    write_json(run.blend, summary)
    searched, images = parse_config(read_yaml(run.config)), read_json(run.data)["content"]
    write_recipe_file(
        *(run.recipe, searched, config, images, summary),
        image_sizes=image_sizes,
        heads=_heads_of(recipes, run.probes),
        look_with=look_with,
    )
    return summary


def _write_test(
    run: RunFolder,
    config: RunConfig,
    test: AlignedPredictions,
    probabilities: np.ndarray,
    sample: str | None,
) -> None:
    """Write what an ensemble says of the test images."""
    ids = test.ids.tolist()
    run.probabilities.unlink(missing_ok=True)  # an earlier ensemble's would not go with these
    labels, num_classes = probabilities.argmax(axis=1).tolist(), len(test.class_names)
    write_submission(run.submission, ids, labels, sample, num_classes=num_classes)
    if config.probabilities:
        write_probabilities(run.probabilities, ids, probabilities, test.class_names, sample)


def _ensemble_settings(config: RunConfig) -> dict[str, Any]:
    names = (
        *("top", "external", "label_map", "leaks", "blend_weights", "strategy"),
        *("ema", "pseudo_labels", "seeds", "soup", "folds", "final_fit", "test_views"),
        "bad_images",
    )
    return {name: getattr(config, name) for name in names}


def _heads_of(recipes: Sequence[Recipe], probes: Path) -> list[tuple[str, int]]:
    """Return the backbones, each at an image size, that have a head to start from."""
    pairs = dict.fromkeys((recipe.backbone, recipe.image_size) for recipe in recipes)
    return [pair for pair in pairs if ProbeFolder(probes).has(*pair)]


def external_entry(source: external_data.Source, content: str) -> dict[str, Any]:
    """Return what `blend.json` says of an external data set.

    Args:
        source: The data set.
        content: Digits of what its images show.
    """
    return {
        "name": source.name,
        "content": content,
        "images_used": source.num_used,
        "near_copies_dropped": list(source.leaks.dropped),
        "leaks": source.leaks.to_dict(),
        "classes": [dataclasses.asdict(decision) for decision in source.decisions],
    }


def say_tried(member: Member, reporter: Reporter) -> None:
    """Say what became of several fits, of other recipes and of several views."""
    if recipes := member.tried_recipes:
        alone, together = recipes.alone["log_loss"], recipes.together["log_loss"]
        reporter.say(
            f"{member.name}: one model of {1 + len(member.others)} recipes; log loss on "
            f"{recipes.split} {together:.3f}, {alone:.3f} by itself"
            if member.others
            else f"{member.name}: stays by itself, other recipes do not lower its log loss"
        )
    if soup := member.tried_soup:
        became = "one model of mean weights" if soup.is_kept else "the mean of their probabilities"
        weights, probabilities = soup.weights["log_loss"], soup.probabilities["log_loss"]
        reporter.say(
            f"{member.name}: its fits count as {became}; log loss on {soup.split} "
            f"{weights:.3f} by weights, {probabilities:.3f} by probabilities"
        )
    if views := member.tried_views:
        kept = f"{member.num_views} views of each image" if member.num_views > 1 else "one view"
        before, after = views.without["log_loss"], views.with_views["log_loss"]
        reporter.say(
            f"{member.name}: it predicts from {kept}; log loss on {views.split} {before:.3f} "
            f"with one, {after:.3f} with {views.num_views}"
        )


def say_blend(summary: dict[str, Any], run: RunFolder, reporter: Reporter) -> None:
    """Say how members are blended, and where the results lie."""
    reporter.say(summary["reason"])
    if without := summary["without_external"]:
        reporter.say(
            "external images: the blend's macro F1 on blend is "
            f"{summary['scores']['blend']['nested_macro_f1']:.4f} with them, "
            f"{without['nested_macro_f1']:.4f} without"
        )
    reporter.say(f"blend written to {run.blend}; `ensemble --from {run.recipe}` makes it again")
    if run.submission.exists():
        reporter.say(f"submission written to {run.submission}")
