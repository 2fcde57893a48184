"""What holds for every oracle, driven as the search loop drives it."""

import itertools
import typing

import pytest

from automl_flowers.config import RunConfig, make_config
from automl_flowers.errors import RunError
from automl_flowers.tuning.oracles import make_oracle
from automl_flowers.tuning.plans import has_rounds, make_plan
from search_spaces.portfolio import parse_recipes
from search_spaces.recipe import Recipe
from search_spaces.spaces import load_space, parse_space

NAMES = typing.get_args(RunConfig.model_fields["oracle"].annotation)
WHOLE = [name for name in NAMES if not has_rounds(make_config({"oracle": name}))]

FOUR = parse_space("four", {"dropout": [0.0, 0.1], "schedule": ["constant", "cosine"]})


def settings_of(name, **changes):
    wanted = {"oracle": name, "max_epochs": 4, "factor": 2, "max_recipes": 7, **changes}
    return make_config(wanted)


def make(name, space=None, first=(), **changes):
    config = settings_of(name, **changes)
    return make_oracle(config, space or load_space("demo"), make_plan(config), first)


def values_of(trial):
    return trial.hyperparameters.values


def recipe_of(trial):
    return Recipe.from_values(values_of(trial))


def by_identity(trial):
    """Return a score that looks random and depends on the recipe alone."""
    return int(recipe_of(trial).identity, 16) % 997 / 997


def drive(oracle, score=by_identity, most=1000):
    """Run a search to its end; a score of None is a failure."""
    trials = []
    while len(trials) < most and (trial := oracle.create_trial("search")).status == "RUNNING":
        value = score(trial)
        if value is None:
            trial.status = "FAILED"
        else:
            oracle.update_trial(trial.trial_id, {oracle.objective.name: value}, step=1)
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
        trials.append(trial)
    return trials


def new_ones(trials):
    return [trial for trial in trials if values_of(trial)["tuner/round"] == 0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", [0, -1])
def test_the_same_seed_gives_the_same_search(name, seed):
    searches = [[values_of(trial) for trial in drive(make(name, seed=seed))] for _ in range(2)]

    assert searches[0] == searches[1]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "grid"])
def test_another_seed_gives_another_search(name):
    first, second = (drive(make(name, seed=seed)) for seed in (0, 1))

    assert {recipe_of(t).identity for t in first} != {recipe_of(t).identity for t in second}


@pytest.mark.parametrize("name", NAMES)
def test_as_many_distinct_recipes_as_asked_for(name):
    trials = new_ones(drive(make(name, max_recipes=11)))

    assert len({recipe_of(trial).identity for trial in trials}) == len(trials) == 11


@pytest.mark.parametrize("name", NAMES)
def test_an_exhausted_space_ends_the_search(name):
    trials = new_ones(drive(make(name, FOUR)))

    assert len({recipe_of(trial).identity for trial in trials}) == len(trials) == 4


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_third_of_trials_failing_ends_as_it_should(name, failing):
    count = itertools.count()
    oracle = make(name)

    trials = drive(oracle, lambda trial: None if next(count) % 3 == failing else by_identity(trial))

    assert len(new_ones(trials)) == 7
    assert oracle.still_needed() == set()


@pytest.mark.parametrize("name", NAMES)
def test_all_trials_failing_ends_after_the_new_recipes(name):
    assert len(drive(make(name), lambda trial: None)) == 7


@pytest.mark.parametrize("name", NAMES)
def test_a_search_that_has_more_time_begins_with_the_trials_that_it_had(name):
    before = drive(make(name))

    extended = drive(make(name, time_budget=100, extended=True), most=len(before) + 3)

    assert [values_of(t) for t in extended[: len(before)]] == [values_of(t) for t in before]
    assert len(extended) == len(before) + 3


@pytest.mark.parametrize("name", ["hyperband", "pasha"])
def test_a_search_that_time_ends_keeps_few_states(name):
    oracle = make(name, max_recipes=None, time_budget=100)

    drive(oracle, most=30)

    assert len(oracle.still_needed()) <= 8


@pytest.mark.parametrize("name", NAMES)
def test_it_writes_nothing_and_prints_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    drive(make(name))

    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", WHOLE)
def test_whole_trials_train_to_the_end_at_once(name):
    for trial in drive(make(name)):
        values = values_of(trial)
        assert (values["tuner/initial_epoch"], values["tuner/epochs"]) == (0, 4)
        assert "tuner/trial_id" not in values


@pytest.mark.parametrize("name", WHOLE)
def test_whole_trials_cost_by_default_what_a_sweep_of_hyperband_does(name):
    [[whole]] = make_plan(make_config({"oracle": name, "max_epochs": 9}))

    assert (whole.size, whole.first_epoch, whole.last_epoch) == (75 // 9, 0, 9)


@pytest.mark.parametrize("name", NAMES)
def test_recipes_that_someone_wants_tried_come_first_also_from_outside_the_space(name):
    space = load_space("demo")
    wanted = parse_recipes([{"dropout": 0.77}, {"learning_rate": 0.5}], space)

    trials = drive(make(name, space, wanted))

    first = [Recipe.from_values(values) for values in wanted]
    assert [recipe_of(trial) for trial in new_ones(trials)[:2]] == first
    assert len(new_ones(trials)) == 7


def test_bayesian_search_goes_where_scores_are_good():
    def by_rate(trial):
        return 1 - abs(values_of(trial)["learning_rate"] - 0.003) / 0.01

    space = parse_space("rate", {"learning_rate": {"min": 1e-4, "max": 1e-2}})

    scores = [by_rate(trial) for trial in drive(make("bayesian", space, max_recipes=12), by_rate)]

    assert max(scores[:4]) < 0.98
    assert max(scores[4:]) > 0.98


def test_grid_search_tries_every_combination_once_in_order():
    trials = drive(make("grid", FOUR, max_recipes=100))

    tried = [(values_of(t)["dropout"], values_of(t)["schedule"]) for t in trials]
    assert tried == [(d, s) for d in (0.0, 0.1) for s in ("constant", "cosine")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("after", [1, 9])
def test_a_search_that_is_killed_goes_on_as_if_nothing_had_been(
    toy, tmp_path, what_happened, name, after
):
    def oracle():
        config = settings_of(name, objective="log_loss")
        return make_oracle(config, toy.SPACE, make_plan(config))

    epochs = itertools.count(1)

    def killed(recipe, first_epoch, last_epoch, state, on_epoch):
        def on_fatal_epoch(record, get_state):
            on_epoch(record, get_state)
            if next(epochs) == after:
                raise KeyboardInterrupt

        return toy.train(recipe, first_epoch, last_epoch, state, on_fatal_epoch)

    undisturbed = toy.search(tmp_path / "undisturbed", oracle=oracle())
    with pytest.raises(KeyboardInterrupt):
        toy.search(tmp_path / "killed", killed, oracle=oracle())
    resumed = toy.search(tmp_path / "killed", oracle=oracle())

    assert what_happened(resumed) == what_happened(undisturbed)
    assert list((tmp_path / "killed" / "checkpoints").iterdir()) == []


@pytest.mark.parametrize("name", [name for name in NAMES if name != "hyperband"])
def test_a_run_of_another_oracle_is_refused(toy, tmp_path, name):
    toy.search(tmp_path)
    config = settings_of(name, objective="log_loss")

    with pytest.raises(RunError, match="trained another recipe, or other epochs"):
        toy.search(tmp_path, oracle=make_oracle(config, toy.SPACE, make_plan(config)))
