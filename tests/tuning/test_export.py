"""What we export, read back by Keras Tuner itself."""

import contextlib
import itertools
import math
import typing
from dataclasses import replace

import keras_tuner
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.config import RunConfig, make_config, write_config
from automl_flowers.errors import RunError
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder
from automl_flowers.tuning.export import export_project, values_of
from automl_flowers.tuning.hyperband import plan_brackets
from automl_flowers.tuning.oracles import make_oracle
from automl_flowers.tuning.plans import has_rounds, make_plan
from automl_flowers.tuning.search import FINAL, InfeasibleError, Pace, Task
from search_spaces.parameters import Choice
from search_spaces.portfolio import parse_recipes
from search_spaces.recipe import Recipe
from search_spaces.spaces import load_space

NAMES = typing.get_args(RunConfig.model_fields["oracle"].annotation)

TUNERS = {
    "hyperband": keras_tuner.Hyperband,
    "pasha": keras_tuner.Hyperband,
    "random": keras_tuner.RandomSearch,
    "bayesian": keras_tuner.BayesianOptimization,
    "grid": keras_tuner.GridSearch,
}


def start_run(path, space, **settings):
    """Write what a run holds before its first trial."""
    run = RunFolder(path)
    run.path.mkdir()
    config = make_config({"max_epochs": 4, "factor": 2, "objective": "log_loss", **settings})
    write_config(config, run.config)
    run.space.write_text(yaml.safe_dump(space.to_dict()))
    return run, config


def search(toy, run, config, train, first=(), **options):
    """Search as the workflow does, and return the oracle."""
    oracle = make_oracle(config, toy.SPACE, make_plan(config), first)
    with contextlib.suppress(KeyboardInterrupt):
        toy.search(run.path, train, oracle=oracle, **options)
    return oracle


def troubled(toy, *, stop_after=None):
    """Return a trainer whose third training diverges, whose fourth does not fit."""
    trainings, epochs = itertools.count(), itertools.count(1)

    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        number = next(trainings)
        if number == 3:
            raise InfeasibleError("out of memory")

        def on_troubled_epoch(record, get_state):
            changed = replace(record, log_loss=math.nan) if number == 2 else record
            on_epoch(changed, get_state)
            if next(epochs) == stop_after:
                raise KeyboardInterrupt

        return toy.train(recipe, first_epoch, last_epoch, state, on_troubled_epoch)

    return train


def open_tuner(name, folder):
    """Return a tuner of Keras Tuner's that goes on with the project in a folder."""
    objective = keras_tuner.Objective("log_loss", "min")
    tuner = TUNERS[name](
        lambda hp: None, objective, directory=folder.parent, project_name=folder.name
    )
    tuner.oracle.verbose = 0
    return tuner


def records_of(run):
    with Ledger(run.ledger) as ledger:
        return ledger.trials()


@pytest.mark.parametrize("name", NAMES)
def test_keras_tuner_reads_a_finished_run(toy, tmp_path, capsys, name):
    run, config = start_run(tmp_path / "run", toy.SPACE, oracle=name, max_recipes=6)
    oracle = search(toy, run, config, troubled(toy))

    export_project(run, tmp_path / "project")
    tuner = open_tuner(name, tmp_path / "project")

    records = {record.trial_id: record for record in records_of(run)}
    assert tuner.oracle.start_order == tuner.oracle.end_order == list(records)
    for trial_id, record in records.items():
        trial = tuner.oracle.get_trial(trial_id)
        known = oracle.trials[trial_id].hyperparameters.values
        own = {n: v for n, v in trial.hyperparameters.values.items() if "tuner/" not in n}
        assert own == {n: v for n, v in known.items() if "tuner/" not in n}
        assert trial.score == record.score
        assert trial.status == {"completed": "COMPLETED"}.get(record.status, "FAILED")
        assert trial.message == record.reason
        curve = [(point.step, point.value) for point in trial.metrics.get_history("accuracy")]
        assert curve == [(epoch.epoch, [epoch.accuracy]) for epoch in record.epochs]
    best = tuner.oracle.get_best_trials(3)
    completed = sorted(r.score for r in records.values() if r.status == "completed")
    assert [trial.score for trial in best] == completed[:3]
    assert tuner.get_best_hyperparameters()[0].values == best[0].hyperparameters.values
    capsys.readouterr()
    tuner.results_summary(3)
    assert f"Score: {best[0].score}" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["hyperband", "pasha"])
def test_promotions_say_what_they_continue(toy, tmp_path, name):
    run, config = start_run(tmp_path / "run", toy.SPACE, oracle=name)
    search(toy, run, config, toy.train)

    export_project(run, tmp_path / "project")
    tuner = open_tuner(name, tmp_path / "project")

    for record in records_of(run):
        trial = tuner.oracle.get_trial(record.trial_id)
        values = trial.hyperparameters.values
        assert values["tuner/initial_epoch"] == record.first_epoch
        assert values["tuner/epochs"] == record.last_epoch
        assert values["tuner/round"] == record.round
        assert values.get("tuner/trial_id") == record.parent
        if name == "hyperband":
            expected = tuner.oracle._get_epochs(values["tuner/bracket"], record.round)
            assert expected == record.last_epoch
    assert any(record.parent for record in records_of(run))


@pytest.mark.parametrize(
    "name", [name for name in NAMES if not has_rounds(make_config({"oracle": name}))]
)
def test_whole_trials_have_nothing_of_hyperband(toy, tmp_path, name):
    run, config = start_run(tmp_path / "run", toy.SPACE, oracle=name, max_recipes=2)
    search(toy, run, config, toy.train)

    export_project(run, tmp_path / "project")

    tuner = open_tuner(name, tmp_path / "project")
    for trial in tuner.oracle.trials.values():
        assert not any("tuner/" in key for key in trial.hyperparameters.values)


def test_a_trial_that_a_callback_ended_was_best_at_its_last_epoch(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE, oracle="random", max_recipes=2)

    def ended(recipe, first_epoch, last_epoch, state, on_epoch):
        return toy.train(recipe, first_epoch, last_epoch - 2, state, on_epoch)

    search(toy, run, config, ended)

    export_project(run, tmp_path / "project")

    trials = open_tuner("random", tmp_path / "project").oracle.trials.values()
    assert [trial.best_step for trial in trials] == [1, 1]


def test_keras_tuner_reads_a_run_that_was_killed_and_would_go_on_there(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE)
    search(toy, run, config, troubled(toy, stop_after=9))
    *ended, killed = records_of(run)
    assert killed.status == "running"

    export_project(run, tmp_path / "project")
    oracle = open_tuner("hyperband", tmp_path / "project").oracle

    assert oracle.get_trial(killed.trial_id).status == "RUNNING"
    assert oracle.end_order == [record.trial_id for record in ended]
    assert oracle.create_trial("tuner0").trial_id == killed.trial_id


def test_keras_tuner_takes_a_finished_search_for_finished(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE)
    search(toy, run, config, toy.train)

    export_project(run, tmp_path / "project")
    oracle = open_tuner("hyperband", tmp_path / "project").oracle

    assert (oracle.max_epochs, oracle.factor) == (4, 2)
    assert oracle.create_trial("tuner0").status == "STOPPED"


def test_a_run_that_goes_on_is_exported_again_and_not_changed(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE)
    project = tmp_path / "project"
    search(toy, run, config, troubled(toy, stop_after=5))
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    export_project(run, project)
    assert before == {path: path.read_bytes() for path in before}
    search(toy, run, config, toy.train)
    export_project(run, project)

    assert len(open_tuner("hyperband", project).oracle.trials) == len(records_of(run))


def test_a_folder_that_holds_something_else_is_refused(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE, max_recipes=1)
    search(toy, run, config, toy.train)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "oracle.json").write_text("{}")

    with pytest.raises(RunError, match="is not empty and was not exported from") as refusal:
        export_project(run, theirs)

    assert "does not exist yet" in refusal.value.hint
    assert (theirs / "oracle.json").read_text() == "{}"


def test_a_search_with_several_sweeps_has_as_many_iterations(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE, max_recipes=25)
    search(toy, run, config, toy.train)
    assert len(make_plan(config)) > len(plan_brackets(4, 2))

    export_project(run, tmp_path / "project")

    assert open_tuner("hyperband", tmp_path / "project").oracle.hyperband_iterations == 3


class AfterSixTrials(Pace):
    """Ends a search after six trials, and brings the second to its horizon."""

    def allows(self, task, trials):
        return len(trials) < 6

    def final_fits(self, trials):
        recipe = Recipe.from_dict(trials[1].recipe)
        return [Task("0001-final", recipe, FINAL, 0, "0001", trials[1].last_epoch, 4)]


def test_a_final_fit_is_a_trial_that_continues_another(toy, tmp_path):
    run, config = start_run(tmp_path / "run", toy.SPACE, time_budget=100)
    keep_all = {"worth_keeping": lambda trials: [trial.trial_id for trial in trials]}
    search(toy, run, config, toy.train, make_pace=lambda _ledger: AfterSixTrials(), **keep_all)

    export_project(run, tmp_path / "project")

    oracle = open_tuner("hyperband", tmp_path / "project").oracle
    assert len(oracle.trials) == 7
    final = oracle.get_trial("0001-final").hyperparameters.values
    parent = oracle.get_trial("0001").hyperparameters.values
    assert {n: v for n, v in final.items() if "tuner/" not in n}.items() <= parent.items()
    assert (final["tuner/trial_id"], final["tuner/epochs"]) == ("0001", 4)
    assert final["tuner/initial_epoch"] == parent["tuner/epochs"]


PETALS = load_space("petals")


@given(data=st.data())
def test_a_recipe_is_turned_back_into_values_that_mean_it(data):
    def draw(domain):
        if isinstance(domain, Choice):
            return data.draw(st.sampled_from(domain.values))
        if domain.step is not None:
            return data.draw(st.sampled_from(domain.values()))
        return data.draw(st.floats(domain.low, domain.high))

    values = {name: draw(domain) for name, domain in PETALS.domains.items()}
    kind = data.draw(st.sampled_from(sorted(PETALS.schedules)))
    domains = PETALS.schedules[kind].items()
    values |= {"schedule": kind, **{f"{kind}/{name}": draw(domain) for name, domain in domains}}
    recipe = Recipe.from_values(values)

    found = values_of(recipe, PETALS)

    assert set(found) == set(values)
    assert Recipe.from_values(found).identity == recipe.identity


def test_a_recipe_from_outside_the_space_keeps_its_values(toy, tmp_path):
    [wanted] = parse_recipes([{"dropout": 0.77, "trainable_fraction": 0.9}], toy.SPACE)
    run, config = start_run(tmp_path / "run", toy.SPACE, max_recipes=1)
    search(toy, run, config, toy.train, [wanted])

    export_project(run, tmp_path / "project")

    trial = open_tuner("hyperband", tmp_path / "project").oracle.get_trial("0000")
    assert trial.hyperparameters.values["dropout"] == 0.77
    recipe = Recipe.from_values(trial.hyperparameters.values)
    assert recipe.identity == Recipe.from_values(wanted).identity
