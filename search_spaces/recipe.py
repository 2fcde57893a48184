"""The recipe: everything a trial trains, as one typed value.

A recipe holds what was chosen, resolved: blocks instead of fractions, only the parameters that
its schedule uses. Two trials with the same recipe are the same experiment, whatever the space
that they came from, so its hash is what "distinct" means everywhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from search_spaces.augmentation import MIXING, UNCHANGED
from search_spaces.backbones import get_backbone
from search_spaces.fine_tuning import count_trainable_blocks
from search_spaces.regularisation import ClassWeighting
from search_spaces.schedules import SCHEDULES, Schedule


@dataclass(frozen=True)
class Recipe:
    """What one trial trains.

    Attributes:
        backbone: Key of `search_spaces.backbones.BACKBONES`.
        image_size: Height and width of the images, in pixels.
        trainable_blocks: Blocks of the backbone that train, counted from the top.
        dropout: Share of pooled features set to zero in training, [0, 1).
        l2: Penalty factor on the head's kernel.
        label_smoothing: Share of a label spread over all classes, [0, 1).
        class_weighting: How classes are weighted in the loss.
        augmentation: One of `search_spaces.augmentation.TRAINABLE`.
        optimizer: One of `search_spaces.fine_tuning.OPTIMIZERS`.
        batch_size: Images a step and replica.
        schedule: Learning rate over the whole horizon.
        views: Augmented versions of each image that the epochs take in turn; 0 for a new one
            every epoch. Without effect where images are mixed.
    """

    backbone: str
    image_size: int
    trainable_blocks: int
    dropout: float
    l2: float
    label_smoothing: float
    class_weighting: ClassWeighting
    augmentation: str
    optimizer: str
    batch_size: int
    schedule: Schedule
    views: int = 0

    @property
    def identity(self) -> str:
        """Twelve hexadecimal digits that two recipes share if and only if they are equal."""
        data = self.to_dict()
        if not self.views:  # as before there were views, so that old recipes keep their names
            del data["views"]
        text = json.dumps(_with_floats(data), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """A short name for people and files: the backbone and some digits of the identity."""
        return f"{self.backbone}-{self.identity[:6]}"

    @property
    def mixes(self) -> bool:
        """Whether images are mixed with others of their batch, which differ every epoch."""
        return self.augmentation in MIXING

    @property
    def repeats_views(self) -> bool:
        """Whether epochs show versions of the images that earlier ones have shown."""
        return self.augmentation == UNCHANGED or (self.views > 0 and not self.mixes)

    def view_of(self, epoch: int) -> int:
        """Return which version of the images an epoch shows.

        Args:
            epoch: Counted from the start of the trial.
        """
        if self.augmentation == UNCHANGED:
            return 0
        return epoch % self.views if self.repeats_views else epoch

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that `from_dict` reads back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` wrote.

        Raises:
            TypeError: If a field is missing or unknown.
            ValueError: If the schedule is none that exists, or a value of it out of range.
        """
        fields = dict(data)
        if "schedule" in fields:
            fields["schedule"] = Schedule(**fields["schedule"])
        return cls(**fields)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Recipe:
        """Return the recipe that a trial's hyperparameter values stand for.

        Args:
            values: As in `keras_tuner.HyperParameters.values`; other keys are ignored.
        """
        kind = SCHEDULES[values["schedule"]]
        parameters = {p.name: values[f"{kind.name}/{p.name}"] for p in kind.parameters}
        augmentation = values["augmentation"]
        has_views = augmentation != UNCHANGED and augmentation not in MIXING
        return cls(
            backbone=values["backbone"],
            image_size=int(values["image_size"]),
            trainable_blocks=count_trainable_blocks(
                get_backbone(values["backbone"]), values["trainable_fraction"]
            ),
            dropout=float(values["dropout"]),
            l2=float(values["l2"]),
            label_smoothing=float(values["label_smoothing"]),
            class_weighting=values["class_weighting"],
            augmentation=augmentation,
            optimizer=values["optimizer"],
            batch_size=int(values["batch_size"]),
            schedule=Schedule(kind.name, float(values["learning_rate"]), parameters),
            views=int(values["views"]) if has_views else 0,
        )


def _with_floats(value: Any) -> Any:
    """Return plain data with every number as a float, because 0 and 0.0 are one value."""
    if isinstance(value, Mapping):
        return {name: _with_floats(item) for name, item in value.items()}
    return value + 0.0 if isinstance(value, int | float) else value


def flatten(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe's plain data without nesting: the schedule's fields under their own names.

    Args:
        recipe: As written by `Recipe.to_dict`.
    """
    schedule = recipe["schedule"]
    return {
        **{name: value for name, value in recipe.items() if name != "schedule"},
        "schedule": schedule["kind"],
        "learning_rate": schedule["peak_learning_rate"],
        **schedule["parameters"],
    }
