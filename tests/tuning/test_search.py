"""Tests for the search loop, over a learner that takes milliseconds."""

import errno
import functools
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.disk import DiskLimit
from automl_flowers.errors import DataError, RunError
from automl_flowers.ledger import Ledger
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.hyperband import plan_brackets
from automl_flowers.tuning.search import (
    GIVE_UP_AFTER,
    DivergedError,
    InfeasibleError,
    Listener,
)
from search_spaces.recipe import Recipe


@pytest.fixture(scope="module")
def undisturbed(toy, tmp_path_factory):
    """All trials of a search in which nothing happens."""
    return toy.search(tmp_path_factory.mktemp("undisturbed"))


class Diary(Listener):
    """Writes down what it hears."""

    def __init__(self):
        self.heard = []

    def trial_started(self, task, *, resumed_from):
        self.heard.append(("started", task.trial_id, resumed_from))

    def epoch_ended(self, task, record):
        self.heard.append(("epoch", task.trial_id, record.epoch))

    def trial_ended(self, task, record):
        self.heard.append(("ended", task.trial_id, record.status))

    def trial_known(self, record):
        self.heard.append(("known", record.trial_id, record.status))


def disturbed(train, disturbance):
    """Return a trainer that first calls `disturbance(recipe)`, which may raise."""

    def disturbed_train(recipe, *arguments):
        disturbance(recipe)
        return train(recipe, *arguments)

    return disturbed_train


def interrupted(train, error, after):
    """Return a trainer that raises once, after that many epochs of the search."""
    epochs = itertools.count(1)

    def interrupted_train(recipe, first_epoch, last_epoch, state, on_epoch):
        def on_interrupted_epoch(record, get_state):
            on_epoch(record, get_state)
            if next(epochs) == after:
                raise error

        return train(recipe, first_epoch, last_epoch, state, on_interrupted_epoch)

    return interrupted_train


def is_one_of_three(recipe):
    return int(recipe.identity, 16) % 3 == 0


def fail_one_of_three(recipe):
    if is_one_of_three(recipe):
        raise ValueError("one of three\nand a second line")


def in_round(records, bracket, index):
    return [r for r in records if (r.bracket, r.round) == (bracket, index)]


def checkpoints_of(run):
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def test_a_whole_search_fills_the_plan_and_learns(toy, undisturbed):
    assert {record.status for record in undisturbed} == {"completed"}
    assert [record.number for record in undisturbed] == list(range(len(undisturbed)))
    for number, bracket in enumerate(toy.PLAN):
        for index, planned in enumerate(bracket):
            records = in_round(undisturbed, number, index)
            assert len(records) == planned.size
            for record in records:
                assert record.first_epoch == planned.first_epoch
                assert record.last_epoch == planned.last_epoch
    assert max(record.epochs[-1].accuracy for record in undisturbed) > 0.8


def test_every_trial_has_its_curve_its_score_and_its_size(undisturbed):
    for record in undisturbed:
        trained = list(range(record.first_epoch, record.last_epoch))
        assert [epoch.epoch for epoch in record.epochs] == trained
        assert record.score == record.epochs[-1].log_loss
        assert record.size == {"layers": 1, "parameters": 27}
        assert record.started <= record.ended
        assert record.reason is None


def test_the_best_of_a_round_go_on_with_the_same_recipe(toy, undisturbed):
    by_id = {record.trial_id: record for record in undisturbed}
    for number, bracket in enumerate(toy.PLAN):
        for index in range(1, len(bracket)):
            past = sorted(in_round(undisturbed, number, index - 1), key=lambda r: r.score)
            promoted = in_round(undisturbed, number, index)
            best = [record.trial_id for record in past[: bracket[index].size]]
            assert [record.parent for record in promoted] == best
            assert all(r.recipe == by_id[r.parent].recipe for r in promoted)


def test_rounds_together_equal_one_training_without_a_break(toy, undisturbed):
    by_id = {record.trial_id: record for record in undisturbed}
    last = next(r for r in undisturbed if r.round == len(toy.PLAN[0]) - 1)
    curve, record = (), last
    while record is not None:
        curve = record.epochs + curve
        record = by_id.get(record.parent)
    straight = []

    recipe = Recipe.from_dict(last.recipe)
    toy.train(recipe, 0, toy.NUM_EPOCHS, None, lambda record, get_state: straight.append(record))

    assert curve == tuple(straight)


def test_a_search_leaves_no_checkpoint(toy, tmp_path):
    toy.search(tmp_path)

    assert checkpoints_of(tmp_path) == []


def test_the_last_states_of_trials_worth_keeping_stay(toy, tmp_path):
    def best_two(records):
        ended = [r for r in records if r.status == "completed"]
        return [r.trial_id for r in sorted(ended, key=lambda r: r.score)[:2]]

    records = toy.search(tmp_path, worth_keeping=best_two)

    kept = best_two(records)
    assert {name.partition(".")[0] for name in checkpoints_of(tmp_path)} == set(kept)


def test_the_same_search_twice_is_the_same(toy, tmp_path, undisturbed, what_happened):
    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


@pytest.mark.parametrize("objective", ["macro_f1", "accuracy"])
def test_scores_can_be_maximised(toy, tmp_path, objective):
    records = toy.search(tmp_path, oracle=toy.make_oracle(objective=objective))

    first, second = in_round(records, 0, 0), in_round(records, 0, 1)
    assert all(record.score == getattr(record.epochs[-1], objective) for record in records)
    promoted = {record.parent for record in second}
    worst_promoted = min(record.score for record in first if record.trial_id in promoted)
    assert all(r.score <= worst_promoted for r in first if r.trial_id not in promoted)


def test_a_listener_hears_everything_in_order(toy, tmp_path):
    diary = Diary()

    records = toy.search(tmp_path, listener=diary)

    assert diary.heard == [
        entry
        for record in records
        for entry in (
            ("started", record.trial_id, record.first_epoch),
            *(("epoch", record.trial_id, epoch.epoch) for epoch in record.epochs),
            ("ended", record.trial_id, "completed"),
        )
    ]


def test_states_are_kept_only_while_they_can_be_continued(toy, tmp_path):
    class Counter(Listener):
        most = 0

        def epoch_ended(self, task, record):
            names = checkpoints_of(tmp_path)
            assert f"{task.trial_id}.{record.epoch + 1:04d}.npz" in names
            self.most = max(self.most, len(names))

    counter = Counter()

    toy.search(tmp_path, listener=counter)

    assert counter.most <= toy.PLAN[0][1].size + 2  # promotable, their child, the running one


def test_a_third_of_recipes_failing_still_promotes(toy, tmp_path):
    records = toy.search(
        tmp_path, disturbed(toy.train, fail_one_of_three), oracle=toy.make_oracle(seed=1)
    )

    failed = [record for record in records if record.status == "failed"]
    assert len(failed) >= 2
    for record in records:
        fails = is_one_of_three(Recipe.from_dict(record.recipe))
        assert (record.status == "failed") == fails
        assert (record.reason == "ValueError: one of three") == fails
        assert (record.score is None) == fails
    for number, bracket in enumerate(toy.PLAN):
        for index in range(1, len(bracket)):
            past = in_round(records, number, index - 1)
            alive = sum(record.status == "completed" for record in past)
            assert len(in_round(records, number, index)) == min(bracket[index].size, alive)
    assert any(record.round == 2 for record in records)


def test_the_traceback_of_a_failure_is_kept(toy, tmp_path):
    toy.search(tmp_path, disturbed(toy.train, fail_one_of_three), oracle=toy.make_oracle(seed=1))

    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        kind, message = ledger.events()[0][1:]
        failed = sum(record.status == "failed" for record in ledger.trials())
        assert len(ledger.events()) == failed
    assert kind == "traceback"
    assert "in fail_one_of_three" in message
    assert "and a second line" in message


def test_a_training_that_diverged_fails_alone(toy, tmp_path):
    def diverge(recipe):
        if is_one_of_three(recipe):
            raise DivergedError("the training loss became nan in epoch 1")

    records = toy.search(tmp_path, disturbed(toy.train, diverge), oracle=toy.make_oracle(seed=1))

    failed = [record for record in records if record.status == "failed"]
    assert {record.reason for record in failed} == {
        "DivergedError: the training loss became nan in epoch 1"
    }
    assert any(record.status == "completed" and record.round == 2 for record in records)


def test_trials_that_diverge_from_the_first_on_end_no_search(toy, tmp_path):
    started = []

    def diverge(recipe):
        started.append(recipe)
        if len(started) <= 2 * GIVE_UP_AFTER:
            raise DivergedError("the training loss became nan in epoch 1")

    records = toy.search(tmp_path, disturbed(toy.train, diverge))

    assert [r.status for r in records[: 2 * GIVE_UP_AFTER]] == ["failed"] * 2 * GIVE_UP_AFTER
    assert any(record.status == "completed" for record in records)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_score_that_is_no_number_fails_the_trial(toy, tmp_path, value):
    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        def without_a_score(record, get_state):
            on_epoch(replace(record, log_loss=value), get_state)

        heard = without_a_score if is_one_of_three(recipe) else on_epoch
        return toy.train(recipe, first_epoch, last_epoch, state, heard)

    records = toy.search(tmp_path, train, oracle=toy.make_oracle(seed=1))

    failed = [record for record in records if record.status == "failed"]
    assert len(failed) >= 2
    for record in failed:
        told = f"DivergedError: log_loss is {value} after {record.last_epoch} epochs"
        assert record.reason == told
        assert not math.isfinite(record.epochs[-1].log_loss)
        assert all(other.parent != record.trial_id for other in records)
    assert any(record.round == 2 for record in records)


def test_an_infeasible_recipe_is_no_failure(toy, tmp_path):
    def need_memory(recipe):
        if recipe.batch_size == 32:
            raise InfeasibleError("not enough memory for batches of 32")

    records = toy.search(tmp_path, disturbed(toy.train, need_memory))

    infeasible = [record for record in records if record.status == "infeasible"]
    assert {record.reason for record in infeasible} == {"not enough memory for batches of 32"}
    for record in records:
        assert (record.status == "infeasible") == (record.recipe["batch_size"] == 32)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.events() == []


def test_infeasible_recipes_are_no_reason_to_give_up(toy, tmp_path):
    def never_fits(recipe):
        raise InfeasibleError("too large")

    records = toy.search(tmp_path, disturbed(toy.train, never_fits))

    assert len(records) == sum(bracket[0].size for bracket in toy.PLAN)
    assert {record.status for record in records} == {"infeasible"}


def test_the_first_three_failing_stops_with_the_reasons(toy, tmp_path):
    numbers = itertools.count(1)

    def always_fail(recipe):
        raise ImportError(f"no module {next(numbers)}")

    with pytest.raises(RunError) as stop:
        toy.search(tmp_path, disturbed(toy.train, always_fail))

    assert str(stop.value) == (
        "3 trials failed before any completed, so the search stops (0000: ImportError: no module "
        "1; 0001: ImportError: no module 2; 0002: ImportError: no module 3)."
    )
    assert "events" in stop.value.hint
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert len(ledger.trials()) == len(ledger.events()) == 3


def test_three_failures_after_a_success_do_not_stop(toy, tmp_path):
    trials = itertools.count()

    def fail_after_the_first(recipe):
        if next(trials) > 0:
            raise ValueError("no")

    records = toy.search(tmp_path, disturbed(toy.train, fail_after_the_first))

    assert [record.status for record in records].count("completed") == 1
    assert len(records) > 4


@pytest.mark.parametrize("error", [DataError("a file is gone"), KeyboardInterrupt()])
@pytest.mark.parametrize("after", [1, 8, 22])
def test_what_stops_a_search_leaves_it_to_be_continued(
    toy, tmp_path, undisturbed, what_happened, error, after
):
    with pytest.raises(type(error)):
        toy.search(tmp_path, interrupted(toy.train, error, after))
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert [record.status for record in ledger.trials()].count("running") == 1
        assert sum(len(record.epochs) for record in ledger.trials()) == after

    diary = Diary()
    records = toy.search(tmp_path, listener=diary)

    assert what_happened(records) == what_happened(undisturbed)
    trained = sum(kind == "epoch" for kind, *_ in diary.heard)
    assert trained == sum(len(record.epochs) for record in records) - after
    assert checkpoints_of(tmp_path) == []


def test_a_listener_that_fails_stops_the_search_and_fails_no_trial(
    toy, tmp_path, undisturbed, what_happened
):
    class Broken(Listener):
        def epoch_ended(self, task, record):
            raise BrokenPipeError("nobody reads this")

    with pytest.raises(BrokenPipeError, match="nobody reads this"):
        toy.search(tmp_path, listener=Broken())

    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


def test_a_listener_hears_of_trials_that_an_earlier_command_ended(toy, tmp_path, undisturbed):
    toy.search(tmp_path)
    diary = Diary()
    toy.search(tmp_path, listener=diary)

    assert diary.heard == [("known", record.trial_id, "completed") for record in undisturbed]


def test_a_listener_hears_from_where_a_trial_goes_on(toy, tmp_path):
    class Stop(Listener):
        def epoch_ended(self, task, record):
            if task.last_epoch - task.first_epoch == 4 and record.epoch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.search(tmp_path, listener=Stop())
    diary = Diary()
    toy.search(tmp_path, listener=diary)

    started = next(k for k, heard in enumerate(diary.heard) if heard[0] == "started")
    _, trial_id, resumed_from = diary.heard[started]
    assert resumed_from == 2
    assert diary.heard[started + 1] == ("epoch", trial_id, 2)


def test_a_trial_that_was_killed_after_its_last_epoch_still_gets_its_size(
    toy, tmp_path, undisturbed, what_happened
):
    def killed_at_the_end(*arguments):
        toy.train(*arguments)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.search(tmp_path, killed_at_the_end)

    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


def test_a_finished_search_trains_nothing_again(toy, tmp_path):
    records = toy.search(tmp_path)

    def train(*arguments):
        raise AssertionError("nothing is left to train")

    diary = Diary()
    again = toy.search(tmp_path, train, listener=diary)

    assert again == records
    assert {kind for kind, *_ in diary.heard} == {"known"}


@pytest.mark.parametrize(
    "changed",
    [{"seed": 1}, {"objective": "accuracy"}, {"plan": plan_brackets(4, 3)}],
    ids=["seed", "objective", "plan"],
)
def test_a_run_of_another_search_is_refused(toy, tmp_path, changed):
    toy.search(tmp_path)

    with pytest.raises(RunError, match="trained another recipe, or other epochs, than") as refusal:
        toy.search(tmp_path, oracle=toy.make_oracle(**changed))

    assert "--run" in refusal.value.hint


def test_a_trial_that_others_stop_again_and_again_is_none_the_worse(
    toy, tmp_path, undisturbed, what_happened
):
    def stop(_recipe):
        raise KeyboardInterrupt

    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            toy.search(tmp_path, disturbed(toy.train, stop))

    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


def test_a_full_disk_stops_the_search_and_fails_no_trial(toy, tmp_path, undisturbed, what_happened):
    saves = itertools.count(1)

    class FullFolder(CheckpointFolder):
        def save(self, trial_id, epochs, state):
            if next(saves) == 6:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().save(trial_id, epochs, state)

    with pytest.raises(RunError, match=r"cannot be written to: .*No space left") as stop:
        toy.search(tmp_path, checkpoints=FullFolder)

    assert "make room" in stop.value.hint
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert {record.status for record in ledger.trials()} == {"completed", "running"}
    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


def test_a_limit_of_disk_stops_the_search_which_goes_on_with_more(
    toy, tmp_path, undisturbed, what_happened
):
    def limited(num_bytes):
        disk = DiskLimit(tmp_path / "checkpoints", num_bytes)
        return functools.partial(CheckpointFolder, make_room=disk.make_room)

    with pytest.raises(RunError, match=r"checkpoints` would take .* GB; `--max-disk` allows"):
        toy.search(tmp_path, checkpoints=limited(2000))

    assert sum(file.stat().st_size for file in (tmp_path / "checkpoints").iterdir()) <= 2000
    assert what_happened(toy.search(tmp_path, checkpoints=limited(10**6))) == what_happened(
        undisturbed
    )


def stop_in_a_promotion(toy, run):
    """Stop a search at the start of its first promotion, and return that trial's parent."""
    parents = []

    class Stop(Listener):
        def trial_started(self, task, *, resumed_from):
            if task.parent is not None:
                parents.append(task.parent)
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toy.search(run, listener=Stop())
    return parents[0]


def test_a_promotion_whose_parent_is_lost_begins_anew(toy, tmp_path, undisturbed, what_happened):
    """It comes to the same, and has the epochs of its parent on its own record, too."""
    parent = stop_in_a_promotion(toy, tmp_path)
    [lost] = (tmp_path / "checkpoints").glob(f"{parent}.*.npz")
    lost.unlink()
    trained = []

    def train(recipe, first_epoch, *arguments):
        trained.append((recipe.identity, first_epoch))
        return toy.train(recipe, first_epoch, *arguments)

    records = toy.search(tmp_path, train)

    promoted = next(record for record in records if record.parent == parent)
    assert promoted.first_epoch > 0
    assert trained[0] == (promoted.identity, 0)
    assert [epoch.epoch for epoch in promoted.epochs] == list(range(promoted.last_epoch))
    own = promoted.epochs[promoted.first_epoch :]
    found = [replace(r, epochs=own) if r is promoted else r for r in records]
    assert what_happened(found) == what_happened(undisturbed)


def test_a_promotion_whose_parent_is_damaged_is_named(toy, tmp_path):
    parent = stop_in_a_promotion(toy, tmp_path)
    [damaged] = (tmp_path / "checkpoints").glob(f"{parent}.*.npz")
    damaged.write_bytes(damaged.read_bytes()[:100])

    with pytest.raises(RunError, match=f"{damaged.name}` does not hold a readable model state"):
        toy.search(tmp_path)


def test_a_trial_whose_own_state_is_lost_starts_again(toy, tmp_path, undisturbed, what_happened):
    with pytest.raises(KeyboardInterrupt):
        toy.search(tmp_path, interrupted(toy.train, KeyboardInterrupt(), 1))
    for path in (tmp_path / "checkpoints").iterdir():
        path.unlink()

    assert what_happened(toy.search(tmp_path)) == what_happened(undisturbed)


def test_the_state_that_continues_is_the_one_that_was_handed_over(toy, tmp_path):
    received = {}

    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        received[recipe.identity, first_epoch] = state
        return toy.train(recipe, first_epoch, last_epoch, state, on_epoch)

    records = toy.search(tmp_path, train)

    for record in records:
        state = received[record.identity, record.first_epoch]
        assert (state is None) == (record.parent is None)
        if state is not None:
            handed = {}
            toy.train(
                Recipe.from_dict(record.recipe),
                0,
                record.first_epoch,
                None,
                lambda _, get_state, handed=handed: handed.update(get_state()),
            )
            for name, array in handed.items():
                np.testing.assert_array_equal(state[name], array)
