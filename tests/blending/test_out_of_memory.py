"""What a trainer makes of a recipe whose batches do not fit into memory."""

import math
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from automl_flowers.tuning.fitting import in_smaller_batches
from automl_flowers.tuning.search import InfeasibleError

SMALL_STEPS = 3
"""Of an epoch of the twelve images in batches of four."""


class OutOfMemory(keras.callbacks.Callback):
    """Raises what TensorFlow raises, in the middle of a step, where an epoch has fewer steps.

    Args:
        steps: So many fit.
        from_epoch: Before that one, everything fits.
    """

    def __init__(self, steps=SMALL_STEPS, from_epoch=0):
        super().__init__()
        self._steps, self._from, self._epoch = steps, from_epoch, 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_begin(self, batch, logs=None):
        if self._epoch >= self._from and self.params["steps"] < self._steps:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


class RunsOut(keras.callbacks.Callback):
    """Raises what TensorFlow raises, once for every entry of a list, which it takes away."""

    def __init__(self, times):
        super().__init__()
        self._times = times

    def on_train_batch_end(self, batch, logs=None):
        if self._times:
            self._times.pop()
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


@pytest.fixture
def large(recipe):
    """A recipe in batches of sixteen."""
    return replace(recipe, batch_size=16)


def train(trainer, recipe, *epochs, state=None):
    """Train some epochs; return the size, the curve and the last state."""
    curve, states = [], [state]

    def hear(record, get_state):
        curve.append(replace(record, seconds=0.0))
        states.append(get_state())

    size = trainer.train(recipe, *epochs, state, hear)
    return size, curve, states[-1]


def assert_equal_states(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("halvings", [0, 1, 2])
def test_the_rate_follows_the_square_root_of_the_batch(large, halvings):
    smaller = in_smaller_batches(large, halvings)

    rate = large.schedule.peak_learning_rate
    assert smaller.batch_size == 16 / 2**halvings
    assert math.isclose(smaller.schedule.peak_learning_rate * 2 ** (halvings / 2), rate)
    assert replace(smaller, batch_size=16, schedule=large.schedule) == large


def test_smaller_batches_are_tried_and_said(make_trainer, ours, large):
    said = []
    trainer = make_trainer(ours, num_epochs=2, callbacks=[OutOfMemory], say=said.append)

    size, curve, _ = train(trainer, large, 0, 2)

    assert size["fitting_batch_size"] == 4
    assert [record.epoch for record in curve] == [0, 1]
    assert len(said) == 2
    assert "in batches of 16: it trains in batches of 8" in said[0]
    assert "in batches of 16: it trains in batches of 4, at a peak learning rate of" in said[1]


def test_what_does_not_fit_beside_others_is_tried_alone_in_the_batches_planned(
    make_trainer, ours, large
):
    said, times = [], []
    trainer = make_trainer(ours, callbacks=[lambda: RunsOut(times)], say=said.append)
    train(trainer, replace(large, trainable_blocks=0), 0, 1)  # its program stays alive

    times.append("beside it")
    size, curve, _ = train(trainer, large, 0, 1)

    assert (times, said) == ([], [])
    assert "fitting_batch_size" not in size
    assert curve == train(make_trainer(ours), large, 0, 1)[1]


def test_what_does_not_fit_alone_is_not_tried_twice(make_trainer, ours, large):
    times = ["alone"]

    size, _, _ = train(make_trainer(ours, callbacks=[lambda: RunsOut(times)]), large, 0, 1)

    assert size["fitting_batch_size"] == 8


def test_what_fits_was_not_told_otherwise(make_trainer, ours, large):
    said = []

    size, _, _ = train(make_trainer(ours, say=said.append), large, 0, 1)

    assert "fitting_batch_size" not in size
    assert said == []


def test_a_second_recipe_of_the_kind_begins_with_what_fits(make_trainer, ours, large):
    said = []
    trainer = make_trainer(ours, callbacks=[OutOfMemory], say=said.append)
    train(trainer, large, 0, 1)
    said.clear()

    size, _, _ = train(trainer, replace(large, dropout=0.4), 0, 1)

    assert size["fitting_batch_size"] == 4
    assert said == []


def test_it_goes_on_like_one_training_also_in_a_new_process(make_trainer, ours, large):
    def make():
        return make_trainer(ours, num_epochs=3, callbacks=[OutOfMemory])

    _, whole, end = train(make(), large, 0, 3)
    _, first, state = train(make(), large, 0, 1)
    _, rest, same_end = train(make(), large, 1, 3, state=state)

    assert first + rest == whole
    assert_equal_states(same_end, end)


def test_a_state_of_smaller_batches_keeps_its_place_where_the_whole_ones_fit(
    make_trainer, ours, large
):
    _, _, state = train(make_trainer(ours, num_epochs=3, callbacks=[OutOfMemory]), large, 0, 1)
    roomy = make_trainer(ours, num_epochs=3)
    _, planned, _ = train(roomy, large, 0, 3)

    _, rest, _ = train(roomy, large, 1, 3, state=state)

    assert [r.learning_rate for r in rest] == [r.learning_rate for r in planned[1:]]


def test_nothing_fits(make_trainer, ours, large):
    trainer = make_trainer(ours, callbacks=[lambda: OutOfMemory(steps=100)])

    with pytest.raises(InfeasibleError, match=r"not enough memory for .* in batches of 4$"):
        train(trainer, large, 0, 1)


def test_memory_that_others_take_later_is_no_reason_for_smaller_batches(make_trainer, ours, large):
    trainer = make_trainer(ours, num_epochs=2, callbacks=[lambda: OutOfMemory(from_epoch=1)])

    with pytest.raises(InfeasibleError, match=r"in batches of 16$"):
        train(trainer, large, 0, 2)
