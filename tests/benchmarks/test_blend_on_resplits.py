"""The benchmark of the blend beside its best member, on a few small pictures."""

import importlib
from pathlib import Path

import pytest

import automl_flowers
from automl_flowers.run_folder import RunFolder
from benchmarks import search_vs_keras_tuner

SPACE = {"backbone": ["efficientnet_lite0"], "image_size": 32, "dropout": [0.0, 0.3]}


@pytest.fixture
def benchmark(monkeypatch):
    """The script, which imports what lies beside it."""
    monkeypatch.syspath_prepend(Path(search_vs_keras_tuner.__file__).parents[1])
    return importlib.import_module("blend_on_resplits")


def test_the_blend_is_held_against_the_member_that_its_images_would_pick(
    benchmark, pictures, tmp_path
):
    run = RunFolder(tmp_path / "run")
    quiet = {"run": run.path, "quiet": True}
    automl_flowers.search(str(pictures), space=SPACE, max_epochs=1, max_recipes=2, **quiet)
    blend = automl_flowers.ensemble(top=2, **quiet).to_dict()

    compared = benchmark.compare_on_test(run, blend)

    best = max(member["scores"]["blend"]["macro_f1"] for member in blend["members"])
    [alone] = [each for each in blend["members"] if each["name"] == compared["picked_alone"]]
    assert alone["scores"]["blend"]["macro_f1"] == best
    assert compared["picked_alone_test_macro_f1"] == pytest.approx(
        alone["scores"]["test"]["macro_f1"], abs=1e-4
    )
    assert compared["test_macro_f1"] == pytest.approx(blend["scores"]["test"]["macro_f1"], abs=1e-4)
    assert compared["reported_macro_f1"] == blend["scores"]["blend"]["nested_macro_f1"]
    assert compared["expected"] == blend["expected"]
    summary = benchmark.summarise([{**compared, "minutes": 1.0}] * 2)
    assert summary["difference"] == compared["difference"]
