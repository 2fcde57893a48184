"""What every command does first, before there are images."""

import pytest

from automl_flowers.accelerators import Accelerator
from automl_flowers.config import make_config, parse_config, read_yaml, write_config
from automl_flowers.console import Reporter
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.run_folder import RunFolder
from automl_flowers.run_setup import begin, go_on_as_recorded
from search_spaces.spaces import load_space

CPU = Accelerator("cpu", None, 1, "float32", "It is a test.")
TRIAL = TrialRecord("a", 0, "one", {}, 0, 0, None, 0, 1)


@pytest.fixture
def ended(tmp_path):
    """A run of twenty minutes that has come to its end."""
    run = RunFolder(tmp_path)
    write_config(make_config({"time_budget": "20m"}), run.config)
    with Ledger(run.ledger, writable=True, clock=lambda: 1200.0) as ledger:
        ledger.begin_session(0.0)
        ledger.start_trial(TRIAL)
        ledger.end_session()
    return run


def start(run, **given):
    """Begin a search as the workflow does, and return the seconds that it has."""
    wanted = make_config(given)
    config = go_on_as_recorded(wanted, wanted, run)
    with Ledger(run.ledger, writable=True) as ledger:
        begun = begin(config, run, load_space("demo"), CPU, ledger, Reporter(quiet=True))
    assert parse_config(read_yaml(run.config)).time_budget == begun.time_budget
    return begun.time_budget


@pytest.mark.parametrize("given", [{}, {"time_budget": "20m"}], ids=["alone", "beside a budget"])
def test_the_command_of_an_extension_that_was_killed_goes_on_with_its_time(ended, given):
    first = start(ended, extend="10m", **given)
    again = start(ended, extend="10m", **given)

    assert first == again == 1800


def test_time_that_is_given_to_a_search_that_was_not_extended_counts(ended):
    assert start(ended, time_budget="30m") == 1800
    assert start(ended) == 1800
