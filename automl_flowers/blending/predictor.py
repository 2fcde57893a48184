"""An ensemble that is ready to predict: its programs are built, its weights are read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from automl_flowers.accelerators import Accelerator
from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember, blended
from automl_flowers.data.cache import Images
from automl_flowers.data.pipeline import Activations, Examples, evaluation_batches, kept_batches
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from automl_flowers.starting_weights import Weights, weights_of
from automl_flowers.tuning.checkpoints import State, load_state, model_part
from ensembles.averaging import average, geometric_mean


@dataclass(frozen=True)
class Turn:
    """Fits that take turns on a program.

    Attributes:
        program: Of their architecture.
        image_size: Of its images.
        states: Weights of each fit.
        members: For each fit, the number of its member.
        num_views: For each fit, what it is shown of an image.
    """

    program: Program
    image_size: int
    states: tuple[State, ...]
    members: tuple[int, ...]
    num_views: tuple[int, ...]


class Predictor:
    """Predicts images with all members of an ensemble.

    Members of one architecture share a program. What its frozen part makes of the images is
    computed once for all of them.

    Args:
        ensemble: Members, and how they become one probability.
        accelerator: Where to predict.
        weights: What the run's backbones started from; their frozen layers still have it.

    Raises:
        RunError: If a member's weights cannot be read.
        DataError: If a backbone's weights cannot be had.
    """

    def __init__(self, ensemble: Ensemble, accelerator: Accelerator, weights: Weights) -> None:
        self.ensemble = ensemble
        self.turns = [
            _make_turn(ensemble, numbers, architecture, accelerator)
            for architecture, numbers in _by_architecture(ensemble, accelerator, weights).items()
        ]

    @property
    def batch_size(self) -> int:
        """Images in the largest batch of any program."""
        return max(turn.program.architecture.batch_size for turn in self.turns)

    def predict(self, images: Mapping[int, Images]) -> np.ndarray:
        """Return the blended probabilities, float64, `(num_images, num_classes)`.

        Args:
            images: By each of the ensemble's image sizes, the same images in the same order,
                uint8, `(num_images, size, size, 3)`; at least one.
        """
        return blended(self.ensemble, self.predict_members(images))

    def predict_members(self, images: Mapping[int, Images]) -> np.ndarray:
        """Return what each member says, float32, `(num_members, num_images, num_classes)`."""
        fits: list[list[np.ndarray]] = [[] for _ in self.ensemble.members]
        for turn in self.turns:
            made = _predict_fits(turn, images[turn.image_size])
            for number, probabilities in zip(turn.members, made, strict=True):
                fits[number].append(probabilities)
        return np.stack([average(np.stack(made)) for made in fits]).astype(np.float32)


def _by_architecture(
    ensemble: Ensemble, accelerator: Accelerator, weights: Weights
) -> dict[Architecture, list[int]]:
    """Return the numbers of the members that each program serves.

    Whatever trained them, the optimizer with the fewest variables is enough to predict, and the
    largest batch that one of them trained in.
    """
    batch_sizes: dict[Any, int] = {}
    for member in ensemble.members:
        key = _shape_of(member)
        batch_sizes[key] = max(batch_sizes.get(key, 0), member.batch_size)
    found: dict[Architecture, list[int]] = {}
    for number, member in enumerate(ensemble.members):
        architecture = Architecture(
            backbone=member.recipe.backbone,
            image_size=member.recipe.image_size,
            trainable_blocks=member.recipe.trainable_blocks,
            optimizer="sgd",
            batch_size=accelerator.global_batch_size(batch_sizes[_shape_of(member)]),
            num_classes=len(ensemble.class_names),
            precision=accelerator.precision,
            num_steps=1,
            weights=weights_of(weights, member.recipe.backbone),
        )
        found.setdefault(architecture, []).append(number)
    return found


def _shape_of(member: TrainedMember) -> tuple[str, int, int]:
    recipe = member.recipe
    return recipe.backbone, recipe.image_size, recipe.trainable_blocks


_UNREADABLE = (
    "give the command again, for a search that goes on replaces its best model; if that does not "
    "help, remove the file and make the ensemble again with `automl-flowers ensemble`"
)


def _make_turn(
    ensemble: Ensemble, numbers: list[int], architecture: Architecture, accelerator: Accelerator
) -> Turn:
    fits = [(number, file) for number in numbers for file in ensemble.members[number].files]
    states = tuple(model_part(load_state(file, hint=_UNREADABLE)) for _, file in fits)
    # Under `mirrored` XLA fails: "Trying to access resource ... located in device CPU:1".
    jit: Any = False if accelerator.kind == "mirrored" else "auto"
    program = Program(architecture, accelerator.strategy.scope, jit_compile=jit)
    program.set_model_state(states[0])
    members = tuple(number for number, _ in fits)
    num_views = tuple(ensemble.members[number].num_views for number in members)
    return Turn(program, architecture.image_size, states, members, num_views)


def _predict_fits(turn: Turn, images: Images) -> list[np.ndarray]:
    """Return the probabilities of each fit, `(num_images, num_classes)`."""
    said: list[list[np.ndarray]] = [[] for _ in turn.states]
    for view in range(max(turn.num_views)):
        fits = [fit for fit, num_views in enumerate(turn.num_views) if num_views > view]
        for fit, probabilities in zip(fits, _predict_view(turn, images, view, fits), strict=True):
            said[fit].append(probabilities)
    return [one[0] if len(one) == 1 else geometric_mean(np.stack(one)) for one in said]


def _predict_view(
    turn: Turn, images: Images, view: int, fits: Sequence[int]
) -> Iterator[np.ndarray]:
    """Yield what some fits say of a view, float32, `(num_images, num_classes)`."""
    program, batch_size = turn.program, turn.program.architecture.batch_size
    batches, model = evaluation_batches(_examples(images), batch_size, view), program.model
    if len(fits) > 1 and program.frozen is not None:
        activations: Activations = np.concatenate(list(program.outputs_of(program.frozen, batches)))
        batches, model = kept_batches(activations, batch_size), program.trained
    for fit in fits:
        if len(turn.states) > 1:
            program.set_model_state(turn.states[fit])
        outputs = np.concatenate(list(program.outputs_of(model, batches)))
        yield np.asarray(outputs[: len(images)], dtype=np.float32)


def _examples(images: Images) -> Examples:
    count = len(images)
    return Examples(
        caches=(images,),
        cache_of=np.zeros(count, np.int64),
        row_of=np.arange(count),
        labels=np.full(count, -1, np.int64),
        ids=np.arange(count).astype(str),
    )
