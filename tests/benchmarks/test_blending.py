"""The benchmark of blends: its simulation, its measures, and what it does without rivals."""

import json
import sys

import numpy as np
import pytest

from benchmarks.blending import command, compare, contestants, honesty, large, real, simulate
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
    measured = honesty.measure(honesty.halved(members, num_repeats=4))

    assert (measured["repeats"], measured["blend_images"], measured["test_images"]) == (4, 200, 200)
    assert abs(measured["expected_minus_test_points"]) < 8.0
    assert 0.0 <= measured["coverage"] <= 1.0
    assert measured["width_over_binomial"] == pytest.approx(
        measured["width_over_binomial_by_class"], abs=0.02
    )  # the classes are even
    assert sum(measured["rules"].values()) == 4


def test_simulated_divisions_are_drawn_from_a_pool():
    first, second = honesty.simulated(2, num_models=2, num_images=300, num_test=2000)

    assert np.bincount(first.blend_labels).sum() == pytest.approx(300, abs=60)
    assert first.test is second.test
    assert not np.array_equal(first.blend, second.blend)


def test_ways_to_blend_are_compared_without_rivals():
    labels, stack = few_members()
    division = Division(labels[:200], stack[:, :200], labels[200:], stack[:, 200:])

    compared = compare.compare(iter([division]), environment=None)

    assert set(compared) == set(contestants.WAYS)
    assert compared["plain mean"]["over_plain_mean_points"] == 0.0
    assert compared["best single"]["test_macro_f1"] < compared["plain mean"]["test_macro_f1"]


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
    assert json.loads(capsys.readouterr().out) == written
