"""A person's own backbone through search, ensemble, predict and report."""

import keras
import pytest

from automl_flowers.custom_backbones import register_backbone
from search_spaces import backbones


def net(image_size):
    """A few convolutions: too small to be good, large enough to train."""
    images = keras.Input((image_size, image_size, 3))
    features = images
    for filters in (8, 16, 16):
        features = keras.layers.Conv2D(filters, 3, strides=2)(features)
        features = keras.layers.BatchNormalization()(features)
        features = keras.layers.ReLU()(features)
    return keras.Model(images, features)


SPACE = """
backbone: [own_net]
image_size: 32
trainable_fraction: 0.5
dropout: [0.0, 0.2]
batch_size: 6
schedule: constant
"""


@pytest.fixture(scope="module")
def run(cli, pictures, tmp_path_factory):
    """A search and an ensemble with it."""
    register_backbone("own_net", net, input_convention="signed", image_size=64)
    folder = tmp_path_factory.mktemp("own")
    (folder / "space.yaml").write_text(SPACE)
    found = cli.json(
        *("search", "--data", pictures, "--run", folder / "run", "--space", folder / "space.yaml"),
        *("--max-epochs", 1, "--max-recipes", 2),
    )
    assert found["best"]["recipe"]["backbone"] == "own_net"
    assert len(cli.json("ensemble", "--top", 2, "--run", folder / "run")["members"]) == 2
    yield folder / "run"
    backbones._ENTRIES.pop("own_net", None)


def test_predict_and_report_know_it(cli, run, pictures):
    rows = cli("predict", pictures / "test", "--run", run, "--quiet").stdout.splitlines()

    assert len(rows) == 1 + 9
    assert cli.json("report", "--run", run)
    assert "own_net" in (run / "report.html").read_text()


def test_a_program_that_does_not_know_it_says_so(cli, run, pictures, monkeypatch):
    monkeypatch.delitem(backbones._ENTRIES, "own_net")

    for arguments in (["ensemble", "--top", 2], ["predict", pictures / "test"]):
        result = cli(*arguments, "--run", run, "--quiet")

        assert result.exit_code == 2
        assert "'own_net'" in result.stderr
        assert "register_backbone" in result.stderr


def test_a_bad_one_is_refused_before_the_first_trial(cli, pictures, tmp_path, space):
    register_backbone("bad_net", lambda _size: None, input_convention="raw")

    result = cli(
        *("search", "--data", pictures, "--run", tmp_path / "run", "--space", space),
        *("--backbones", "bad_net", "--quiet"),
    )

    del backbones._ENTRIES["bad_net"]
    assert result.exit_code == 2
    assert "of backbone 'bad_net' must return a `keras.Model`, got NoneType." in result.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()
