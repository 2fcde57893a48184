"""Tests for predicting with all members of an ensemble."""

from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.blending import predictor as module
from automl_flowers.blending.predictor import Predictor
from automl_flowers.blending.read_ensemble import Ensemble, TrainedMember, blended
from automl_flowers.tuning.checkpoints import load_state, model_part, save_state
from ensembles.blend import plain_blend

NAMES = ("daisy", "rose", "tulip")


@pytest.fixture(scope="module")
def fitted(trainer, recipe, tmp_path_factory):
    """Two fits of a recipe, and what the trainer says of the test images with each."""
    folder = tmp_path_factory.mktemp("fits")
    files = [folder / "0.npz", folder / "1.npz"]
    expected = []
    for number, file in enumerate(files):
        states = []

        def keep(record, get_state, states=states):
            states.append(model_part(get_state()))

        trainer.train(recipe, 0, 1, None, keep, seed_number=number)
        save_state(file, states[0])
        expected.append(trainer.predict(recipe, states[0], trainer.examples("test", 32)))
    return files, np.stack(expected)


@pytest.fixture
def images(trainer):
    examples = trainer.examples("test", 32)
    return {32: examples.take(np.arange(len(examples)))}


def predictor_of(trainer, *members, weights=None):
    shares = weights or [1 / len(members)] * len(members)
    return Predictor(Ensemble(members, plain_blend(shares), NAMES), trainer._accelerator, "none")


def test_a_member_predicts_files_as_the_trainer_predicts_the_data_set(
    trainer, recipe, fitted, images
):
    files, expected = fitted
    one = TrainedMember("one", recipe, 16, (files[0],))

    np.testing.assert_array_equal(predictor_of(trainer, one).predict_members(images), expected[:1])


def test_members_of_one_architecture_share_a_program_and_give_the_same_numbers(
    trainer, recipe, other_recipe, fitted, images, monkeypatch
):
    files, expected = fitted
    built, program = [], module.Program
    monkeypatch.setattr(module, "Program", lambda *a, **k: built.append(a) or program(*a, **k))
    members = [
        TrainedMember("one", recipe, 16, (files[0],)),
        TrainedMember("two", replace(other_recipe, optimizer="sgd"), 8, (files[1],)),
    ]

    predictor = predictor_of(trainer, *members, weights=[0.25, 0.75])
    once, again = predictor.predict_members(images), predictor.predict_members(images)

    assert len(built) == 1
    assert predictor.batch_size == 16
    np.testing.assert_array_equal(once, expected)
    np.testing.assert_array_equal(again, expected)
    np.testing.assert_allclose(
        predictor.predict(images), 0.25 * expected[0] + 0.75 * expected[1], rtol=1e-6
    )


def test_fits_of_a_member_are_averaged_before_members_are_blended(trainer, recipe, fitted, images):
    files, expected = fitted
    both = TrainedMember("both", recipe, 16, tuple(files))
    second = TrainedMember("second", recipe, 16, (files[1],))

    predictor = predictor_of(trainer, both, second)
    stack = predictor.predict_members(images)

    np.testing.assert_allclose(stack[0], expected.mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(stack[1], expected[1])
    np.testing.assert_array_equal(predictor.predict(images), blended(predictor.ensemble, stack))


def test_members_are_shown_as_many_views_as_they_were_blended_with(trainer, recipe, fitted, images):
    files, expected = fitted
    members = [
        TrainedMember("alone", recipe, 16, (files[0],)),
        TrainedMember("mirrored", recipe, 16, (files[1],), num_views=2),
    ]
    examples = trainer.examples("test", 32)

    said = predictor_of(trainer, *members).predict_members(images)

    np.testing.assert_array_equal(said[0], expected[0])
    weights = model_part(load_state(files[1]))
    by_trainer = trainer.predict(recipe, weights, examples, num_views=2)
    np.testing.assert_allclose(said[1], by_trainer, atol=1e-6)
    assert abs(said[1] - expected[1]).max() > 1e-4
