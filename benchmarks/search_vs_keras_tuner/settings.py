"""What makes one benchmark differ from another, and the space of all contestants."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from automl_flowers.errors import RunError
from automl_flowers.files import read_json, write_json, write_text
from search_spaces.spaces import parse_space

SPACE: dict[str, Any] = {
    "trainable_fraction": [0.2, 0.4, 0.7],
    "batch_size": [32],
    "optimizer": ["adam"],
    "learning_rate": {"min": 3e-4, "max": 3e-3, "sampling": "log"},
    "dropout": {"min": 0.0, "max": 0.5, "step": 0.1},
    "l2": {"min": 1e-6, "max": 1e-3, "sampling": "log"},
    "label_smoothing": [0.0, 0.05, 0.1],
    "class_weighting": ["none"],
    "augmentation": ["none", "light"],
    "schedule": {"cosine": {"warmup": [0.0, 0.1, 0.2]}},
}
"""The preset `small` with one optimizer, one kind of schedule and those strengths of augmentation
for which Keras has layers that are about as fast; flat, because Keras Tuner builds one more model
for every condition of a space before it begins."""

SMOKE = {"trainable_fraction": [0.2], "batch_size": [8]}
"""Instead of the above, to see in minutes that everything runs."""


@dataclass(frozen=True)
class Settings:
    """Settings of a benchmark; a work folder keeps the same ones.

    Attributes:
        data: Folder of pictures or CSV file, absolute.
        image_size: Pixels.
        backbone: Name in the registry.
        max_epochs: Full horizon of a recipe.
        factor: Hyperband's.
        seed: Of the first repeat; each further one adds 1.
        smoke: Whether this only shows that everything runs.
    """

    data: str
    image_size: int = 128
    backbone: str = "efficientnet_lite0"
    max_epochs: int = 9
    factor: int = 3
    seed: int = 0
    smoke: bool = False

    def space(self) -> dict[str, Any]:
        """Return the content of the space's YAML file.

        Raises:
            ValueError: If backbone or image size do not exist or contradict each other.
        """
        own = {"backbone": [self.backbone], "image_size": [self.image_size]}
        return parse_space("benchmark", {**SPACE, **(SMOKE if self.smoke else {}), **own}).to_dict()


def keep(settings: Settings, work: Path) -> Path:
    """Write settings and space into a work folder, or check them, and return the space's file.

    Raises:
        RunError: If the folder belongs to other settings.
    """
    file, now = work / "settings.json", asdict(settings)
    if file.exists() and (before := read_json(file)) != now:
        listed = "; ".join(
            f"`{name}` was {before.get(name)!r}, now {value!r}"
            for name, value in now.items()
            if before.get(name) != value
        )
        raise RunError(
            f"`{work}` holds a benchmark with other settings: {listed}.",
            hint="choose another folder with `--work`, or give the same settings again",
        )
    space = work / "space.yaml"
    write_text(space, yaml.safe_dump(settings.space(), sort_keys=False))
    write_json(file, now)
    return space
