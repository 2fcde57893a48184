"""What a trainer measures before it trains."""

import time
import weakref
from dataclasses import replace

import keras
import numpy as np
import pytest

from automl_flowers.modeling.classifier import SHORTEST_TABLE, Architecture
from automl_flowers.modeling.program import Program
from automl_flowers.tuning import trial
from tests.blending.test_out_of_memory import train


def test_building_and_an_epoch_are_timed_apart(make_trainer, ours, recipe):
    trainer = make_trainer(ours, num_epochs=2)

    started = time.perf_counter()
    timing = trainer.rehearse(recipe)
    took = time.perf_counter() - started

    assert timing.build > 0
    assert timing.epoch > 0
    assert timing.build + timing.epoch < took  # two epochs of which all steps are timed


def test_an_epoch_of_more_images_is_timed_on_a_part(make_trainer, ours, recipe, monkeypatch):
    seen = []

    class Watch(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(batch)

    trainer = make_trainer(ours, num_epochs=2, callbacks=[Watch])
    examples = ours.examples("train", recipe.image_size)
    trained_on, train_really = [], trial.train

    def train_and_note(program, recipe, plan, train, val, **others):
        trained_on.extend((len(train), len(val)))
        train_really(program, recipe, plan, train, val, **others)

    monkeypatch.setattr(trial, "train", train_and_note)
    monkeypatch.setattr("automl_flowers.tuning.trainer.TIMED_STEPS", len(examples) // 3)

    assert trainer.rehearse(replace(recipe, batch_size=1)).epoch > 0
    val = ours.examples("val", recipe.image_size)
    assert trained_on == [len(examples.every(3)), len(val.every(3))]
    assert trained_on[0] == -(-len(examples) // 3)
    assert not seen  # a user's callbacks hear of trainings alone
    assert len(examples.every(2)) == -(-len(examples) // 2)
    np.testing.assert_array_equal(examples.every(3).labels, examples.labels[::3])
    np.testing.assert_array_equal(
        examples.every(3).take(np.arange(2)), examples.take(np.array([0, 3]))
    )
    assert examples.every(3).content != examples.content


def test_a_rehearsal_changes_no_number(make_trainer, ours, recipe):
    rehearsed, fresh = make_trainer(ours, num_epochs=2), make_trainer(ours, num_epochs=2)
    rehearsed.rehearse(recipe)

    (_, curve, state), (_, expected, wanted) = (
        train(trainer, recipe, 0, 2) for trainer in (rehearsed, fresh)
    )

    assert curve == expected
    for name in wanted:
        np.testing.assert_array_equal(state[name], wanted[name])


def test_a_rehearsal_for_which_memory_does_not_suffice_leaves_no_program_alive(
    make_trainer, ours, recipe, monkeypatch
):
    programs, train_really = weakref.WeakSet(), trial.train

    def build_and_note(*arguments, **options):
        program = Program(*arguments, **options)
        programs.add(program)
        return program

    def train_and_run_out(*arguments, **options):
        train_really(*arguments, **options)
        assert len(programs) == 1
        raise MemoryError

    monkeypatch.setattr("automl_flowers.tuning.trainer.Program", build_and_note)
    monkeypatch.setattr(trial, "train", train_and_run_out)

    assert make_trainer(ours, num_epochs=2).rehearse(recipe) is None
    assert len(programs) == 0


@pytest.mark.parametrize(("steps", "room"), [(1, 4096), (4096, 4096), (4097, 8192), (9000, 16384)])
def test_a_somewhat_longer_horizon_needs_no_other_program(recipe, steps, room):
    architecture = Architecture.of(
        recipe, batch_size=16, num_classes=3, precision="float32", num_steps=steps, weights="none"
    )

    assert architecture.num_steps == room >= SHORTEST_TABLE
