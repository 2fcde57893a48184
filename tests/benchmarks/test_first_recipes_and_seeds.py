"""The benchmarks of first recipes and of several seeds, each on a few small pictures."""

import importlib
import sys
from pathlib import Path

import pytest

from automl_flowers.files import read_json
from benchmarks import search_vs_keras_tuner

BENCHMARKS = Path(search_vs_keras_tuner.__file__).parents[1]


def test_recipes_become_one_model_or_several_seeds_do(monkeypatch, pictures, tmp_path):
    monkeypatch.syspath_prepend(BENCHMARKS)
    out = tmp_path / "recipe_soups.json"
    options = ("--minutes", "0.2", "--divisions", "1", "--image-size", "32", "--out", str(out))
    monkeypatch.setattr(sys, "argv", ["recipe_soups", "--data", str(pictures), *options])
    importlib.import_module("recipe_soups").main()

    found = read_json(out)
    ways = found["runs"][pictures.name]["0"]
    assert len(ways) == 6
    for way, scores in ways.items():
        assert 0 <= scores["macro_f1"] <= 1
        assert scores["recipes"] >= 1
        assert found["mean"][pictures.name][way] == scores
    assert ways["the winner"]["recipes"] == ways["three seeds of it"]["recipes"] == 1


@pytest.fixture
def run(monkeypatch, pictures, tmp_path):
    """Run a script with one epoch and one recipe, and return what it wrote."""
    monkeypatch.syspath_prepend(BENCHMARKS)

    def run_script(name, data, *arguments):
        out = tmp_path / f"{name}.json"
        options = ("--epochs", "1", "--divisions", "1", "--recipes", "gentle", "--out", str(out))
        monkeypatch.setattr(sys, "argv", [name, "--data", data, *options, *arguments])
        importlib.import_module(name).main()
        return read_json(out)

    return run_script


def test_first_recipes_are_scored_once(run, pictures, capsys):
    first = run("portfolio", f"{pictures}@32")

    where = f"{pictures.name} at 32 px"
    scores = first["runs"][where]["0"]
    assert set(scores) == {"frozen features", "gentle"}
    assert 0 <= scores["gentle"]["test"]["macro_f1"] <= 1
    mean = first["mean"]
    assert mean["val"]["gentle"]["macro_f1"] == {where: scores["gentle"]["val"]["macro_f1"]}
    picked = mean["test_macro_f1_of_picked"]["log_loss"]
    assert picked == {where: scores["gentle"]["test"]["macro_f1"]}
    capsys.readouterr()
    assert run("portfolio", f"{pictures}@32")["runs"] == first["runs"]
    assert "gentle {" not in capsys.readouterr().out  # nothing was trained again


def test_several_seeds_are_compared_with_one_long_training(run, pictures):
    found = run("seeds", str(pictures), "--image-size", "32", "--seeds", "2")

    [(what, divisions)] = found["runs"].items()
    assert what == f"{pictures.name} at 32 px, gentle"
    scores = divisions["0"]
    assert len(scores["seeds"]) == 2
    mean = sum(one["log_loss"] for one in scores["seeds"]) / 2
    assert scores["one seed"]["log_loss"] == pytest.approx(mean, abs=1e-3)
    assert set(found["mean"][what]) == {
        "one seed", "mean of probabilities", "mean of weights", "one long training"
    }  # fmt: skip


def test_final_fits_go_on_or_start_anew(run, pictures):
    found = run("final_fits", str(pictures), "--image-size", "32", "--seeds", "2")

    [(what, divisions)] = found["runs"].items()
    ways = divisions["0"]
    assert set(ways) == set(found["mean"][what]) == {
        "on train", "on from there, on all", "anew, on all"
    }  # fmt: skip
    for scores in ways.values():
        assert 0 <= scores["soup_macro_f1"] <= 1
        assert scores["seconds"] > 0
    assert len({scores["log_loss"] for scores in ways.values()}) == len(ways)
    assert len({scores["soup_log_loss"] for scores in ways.values()}) == len(ways)


def test_figures_of_other_settings_do_not_join_a_file(run, pictures, capsys):
    options = (str(pictures), "--image-size", "32")
    run("final_fits", *options, "--seeds", "1")

    with pytest.raises(SystemExit):
        run("final_fits", *options, "--seeds", "2")

    assert "other settings" in capsys.readouterr().err
