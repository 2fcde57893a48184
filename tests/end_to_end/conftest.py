"""Small pictures that can be told apart, and the command line run in this process."""

import json
import sqlite3

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from automl_flowers.cli import app

collect_ignore = ["two_replicas.py"]  # a script; to import it divides the CPU of the whole process

COLOURS = {"blue bell": (60, 60, 220), "red rose": (220, 40, 60), "yellow daisy": (230, 210, 60)}
SIZES = {"train": 6, "val": 6, "test": 3}


def draw_folder(root, sizes=SIZES, colours=COLOURS):
    """Write a folder of 40-pixel images, a folder a class."""
    generator = np.random.default_rng(0)
    for split, count in sizes.items():
        for name, colour in colours.items():
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                noise = generator.normal(0, 40, (40, 40, 3))
                pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture(scope="session", name="draw_folder")
def _draw_folder():
    return draw_folder


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A data set of three classes with train, val and test."""
    return draw_folder(tmp_path_factory.mktemp("pictures"))


SPACE = """
backbone: [efficientnet_lite0]
image_size: 32
trainable_fraction: [0.0, 0.1]
batch_size: 6
dropout: [0.0, 0.2]
augmentation: [none, light]
learning_rate: [0.003, 0.01]
schedule: {cosine: {warmup: 0.1}}
"""


@pytest.fixture(scope="session")
def space(tmp_path_factory):
    """A space whose recipes train in seconds."""
    file = tmp_path_factory.mktemp("space") / "tiny.yaml"
    file.write_text(SPACE)
    return file


class Cli:
    """Runs commands and keeps what they printed."""

    def __call__(self, *arguments):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    def json(self, *arguments):
        result = self(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)


@pytest.fixture(scope="session")
def cli():
    return Cli()


def _what_happened(run):
    """Return a run's trials, curves and the digits of its weights, times aside."""
    connection = sqlite3.connect(f"file:{run}/ledger.sqlite?mode=ro", uri=True)
    trials = connection.execute(
        "SELECT trial_id, identity, bracket, round, parent, status, score FROM trials ORDER BY 1"
    ).fetchall()
    epochs = connection.execute(
        "SELECT trial_id, epoch, learning_rate, loss, macro_f1, log_loss FROM epochs ORDER BY 1, 2"
    ).fetchall()
    weights = connection.execute(
        "SELECT kind, name, sha256 FROM artefacts ORDER BY 1, 2"
    ).fetchall()
    connection.close()
    return trials, epochs, weights


@pytest.fixture(scope="session")
def what_happened():
    return _what_happened
