"""Tests for Hyperband's arithmetic and promotions."""

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from automl_flowers.tuning.hyperband import (
    Entry,
    Round,
    Start,
    count_epochs,
    next_step,
    plan_brackets,
    promoted,
    still_needed,
)

MAX_EPOCHS = st.integers(1, 100)
FACTORS = st.integers(2, 5)


@pytest.mark.parametrize("factor", range(2, 6))
def test_sizes_and_epochs_are_those_of_keras_tuner(factor):
    import keras_tuner

    for max_epochs in range(1, 101):
        theirs = keras_tuner.oracles.HyperbandOracle(
            objective=keras_tuner.Objective("score", "max"), max_epochs=max_epochs, factor=factor
        )

        plan = plan_brackets(max_epochs, factor)

        assert len(plan) == theirs._get_num_brackets()
        for number, bracket in zip(reversed(range(len(plan))), plan, strict=True):
            assert len(bracket) == theirs._get_num_rounds(number)
            for index, planned in enumerate(bracket):
                assert planned.size == theirs._get_size(number, index)
                assert planned.last_epoch == theirs._get_epochs(number, index)


def test_plan_for_nine_epochs_by_hand():
    assert plan_brackets(9, 3) == (
        (Round(9, 0, 1), Round(3, 1, 3), Round(1, 3, 9)),
        (Round(5, 0, 3), Round(2, 3, 9)),
        (Round(3, 0, 9),),
    )
    assert count_epochs(plan_brackets(9, 3)) == 9 * 1 + 3 * 2 + 1 * 6 + 5 * 3 + 2 * 6 + 3 * 9


@given(max_epochs=MAX_EPOCHS, factor=FACTORS, max_recipes=st.none() | st.integers(1, 400))
def test_rounds_go_on_where_the_one_before_ended_and_never_grow(max_epochs, factor, max_recipes):
    for bracket in plan_brackets(max_epochs, factor, max_recipes):
        assert bracket[0].first_epoch == 0
        assert bracket[-1].last_epoch == max_epochs
        for past, following in itertools.pairwise(bracket):
            assert past.last_epoch == following.first_epoch
            assert past.size >= following.size
        assert all(r.size >= 1 and r.first_epoch < r.last_epoch for r in bracket)


@given(max_epochs=MAX_EPOCHS, factor=FACTORS, max_recipes=st.integers(1, 400))
def test_first_rounds_add_up_to_the_recipes_asked_for(max_epochs, factor, max_recipes):
    plan = plan_brackets(max_epochs, factor, max_recipes)

    assert sum(bracket[0].size for bracket in plan) == max_recipes


@given(max_epochs=MAX_EPOCHS, factor=FACTORS, max_recipes=st.integers(1, 400))
def test_fewer_recipes_shrink_the_last_bracket_and_keep_its_promotions(
    max_epochs, factor, max_recipes
):
    sweep = plan_brackets(max_epochs, factor)
    *whole, last = plan_brackets(max_epochs, factor, max_recipes)

    assert whole == [sweep[number % len(sweep)] for number in range(len(whole))]
    model = sweep[len(whole) % len(sweep)]
    assert len(last) == len(model)
    for index in range(1, len(last)):
        kept = math.ceil(last[index - 1].size / factor)
        assert last[index].size == min(model[index].size, kept)


def test_as_many_recipes_as_a_sweep_is_a_sweep():
    sweep = plan_brackets(20, 3)

    assert plan_brackets(20, 3, sum(bracket[0].size for bracket in sweep)) == sweep


@pytest.mark.parametrize("arguments", [(0, 3, None), (4, 1, None), (4, 3, 0), (-1, 3, 5)])
def test_numbers_that_make_no_plan_are_refused(arguments):
    with pytest.raises(ValueError, match="must be at least 1 and `factor` at least 2, got"):
        plan_brackets(*arguments)


def completed(trial_id, score, **changes):
    return Entry(trial_id, 0, 0, None, "completed", score, **changes)


@pytest.mark.parametrize(("maximise", "best"), [(True, ["b", "d"]), (False, ["c", "a"])])
def test_the_best_are_promoted(maximise, best):
    scores = {"a": 0.1, "b": 0.9, "c": 0.0, "d": 0.5}
    entries = [completed(trial_id, score) for trial_id, score in scores.items()]

    assert promoted(entries, 2, maximise=maximise) == best


@pytest.mark.parametrize("maximise", [True, False])
def test_equal_scores_go_in_the_order_of_their_start(maximise):
    entries = [completed(trial_id, 0.5) for trial_id in "dbca"]

    assert promoted(entries, 2, maximise=maximise) == ["d", "b"]


def test_only_completed_trials_are_promoted():
    entries = [
        completed("a", 0.1),
        Entry("b", 0, 0, None, "ended"),
        Entry("c", 0, 0, None, "running"),
    ]

    assert promoted(entries, 3) == ["a"]


def test_an_empty_search_starts_with_a_new_recipe():
    assert next_step(plan_brackets(9), []) == Start(0, 0, None)


def test_a_search_without_recipes_stops():
    assert next_step(plan_brackets(9), [], exhausted=True) == "stop"


def test_a_round_waits_for_its_running_trials_and_the_next_bracket_goes_on():
    plan = ((Round(2, 0, 1), Round(1, 1, 2)), (Round(1, 0, 2),))
    entries = [completed("a", 0.5), Entry("b", 0, 0, None, "running")]

    assert next_step(plan, entries) == Start(1, 0, None)
    assert next_step(plan, entries, exhausted=True) == "wait"
    assert next_step(plan, [*entries, Entry("c", 1, 0, None, "running")]) == "wait"


def test_a_promotion_that_failed_is_not_replaced():
    plan = ((Round(2, 0, 1), Round(1, 1, 2)),)
    entries = [completed("a", 0.5), completed("b", 0.6), Entry("c", 0, 1, "b", "ended")]

    assert next_step(plan, entries) == "stop"
    assert still_needed(plan, entries) == set()


def test_the_state_of_a_parent_is_needed_until_its_child_has_ended():
    plan = ((Round(2, 0, 1), Round(1, 1, 2)),)
    past = [completed("a", 0.5), completed("b", 0.6)]

    assert still_needed(plan, past) == {"b"}
    assert still_needed(plan, [*past, Entry("c", 0, 1, "b", "running")]) == {"b"}
    assert still_needed(plan, [*past, Entry("c", 0, 1, "b", "completed", 0.7)]) == set()


def play(plan, outcomes, *, maximise=True, num_recipes=None):
    """Run a search one trial at a time; an outcome is a score, or None for a failure."""
    entries = []
    outcomes = iter(outcomes)
    while True:
        drawn = sum(entry.round == 0 for entry in entries)
        step = next_step(plan, entries, maximise=maximise, exhausted=drawn == num_recipes)
        if step == "stop":
            return entries
        assert isinstance(step, Start), "nothing runs, so there is nothing to wait for"
        score = next(outcomes)
        status = "ended" if score is None else "completed"
        trial_id = f"{len(entries):04d}"
        entries.append(Entry(trial_id, step.bracket, step.round, step.parent, status, score))


@given(max_epochs=MAX_EPOCHS, factor=FACTORS, max_recipes=st.none() | st.integers(1, 60))
def test_a_search_in_which_nothing_fails_fills_every_round(max_epochs, factor, max_recipes):
    plan = plan_brackets(max_epochs, factor, max_recipes)
    num_trials = sum(r.size for bracket in plan for r in bracket)

    entries = play(plan, range(num_trials))

    for number, bracket in enumerate(plan):
        for index, planned in enumerate(bracket):
            there = [e for e in entries if (e.bracket, e.round) == (number, index)]
            assert len(there) == planned.size


@pytest.mark.parametrize("failing", [0, 1, 2])
@pytest.mark.parametrize("max_epochs", [4, 9, 20, 27, 81])
def test_a_third_of_trials_failing_still_promotes(failing, max_epochs):
    plan = plan_brackets(max_epochs, 3)
    outcomes = (None if n % 3 == failing else n / 1000 for n in range(10_000))

    entries = play(plan, outcomes)

    for number, bracket in enumerate(plan):
        for index in range(1, len(bracket)):
            past = [e for e in entries if (e.bracket, e.round) == (number, index - 1)]
            alive = sum(entry.status == "completed" for entry in past)
            there = sum((e.bracket, e.round) == (number, index) for e in entries)
            assert there == min(bracket[index].size, alive)
    assert any(entry.round > 0 for entry in entries)


@given(
    max_epochs=st.integers(1, 30),
    factor=FACTORS,
    max_recipes=st.none() | st.integers(1, 40),
    num_recipes=st.none() | st.integers(0, 40),
    maximise=st.booleans(),
    randomness=st.randoms(use_true_random=False),
)
def test_any_outcome_reaches_the_end(
    max_epochs, factor, max_recipes, num_recipes, maximise, randomness
):
    plan = plan_brackets(max_epochs, factor, max_recipes)
    outcomes = iter(lambda: randomness.choice([None, 0.1, 0.2, 0.2, 0.3]), "never")

    entries = play(plan, outcomes, maximise=maximise, num_recipes=num_recipes)

    assert still_needed(plan, entries, maximise=maximise) == set()


class ParallelSearch(RuleBasedStateMachine):
    """Several workers, any order of ends, states kept only as long as `still_needed` says."""

    @initialize(
        max_epochs=st.integers(1, 20),
        factor=FACTORS,
        max_recipes=st.none() | st.integers(1, 15),
        maximise=st.booleans(),
    )
    def begin(self, max_epochs, factor, max_recipes, maximise):
        self.plan = plan_brackets(max_epochs, factor, max_recipes)
        self.maximise = maximise
        self.entries = []
        self.states = set()
        self.exhausted = False
        self.answer = None

    def ask(self):
        self.answer = next_step(
            self.plan, self.entries, maximise=self.maximise, exhausted=self.exhausted
        )
        if isinstance(self.answer, Start):
            self.start(self.answer)
        elif self.answer == "wait":
            assert self.running(), "waits for nothing"
        else:
            assert not self.running(), "stops while trials run"

    def start(self, step):
        planned = self.plan[step.bracket][step.round]
        there = self.in_round(step.bracket, step.round)
        assert len(there) < planned.size
        if step.parent is None:
            assert step.round == 0
            assert not self.exhausted
        else:
            self.check_promotion(step, planned.size)
        trial_id = f"{len(self.entries):04d}"
        entry = Entry(trial_id, step.bracket, step.round, step.parent, "running")
        self.entries.append(entry)

    def check_promotion(self, step, size):
        past = self.in_round(step.bracket, step.round - 1)
        assert all(entry.status != "running" for entry in past)
        parent = next(entry for entry in past if entry.trial_id == step.parent)
        assert parent.status == "completed"
        sign = 1 if self.maximise else -1
        better = [
            e for e in past if e.status == "completed" and e.score * sign > parent.score * sign
        ]
        assert len(better) < size, "not among the best of its round"
        assert step.parent in self.states, "its state was thrown away"
        taken = [e.parent for e in self.in_round(step.bracket, step.round)]
        assert step.parent not in taken

    def in_round(self, bracket, index):
        return [e for e in self.entries if (e.bracket, e.round) == (bracket, index)]

    def running(self):
        return [e for e in self.entries if e.status == "running"]

    def end(self, ended, score):
        status = "ended" if score is None else "completed"
        index = self.entries.index(ended)
        self.entries[index] = Entry(
            ended.trial_id, ended.bracket, ended.round, ended.parent, status, score
        )
        if score is not None:
            self.states.add(ended.trial_id)

    @precondition(lambda self: len(self.running()) < 4)
    @rule()
    def a_worker_asks(self):
        self.ask()

    @precondition(lambda self: self.running())
    @rule(data=st.data(), score=st.none() | st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75]))
    def a_trial_ends(self, data, score):
        self.end(data.draw(st.sampled_from(self.running())), score)

    @precondition(lambda self: len(self.entries) > 3)
    @rule()
    def recipes_run_out(self):
        self.exhausted = True

    @invariant()
    def states_are_thrown_away_when_no_longer_needed(self):
        if not hasattr(self, "plan"):
            return
        self.states &= still_needed(self.plan, self.entries, maximise=self.maximise)
        for entry in self.running():
            assert entry.parent is None or entry.parent in self.states

    def teardown(self):
        if not hasattr(self, "plan"):
            return
        for _ in range(10_000):
            self.ask()
            self.states_are_thrown_away_when_no_longer_needed()
            if self.answer == "stop":
                break
            for entry in self.running():
                self.end(entry, 0.5)
        assert self.answer == "stop"
        self.states_are_thrown_away_when_no_longer_needed()
        assert self.states == set()


ParallelSearch.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestParallelSearch = ParallelSearch.TestCase
