"""A search that time ends, killed anywhere, decides what an undisturbed one decides.

Time is a clock that only the learner moves, so what a budget allows is the same every time, and a
kill costs no more than the epoch that was not recorded. The kills are in the search, in the final
fits, and in what an extension adds.
"""

import random
from typing import NamedTuple

import pytest

from automl_flowers.files import Artefact
from automl_flowers.ledger import Ledger, TrialRecord
from automl_flowers.tuning.search import FINAL
from tests.tuning.conftest import files_of, trials_of

BUDGET, EXTENDED = 120, 260
"""Seconds on the clock: of the search, and of the search with its extension."""

LONGEST_EPOCH = 10

NAMED_POINTS = [
    ("trial started", 2),
    ("epoch recorded", 1),
    ("epoch recorded", 9),
    ("all epochs trained", 3),
    ("trial ended", 4),
    ("final fits chosen", 1),
    ("final fit: trial starting", 1),
    ("final fit: trial started", 1),
    ("final fit: epoch trained", 1),
    ("final fit: half a checkpoint", 2),
    ("final fit: checkpoint written", 1),
    ("final fit: epoch recorded", 1),
    ("final fit: epoch recorded", 2),
    ("final fit: pruning", 1),
    ("final fit: pruned", 2),
    ("final fit: all epochs trained", 1),
    ("final fit: size recorded", 1),
    ("final fit: trial ending", 1),
    ("final fit: trial ended", 1),
]
"""Where to die, and the how manyeth time that the search comes by."""

NUM_RANDOM_KILLS, NUM_FAULTS = 10, 200
random_kills = [
    *range(NUM_RANDOM_KILLS),
    *(
        pytest.param(NUM_RANDOM_KILLS + number, marks=pytest.mark.faults)
        for number in range(NUM_FAULTS)
    ),
]
"""Seeds of kills at a point or an instant that nobody chose."""


class Outcome(NamedTuple):
    """What a search leaves."""

    trials: list[TrialRecord]
    files: list[tuple[str, int, str, Artefact]]
    states: list[str]
    best: list[str]
    seconds: float


def outcome_of(run, what_happened):
    with Ledger(run / "ledger.sqlite") as ledger:
        seconds = ledger.seconds_spent()
    states, best = (
        sorted(path.name for path in (run / folder).iterdir()) for folder in ("checkpoints", "best")
    )
    return Outcome(what_happened(trials_of(run)), files_of(run), states, best, seconds)


@pytest.fixture(scope="module", params=[False, True], ids=["search", "extension"])
def begun(request, server, tmp_path_factory):
    """A function that makes a run as it is before the kill, and the budget to go on with."""

    def begun(run):
        if request.param:
            assert server(run, budget=BUDGET)["code"] == 0
        return EXTENDED if request.param else BUDGET

    return begun


@pytest.fixture(scope="module")
def undisturbed(begun, server, tmp_path_factory, what_happened):
    """What is left where nobody kills, and the seconds of this machine that it takes."""
    run = tmp_path_factory.mktemp("undisturbed")
    answer = server(run, budget=begun(run))
    assert answer["code"] == 0
    return outcome_of(run, what_happened), answer["seconds"]


def test_there_are_final_fits_and_the_budget_is_kept(begun, undisturbed, toy, tmp_path):
    outcome, _ = undisturbed
    budget = begun(tmp_path)

    finished = [trial for trial in outcome.trials if trial.bracket == FINAL]
    assert len(finished) >= toy.TOP - 1
    assert all(trial.last_epoch == toy.NUM_EPOCHS for trial in finished)
    assert budget - toy.NUM_EPOCHS * LONGEST_EPOCH <= outcome.seconds
    assert outcome.seconds <= max(1.05 * budget, budget + LONGEST_EPOCH)


@pytest.mark.parametrize(("point", "call"), NAMED_POINTS)
def test_killed_at_a_point(server, begun, undisturbed, what_happened, tmp_path, point, call):
    budget = begun(tmp_path)
    killed = server(tmp_path, budget=budget, point=point, call=call)
    resumed = server(tmp_path, budget=budget)

    assert (killed["code"], resumed["code"]) == (-9, 0)
    assert outcome_of(tmp_path, what_happened) == undisturbed[0]


@pytest.mark.parametrize("number", random_kills)
def test_killed_twice_at_any_point_or_instant(
    server, begun, undisturbed, what_happened, toy, tmp_path, number
):
    expected, seconds = undisturbed
    budget, chance = begun(tmp_path), random.Random(number)
    for _ in range(2):
        if chance.random() < 0.5:
            kill = {"after": chance.uniform(0.02, 0.98) * seconds}
        else:
            point = chance.choice([*toy.POINTS, *toy.BUDGET_POINTS])
            kill = {"point": point, "call": chance.randint(1, 8)}
        assert server(tmp_path, budget=budget, **kill)["code"] in (-9, 0)
    resumed = server(tmp_path, budget=budget)

    assert resumed["code"] == 0
    assert outcome_of(tmp_path, what_happened) == expected


def test_a_search_that_has_ended_is_not_changed_by_its_command(
    server, begun, undisturbed, what_happened, tmp_path
):
    budget = begun(tmp_path)
    server(tmp_path, budget=budget)

    again = server(tmp_path, budget=budget, point="epoch trained", call=1)

    assert again["code"] == 0
    assert outcome_of(tmp_path, what_happened) == undisturbed[0]
