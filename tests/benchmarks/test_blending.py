"""The benchmark of blends: its simulation, its measures, and what it does without rivals."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.blending import (
    command,
    compare,
    contestants,
    honesty,
    large,
    real,
    rival_worker,
    rivals,
    simulate,
)
from benchmarks.blending.honesty import Division
from ensembles.metrics import log_loss, macro_f1
from ensembles.predictions import Predictions, save_predictions


def few_members(num_images=400, num_models=3):
    """Members on images of ten even classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(num_images) % 10
    logits = rng.normal(size=(num_models, num_images, 10)) + 3.0 * np.eye(10)[labels]
    powers = np.exp(logits + rng.normal(size=(num_images, 10)))
    return labels, (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)


def test_labels_have_the_shares_of_the_competition():
    labels = simulate.draw_labels(16_465)

    np.testing.assert_array_equal(np.bincount(labels), simulate.SIZES)
    assert np.bincount(simulate.draw_labels(500)).min() == 2


def test_members_differ_in_skill_and_confidence_and_can_be_drawn_again():
    world = simulate.make_world(0, num_models=3)
    labels = simulate.draw_labels(1000)

    stack, again = (simulate.predict(world, labels, seed=1) for _ in range(2))

    np.testing.assert_array_equal(stack, again)
    np.testing.assert_allclose(stack.sum(axis=-1), 1.0, atol=1e-5)
    assert all(0.6 < macro_f1(labels, member) < 0.99 for member in stack)
    assert len({round(log_loss(labels, member), 2) for member in stack}) == 3


def test_halvings_share_no_image_and_keep_every_class():
    labels, stack = few_members(90)
    members = real.Members(labels, stack, np.arange(90))

    for division in honesty.halved(members, num_repeats=3):
        assert len(division.blend_labels) + len(division.test_labels) == 90
        sizes = [np.bincount(each) for each in (division.blend_labels, division.test_labels)]
        assert np.abs(sizes[0] - sizes[1]).max() <= 1
        assert np.intersect1d(division.blend[0, :, 0], division.test[0, :, 0]).size == 0


def test_halvings_keep_copies_together():
    labels, stack = few_members(90)
    stack[:, 10:20] = stack[:, :10]  # of the same classes in the same order
    groups = np.where(np.arange(90) < 20, np.arange(90) % 10, np.arange(90))

    for division in honesty.halved(real.Members(labels, stack, groups), num_repeats=3):
        assert np.intersect1d(division.blend[0, :, 0], division.test[0, :, 0]).size == 0


def test_honesty_of_a_few_divisions_is_measured():
    labels, stack = few_members()
    members = real.Members(labels, stack, np.arange(len(labels)))
    measured = honesty.measure(honesty.halved(members, num_repeats=4), "binomial")

    assert (measured["repeats"], measured["blend_images"], measured["test_images"]) == (4, 200, 200)
    assert abs(measured["expected_minus_test_points"]) < 8.0
    assert 0.0 <= measured["coverage"] <= 1.0
    assert measured["width_over_binomial"] == pytest.approx(
        measured["width_over_binomial_by_class"], abs=0.02
    )  # the classes are even
    assert (measured["width_ratio"], measured["width_ratio_beside"]) == (
        measured["width_over_binomial"], "binomial"
    )  # fmt: skip
    assert sum(measured["rules"].values()) == 4
    assert measured["groups"] == 4


def test_with_uneven_classes_widths_are_held_against_the_binomial_by_class():
    divisions = honesty.simulated(1, num_models=2, num_images=600, num_test=1200)

    measured = honesty.measure(divisions, "binomial by class")

    assert measured["width_ratio"] == measured["width_over_binomial_by_class"]
    assert measured["width_over_binomial"] > 1.2 * measured["width_over_binomial_by_class"]


def test_standard_error_of_the_optimism_is_over_groups():
    """Divisions that share members say little more than one of them."""
    labels, stack = few_members(num_images=800)
    halves = list(honesty.halved(real.Members(labels, stack, np.arange(800)), num_repeats=2))
    twice = [replace(half, group=group) for group, half in enumerate(halves) for _ in range(3)]

    apart, together = (honesty.measure(iter(some), "binomial") for some in (halves, twice))

    assert (apart["repeats"], together["repeats"]) == (2, 6)
    for name in ("expected", "nested", "naive"):
        said = f"{name}_standard_error_points"
        assert together[said] == pytest.approx(apart[said])
    alone = honesty.measure(iter(halves[:1]), "binomial")
    assert alone["naive_standard_error_points"] == 0.0


def test_with_few_images_a_class_no_weights_are_fitted():
    labels, stack = few_members()
    members = real.Members(labels, stack, np.arange(len(labels)))

    divisions = list(honesty.few(members, num_repeats=2))
    measured = honesty.measure(iter(divisions), "binomial")

    assert np.bincount(divisions[0].blend_labels).tolist() == [8] * 10
    assert measured["test_images"] == 200
    assert set(measured["rules"]) <= {"uniform", "comparable"}


def test_simulated_divisions_are_drawn_from_a_pool():
    first, second = honesty.simulated(2, num_models=2, num_images=300, num_test=2000)

    assert np.bincount(first.blend_labels).sum() == pytest.approx(300, abs=60)
    assert first.test is second.test
    assert not np.array_equal(first.blend, second.blend)


def test_simulated_members_are_others_every_so_often(monkeypatch):
    monkeypatch.setattr(honesty, "REPEATS_A_WORLD", 2)

    divisions = list(honesty.simulated(5, num_models=2, num_images=300, num_test=600))

    assert [division.group for division in divisions] == [0, 0, 1, 1, 2]
    assert divisions[0].test is divisions[1].test
    assert not np.array_equal(divisions[1].test, divisions[2].test)


def test_ways_to_blend_are_compared_without_rivals():
    labels, stack = few_members()
    division = Division(labels[:200], stack[:, :200], labels[200:], stack[:, 200:])

    compared = compare.compare(iter([division]), environment=None)

    assert set(compared) == set(contestants.WAYS)
    assert compared["plain mean"]["over_plain_mean_points"] == 0.0
    assert compared["best single"]["test_macro_f1"] < compared["plain mean"]["test_macro_f1"]


def test_the_chooser_is_held_against_others_division_by_division():
    labels, stack = few_members()
    members = real.Members(labels, stack, np.arange(len(labels)))

    compared = compare.compare(honesty.halved(members, num_repeats=3), environment=None)

    assert compared["chooser"]["chooser_ahead_points"] == 0.0
    assert compared["chooser"]["chooser_ahead_standard_error_points"] == 0.0
    single, mean = compared["best single"], compared["plain mean"]
    behind = compared["chooser"]["over_plain_mean_points"] - single["over_plain_mean_points"]
    assert single["chooser_ahead_points"] == pytest.approx(behind, abs=0.02)
    assert single["chooser_ahead_standard_error_points"] > 0.0
    assert mean["chooser_ahead_standard_error_points"] == pytest.approx(
        compared["chooser"]["standard_error_points"], abs=0.01
    )


def test_a_way_whose_library_is_missing_is_left_out_with_the_reason(monkeypatch):
    labels, stack = few_members()
    monkeypatch.setitem(sys.modules, "cma", None)

    compared = compare.compare(iter([Division(labels, stack, labels, stack)]), environment=None)

    assert "automl-flowers[cma]" in compared["CMA-ES"]["failed"]
    assert compared["greedy"]["repeats"] == 1


def test_the_time_of_a_rival_is_that_of_its_fit(monkeypatch, tmp_path, capsys):
    """Imports belong to what is prepared before the clock starts."""
    labels, stack = few_members(num_images=40)
    np.savez(tmp_path / "predictions.npz", labels=labels, stack=stack)
    readings = []

    def prepare(num_members):
        readings.append("prepared")
        return lambda stack, labels: (readings.append("fitted"), (np.ones(num_members), 0.5))[1]

    def clock():
        readings.append("read")
        return float(len(readings))

    monkeypatch.setitem(rival_worker.RIVALS, "ours", prepare)
    monkeypatch.setattr(rival_worker.time, "perf_counter", clock)
    monkeypatch.setattr(sys, "argv", ["worker", "ours", str(tmp_path / "predictions.npz")])
    monkeypatch.setattr(rival_worker.logging, "disable", lambda level: None)

    rival_worker.main()

    assert readings == ["prepared", "read", "fitted", "read"]
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["weights"] == [1.0, 1.0, 1.0]


def test_a_rival_runs_with_our_variables_but_not_our_paths(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/ours")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")

    variables = rivals.environment_of_rival()

    assert "PYTHONPATH" not in variables
    assert variables["OPENBLAS_CORETYPE"] == "Haswell"
    assert variables["OMP_NUM_THREADS"] == "2"


def test_everyone_knows_the_same_rivals():
    assert tuple(rival_worker.RIVALS) == rivals.RIVALS


def test_published_cma_finds_the_better_member():
    pytest.importorskip("cma")
    labels, stack = few_members(num_models=3)
    stack[2] = np.roll(stack[2], 1, axis=-1)  # says another class

    weights, reported = rival_worker.published_cma(3)(stack.astype(float), labels)

    assert reported >= max(macro_f1(labels, member) for member in stack)
    assert weights[2] < max(weights[:2])


def test_rival_that_cannot_run_is_reported(tmp_path, monkeypatch):
    labels, stack = few_members()
    division = Division(labels, stack, labels, stack)
    monkeypatch.setattr("benchmarks.blending.rivals.python_of", lambda folder: sys.executable)

    compared = compare.compare(iter([division]), environment=tmp_path)

    assert "No module named 'phem'" in compared["phem greedy"]["failed"]


def test_saved_predictions_are_read(tmp_path):
    labels, stack = few_members(num_images=30)
    for number, member in enumerate(stack):
        predictions = Predictions(
            member=f"member {number}",
            split="folds",
            ids=np.array([f"{k:03d}" for k in range(30)]),
            labels=np.where(np.arange(30) < 25, labels, -1),
            probabilities=member,
            class_names=tuple("abcdefghij"),
            data_hash="0",
        )
        save_predictions(tmp_path / f"{number}.npz", predictions)

    read = real.read_folder(tmp_path)

    np.testing.assert_array_equal(read.labels, labels[:25])
    np.testing.assert_array_equal(read.stack, stack[:, :25])
    np.testing.assert_array_equal(read.groups, np.arange(25))


def test_heads_predict_what_they_were_not_fitted_on():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    seen = rng.normal(size=(60, 4)) + 3.0 * np.eye(4)[labels]

    for make_head in real.HEADS.values():
        said = real.predict_out_of_fold(make_head(), seen, labels, np.arange(60) % 5)
        assert macro_f1(labels, said) > 0.6
        np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-5)


def test_large_input_is_measured_in_processes_of_their_own():
    measured = large.measure(num_models=2, num_images=300)

    assert set(measured) == {"greedy_seconds", "chooser_seconds", "peak_memory_ratio"}
    assert min(measured.values()) > 0.0


def test_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    out = tmp_path / "honesty.json"
    sizes = ("--repeats", "1", "--blend-images", "300", "--test-images", "600")
    monkeypatch.setattr(sys, "argv", ["blending.py", "--honesty", *sizes, "--out", str(out)])

    command.main()

    written = json.loads(out.read_text())
    assert written["honesty"]["simulated"]["repeats"] == 1
    assert written["honesty"]["simulated"]["width_ratio_beside"] == "binomial by class"
    assert json.loads(capsys.readouterr().out) == written


def test_more_images_to_blend_than_they_are_drawn_from_are_answered(tmp_path, monkeypatch, capsys):
    sizes = ("--blend-images", "601", "--test-images", "600")
    monkeypatch.setattr(
        sys, "argv", ["blending.py", "--honesty", *sizes, "--out", str(tmp_path / "out.json")]
    )

    with pytest.raises(SystemExit) as stopped:
        command.main()

    assert stopped.value.code == 2
    assert "--blend-images must not be above --test-images (600)" in capsys.readouterr().err


def test_rivals_that_are_left_out_are_named(tmp_path, monkeypatch, capsys):
    out = tmp_path / "comparison.json"
    monkeypatch.setattr(command, "MEMBERS_IN_SIMULATION", ())
    monkeypatch.setattr(sys, "argv", ["blending.py", "--out", str(out)])

    command.main()

    left_out = json.loads(out.read_text())["comparison"]["rivals"]
    assert "(--work): AutoGluon greedy" in left_out
    assert left_out in capsys.readouterr().err
