"""A few pictures of three classes, with a copy of one of them, and a benchmark of their own."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.search_vs_keras_tuner import command, splits
from benchmarks.search_vs_keras_tuner.settings import Settings

PER_CLASS = 20
COLOURS = {"bell": (60, 60, 220), "daisy": (230, 210, 60), "rose": (220, 40, 60)}


def draw_pictures(root):
    """Write pictures of three classes into `train` and `test`, and a larger copy of one."""
    generator = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        for number in range(PER_CLASS):
            rough = generator.normal(0, 60, (5, 5, 3)) + colour
            small = Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8))
            folder = root / ("train" if number < PER_CLASS // 2 else "test") / name
            folder.mkdir(parents=True, exist_ok=True)
            picture = small.resize((40, 40), Image.Resampling.BICUBIC)
            picture.save(folder / f"{number:02d}.png")
            if name == "rose" and number == 3:
                picture.resize((60, 60)).save(root / "test" / "rose" / "copy.png")
    return root


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder of 61 pictures."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "test" / "rose").mkdir(parents=True)
    return draw_pictures(root)


@pytest.fixture(scope="session")
def pool(pictures, tmp_path_factory):
    """All of them, pooled."""
    return splits.pool_pictures(str(pictures), 32, tmp_path_factory.mktemp("cache"))


@pytest.fixture
def settings(pictures):
    """Settings of a small benchmark on these pictures."""
    return Settings(data=str(pictures), image_size=32, max_epochs=2, smoke=True)


@pytest.fixture
def repeats(settings, tmp_path):
    """Two divisions of the pictures, nothing run yet."""
    return command.prepare(settings, 2, tmp_path / "work")
