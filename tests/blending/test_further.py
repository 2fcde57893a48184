"""Tests for training on what was trained to its end, on more images."""

from dataclasses import replace

import numpy as np
import pytest

from automl_flowers.tuning.checkpoints import model_part
from automl_flowers.tuning.further import RATE, further_epochs
from automl_flowers.tuning.trainer import TrainingImages
from search_spaces.schedules import Schedule


def train(trainer, recipe, images):
    """Return what is left after the last epoch."""
    states = []
    trainer.train(
        recipe, 0, trainer.num_epochs, None, lambda _, get: states.append(get()), images=images
    )
    return model_part(states[-1])


def train_further(trainer, recipe, weights, images, seed_number=0):
    """Return the records of the epochs, and what is left after the last."""
    records, states = [], []

    def hear(record, get_state):
        records.append(record)
        states.append(model_part(get_state()))

    trainer.train_further(
        recipe, weights, hear, images=images, name="further", seed_number=seed_number
    )
    return records, states[-1]


@pytest.fixture(scope="module")
def trained(make_trainer, ours, recipe):
    """A trainer of four epochs, what it trains on, and what comes of it."""
    trainer = make_trainer(ours, num_epochs=4)
    images = TrainingImages(trainer.examples("train", 32), None)
    return trainer, images, train(trainer, recipe, images)


@pytest.mark.parametrize(
    ("epochs", "further"), [(1, 1), (2, 1), (4, 1), (5, 2), (7, 2), (10, 4), (12, 4)]
)
def test_four_tenths_of_the_epochs_and_one_at_least(epochs, further):
    assert further_epochs(epochs) == further


def test_it_goes_on_from_the_weights_and_not_from_the_start(trained, recipe):
    """At a rate of nearly nothing the weights stay what they were."""
    trainer, images, weights = trained
    still = replace(recipe, schedule=Schedule("constant", 1e-12))

    _, after = train_further(trainer, still, weights, images)

    kernels = [name for name, value in weights.items() if value.ndim >= 2]
    assert kernels
    for name in kernels:
        np.testing.assert_allclose(after[name], weights[name], atol=1e-6)


def test_the_rate_falls_from_a_third_of_the_peak_to_none(make_trainer, ours, recipe, trained):
    """Whatever the recipe's own schedule is."""
    _, images, weights = trained
    trainer = make_trainer(ours, num_epochs=12)
    constant = replace(recipe, schedule=Schedule("constant", 3e-3))

    records, _ = train_further(trainer, constant, weights, images)

    rates = [record.learning_rate for record in records]
    assert len(rates) == 4
    assert all(rate < RATE * 3e-3 for rate in rates)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.1 * rates[0]


def test_it_is_the_same_twice_and_differs_by_seed_and_by_weights(trained, recipe):
    trainer, images, weights = trained

    first, again = (train_further(trainer, recipe, weights, images)[1] for _ in range(2))
    other_seed = train_further(trainer, recipe, weights, images, seed_number=1)[1]
    other_weights = train_further(trainer, recipe, first, images)[1]

    for name, value in first.items():
        np.testing.assert_array_equal(again[name], value)
    for other in (other_seed, other_weights):
        assert any(not np.array_equal(other[name], value) for name, value in first.items())
