"""What a person is told while a search runs."""

import io
import re

import pytest
from rich.console import Console

from automl_flowers.console import Reporter
from automl_flowers.tuning.hyperband import count_epochs


@pytest.fixture
def told():
    """Where a reporter writes to."""
    return io.StringIO()


def make_reporter(told):
    return Reporter(console=Console(file=told, soft_wrap=True))


def endings(told):
    return re.findall(r"^trial \w+ (completed|failed): .*?(?:; (.*))?$", told.getvalue(), re.M)


def test_every_ending_says_how_long_the_rest_takes(toy, tmp_path, told):
    reporter = make_reporter(told)
    reporter.plan(count_epochs(toy.PLAN))

    trials = toy.search(tmp_path, listener=reporter)

    left = [rest for _, rest in endings(told)]
    assert len(left) == len(trials)
    assert all(re.fullmatch(r"about \d+ s left", rest) for rest in left)
    assert left[-1] == "about 0 s left"


def test_epochs_of_trials_that_fail_are_not_waited_for(toy, tmp_path, told):
    def fail_some(recipe, *arguments):
        if recipe.batch_size == 32:
            raise ValueError("no")
        return toy.train(recipe, *arguments)

    reporter = make_reporter(told)
    reporter.plan(count_epochs(toy.PLAN))

    toy.search(tmp_path, fail_some, listener=reporter)

    assert {how for how, _ in endings(told)} == {"completed", "failed"}
    assert endings(told)[-1][1] == "about 0 s left"


def test_a_search_that_time_ends_says_what_is_left_of_it(toy, tmp_path, told):
    reporter = make_reporter(told)
    reporter.plan(seconds=500.0)

    toy.search(tmp_path, listener=reporter)

    assert {rest for _, rest in endings(told)} <= {"about 8 min left"}


def test_nobody_guesses_before_an_epoch_was_trained(toy, tmp_path, told):
    def fail_first(recipe, *arguments, calls=[]):  # noqa: B006 - counts the calls
        calls.append(recipe)
        if len(calls) == 1:
            raise ValueError("no")
        return toy.train(recipe, *arguments)

    reporter = make_reporter(told)
    reporter.plan(count_epochs(toy.PLAN))

    toy.search(tmp_path, fail_first, listener=reporter)

    assert endings(told)[0] == ("failed", "")
    assert endings(told)[1][1].endswith("left")


def test_quiet_says_nothing(toy, tmp_path, told):
    reporter = Reporter(quiet=True, console=Console(file=told))

    toy.search(tmp_path, listener=reporter)

    assert told.getvalue() == ""


def test_how_far_an_open_end_is_is_said_now_and_then(told):
    reporter = make_reporter(told)

    for done in range(3):
        reporter.so_far("images predicted", done)

    assert told.getvalue() == "images predicted: 0\n"
