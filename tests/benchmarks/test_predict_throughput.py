"""The benchmark of `predict` beside plain Keras, on a few small pictures."""

import sys

import numpy as np
import pytest

from automl_flowers.blending.predictor import Predictor
from automl_flowers.files import read_json
from automl_flowers.prediction_output import write_predictions
from benchmarks import predict_throughput


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run it at 32 pixels on a folder, with two ensembles, and return what it wrote."""
    monkeypatch.setattr(predict_throughput, "SIZE", 32)
    ensembles = {"one member": ((4, 1),), "one member of two fits": ((4, 2),)}
    monkeypatch.setattr(predict_throughput, "ENSEMBLES", ensembles)

    def run_script(folder, *arguments):
        out = tmp_path / "out.json"
        given = ("--data", str(folder), "--repeats", "1", "--out", str(out), *arguments)
        monkeypatch.setattr(sys, "argv", ["predict_throughput.py", *given])
        predict_throughput.main()
        return read_json(out)

    return run_script


def test_what_can_be_read_is_predicted_and_written(run, pictures, tmp_path, monkeypatch):
    folder = tmp_path / "flowers"
    folder.mkdir()
    for number, file in enumerate(sorted(pictures.rglob("*.png"))[:5]):
        (folder / f"{number}.png").write_bytes(file.read_bytes())
    (folder / "words.jpg").write_text("words")
    called, written = [], []

    def watch(name):
        real = getattr(predict_throughput, name)

        def watched(*arguments):
            called.append(name)
            return real(*arguments)

        monkeypatch.setattr(predict_throughput, name, watched)

    def watched_write(predictions, out):
        write_predictions(predictions, out)
        written.append(len(out.read_text().splitlines()))

    watch("set_up")
    watch("make_ensemble")
    monkeypatch.setattr(predict_throughput, "write_predictions", watched_write)

    result = run(folder)

    assert (result["images"], result["unreadable"]) == (5, 1)
    assert called == ["set_up", "make_ensemble", "make_ensemble"]
    assert written == [6] * 4  # a header and five rows, to warm up and once for each ensemble
    for measured in result["ensembles"].values():
        assert set(measured["images_per_second"]) == {"streaming", "raw", "decoded first"}
        assert measured["ratio_to_raw"] > 0


def test_what_fits_share_is_computed_once_by_both(monkeypatch, tmp_path):
    """Otherwise plain Keras would be slower for a reason that is not its own."""
    monkeypatch.setattr(predict_throughput, "SIZE", 32)
    accelerator = predict_throughput.set_up("cpu", "float32")
    ensemble = predict_throughput.make_ensemble(((4, 3),), tmp_path)
    predictor = Predictor(ensemble, accelerator, "imagenet")
    program, calls = predictor.turns[0].program, []

    def watch(name):
        part = getattr(program, name)
        real = part.predict

        def watched(*arguments, **options):
            calls.append(name)
            return real(*arguments, **options)

        monkeypatch.setattr(part, "predict", watched)

    for name in ("model", "frozen", "trained"):
        watch(name)

    predict_throughput.predict_raw(predictor, np.zeros((4, 32, 32, 3), np.uint8))

    assert calls == ["frozen", "trained", "trained", "trained"]
