"""Tests for PASHA's promotions."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from automl_flowers.tuning.hyperband import Entry, Round, Start, by_round, plan_brackets
from automl_flowers.tuning.pasha import (
    next_step,
    plan_rounds,
    rankings_differ,
    still_needed,
    top_round,
)

FACTORS = st.integers(2, 4)
SCORES = st.sampled_from([-1.0, 0.0, 0.01, 0.02, 0.25, 0.5, 0.75])


def completed(trial_id, score, index=0, parent=None):
    return Entry(trial_id, 0, index, parent, "completed", score)


def test_rounds_for_nine_epochs_by_hand():
    assert plan_rounds(9, 3) == ((Round(17, 0, 1), Round(5, 1, 3), Round(1, 3, 9)),)
    assert plan_rounds(9, 3, 5) == ((Round(5, 0, 1), Round(1, 1, 3), Round(0, 3, 9)),)


@given(max_epochs=st.integers(1, 100), factor=FACTORS, max_recipes=st.none() | st.integers(1, 99))
def test_rounds_have_the_epochs_of_the_bracket_that_halves_most(max_epochs, factor, max_recipes):
    sweep = plan_brackets(max_epochs, factor)

    [rounds] = plan_rounds(max_epochs, factor, max_recipes)

    assert [r.last_epoch for r in rounds] == [r.last_epoch for r in sweep[0]]
    assert rounds[0].size == (max_recipes or sum(bracket[0].size for bracket in sweep))
    assert all(following.size == r.size // factor for r, following in itertools.pairwise(rounds))


def test_a_search_that_time_ends_has_brackets_without_end():
    first, second, *others = plan_rounds(9, 3, 5, endless=True)

    assert (first[0].size, second[0].size) == (5, 17)
    assert len(others) > 100


def test_numbers_that_make_no_plan_are_refused():
    with pytest.raises(ValueError, match="must be at least 1"):
        plan_rounds(0)


PLAN = ((Round(9, 0, 1), Round(3, 1, 3), Round(1, 3, 9)),)


def ask(entries, **changes):
    return next_step(PLAN, entries, **{"factor": 3, "epsilon": 0.05, **changes})


def needed(entries, **changes):
    return still_needed(PLAN, entries, **{"factor": 3, "epsilon": 0.05, **changes})


def test_a_trial_goes_on_as_soon_as_it_is_the_best_of_three():
    entries = [completed("a", 0.1), completed("b", 0.9)]

    assert ask(entries) == Start(0, 0, None)
    assert ask([*entries, completed("c", 0.5)]) == Start(0, 1, "b")
    assert ask([*entries, completed("c", 0.5)], maximise=False) == Start(0, 1, "a")


def test_nobody_waits_for_a_running_trial():
    entries = [completed("a", 0.1), Entry("b", 0, 0, None, "running"), completed("c", 0.5)]

    assert ask(entries) == Start(0, 0, None)
    assert ask(entries, exhausted=True) == "wait"


def test_what_failed_is_not_counted():
    entries = [completed("a", 0.1), completed("b", 0.9), Entry("c", 0, 0, None, "ended")]

    assert ask(entries) == Start(0, 0, None)
    assert ask(entries, exhausted=True) == "stop"


def two_rounds(upper_scores):
    """Nine recipes with falling scores, and what the best three came to."""
    lower = [completed(f"{n}", 0.9 - n / 10) for n in range(9)]
    return [*lower, *(completed(f"u{n}", s, 1, f"{n}") for n, s in enumerate(upper_scores))]


def test_a_search_in_which_the_rankings_agree_ends_with_two_rounds():
    assert ask(two_rounds([0.9, 0.8, 0.7])) == "stop"
    assert needed(two_rounds([0.9, 0.8, 0.7])) == set()


def test_a_further_round_opens_when_the_rankings_differ():
    assert ask(two_rounds([0.8, 0.9, 0.7])) == Start(0, 2, "u1")


def test_recipes_that_are_equally_good_may_change_places():
    assert ask(two_rounds([0.8, 0.9, 0.7]), epsilon=0.15) == "stop"
    assert ask(two_rounds([0.7, 0.8, 0.9]), epsilon=0.15) == Start(0, 2, "u2")


def test_a_state_is_kept_while_a_further_round_may_open():
    entries = two_rounds([0.9, 0.8])

    assert needed(entries) == {"2", "u0"}
    assert needed([*entries, Entry("u2", 0, 1, "2", "running")]) == {"2", "u0"}


def test_the_parent_of_a_running_promotion_stays_when_better_ones_come():
    early = [completed("a", 0.1), completed("b", 0.2), completed("c", 0.3)]
    promotion = Entry("d", 0, 1, "c", "running")
    later = [completed(f"{n}", 0.9) for n in range(6)]

    assert needed([*early, promotion, *later]) == {"c", "0", "1", "2"}


@given(
    scores=st.lists(st.tuples(SCORES, st.floats(0, 1)), max_size=7, unique_by=lambda pair: pair[1]),
    epsilon=st.sampled_from([0.0, 0.015, 0.3]),
    maximise=st.booleans(),
)
def test_whenever_the_paper_sees_a_difference_so_do_we(scores, epsilon, maximise):
    """The paper's test: is the recipe in each place within epsilon of the one that was there?"""
    lower = [completed(f"{n}", below) for n, (below, _) in enumerate(scores)]
    upper = [completed(f"u{n}", above, 1, f"{n}") for n, (_, above) in enumerate(scores)]
    before = sorted((below for below, _ in scores), reverse=maximise)
    now = [below for below, _ in sorted(scores, key=lambda pair: pair[1], reverse=maximise)]
    papers = any(abs(a - b) > epsilon for a, b in zip(before, now, strict=True))

    ours = rankings_differ(lower, upper, epsilon=epsilon, maximise=maximise)

    assert ours or not papers
    assert epsilon > 0 or ours == papers


class ParallelSearch(RuleBasedStateMachine):
    """Several workers, any order of ends, states kept only as long as `still_needed` says."""

    @initialize(
        max_epochs=st.integers(1, 20),
        factor=FACTORS,
        max_recipes=st.none() | st.integers(1, 15),
        num_brackets=st.integers(1, 3),
        maximise=st.booleans(),
    )
    def begin(self, max_epochs, factor, max_recipes, num_brackets, maximise):
        self.plan = plan_rounds(max_epochs, factor, max_recipes, endless=True)[:num_brackets]
        self.rules = {"factor": factor, "epsilon": 0.015, "maximise": maximise}
        self.entries = []
        self.states = set()
        self.exhausted = False
        self.answer = None
        self.tops = [0] * num_brackets

    def ask(self):
        self.answer = next_step(self.plan, self.entries, exhausted=self.exhausted, **self.rules)
        if isinstance(self.answer, Start):
            self.start(self.answer)
        elif self.answer == "wait":
            assert self.running(), "waits for nothing"
        else:
            assert not self.running(), "stops while trials run"

    def start(self, step):
        if step.parent is None:
            assert step.round == 0
            assert not self.exhausted
            assert len(self.in_round(step.bracket, 0)) < self.plan[step.bracket][0].size
        else:
            self.check_promotion(step)
        trial_id = f"{len(self.entries):04d}"
        entry = Entry(trial_id, step.bracket, step.round, step.parent, "running")
        self.entries.append(entry)

    def check_promotion(self, step):
        past = [e for e in self.in_round(step.bracket, step.round - 1) if e.status == "completed"]
        parent = next(entry for entry in past if entry.trial_id == step.parent)
        sign = 1 if self.rules["maximise"] else -1
        better = [e for e in past if e.score * sign > parent.score * sign]
        assert len(better) < len(past) // self.rules["factor"], "not among the best of its round"
        assert step.parent in self.states, "its state was thrown away"
        taken = [e.parent for e in self.in_round(step.bracket, step.round)]
        assert step.parent not in taken, "started twice"

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
    @rule(data=st.data(), score=st.none() | SCORES)
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
        self.states &= still_needed(self.plan, self.entries, exhausted=self.exhausted, **self.rules)
        for entry in self.running():
            assert entry.parent is None or entry.parent in self.states

    @invariant()
    def a_round_that_is_open_stays_open(self):
        if not hasattr(self, "plan"):
            return
        rules = {name: self.rules[name] for name in ("epsilon", "maximise")}
        for number, bracket in enumerate(self.plan):
            top = top_round(by_round(self.entries, number, len(bracket)), **rules)
            assert top >= self.tops[number]
            self.tops[number] = top

    @invariant()
    def nothing_trains_beyond_the_highest_open_round(self):
        entries = self.entries if hasattr(self, "plan") else []
        assert all(entry.round <= self.tops[entry.bracket] for entry in entries)

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
        assert self.states == set()


ParallelSearch.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestParallelSearch = ParallelSearch.TestCase
