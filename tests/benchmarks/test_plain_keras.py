"""The plain contestants: what they build, how they train, and that they see what they should."""

import dataclasses
import itertools
import json
import time

import keras
import keras_tuner
import numpy as np
import pytest

from benchmarks.search_vs_keras_tuner import one_epoch, peer, plain_keras, settings
from benchmarks.search_vs_keras_tuner.job import Job, read_job, write_job
from search_spaces.spaces import parse_space


@pytest.fixture
def job(repeats, tmp_path):
    repeat = repeats[0]
    return Job(
        repeat=repeat.folder,
        project=tmp_path / "project",
        space_file=repeat.space_file,
        num_classes=repeat.num_classes,
        max_epochs=2,
        factor=3,
        seed=1,
        started=time.time(),
        budget_seconds=0.0,
    )


@pytest.mark.slow
def test_the_peer_builds_and_trains_and_hands_over(job):
    hp = keras_tuner.HyperParameters()
    hypermodel = peer.RecipeModel(job.space, job.num_classes, job.max_epochs)
    model = hypermodel.build(hp)
    before = [np.array(v) for v in model.trainable_variables]

    history = hypermodel.fit(
        hp,
        model,
        plain_keras.training_batches(job).take(1),
        validation_data=plain_keras.validation_batches(job),
        callbacks=[plain_keras.EpochLog(job.epoch_log)],
        epochs=1,
        shuffle=False,
        verbose=0,
    )
    plain_keras.hand_over(model, job)

    changed = [
        not np.array_equal(v, b) for v, b in zip(model.trainable_variables, before, strict=True)
    ]
    assert all(changed)
    assert job.curve()[0, 1] == pytest.approx(history.history["val_macro_f1"][0])
    assert 0 < job.curve()[0, 0] < 600
    schedule = job.space.declare(hp).schedule
    assert float(model.optimizer.learning_rate) == pytest.approx(schedule.learning_rate(0.5, 2))
    tests = plain_keras.load_pictures(job.repeat, "test", job.image_size)
    with np.load(job.predictions) as handed:
        np.testing.assert_array_equal(handed["ids"], tests.ids)
        np.testing.assert_array_equal(
            handed["predicted"], model.predict(tests.images, verbose=0).argmax(axis=1)
        )


def test_the_peer_trains_on_train_alone_and_is_scored_on_all_of_val(job, repeats):
    train, val = (
        np.concatenate([labels for _, labels in batches.as_numpy_iterator()])
        for batches in (plain_keras.training_batches(job), plain_keras.validation_batches(job))
    )

    rows = {s: plain_keras.load_pictures(job.repeat, s, job.image_size) for s in ("train", "val")}
    np.testing.assert_array_equal(train.sum(axis=0), np.bincount(rows["train"].labels))
    np.testing.assert_array_equal(val.argmax(axis=1), rows["val"].labels)


def test_a_promoted_trial_goes_on_in_its_schedule(job):
    recipe = next(one_epoch.draw_recipes(job.space, 0))
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    rates = []

    class Notes(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            rates.append(float(self.model.optimizer.learning_rate))

    model.fit(
        np.zeros((8, 1)),
        np.zeros((8, 1)),
        batch_size=2,
        initial_epoch=3,
        epochs=5,
        callbacks=[plain_keras.ScheduledLearningRate(recipe.schedule, 9), Notes()],
        verbose=0,
    )

    expected = [recipe.schedule.learning_rate(3 + (n + 0.5) / 4, 9) for n in range(8)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_every_strength_of_the_space_has_layers_of_keras():
    space = parse_space("benchmark", settings.Settings(data="x").space())
    images = np.full((2, 32, 32, 3), 128.0, np.float32)

    counts = {}
    for name in space.choices("augmentation"):
        layers = plain_keras.augmentation_layers(str(name))
        counts[name] = len(layers)
        for layer in layers:
            np.testing.assert_allclose(layer(images, training=True), images, atol=1e-3)

    assert counts == {"none": 0, "light": 4}


def test_a_strength_without_layers_is_refused():
    with pytest.raises(ValueError, match="block_out"):
        plain_keras.augmentation_layers("medium")


def test_the_space_has_one_size_and_no_class_weights():
    space = parse_space("benchmark", settings.Settings(data="x").space())

    for name in ("backbone", "image_size", "batch_size"):
        assert len(space.choices(name)) == 1
    assert space.choices("class_weighting") == ("none",)
    assert len(space.schedules) == 1


def test_drawn_recipes_are_many_and_the_same_for_a_seed():
    space = parse_space("benchmark", settings.Settings(data="x").space())

    first, again, other = (
        list(itertools.islice(one_epoch.draw_recipes(space, seed), 30)) for seed in (1, 1, 2)
    )

    assert first == again != other
    assert len({recipe.identity for recipe in first}) == 30
    assert {recipe.augmentation for recipe in first} == {"none", "light"}
    assert {recipe.trainable_blocks for recipe in first} == {4, 8, 13}


def test_a_job_is_read_as_it_was_written(job, tmp_path):
    write_job(job, tmp_path / "job.json")

    assert read_job(tmp_path / "job.json") == job
    assert (
        json.loads((tmp_path / "job.json").read_text())["seed"] == dataclasses.asdict(job)["seed"]
    )
