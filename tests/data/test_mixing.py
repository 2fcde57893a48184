"""Tests for MixUp and CutMix: pictures, labels and weights of a batch, mixed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automl_flowers.data.augmentation import (
    NUM_PARAMETERS,
    Column,
    mix,
    mix_labels,
    sample_parameters,
)
from search_spaces.augmentation import AugmentationStrength

HEIGHT, WIDTH, CLASSES, BATCH = 10, 12, 5, 6
MIXUP = AugmentationStrength(mixup=1.0)
CUTMIX = AugmentationStrength(cutmix=1.0)
BOTH = AugmentationStrength(mixup=0.4, cutmix=0.4)


def make_batch(seed, size=BATCH):
    """Return random pictures, soft labels that sum to 1, and weights of which some are 0."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (size, HEIGHT, WIDTH, 3), dtype=np.uint8)
    labels = rng.dirichlet(np.ones(CLASSES), size).astype(np.float32)
    weights = (rng.uniform(0, 3, size) * (rng.random(size) > 0.2)).astype(np.float32)
    return images, labels, weights


def mix_batch(batch, rows, strength):
    return mix(*batch, rows, strength)


def rows_of(size=BATCH, **columns):
    rows = np.full((size, NUM_PARAMETERS), 0.5, np.float32)
    for name, value in columns.items():
        rows[:, Column[name.upper()]] = value
    return rows


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9))
@settings(max_examples=15)
@pytest.mark.parametrize("strength", [MIXUP, CUTMIX, BOTH], ids=["mixup", "cutmix", "both"])
def test_labels_sum_to_one_and_types_and_shapes_stay(strength, seed, size):
    batch = make_batch(seed, size)
    rows = sample_parameters(size, seed=seed, epoch=0).numpy()

    images, labels, weights = mix_batch(batch, rows, strength)

    assert (images.shape, images.dtype) == (batch[0].shape, np.uint8)
    assert (labels.dtype, weights.dtype) == (np.float32, np.float32)
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-5)
    assert (labels >= 0).all()
    assert np.isfinite(weights).all()
    assert (weights >= 0).all()


@given(seed=st.integers(0, 2**32 - 1), shares=st.lists(st.floats(0, 1, width=32), min_size=BATCH))
@settings(max_examples=30)
def test_the_loss_of_a_mixture_is_the_mixture_of_the_losses(seed, shares):
    _, labels, weights = make_batch(seed)
    shares = np.array(shares[:BATCH], np.float32)
    partners = np.roll(np.arange(BATCH), 1)
    log_probabilities = np.log(np.random.default_rng(seed).dirichlet(np.ones(CLASSES), BATCH))

    mixed, mixed_weights = mix_labels(labels, weights, partners, shares)

    def loss(labels, weights):
        return -weights * (labels * log_probabilities).sum(axis=1)

    expected = (1 - shares) * loss(labels, weights)
    expected += shares * loss(labels[partners], weights[partners])
    np.testing.assert_allclose(loss(mixed, mixed_weights), expected, atol=1e-4)


def test_a_strength_that_does_not_mix_leaves_the_batch_alone():
    batch = make_batch(0)

    mixed = mix_batch(batch, rows_of(), AugmentationStrength(flip=0.5))

    for part, before in zip(mixed, batch, strict=True):
        np.testing.assert_array_equal(part, before)


@pytest.mark.parametrize("strength", [MIXUP, CUTMIX], ids=["mixup", "cutmix"])
def test_a_batch_of_one_has_no_other_picture(strength):
    batch = make_batch(0, size=1)

    mixed = mix_batch(batch, rows_of(1), strength)

    for part, before in zip(mixed, batch, strict=True):
        np.testing.assert_array_equal(part, before)


@given(number=st.floats(0, 1, exclude_max=True, width=32))
def test_the_partner_is_another_position(number):
    batch = make_batch(0)

    images, _, _ = mix_batch(batch, rows_of(mix_partner=number, mix_side=0.999), CUTMIX)

    ahead = 1 + min(int(np.float32(number) * np.float32(BATCH - 1)), BATCH - 2)
    middle = np.s_[:, HEIGHT // 2, WIDTH // 2]
    np.testing.assert_array_equal(images[middle], np.roll(batch[0], -ahead, axis=0)[middle])


def test_mixup_takes_shares_of_pixels_labels_and_weights():
    images = np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 100)])
    batch = images, np.eye(2, CLASSES, dtype=np.float32), np.ones(2, np.float32)

    mixed, labels, weights = mix_batch(batch, rows_of(2, mix_share=0.25), MIXUP)

    assert mixed[:, 0, 0, 0].tolist() == [25, 75]
    np.testing.assert_allclose(labels[:, :2], [[0.75, 0.25], [0.25, 0.75]])
    np.testing.assert_allclose(weights, 1.0)


@given(numbers=st.lists(st.floats(0, 1, exclude_max=True, width=32), min_size=4, max_size=4))
@settings(max_examples=30)
def test_cutmix_labels_by_the_pixels_that_it_shows(numbers):
    columns = dict(zip(("mix_share", "mix_side", "mix_x", "mix_y"), numbers, strict=True))
    images = np.stack([np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (0, 100)])
    batch = images, np.eye(2, CLASSES, dtype=np.float32), np.ones(2, np.float32)

    mixed, labels, _ = mix_batch(batch, rows_of(2, **columns), CUTMIX)

    shown = (mixed == images[::-1]).all(axis=-1).mean(axis=(1, 2))
    np.testing.assert_allclose(labels[[0, 1], [1, 0]], shown, atol=1e-6)
    assert shown.min() > 0


def test_one_number_decides_between_mixup_cutmix_and_neither():
    batch = make_batch(0, size=3)
    rows = rows_of(3, mix_share=0.5, mix_side=0.6)
    rows[:, Column.MIX] = [0.39, 0.79, 0.8]

    mixed, _, _ = mix_batch(batch, rows, BOTH)

    corner = np.s_[:, 0, 0]
    assert (mixed[0] != batch[0][0]).any(axis=-1).mean() > 0.9
    np.testing.assert_array_equal(mixed[corner][1:], batch[0][corner][1:])
    assert (mixed[1] != batch[0][1]).any()
    np.testing.assert_array_equal(mixed[2], batch[0][2])
