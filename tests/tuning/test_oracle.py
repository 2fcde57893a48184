"""Tests for the oracle, driven as the search loop drives it."""

import itertools
import math

import pytest

from automl_flowers.tuning.hyperband import plan_brackets
from automl_flowers.tuning.oracle import HyperbandOracle
from search_spaces.portfolio import first_recipes
from search_spaces.recipe import Recipe
from search_spaces.schedules import SCHEDULES
from search_spaces.spaces import PARAMETERS, load_space, parse_space

PLAN = plan_brackets(9, 3)


def make_oracle(space=None, plan=PLAN, *, maximise=True, seed=0):
    return HyperbandOracle(
        space or load_space("demo"), plan, objective="macro_f1", maximise=maximise, seed=seed
    )


def by_identity(trial):
    """Return a score that looks random and depends on the recipe alone."""
    return int(Recipe.from_values(trial.hyperparameters.values).identity, 16) % 997 / 997


def drive(oracle, score=by_identity):
    """Run a search to its end; a score of None is a failure."""
    trials = []
    while (trial := oracle.create_trial("search")).status == "RUNNING":
        value = score(trial)
        if value is None:
            trial.status = "FAILED"
        else:
            oracle.update_trial(trial.trial_id, {"macro_f1": value}, step=1)
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
        trials.append(trial)
    assert trial.status == "STOPPED"
    return trials


def recipe_of(trial):
    return Recipe.from_values(trial.hyperparameters.values)


def first_rounds(trials):
    return [t for t in trials if t.hyperparameters.values["tuner/round"] == 0]


def failing(remainder):
    """Return a score that is None for every third trial."""
    count = itertools.count()
    return lambda trial: None if next(count) % 3 == remainder else by_identity(trial)


@pytest.mark.parametrize("seed", [0, 1, -1, 2**40])
def test_the_same_seed_draws_the_same_search(seed):
    searches = [
        [trial.hyperparameters.values for trial in drive(make_oracle(seed=seed))] for _ in range(2)
    ]

    assert searches[0] == searches[1]


def test_different_seeds_draw_different_recipes():
    drawn = [
        frozenset(recipe_of(trial).identity for trial in drive(make_oracle(seed=seed)))
        for seed in (0, 1, -1, 2**40)
    ]

    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("preset", ["demo", "small", "petals"])
def test_new_recipes_are_distinct(preset):
    trials = drive(make_oracle(load_space(preset)))

    drawn = [recipe_of(trial).identity for trial in first_rounds(trials)]
    assert len(drawn) == sum(bracket[0].size for bracket in PLAN)
    assert len(set(drawn)) == len(drawn)


def test_trials_follow_the_plan():
    trials = drive(make_oracle())

    seen = {}
    for trial in trials:
        values = trial.hyperparameters.values
        place = (values["tuner/bracket"], values["tuner/round"])
        planned = PLAN[place[0]][place[1]]
        assert values["tuner/initial_epoch"] == planned.first_epoch
        assert values["tuner/epochs"] == planned.last_epoch
        seen[place] = seen.get(place, 0) + 1
    assert seen == {(b, r): p.size for b, rounds in enumerate(PLAN) for r, p in enumerate(rounds)}


@pytest.mark.parametrize("maximise", [True, False])
def test_promotions_continue_the_best_with_the_same_recipe(maximise):
    trials = drive(make_oracle(maximise=maximise))

    by_id = {trial.trial_id: trial for trial in trials}
    for trial in trials:
        values = trial.hyperparameters.values
        if values["tuner/round"] == 0:
            assert "tuner/trial_id" not in values
            continue
        parent = by_id[values["tuner/trial_id"]]
        place = (values["tuner/bracket"], values["tuner/round"] - 1)
        past = [
            t
            for t in trials
            if (t.hyperparameters.values["tuner/bracket"], t.hyperparameters.values["tuner/round"])
            == place
        ]
        ranked = sorted((t.score for t in past), reverse=maximise)
        assert recipe_of(trial) == recipe_of(parent)
        assert parent.score in ranked[: PLAN[place[0]][place[1] + 1].size]


def test_values_hold_what_is_active_and_nothing_else():
    for trial in drive(make_oracle()):
        values = trial.hyperparameters.values
        own = {name for name in values if not name.startswith("tuner/")}
        kind = values["schedule"]
        parameters = {f"{kind}/{parameter.name}" for parameter in SCHEDULES[kind].parameters}
        assert own == {*PARAMETERS, "schedule", *parameters}


@pytest.mark.parametrize("remainder", [0, 1, 2])
def test_a_third_of_trials_failing_still_promotes(remainder):
    oracle = make_oracle()

    trials = drive(oracle, failing(remainder))

    entries = oracle.entries()
    assert sum(entry.status == "ended" for entry in entries) >= len(trials) // 3
    for number, bracket in enumerate(PLAN):
        for index in range(1, len(bracket)):
            past = [e for e in entries if (e.bracket, e.round) == (number, index - 1)]
            alive = sum(entry.status == "completed" for entry in past)
            there = sum((e.bracket, e.round) == (number, index) for e in entries)
            assert there == min(bracket[index].size, alive)
            assert there > 0


def test_all_trials_failing_ends_after_the_first_rounds():
    trials = drive(make_oracle(), lambda trial: None)

    assert len(trials) == sum(bracket[0].size for bracket in PLAN)


@pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning")
def test_nan_is_a_trial_that_ended_and_never_goes_on():
    oracle = make_oracle()
    count = itertools.count()

    trials = drive(oracle, lambda trial: math.nan if next(count) % 3 == 0 else by_identity(trial))

    ended = {entry.trial_id for entry in oracle.entries() if entry.status == "ended"}
    parents = {trial.hyperparameters.values.get("tuner/trial_id") for trial in trials}
    assert ended == {trial.trial_id for trial in trials[::3]}
    assert not ended & parents
    assert len(parents) > 1


def test_an_exhausted_space_stops_and_promotes_what_there_is():
    space = parse_space("four", {"dropout": [0.0, 0.1], "schedule": ["constant", "cosine"]})
    oracle = make_oracle(space)

    trials = drive(oracle)

    drawn = [recipe_of(trial).identity for trial in first_rounds(trials)]
    assert len(drawn) == len(set(drawn)) == 4
    rounds = [trial.hyperparameters.values["tuner/round"] for trial in trials]
    assert rounds == [0, 0, 0, 0, 1, 1, 1, 2]


def test_values_that_mean_the_same_recipe_are_drawn_once():
    space = parse_space("same", {"trainable_fraction": [0.41, 0.42, 0.43], "dropout": [0.0, 0.1]})

    trials = drive(make_oracle(space))

    assert len(first_rounds(trials)) == 2


def test_a_worker_that_asks_while_others_run_gets_work_or_waits():
    oracle = make_oracle(plan=plan_brackets(2, 2, max_recipes=2))
    first, second = oracle.create_trial("a"), oracle.create_trial("b")

    idle = oracle.create_trial("c")

    assert (first.status, second.status, idle.status) == ("RUNNING", "RUNNING", "IDLE")
    for trial in (first, second):
        oracle.update_trial(trial.trial_id, {"macro_f1": by_identity(trial)}, step=1)
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
    assert oracle.create_trial("c").hyperparameters.values["tuner/round"] == 1


def test_it_writes_nothing_and_prints_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    drive(make_oracle(), failing(0))

    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


WIDE = parse_space(
    "wide",
    {
        "learning_rate": {"min": 1e-4, "max": 1e-2, "sampling": "log"},
        "dropout": {"min": 0.0, "max": 0.5},
        "l2": {"min": 1e-6, "max": 1e-3, "sampling": "log"},
        "augmentation": ["none", "light", "medium", "strong"],
        "schedule": {"cosine": {}, "one_cycle": {}},
    },
)


def make_wide_oracle(first=(), seed=0):
    return HyperbandOracle(
        WIDE,
        plan_brackets(1, 3, 12),
        objective="macro_f1",
        maximise=True,
        seed=seed,
        first=first,
    )


def test_recipes_to_begin_with_come_first_and_once():
    first = first_recipes(WIDE, ["efficientnet_lite0"])

    trials = drive(make_wide_oracle([*first, first[0]]))

    identities = [recipe_of(trial).identity for trial in trials]
    assert identities[:3] == [Recipe.from_values(values).identity for values in first]
    assert len(set(identities)) == len(identities) == 12


def moved(values, others):
    """Return the smallest share of hyperparameters in which values differ from one of others."""
    return min(
        sum(values.get(name) != other.get(name) for name in {*values, *other}) / len(values)
        for other in others
    )


def test_every_second_recipe_lies_near_a_good_one():
    def by_rate(trial):
        return -abs(math.log(trial.hyperparameters.values["learning_rate"] / 2e-3))

    trials = drive(make_wide_oracle(first_recipes(WIDE, ["efficientnet_lite0"])), by_rate)

    values = [
        {k: v for k, v in t.hyperparameters.values.items() if "tuner" not in k} for t in trials
    ]
    shares = [moved(values[number], values[:number]) for number in range(3, 12)]
    near, anywhere = shares[1::2], shares[0::2]
    assert max(near) < 0.5
    assert sum(anywhere) / len(anywhere) > sum(near) / len(near)


def test_nothing_is_near_before_three_have_completed():
    trials = drive(make_wide_oracle(), lambda trial: None)

    assert len(trials) == 12


def test_a_search_that_is_replayed_draws_the_same_recipes_near_the_best():
    drawn = [
        [recipe_of(trial).identity for trial in drive(make_wide_oracle(seed=3))] for _ in range(2)
    ]

    assert drawn[0] == drawn[1]
