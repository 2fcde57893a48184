"""Batches are halved until they fit, over a learner that takes milliseconds."""

import gc
import math
import weakref

import jax
import numpy as np
import pytest
import tensorflow as tf

from automl_flowers.ledger import Ledger
from automl_flowers.out_of_memory import is_out_of_memory
from automl_flowers.tuning.fitting import SMALLEST_BATCH, FittingBatches
from automl_flowers.tuning.search import InfeasibleError
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

OUT_OF_MEMORY = {
    "python": MemoryError(),
    "numpy": np._core._exceptions._ArrayMemoryError((2**40,), np.dtype("float64")),
    "tensorflow": tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor"),
    "jax": jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes."),
}

OTHER = {
    "a full disk": tf.errors.ResourceExhaustedError(
        None, None, "logs/events.v2; No space left on device"
    ),
    "a quota": tf.errors.ResourceExhaustedError(None, None, "disk quota exceeded [Op:SaveV2]"),
    "XLA": jax.errors.JaxRuntimeError("INTERNAL: RESOURCE_EXHAUSTED is not what this is"),
    "TensorFlow": tf.errors.InternalError(None, None, "RESOURCE_EXHAUSTED"),
    "a text": ValueError("RESOURCE_EXHAUSTED: out of memory"),
}


RECIPE = Recipe(
    "vgg16", 96, 1, 0.1, 0.0, 0.0, "none", "none", "adam", 16, Schedule("constant", 1e-3, {})
)


@pytest.fixture(params=OUT_OF_MEMORY)
def out_of_memory(request):
    return OUT_OF_MEMORY[request.param]


def search(toy, run, error, fits, said=lambda text: None):
    """Search with a trainer that raises where a batch is larger than fits."""
    batches = FittingBatches(said)

    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        def attempt(hear):
            fitting = batches.of(recipe)
            if fitting.batch_size > fits:
                raise error
            size = toy.train(fitting, first_epoch, last_epoch, state, hear)
            return {**size, "fitting_batch_size": fitting.batch_size}

        return batches.train(recipe, attempt, on_epoch)

    return toy.search(run, train)


def test_what_each_library_raises_is_known(out_of_memory):
    assert is_out_of_memory(out_of_memory)


@pytest.mark.parametrize("what", OTHER)
def test_what_else_they_raise_is_not_taken_for_it(what):
    assert not is_out_of_memory(OTHER[what])


def test_a_search_trains_in_the_batches_that_fit(toy, tmp_path, out_of_memory):
    said = []

    trials = search(toy, tmp_path, out_of_memory, 8, said.append)

    assert {trial.status for trial in trials} == {"completed"}
    assert {trial.recipe["batch_size"] for trial in trials} == {16, 32}
    assert {trial.size["fitting_batch_size"] for trial in trials} == {8}
    assert any(trial.round == 2 for trial in trials)
    kinds = {(trial.recipe["optimizer"], trial.recipe["batch_size"]) for trial in trials}
    assert len(said) == sum(int(math.log2(size / 8)) for _, size in kinds), "once for each kind"
    for trial in trials:
        planned = Recipe.from_dict(trial.recipe).schedule.peak_learning_rate
        fitting = planned / math.sqrt(trial.recipe["batch_size"] / 8)
        assert all(epoch.learning_rate <= fitting * (1 + 1e-6) for epoch in trial.epochs)


def test_what_fits_in_no_batch_is_infeasible_and_ends_no_search(toy, tmp_path, out_of_memory):
    trials = search(toy, tmp_path, out_of_memory, SMALLEST_BATCH - 1)

    assert {trial.status for trial in trials} == {"infeasible"}
    assert all(trial.reason.endswith("in batches of 4") for trial in trials)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert ledger.events() == []


@pytest.mark.parametrize("what", OTHER)
def test_another_error_fails_its_trial_in_the_batches_that_were_planned(toy, tmp_path, what):
    batches = FittingBatches()
    raised = []

    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        def attempt(hear):
            if not raised:
                raised.append(recipe)
                raise OTHER[what]
            return toy.train(batches.of(recipe), first_epoch, last_epoch, state, hear)

        return batches.train(recipe, attempt, on_epoch)

    trials = toy.search(tmp_path, train)

    assert [trial.status for trial in trials].count("failed") == 1
    assert trials[0].status == "failed"
    assert batches.of(raised[0]) == raised[0]


class InCircles:
    """Refers to itself, as a model does, so that only the garbage collector frees it."""

    def __init__(self):
        self.circle = self


def test_nothing_holds_what_failed_when_memory_is_given_back():
    programs, alive = weakref.WeakSet(), []

    def attempt(_hear):
        program = InCircles()
        programs.add(program)
        raise MemoryError

    def free():
        gc.collect()
        alive.append(len(programs))
        return False

    with pytest.raises(InfeasibleError):
        FittingBatches().train(RECIPE, attempt, lambda record, get_state: None, free)

    assert alive == [0, 0, 0]  # in batches of 16, 8 and 4
