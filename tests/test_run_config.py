"""Tests for the settings with which a run goes on after its search."""

from pathlib import Path

import pytest
import tensorflow as tf

from automl_flowers.accelerators import Accelerator
from automl_flowers.config import make_config, read_yaml, write_config
from automl_flowers.console import Reporter
from automl_flowers.errors import RunError
from automl_flowers.run_folder import RunFolder
from automl_flowers.run_setup import complete
from automl_flowers.workflows import run_config

FILE = """
data: photos
space: space.yaml
enqueue: first.yaml
weights: {efficientnet_lite0: weights.h5}
batch_size: 16
max_epochs: 6
objective: macro_f1
seed: 3
"""


@pytest.fixture
def searched(tmp_path, monkeypatch):
    """Begin a run with a file of settings, and with flags that win over it."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    Path("weights.h5").write_bytes(b"weights")
    Path("run.yaml").write_text(FILE)

    def searched(**flags):
        accelerator = Accelerator("cpu", tf.distribute.get_strategy(), 1, "float32", "")
        config = make_config({**flags, "run": "run"}, Path("run.yaml"))
        run = RunFolder(tmp_path / "run")
        write_config(complete(config, accelerator, Reporter(quiet=True)), run.config)
        return run

    return searched


def test_the_file_of_the_search_may_be_given_again(searched, tmp_path):
    run = searched()

    config = run_config(run, {**read_yaml(Path("run.yaml")), "top": 5})

    assert (config.top, config.max_epochs, config.seed) == (5, 6, 3)
    assert config.data == str(tmp_path / "photos")
    assert config.run == str(run.path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max_epochs": 2}, "`max_epochs` was 6, now 2"),
        ({"objective": "log_loss"}, "`objective` was 'macro_f1', now 'log_loss'"),
        ({"data": "."}, "`data` was '.*photos', now"),
        ({"space": "small"}, r"`space` was '.*space\.yaml', now 'small'"),
        ({"weights": "none"}, "`weights` was {.*}, now 'none'"),
        ({"batch_size": 8, "seed": 1}, "`seed` was 3, now 1; `batch_size` was"),
    ],
)
def test_what_the_search_decided_cannot_be_changed(searched, change, said):
    run = searched()

    with pytest.raises(RunError, match=said) as refused:
        run_config(run, {**read_yaml(Path("run.yaml")), **change})

    assert "give the same settings again" in refused.value.hint


def test_a_flag_of_the_search_is_not_undone_by_its_file(searched):
    run = searched(max_epochs=2)

    with pytest.raises(RunError, match="`max_epochs` was 2, now 6"):
        run_config(run, read_yaml(Path("run.yaml")))


def test_leaks_precision_and_the_place_of_weights_may_be_others(searched):
    run = searched()
    Path("weights.h5").rename("moved.h5")
    change = {
        "leaks": "warn",
        "precision": "mixed_bfloat16",
        "weights": {"efficientnet_lite0": "moved.h5"},
    }

    config = run_config(run, change)

    assert (config.leaks, config.precision) == ("warn", "mixed_bfloat16")
    assert config.weights == {"efficientnet_lite0": str(Path("moved.h5").absolute())}
