"""A search that time ends, and its extension, through the real command line."""

import time

import pytest
import yaml

from automl_flowers.ledger import Ledger


@pytest.fixture(scope="module")
def searched(cli, pictures, space, tmp_path_factory):
    run = tmp_path_factory.mktemp("timed") / "run"
    command = ("search", "--data", pictures, "--run", run, "--space", space)
    started = time.monotonic()
    result = cli.json(*command, "--time-budget", "12s")
    return run, command, result, time.monotonic() - started


def trials_of(run):
    with Ledger(run / "ledger.sqlite") as ledger:
        return ledger.trials()


def test_there_is_a_result_however_short_the_time(searched):
    run, _, result, _ = searched

    assert result["trials"] >= 1
    assert (
        result["best"]["epochs"] <= yaml.safe_load((run / "config.yaml").read_text())["max_epochs"]
    )


def test_an_ensemble_goes_on_from_what_was_trained(cli, searched):
    run, *_ = searched

    blended = cli("ensemble", "--top", 1, "--run", run)

    assert blended.exit_code == 0, blended.stderr
    assert "epochs of it by the search" in blended.stderr
    assert "epoch 1:" not in blended.stderr


def test_an_extension_adds_trials_and_keeps_what_there_was(cli, searched):
    run, command, *_ = searched
    before = trials_of(run)

    extended = cli(*command, "--extend", "20s")

    assert extended.exit_code == 0, extended.stderr
    assert yaml.safe_load((run / "config.yaml").read_text())["extended"]
    after = {trial.trial_id: trial for trial in trials_of(run)}
    assert len(after) >= len(before)  # how many more depends on the machine
    for trial in before:
        if trial.status == "completed":
            assert after[trial.trial_id] == trial


def test_only_a_search_can_be_extended(cli, pictures, space, tmp_path):
    refused = cli(
        *("search", "--data", pictures, "--run", tmp_path / "run", "--space", space),
        *("--extend", "5s"),
    )

    assert refused.exit_code == 2
    assert "no search yet that could be extended" in refused.stderr


@pytest.mark.parametrize("budget", ["soon", "0", "5x"])
def test_a_budget_that_is_no_time_is_answered(cli, pictures, tmp_path, budget):
    refused = cli("search", "--data", pictures, "--run", tmp_path / "run", "--time-budget", budget)

    assert refused.exit_code == 2
    assert "`time_budget`: a time" in refused.stderr
    assert not (tmp_path / "run").exists()
