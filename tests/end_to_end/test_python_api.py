"""The same commands from Python: what a notebook can hand in, and what it gets back."""

import importlib.util
import inspect
import json
from pathlib import Path

import keras
import pytest
import tensorflow as tf
import yaml

import automl_flowers
from automl_flowers import api, cli
from automl_flowers.errors import ConfigError
from automl_flowers.tuning import trainer

ROOT = Path(__file__).parents[2]
CHEAP = {"max_epochs": 3, "max_recipes": 4, "seed": 0, "quiet": True}


class Diary(keras.callbacks.Callback):
    """Writes the `logs` of every epoch into a list of the test's."""

    def __init__(self, pages):
        super().__init__()
        self.pages, self.trainings = pages, 0

    def on_train_begin(self, logs=None):
        self.trainings += 1
        assert self.trainings == 1, "a callback serves one training"

    def on_epoch_end(self, epoch, logs=None):
        self.pages.append({"epoch": epoch, **logs})


@pytest.fixture(scope="module")
def searched(pictures, space, tmp_path_factory):
    """A search from Python, with a space as a mapping and a callback."""
    pages = []
    run = tmp_path_factory.mktemp("python") / "run"
    result = automl_flowers.search(
        pictures,
        run=run,
        space=yaml.safe_load(space.read_text()),
        callbacks=[lambda: Diary(pages)],
        **CHEAP,
    )
    return result, pages


def test_a_search_returns_its_trials_best_first(searched):
    result, _ = searched

    scores = [candidate.score for candidate in result.leaderboard]
    assert scores == sorted(scores, reverse=True)
    assert result.best.score == scores[0]
    assert result.to_dict()["trials"] == len(result.trials)


def test_the_command_line_without_reused_programs_makes_the_same_search_as_python_with(
    searched, cli, pictures, space, what_happened, tmp_path, monkeypatch
):
    result, _ = searched
    built, program = [], trainer.Program
    monkeypatch.setattr(trainer, "Program", lambda *a, **k: built.append(a) or program(*a, **k))

    cli.json(
        *("search", "--data", pictures, "--run", tmp_path / "run", "--space", space),
        *("--max-epochs", 3, "--max-recipes", 4, "--seed", 0, "--fresh-programs"),
    )

    assert len(built) == len(result.trials)
    assert what_happened(tmp_path / "run") == what_happened(result.run)


def test_an_ensemble_in_the_same_process_compiles_nothing_again(
    pictures, space, tmp_path, monkeypatch
):
    built, program = [], trainer.Program
    monkeypatch.setattr(trainer, "Program", lambda *a, **k: built.append(a) or program(*a, **k))
    settings = {**CHEAP, "max_epochs": 1, "max_recipes": 1}
    automl_flowers.search(pictures, run=tmp_path / "run", space=str(space), **settings)
    by_search = len(built)

    automl_flowers.ensemble(run=tmp_path / "run", top=1, final_fit=True, quiet=True)
    assert len(built) == by_search == 1

    automl_flowers.search(pictures, run=tmp_path / "other", space=str(space), **settings)
    assert len(built) == 2  # nothing of another run is used


def test_callbacks_find_learning_rate_loss_and_scores_in_logs(searched):
    result, pages = searched

    recorded = [(e.epoch, e.loss, e.learning_rate) for t in result.trials for e in t.epochs]
    assert [(p["epoch"], p["loss"], p["learning_rate"]) for p in pages] == recorded
    assert {"val_macro_f1", "val_accuracy", "val_log_loss"} <= pages[0].keys()


def test_the_same_call_again_trains_nothing(searched, pictures, space):
    result, pages = searched
    before = len(pages)

    again = automl_flowers.search(
        pictures, run=result.run, space=automl_flowers.load_space(str(space)), **CHEAP
    )

    assert len(pages) == before
    assert again.to_dict() == result.to_dict()


def test_curves_are_written_for_tensorboard(searched):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result, _ = searched
    best = result.best

    logs = EventAccumulator(
        str(result.run / "tensorboard/search" / best.recipe.name), {"tensors": 0}
    ).Reload()

    assert {"loss", "learning_rate", "val_macro_f1"} <= set(logs.Tags()["tensors"])
    curve = [tf.make_ndarray(event.tensor_proto) for event in logs.Tensors("val_macro_f1")]
    assert len(curve) == best.epochs
    assert curve[-1] == pytest.approx(best.score)


def test_the_best_model_of_a_search_predicts_before_there_is_an_ensemble(searched, pictures):
    result, _ = searched

    made = automl_flowers.predict(pictures / "val", run=result.run, quiet=True)

    right = sum(Path(prediction.path).parent.name == prediction.class_name for prediction in made)
    best = max(epoch.accuracy for trial in result.trials for epoch in trial.epochs)
    assert len(made) == 18
    assert right / len(made) >= best - 0.2  # `val` was divided: half of these chose the model
    assert [path.suffix for path in (result.run / "best").iterdir()] == [".npz"]


def test_an_ensemble_takes_callbacks_and_a_label_map_as_a_mapping(
    searched, cli, draw_folder, tmp_path
):
    result, _ = searched
    more = draw_folder(tmp_path / "more", {"": 2}, {"rouge": (220, 40, 60), "weed": (30, 160, 50)})
    pages = []

    blend = automl_flowers.ensemble(
        result.run,
        top=2,
        external=more,
        label_map={"rouge": "red rose", "weed": None},
        callbacks=[lambda: Diary(pages)],
        quiet=True,
    )

    assert sum(blend.weights.values()) == pytest.approx(1)
    assert blend.submission.read_text().startswith("id,label\n")
    assert blend.to_dict()["run"] == str(result.run)
    assert json.loads((result.run / "blend.json").read_text()) == blend.summary
    assert [entry["images_used"] for entry in blend.summary["external"]] == [2]
    missing = sum(3 - candidate.epochs for candidate in result.leaderboard[:2])
    assert len(pages) == 2 * 3 + missing  # with external images, and what the search left to do
    logged = [path.name for path in (result.run / "tensorboard/ensemble").iterdir()]
    assert sum(name.endswith("+external") for name in logged) == 2


def test_predictions_are_those_of_the_command_line(searched, cli, pictures):
    result, _ = searched

    made = automl_flowers.predict(str(pictures / "test"), run=result.run)

    printed = cli.json("predict", pictures / "test", "--run", result.run)
    assert [prediction.to_dict() for prediction in made] == printed


def test_a_report_is_written_and_named(searched):
    result, _ = searched

    page = automl_flowers.report(result.run)

    assert page == result.run / "report.html"
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_early_stopping_ends_trials_and_not_the_search(pictures, space, tmp_path):
    result = automl_flowers.search(
        pictures,
        run=tmp_path / "run",
        space=space,
        max_epochs=3,
        max_recipes=2,
        quiet=True,
        callbacks=[lambda: keras.callbacks.EarlyStopping("val_macro_f1", mode="min", patience=0)],
    )

    assert {trial.status for trial in result.trials} == {"completed"}
    assert min(len(trial.epochs) for trial in result.trials) < 3


class Stop(keras.callbacks.Callback):
    """Ends a training after its second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.stop_training = True


def test_a_trial_that_a_callback_ended_is_taken_over_as_it_was_scored(pictures, space, tmp_path):
    settings = {**CHEAP, "oracle": "random", "max_recipes": 2}
    result = automl_flowers.search(
        pictures, run=tmp_path / "run", space=space, callbacks=[Stop], **settings
    )
    pages = []

    automl_flowers.ensemble(result.run, top=2, callbacks=[lambda: Diary(pages)], quiet=True)

    assert [candidate.epochs for candidate in result.leaderboard] == [2, 2]
    assert result.to_dict()["best"]["epochs"] == 2
    assert pages == [], "nothing is trained further"
    fits = [json.loads(file.read_text()) for file in (result.run / "members").glob("*.json")]
    recorded = {trial.score for trial in result.trials}
    assert {fit["epochs"][-1]["macro_f1"] for fit in fits} == recorded


@pytest.mark.parametrize(
    ("callbacks", "sentence"),
    [
        ([keras.callbacks.TerminateOnNaN()], "functions that make a Keras callback.*Terminate"),
        (["loss"], "functions that make a Keras callback, got an object of type str"),
    ],
)
def test_a_callback_instead_of_a_function_that_makes_one_is_answered(
    pictures, space, tmp_path, callbacks, sentence
):
    with pytest.raises(ConfigError, match=sentence) as caught:
        automl_flowers.search(
            pictures, run=tmp_path / "run", space=space, callbacks=callbacks, **CHEAP
        )
    assert "lambda" in caught.value.hint


def test_a_function_that_makes_no_callback_stops_the_search(pictures, space, tmp_path):
    with pytest.raises(ConfigError, match=r"must return a Keras callback, got .* type int"):
        automl_flowers.search(
            pictures, run=tmp_path / "run", space=space, callbacks=[lambda: 3], **CHEAP
        )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"max_epochs": "many"}, "`max_epochs`.*got 'many'"),
        ({"space": {"backbon": ["vgg16"]}}, "'backbon'.*Did you mean 'backbone'"),
        ({"space": {"backbone": ["xceptoin"]}}, "'xceptoin'.*Did you mean 'xception'"),
        ({"objective": "f1"}, "`objective`.*got 'f1'"),
    ],
)
def test_arguments_that_do_not_hold_up_are_answered_by_name(
    pictures, tmp_path, arguments, sentence
):
    with pytest.raises(ConfigError, match=sentence):
        automl_flowers.search(pictures, run=tmp_path / "run", quiet=True, **arguments)

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["search", "ensemble", "predict", "export", "report"])
def test_the_command_line_has_the_arguments_of_python_and_no_others(name):
    of_python = set(inspect.signature(getattr(api, name)).parameters)
    of_command = set(inspect.signature(getattr(cli, name)).parameters)
    of_command = {argument.replace("format_", "format") for argument in of_command}

    only_python = {"callbacks", "factor", "images"}
    only_command = {"json_output", "paths"} | ({"out"} - of_python)
    assert of_python - only_python == of_command - only_command


def test_public_names_are_there_and_are_listed():
    for name in automl_flowers.__all__:
        assert getattr(automl_flowers, name).__doc__
        assert name in dir(automl_flowers)
    with pytest.raises(AttributeError, match="serch"):
        _ = automl_flowers.serch


@pytest.mark.slow
def test_the_example_runs(pictures, tmp_path, capsys):
    path = ROOT / "examples/python_api.py"
    spec = importlib.util.spec_from_file_location("python_api", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    module.main(str(pictures), str(tmp_path / "run"))

    printed = capsys.readouterr().out
    assert "weights {" in printed
    assert str(tmp_path / "run/report.html") in printed
