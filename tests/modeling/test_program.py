"""A reused program gives what a fresh process gives."""

import hashlib
import json
import random
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from automl_flowers import custom_backbones
from automl_flowers.data.pipeline import Examples
from automl_flowers.modeling.classifier import build_classifier, describe
from automl_flowers.modeling.program import (
    Program,
    ProgramCache,
    make_optimizer,
    steps_per_execution,
)
from automl_flowers.tuning import trial
from automl_flowers.tuning.search import DivergedError, OutOfTime
from search_spaces import backbones
from search_spaces.backbones import get_backbone
from search_spaces.fine_tuning import OPTIMIZERS
from search_spaces.schedules import Schedule

NUM_EPOCHS = 3


def draw_examples(count=12, size=32, num_classes=3):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, size, size, 3)).astype(np.uint8)
    rows = np.arange(count)
    return Examples(
        caches=(images,),
        cache_of=np.zeros(count, np.int64),
        row_of=rows,
        labels=rows % num_classes,
        ids=rows.astype(str),
    )


def train(program, recipe, first_epoch=0, last_epoch=NUM_EPOCHS, state=None, seed=7):
    """Train and return the final state and the curve."""
    curve = []
    trial.train(
        program,
        recipe,
        trial.Plan(first_epoch, last_epoch, NUM_EPOCHS, seed),
        draw_examples(),
        draw_examples(6),
        state=state,
        on_epoch=lambda record, _state: curve.append((record.loss, record.log_loss)),
    )
    return program.get_state(), curve


def fingerprint(state):
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + np.ascontiguousarray(state[name]).tobytes())
    return digest.hexdigest()


def assert_equal_states(left, right):
    assert left.keys() == right.keys()
    for name, value in left.items():
        np.testing.assert_array_equal(value, right[name], err_msg=name)


@pytest.fixture(scope="module")
def shared():
    """One program for the module, the more used the better."""
    programs = {}

    def get(architecture):
        if architecture not in programs:
            programs[architecture] = Program(architecture)
        return programs[architecture]

    return get


@pytest.fixture
def program(shared, tiny_architecture):
    return shared(tiny_architecture)


def test_same_recipe_twice_is_bit_equal_with_others_between(program, tiny_recipe):
    other = replace(tiny_recipe, dropout=0.0, schedule=Schedule("constant", 3e-3))

    first, first_curve = train(program, tiny_recipe)
    train(program, other, seed=9)
    second, second_curve = train(program, tiny_recipe)

    assert first_curve == second_curve
    assert_equal_states(first, second)


@pytest.mark.parametrize(
    "change",
    [
        {"dropout": 0.6},
        {"l2": 0.1},
        {"schedule": Schedule("constant", 1e-3)},
        {"label_smoothing": 0.3},
        {"views": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_lives_in_variables_or_data_changes_the_result(program, tiny_recipe, change):
    _, before = train(program, tiny_recipe)  # the state itself holds the rate and the factor

    _, after = train(program, replace(tiny_recipe, **change))

    assert before != after


def test_seed_changes_the_result(program, tiny_recipe):
    assert train(program, tiny_recipe)[1] != train(program, tiny_recipe, seed=8)[1]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_rounds_equal_one_run(shared, tiny_architecture, tiny_recipe, optimizer):
    recipe = replace(tiny_recipe, optimizer=optimizer)
    program = shared(replace(tiny_architecture, optimizer=optimizer))
    whole, whole_curve = train(program, recipe)

    state, curve = train(program, recipe, 0, 1)
    train(program, replace(recipe, dropout=0.1), seed=1)
    state, more = train(program, recipe, 1, 2, state)
    state, rest = train(program, recipe, 2, 3, state)

    assert curve + more + rest == whole_curve
    assert_equal_states(state, whole)


def test_second_trial_traces_nothing(program, tiny_recipe, monkeypatch):
    train(program, tiny_recipe)
    layer = program.model.get_layer("dropout")
    traced, call = [], layer.call
    monkeypatch.setattr(layer, "call", lambda *a, **k: traced.append(a) or call(*a, **k))

    train(program, replace(tiny_recipe, dropout=0.1, l2=0.01, augmentation="none"))

    assert traced == []
    program.model.predict(np.zeros((3, 32, 32, 3), np.uint8), verbose=0)
    assert len(traced) > 0  # another batch size is traced, so the count can fail


def test_applied_learning_rate_is_the_planned_one(program, tiny_recipe):
    rates = np.linspace(0.1, 0.9, 9, dtype=np.float32)
    program.start(tiny_recipe, rates, seed=0)

    applied = [float(program.optimizer._learning_rate(step)) for step in range(11)]

    np.testing.assert_allclose(applied, [*rates, 0.9, 0.9], rtol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_learning_rates_are_among_the_optimizers_variables(name):
    optimizer = make_optimizer(name, num_steps=5)

    assert any(v is optimizer._learning_rate.table for v in optimizer.variables)


def test_frozen_weights_never_change_and_are_not_in_the_state(program, tiny_recipe):
    frozen = program.frozen.layers[2].layers
    before = [np.asarray(v) for layer in frozen for v in layer.variables]

    state, _ = train(program, tiny_recipe)

    after = [np.asarray(v) for layer in frozen for v in layer.variables]
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)
    assert sum(value.size for value in state.values()) < 3 * program.model.count_params()


def net_with_dropout(image_size):
    images = keras.Input((image_size, image_size, 3))
    features = keras.layers.Conv2D(8, 3, strides=4)(images)
    features = keras.layers.Dropout(0.5)(features)
    features = keras.layers.Conv2D(8, 3, strides=2)(features)
    return keras.Model(images, keras.layers.Dropout(0.5)(features))


@pytest.mark.parametrize("trainable_blocks", [1, 10])
def test_randomness_inside_a_backbone_is_repeated_and_continued(
    monkeypatch, tiny_architecture, tiny_recipe, trainable_blocks
):
    entry = replace(get_backbone("vgg16"), name="with_dropout", constructor="registered", blocks=())
    monkeypatch.setitem(backbones._ENTRIES, "with_dropout", entry)
    monkeypatch.setitem(custom_backbones._BUILDERS, "with_dropout", net_with_dropout)
    architecture = replace(
        tiny_architecture, backbone="with_dropout", trainable_blocks=trainable_blocks
    )
    program = Program(architecture)

    whole, curve = train(program, tiny_recipe)
    train(program, tiny_recipe, seed=8)
    first, start_of_curve = train(program, tiny_recipe, last_epoch=1)
    rest, end_of_curve = train(program, tiny_recipe, first_epoch=1, state=first)

    assert start_of_curve + end_of_curve == curve
    assert fingerprint(rest) == fingerprint(whole)


def test_with_no_epoch_left_the_state_is_taken_and_nothing_is_trained(program, tiny_recipe):
    state, _ = train(program, tiny_recipe)
    train(program, tiny_recipe, seed=8)
    heard = []
    callback = keras.callbacks.LambdaCallback(on_train_begin=heard.append)

    trial.train(
        program,
        tiny_recipe,
        trial.Plan(NUM_EPOCHS, NUM_EPOCHS, NUM_EPOCHS, seed=7),
        draw_examples(),
        draw_examples(6),
        state=state,
        callbacks=[callback],
    )

    assert_equal_states(program.get_state(), state)
    assert heard == []


def test_state_of_another_architecture_is_refused(program, shared, tiny_architecture):
    other = shared(replace(tiny_architecture, optimizer="rmsprop"))

    with pytest.raises(ValueError, match="of another architecture"):
        program.set_state(other.get_state())


def test_divergence_ends_the_trial_at_once(program, tiny_recipe):
    state, _ = train(program, tiny_recipe, 0, 1)
    first_step = int(program.optimizer.iterations)
    assert first_step > 1  # an epoch has several
    broken = {n: v * np.nan if v.dtype == np.float32 else v for n, v in state.items()}

    with pytest.raises(DivergedError, match="the training loss became nan in epoch 2"):
        train(program, tiny_recipe, 1, 3, broken)
    assert int(program.optimizer.iterations) == first_step + 1


def test_callbacks_hear_of_the_epoch_after_which_no_time_is_left(program, tiny_recipe):
    heard = []
    listener = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: heard.append((epoch, "val_log_loss" in logs)),
        on_train_end=lambda logs: heard.append("end"),
    )

    def hear(record, get_state):
        raise OutOfTime

    with pytest.raises(OutOfTime):
        trial.train(
            program,
            tiny_recipe,
            trial.Plan(0, NUM_EPOCHS, NUM_EPOCHS, 7),
            draw_examples(),
            draw_examples(6),
            on_epoch=hear,
            callbacks=[listener],
        )

    assert heard == [(0, True), "end"]


def test_several_steps_in_one_go_compute_the_same(tiny_architecture, tiny_recipe):
    architecture = replace(tiny_architecture, batch_size=2, num_steps=32)
    program = Program(architecture)
    state, curve = train(program, tiny_recipe)

    program.max_steps_per_execution = 4
    at_once, same_curve = train(program, tiny_recipe)

    assert program.model.train_function is not None
    assert same_curve == curve
    assert_equal_states(at_once, state)


class KernelsOfSteps(keras.callbacks.Callback):
    """Keeps the head's kernel after every step."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(np.array(self.model.get_layer("head").kernel))


def test_the_average_of_weights_is_scored_and_kept_and_changes_no_step(
    program, tiny_architecture, tiny_recipe
):
    averaging = Program(replace(tiny_architecture, ema=0.8))
    steps, curves, kept = KernelsOfSteps(), [], []
    for one in (program, averaging):
        curve = []

        def hear(record, get_state, curve=curve, one=one):
            curve.append((record.loss, record.log_loss))
            kept.append((np.array(one.model.get_layer("head").kernel), get_state()))

        trial.train(
            one,
            tiny_recipe,
            trial.Plan(0, NUM_EPOCHS, NUM_EPOCHS, 7),
            draw_examples(),
            draw_examples(6),
            on_epoch=hear,
            callbacks=[steps],
        )
        curves.append(curve)

    average = steps.seen[0]
    for kernel in steps.seen[1:]:
        average = 0.8 * average + 0.2 * kernel
    np.testing.assert_allclose(kept[-1][0], average, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(kept[NUM_EPOCHS - 1][0], steps.seen[-1], rtol=1e-6)
    assert any(np.array_equal(kept[-1][0], value) for value in kept[-1][1].values())
    (losses, scores), (same_losses, other_scores) = (zip(*curve, strict=True) for curve in curves)
    assert losses == same_losses
    assert scores != other_scores


@pytest.mark.parametrize(
    ("steps", "limit", "number"), [(6, 4, 3), (7, 4, 1), (100, 32, 25), (5, 32, 5), (1, 1, 1)]
)
def test_steps_in_one_go_divide_an_epoch(steps, limit, number):
    assert steps_per_execution(steps, limit) == number


def test_bfloat16_ends_in_float32(tiny_architecture, tiny_recipe):
    program = Program(replace(tiny_architecture, precision="mixed_bfloat16", trainable_blocks=1))

    _, curve = train(program, replace(tiny_recipe, trainable_blocks=1), last_epoch=1)

    encoder = program.model.get_layer("efficientnet_lite0_trained")
    probabilities = program.model.predict(draw_examples(4).caches[0], verbose=0)
    assert encoder.compute_dtype == encoder.output.dtype == "bfloat16"
    assert program.model.output.dtype == "float32"
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert np.isfinite(curve).all()
    assert {weight.dtype for weight in program.model.trainable_weights} == {"float32"}


def test_description_counts_layers_and_parameters(program):
    size = describe(program.model)

    assert size["trainable_layers"] < size["layers"]
    assert 0 < size["trainable_parameters"] < size["parameters"]
    assert size["parameters"] == pytest.approx(3_413_024 + 1280 * 3 + 3, abs=2)


def seed_as_users_do(seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002


def draw_as_users_do():
    return random.random(), np.random.random()  # noqa: NPY002


def test_building_leaves_the_random_state_of_the_user_and_depends_on_none(tiny_architecture):
    seed_as_users_do(5)
    expected = draw_as_users_do()
    seed_as_users_do(5)

    first = build_classifier(tiny_architecture)
    drawn = draw_as_users_do()
    second = build_classifier(tiny_architecture)

    assert drawn == expected
    for ours, theirs in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_cache_keeps_the_most_recent_programs(tiny_architecture):
    built = []
    architectures = [replace(tiny_architecture, batch_size=size) for size in (1, 2, 3)]
    cache = ProgramCache(lambda architecture: built.append(architecture) or object(), capacity=2)

    for index in (0, 1, 0, 2, 0, 1):
        cache.get(architectures[index])

    assert [a.batch_size for a in built] == [1, 2, 3, 2]


def test_a_cache_never_keeps_more_programs_alive_than_its_capacity(tiny_architecture):
    alive, most = weakref.WeakSet(), []

    def build(architecture):
        most.append(len(alive) + 1)
        program = InCircles()
        alive.add(program)
        return program

    cache = ProgramCache(build, capacity=2)
    for size in (1, 2, 3, 1, 4):
        cache.get(replace(tiny_architecture, batch_size=size))
    cache.clear()

    assert most == [1, 2, 2, 2, 2]
    assert not alive


class InCircles:
    """Refers to itself, as a model does, so that only the garbage collector frees it."""

    def __init__(self):
        self.circle = self


FRESH = """
import json, sys
sys.path.insert(0, sys.argv[1])
from test_program import fingerprint, train
from automl_flowers.modeling.classifier import Architecture
from automl_flowers.modeling.program import Program
from search_spaces.recipe import Recipe

recipe = Recipe.from_dict(json.loads(sys.argv[2]))
architecture = Architecture(**json.loads(sys.argv[3]))
state, curve = train(Program(architecture), recipe)
print(json.dumps([fingerprint(state), curve]))
"""


@pytest.mark.slow
def test_reused_program_equals_a_fresh_process(program, tiny_recipe, tiny_architecture):
    train(program, replace(tiny_recipe, dropout=0.1), seed=3)
    state, curve = train(program, tiny_recipe)

    arguments = [json.dumps(tiny_recipe.to_dict()), json.dumps(vars(tiny_architecture))]
    here = str(Path(__file__).parent)
    process = subprocess.run(
        [sys.executable, "-c", FRESH, here, *arguments],
        capture_output=True,
        text=True,
        check=True,
    )

    fresh_fingerprint, fresh_curve = json.loads(process.stdout.splitlines()[-1])
    assert fresh_curve == [list(pair) for pair in curve]
    assert fresh_fingerprint == fingerprint(state)
