"""A search that is killed, anywhere, and started again ends like an undisturbed one.

`make test-faults` kills it a thousand times, the usual run of the tests fifty times.
"""

import random
from typing import NamedTuple

import pytest

from automl_flowers.files import Artefact
from automl_flowers.ledger import TrialRecord
from tests.tuning.conftest import files_of, trials_of

NAMED_POINTS = [
    ("trial starting", 3),
    ("trial started", 1),
    ("trial started", 6),  # a promotion: its own checkpoint does not exist yet
    ("epoch trained", 1),
    ("epoch trained", 9),
    ("half a checkpoint", 1),
    ("half a checkpoint", 14),
    ("checkpoint written", 7),
    ("checkpoint written", 21),  # the third epoch of a trial of four
    ("best model written", 1),
    ("best model written", 3),  # two files lie there, and the ledger knows of one
    ("epoch recorded", 8),
    ("epoch recorded", 21),
    ("pruning", 13),
    ("pruned", 33),  # also the third of four
    ("all epochs trained", 7),
    ("size recorded", 11),
    ("trial ending", 4),
    ("trial ended", 5),
    ("trial ended", 15),  # the last one: only the checkpoints are left to remove
]
"""Where to die, and the how manyeth time that the search comes by."""

NUM_RANDOM_KILLS, NUM_FAULTS = 30, 950
random_kills = [
    *range(NUM_RANDOM_KILLS),
    *(
        pytest.param(NUM_RANDOM_KILLS + number, marks=pytest.mark.faults)
        for number in range(NUM_FAULTS)
    ),
]
"""Seeds of kills at a point or an instant that nobody chose."""


class Undisturbed(NamedTuple):
    """What a search that nobody kills leaves."""

    trials: list[TrialRecord]
    files: list[tuple[str, int, str, Artefact]]
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(server, tmp_path_factory):
    """The trials and files of a search that nobody kills, and the seconds that it takes."""
    run = tmp_path_factory.mktemp("undisturbed")
    answer = server(run)
    assert answer["code"] == 0
    return Undisturbed(trials_of(run), files_of(run), answer["seconds"])


def check_best_model(run, trials):
    """One file: the first of all epochs with the best score."""
    epochs = [(e.log_loss, t.number, e.epoch, t.trial_id) for t in trials for e in t.epochs]
    _, _, epoch, trial_id = min(epochs)
    assert [path.name for path in (run / "best").iterdir()] == [f"{trial_id}.{epoch + 1:04d}.npz"]


def check_same_end(run, undisturbed, what_happened, *, kills=1):
    trials = trials_of(run)
    assert what_happened(trials) == what_happened(undisturbed.trials)
    assert files_of(run) == undisturbed.files, "the same weights, by their digits"
    assert list((run / "checkpoints").iterdir()) == []
    check_best_model(run, trials)
    trained = (run / "trained.txt").read_text().splitlines()
    assert len(trained) - len(set(trained)) <= kills, "a kill costs one epoch at most"


def test_every_named_point_is_passed(toy):
    assert {point for point, _ in NAMED_POINTS} == set(toy.POINTS)


@pytest.mark.parametrize(("point", "call"), NAMED_POINTS)
def test_killed_at_a_point(server, undisturbed, what_happened, tmp_path, point, call):
    killed = server(tmp_path, point=point, call=call)
    resumed = server(tmp_path)

    assert (killed["code"], resumed["code"]) == (-9, 0)
    check_same_end(tmp_path, undisturbed, what_happened)


@pytest.mark.parametrize("number", random_kills)
def test_killed_at_any_point_or_instant(server, undisturbed, what_happened, toy, tmp_path, number):
    chance = random.Random(number)
    if number % 2:
        kill = {"after": chance.uniform(0.02, 0.98) * undisturbed.seconds}
    else:
        num_epochs = sum(len(trial.epochs) for trial in undisturbed.trials)
        kill = {"point": chance.choice(toy.POINTS), "call": chance.randint(1, num_epochs)}
    killed = server(tmp_path, **kill)
    resumed = server(tmp_path)

    assert killed["code"] in (-9, 0)
    assert resumed["code"] == 0
    check_same_end(tmp_path, undisturbed, what_happened)


def test_killed_again_and_again(server, undisturbed, what_happened, tmp_path):
    codes = []
    while not codes or codes[-1] == -9:
        codes.append(server(tmp_path, point="epoch trained", call=8)["code"])

    assert codes == [-9, -9, -9, -9, 0]  # 30 epochs, of which a killed process keeps 7
    check_same_end(tmp_path, undisturbed, what_happened, kills=4)


def test_a_trial_that_ends_the_process_three_times_is_infeasible(server, undisturbed, tmp_path):
    def second(trials):
        return next(trial for trial in trials if trial.number == 1)

    kills = [server(tmp_path, point="trial started", call=call)["code"] for call in (2, 1, 1)]
    done = server(tmp_path)

    assert (kills, done["code"]) == ([-9, -9, -9], 0)
    assert second(undisturbed.trials).status == "completed"
    ended = second(trials_of(tmp_path))
    assert (ended.status, ended.epochs) == ("infeasible", ())
    assert ended.reason.startswith("3 times the process ended before an epoch of it was over")
    assert all(trial.status == "completed" for trial in trials_of(tmp_path) if trial != ended)


def test_a_kill_in_the_middle_of_a_checkpoint_leaves_half_a_file_that_nobody_reads(
    server, tmp_path
):
    server(tmp_path, point="half a checkpoint", call=2)

    strays = [path.name for path in (tmp_path / "checkpoints").glob("*.tmp")]
    assert len(strays) == 1
    assert all(".tmp" in name for name in strays)
    assert (tmp_path / "checkpoints" / strays[0]).stat().st_size > 0


def test_a_finished_search_is_started_again_without_a_change(server, tmp_path):
    server(tmp_path)
    before = trials_of(tmp_path)

    again = server(tmp_path, point="epoch trained", call=1)

    assert again["code"] == 0
    assert trials_of(tmp_path) == before
