"""Tests for the way from pictures to batches."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.pipeline import (
    Examples,
    count_steps,
    epoch_order,
    evaluation_batches,
    training_batches,
)
from search_spaces.recipe import Recipe
from search_spaces.regularisation import CLASS_WEIGHTINGS, class_weights
from search_spaces.schedules import Schedule

NUM_CLASSES = 3
SIZE = 8
COUNTS = st.integers(1, 60)
BATCHES = st.integers(1, 20)
SEEDS = st.integers(0, 2**31 - 1)

RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=SIZE,
    trainable_blocks=1,
    dropout=0.0,
    l2=0.0,
    label_smoothing=0.0,
    class_weighting="none",
    augmentation="none",
    optimizer="adam",
    batch_size=4,
    schedule=Schedule("constant", 1e-3, {}),
)
STRONG = replace(RECIPE, augmentation="strong", label_smoothing=0.1, class_weighting="balanced")


def make_images(count, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


def make_examples(count, seed=0):
    """Return examples whose labels go round; every pixel is random."""
    return Examples(
        caches=(make_images(count, seed),),
        cache_of=np.zeros(count, np.int64),
        row_of=np.arange(count),
        labels=np.arange(count) % NUM_CLASSES,
        ids=np.array([f"image {k}" for k in range(count)]),
    )


def batches_of(
    examples,
    recipe=RECIPE,
    *,
    batch_size=4,
    seed=3,
    first_epoch=0,
    last_epoch=1,
    view_seed=0,
):
    """Return the batches as lists of arrays."""
    dataset = training_batches(
        examples,
        recipe,
        num_classes=NUM_CLASSES,
        batch_size=batch_size,
        seed=seed,
        first_epoch=first_epoch,
        last_epoch=last_epoch,
        view_seed=view_seed,
    )
    return [[array.numpy() for array in batch] for batch in dataset]


def assert_same(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        for array, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, same)


@given(count=COUNTS, batch=BATCHES, seed=SEEDS, epoch=st.integers(0, 100))
def test_an_epoch_shows_every_example_and_then_its_own_beginning_again(count, batch, seed, epoch):
    order = epoch_order(count, batch, seed=seed, epoch=epoch)

    assert order.shape == (count_steps(count, batch), batch)
    assert order.dtype == np.int64
    flat = order.ravel()
    assert sorted(flat[:count]) == list(range(count))
    assert flat.tolist() == [flat[k % count] for k in range(len(flat))]
    assert len(flat) - count < batch


@given(count=COUNTS, batch=BATCHES, seed=SEEDS, epoch=st.integers(0, 100))
def test_an_order_is_the_same_every_time(count, batch, seed, epoch):
    first, second = (epoch_order(count, batch, seed=seed, epoch=epoch) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_orders_differ_by_seed_and_epoch():
    orders = {
        epoch_order(30, 5, seed=seed, epoch=epoch).tobytes()
        for seed in range(4)
        for epoch in range(4)
    }

    assert len(orders) == 16


@given(count=COUNTS, first=BATCHES, second=BATCHES)
def test_an_order_does_not_depend_on_the_batch_size(count, first, second):
    orders = [
        epoch_order(count, batch, seed=1, epoch=2).ravel()[:count] for batch in (first, second)
    ]

    np.testing.assert_array_equal(*orders)


@pytest.mark.parametrize(("count", "batch", "steps"), [(8, 4, 2), (9, 4, 3), (1, 4, 1), (0, 4, 0)])
def test_steps_round_up(count, batch, steps):
    assert count_steps(count, batch) == steps


@pytest.mark.parametrize("count", [2, 8, 9])
def test_shapes_are_static_also_with_fewer_examples_than_a_batch(count):
    dataset = training_batches(
        make_examples(count),
        STRONG,
        num_classes=NUM_CLASSES,
        batch_size=4,
        seed=0,
        first_epoch=0,
        last_epoch=1,
    )

    images, labels, weights = dataset.element_spec
    assert (images.shape, images.dtype.name) == ((4, SIZE, SIZE, 3), "uint8")
    assert (labels.shape, labels.dtype.name) == ((4, NUM_CLASSES), "float32")
    assert (weights.shape, weights.dtype.name) == ((4,), "float32")
    assert len(list(dataset)) == count_steps(count, 4)


def test_images_come_with_their_own_labels_and_weights():
    examples = make_examples(11)
    weights = class_weights(np.array([4, 4, 3]), "balanced")

    batches = batches_of(examples, replace(RECIPE, class_weighting="balanced"), seed=5)

    order = epoch_order(11, 4, seed=5, epoch=0)
    for positions, (images, labels, sample_weights) in zip(order, batches, strict=True):
        np.testing.assert_array_equal(images, examples.caches[0][positions])
        np.testing.assert_array_equal(labels, np.eye(NUM_CLASSES)[positions % NUM_CLASSES])
        np.testing.assert_array_equal(sample_weights, weights[positions % NUM_CLASSES])


@pytest.mark.parametrize(("start", "count", "seed"), [(1, 13, 0), (3, 3, 2**31 - 1)])
def test_starting_at_an_epoch_is_the_tail_of_a_whole_run(start, count, seed):
    examples = make_examples(count)

    whole = batches_of(examples, STRONG, seed=seed, last_epoch=4)
    tail = batches_of(examples, STRONG, seed=seed, first_epoch=start, last_epoch=4)

    assert_same(whole[start * count_steps(count, 4) :], tail)


def test_the_same_run_gives_the_same_batches_twice():
    examples = make_examples(50)

    assert_same(
        batches_of(examples, STRONG, last_epoch=2), batches_of(examples, STRONG, last_epoch=2)
    )


def test_no_epochs_are_no_batches():
    assert batches_of(make_examples(5), first_epoch=2, last_epoch=2) == []


def by_example(batches, order):
    """Return the image of each position."""
    return dict(
        zip(order.ravel().tolist(), np.concatenate([images for images, *_ in batches]), strict=True)
    )


def test_an_augmented_image_depends_on_no_batch():
    examples = make_examples(10)

    seen = [
        by_example(
            batches_of(examples, STRONG, batch_size=batch), epoch_order(10, batch, seed=3, epoch=0)
        )
        for batch in (1, 4, 16)
    ]

    for position in range(10):
        np.testing.assert_array_equal(seen[0][position], seen[1][position])
        np.testing.assert_array_equal(seen[0][position], seen[2][position])


def test_augmentation_differs_by_epoch_and_seed():
    examples = make_examples(4)
    seen = set()

    for seed in (0, 1):
        batches = batches_of(examples, STRONG, seed=seed, last_epoch=3)
        for epoch, batch in enumerate(batches):
            order = epoch_order(4, 4, seed=seed, epoch=epoch)
            seen.add(by_example([batch], order)[0].tobytes())

    assert len(seen) == 6


def views_seen(recipe, *, epochs=6, **seeds):
    """Return what each epoch shows of each image, in the order of the images."""
    batches = batches_of(make_examples(5), recipe, last_epoch=epochs, **seeds)
    seen = []
    for epoch, start in enumerate(range(0, len(batches), 2)):
        order = epoch_order(5, 4, seed=seeds.get("seed", 3), epoch=epoch)
        images = by_example(batches[start : start + 2], order)
        seen.append(np.stack([images[position] for position in range(5)]))
    return seen


@pytest.mark.parametrize("views", [1, 2, 4])
def test_epochs_take_the_views_in_turn(views):
    seen = views_seen(replace(STRONG, views=views))

    for epoch, images in enumerate(seen):
        np.testing.assert_array_equal(images, seen[epoch % views])
    assert len({images.tobytes() for images in seen}) == views


def test_views_are_those_of_the_run_and_the_order_is_that_of_the_trial():
    recipe = replace(STRONG, views=2)

    one, other = (views_seen(recipe, seed=seed, view_seed=11) for seed in (3, 4))
    another_run = views_seen(recipe, seed=3, view_seed=12)

    np.testing.assert_array_equal(one, other)
    assert not np.array_equal(one, another_run)
    orders = [batches_of(make_examples(5), recipe, seed=s)[0][1].tobytes() for s in (3, 4)]
    assert orders[0] != orders[1]


MIXED = replace(STRONG, augmentation="medium_mixup")


@pytest.mark.parametrize("count", [2, 8, 9])
@pytest.mark.parametrize("name", ["medium_mixup", "medium_cutmix"])
def test_mixed_batches_are_static_full_and_sum_to_one(name, count):
    batches = batches_of(make_examples(count), replace(MIXED, augmentation=name), last_epoch=2)

    assert len(batches) == 2 * count_steps(count, 4)
    for images, labels, weights in batches:
        assert (images.shape, images.dtype) == ((4, SIZE, SIZE, 3), np.uint8)
        np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-5)
        assert np.isfinite(weights).all()


def test_some_of_the_images_are_mixed_and_the_rest_are_as_without():
    examples = make_examples(40)

    mixed = batches_of(examples, replace(RECIPE, augmentation="medium_mixup"), batch_size=8)
    alone = batches_of(examples, replace(RECIPE, augmentation="medium"), batch_size=8)

    same = [
        [np.array_equal(one, other) for one, other in zip(a[0], b[0], strict=True)]
        for a, b in zip(mixed, alone, strict=True)
    ]
    is_hard = [labels.max(axis=1) == 1.0 for _, labels, _ in mixed]
    assert 8 <= np.sum(same) <= 32
    assert not (np.array(same) & ~np.array(is_hard)).any()


def test_mixing_is_repeated_exactly_and_differs_by_epoch():
    examples = make_examples(6)

    whole = batches_of(examples, MIXED, last_epoch=3)

    assert_same(
        whole[2 * count_steps(6, 4) :], batches_of(examples, MIXED, first_epoch=2, last_epoch=3)
    )
    assert len({labels.tobytes() for _, labels, _ in whole}) == len(whole)


def test_views_have_no_effect_where_images_are_mixed():
    examples = make_examples(6)

    assert_same(
        batches_of(examples, replace(MIXED, views=2), last_epoch=3),
        batches_of(examples, MIXED, last_epoch=3),
    )


def test_a_strength_that_is_only_to_be_looked_at_does_not_train():
    with pytest.raises(ValueError, match="'v3' is not for training"):
        batches_of(make_examples(4), replace(RECIPE, augmentation="v3"))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_soft_labels_sum_to_one_and_peak_at_the_class(smoothing):
    batches = batches_of(make_examples(12), replace(RECIPE, label_smoothing=smoothing))

    labels = np.concatenate([soft for _, soft, _ in batches])
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(labels.max(axis=1), 1 - smoothing + smoothing / 3, rtol=1e-6)
    np.testing.assert_allclose(labels.min(axis=1), smoothing / 3, rtol=1e-6)
    assert np.bincount(labels.argmax(axis=1)).tolist() == [4, 4, 4]


@pytest.mark.parametrize("weighting", CLASS_WEIGHTINGS)
def test_weights_average_one_over_an_epoch_without_repeats(weighting):
    examples = replace(make_examples(12), labels=np.array([0] * 7 + [1] * 4 + [2]))

    batches = batches_of(examples, replace(RECIPE, class_weighting=weighting))

    weights = np.concatenate([sample_weights for *_, sample_weights in batches])
    assert weights.mean() == pytest.approx(1.0)
    assert (len(np.unique(weights)) == 1) == (weighting == "none")


def test_a_class_without_an_image_is_no_problem():
    examples = replace(make_examples(4), labels=np.array([0, 0, 2, 2]))

    batches = batches_of(examples, replace(RECIPE, class_weighting="balanced"))

    assert np.isfinite(batches[0][2]).all()


@given(
    picks=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=12),
    data=st.data(),
)
def test_take_gathers_over_several_caches(picks, data):
    caches = tuple(make_images(5, seed) for seed in range(3))
    examples = Examples(
        caches=caches,
        cache_of=np.array([cache for cache, _ in picks]),
        row_of=np.array([row for _, row in picks]),
        labels=np.zeros(len(picks), np.int64),
        ids=np.arange(len(picks)).astype(str),
    )
    positions = data.draw(st.lists(st.integers(0, len(picks) - 1), max_size=20))

    images = examples.take(np.array(positions, np.int64))

    assert images.dtype == np.uint8
    assert images.shape == (len(positions), SIZE, SIZE, 3)
    for image, position in zip(images, positions, strict=True):
        cache, row = picks[position]
        np.testing.assert_array_equal(image, caches[cache][row])


def test_joined_examples_follow_one_another():
    first, second, third = (make_examples(count, seed=count) for count in (3, 2, 4))
    second = replace(second, ids=np.array(["a much longer name", "b"]))

    joined = first.join(second).join(third)

    assert len(joined) == 9
    assert joined.ids.tolist() == [*first.ids, "a much longer name", "b", *third.ids]
    assert joined.labels.tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 0]
    np.testing.assert_array_equal(
        joined.take(np.arange(9)),
        np.concatenate([one.take(np.arange(len(one))) for one in (first, second, third)]),
    )


def test_joined_examples_train_together():
    joined = make_examples(3, seed=1).join(make_examples(2, seed=2))

    (images, *_), _second = batches_of(joined, seed=0)

    np.testing.assert_array_equal(images, joined.take(epoch_order(5, 4, seed=0, epoch=0)[0]))


@pytest.mark.parametrize("count", [2, 4, 8, 9])
def test_evaluation_is_in_order_and_padded_from_the_beginning(count):
    examples = replace(make_examples(count), labels=np.full(count, -1))

    dataset = evaluation_batches(examples, 4)

    assert dataset.element_spec.shape == (4, SIZE, SIZE, 3)
    images = np.concatenate([batch.numpy() for batch in dataset])
    assert len(images) == 4 * count_steps(count, 4)
    np.testing.assert_array_equal(images, examples.caches[0][np.arange(len(images)) % count])
