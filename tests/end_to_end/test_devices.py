"""Two replicas do the whole job, and compute what one device computes.

`MirroredStrategy` runs for real, over two logical devices of this CPU.
"""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent


def run_python(*arguments):
    finished = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def trained():
    return json.loads(run_python(str(HERE / "two_replicas.py")).stdout.splitlines()[-1])


def test_two_replicas_follow_one_device_with_twice_the_batch(trained):
    assert trained["replicas"] == 2
    np.testing.assert_allclose(trained["two"], trained["one"], rtol=0, atol=1e-4)


def test_fewer_images_than_one_step_shows_train_all_the_same(trained):
    assert np.isfinite(trained["two_fewer"]).all()
    np.testing.assert_allclose(trained["two_fewer"], trained["one_fewer"], rtol=0, atol=1e-4)


def test_learning_rates_on_record_are_the_planned_ones(trained):
    assert [rate for *_, rate in trained["two"]] == trained["rates"]


def test_rounds_on_two_replicas_equal_one_run(trained):
    assert trained["in_rounds"] == trained["two"]
    assert trained["rounds_end_equal"]


def test_with_no_epoch_left_two_replicas_only_take_the_state(trained):
    assert trained["none_left"] == []
    assert trained["none_left_end_equal"]


def test_several_steps_in_one_go_compute_the_same(trained):
    assert trained["several"] == trained["two"]
    assert trained["several_end_equal"]


def test_what_frozen_layers_compute_can_be_kept_on_two_replicas(trained):
    # two views where the processor allows it, and the validation images
    assert trained["num_kept"] == (3 if trained["rounds_alike"] else 1)
    assert trained["kept"] == trained["computed"]
    assert trained["kept_end_equal"]


COMMANDS = """
import json, sys
from automl_flowers.accelerators import split_cpu
split_cpu(2)
from automl_flowers import cli
for command in json.loads(sys.argv[1]):
    print("----")
    cli.app(command, standalone_mode=False)
"""

SPACE = """
backbone: efficientnet_lite0
image_size: 32
trainable_fraction: 0.1
batch_size: 6
dropout: [0.0, 0.2]
learning_rate: [0.003, 0.01]
"""


@pytest.fixture(scope="module")
def whole_job(pictures, tmp_path_factory):
    """Return the run folder and what search, ensemble, report and predict printed."""
    run = tmp_path_factory.mktemp("runs") / "mirrored"
    space = run.parent / "space.yaml"
    space.write_text(SPACE)
    search = [
        *("search", "--data", pictures, "--space", space, "--max-epochs", 2, "--max-recipes", 2)
    ]
    commands = [
        [*search, "--strategy", "mirrored", "--run", run, "--json"],
        ["ensemble", "--top", 2, "--run", run, "--json"],
        ["report", "--run", run, "--json"],
        ["predict", pictures / "test", "--run", run, "--quiet"],
    ]
    finished = run_python("-c", COMMANDS, json.dumps([[str(a) for a in c] for c in commands]))
    return run, search, finished.stdout.split("----\n")[1:], finished.stderr


def test_search_runs_on_two_replicas(whole_job, what_happened):
    run, _, (printed, *_), said = whole_job

    environment = json.loads((run / "environment.json").read_text())
    trials, epochs, _ = what_happened(run)
    assert (environment["device"], environment["replicas"]) == ("mirrored", 2)
    assert "over 2 logical CPU devices" in said
    assert json.loads(printed)["failed"] == 0
    assert {trial[5] for trial in trials} == {"completed"}
    assert np.isfinite([numbers[3:] for numbers in epochs]).all()


def test_ensemble_report_and_predict_agree(whole_job, pictures):
    run, _, (_, blended, reported, predicted), _ = whole_job

    submitted = csv.DictReader(io.StringIO((run / "submission.csv").read_text()))
    rows = list(csv.DictReader(io.StringIO(predicted)))
    assert len(json.loads(blended)["members"]) == 2
    assert json.loads(reported)
    assert {r["id"]: r["label"] for r in submitted} == {
        row["path"].removeprefix(f"{pictures}/"): row["label"] for row in rows
    }
    assert len(rows) == 9


def test_ensemble_on_another_number_of_replicas_says_what_it_means(whole_job, cli):
    run, *_ = whole_job

    result = cli("ensemble", "--top", 2, "--run", run, "--strategy", "cpu")

    assert result.exit_code == 0
    assert (
        "device: The search ran on 2 replicas and this device has 1: each step is 2 times smaller "
        "and an epoch has more of them, while learning rates stay as they were chosen."
    ) in result.stderr


def test_search_does_not_go_on_with_another_number_of_replicas(whole_job, cli):
    run, search, *_ = whole_job
    before = (run / "environment.json").read_text()

    result = cli(*search, "--strategy", "cpu", "--run", run, "--quiet")

    assert result.exit_code == 2
    assert "A search cannot change its batches half way." in result.stderr
    assert (run / "environment.json").read_text() == before
