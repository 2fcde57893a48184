"""Tests for greedy selection, against the plain way of doing it among others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles.averaging import average
from ensembles.metrics import accuracy, log_loss, macro_f1
from ensembles.selection import halves, select_greedily

SEEDS = st.integers(0, 2**32 - 1)


def select_plainly(labels, probabilities, metric, num_picks):
    """Caruana's algorithm, every candidate's mean made and scored."""
    counts = np.zeros(len(probabilities), dtype=int)
    prefixes = []
    for _ in range(num_picks):
        with_each = counts + np.eye(len(probabilities), dtype=int)
        means = [average(probabilities, c / c.sum()) for c in with_each]
        ranks = [
            (round(metric(labels, mean), 12), -round(log_loss(labels, mean), 6), counts[m], -m)
            for m, mean in enumerate(means)
        ]
        counts = with_each[max(range(len(ranks)), key=ranks.__getitem__)]
        prefixes.append((max(ranks)[:2], -counts.sum(), counts))
    best = max(prefixes, key=lambda prefix: prefix[:2])[2]
    return best / best.sum()


@settings(deadline=None, max_examples=60)
@given(
    seed=SEEDS,
    metric=st.sampled_from([macro_f1, accuracy]),
    num_models=st.integers(1, 6),
    num_picks=st.integers(1, 12),
)
def test_selects_as_the_plain_algorithm_does(simulate, seed, metric, num_models, num_picks):
    labels, probabilities = simulate(seed, num_models=num_models)

    weights = select_greedily(labels, probabilities, metric=metric, num_picks=num_picks)

    expected = select_plainly(labels, probabilities, metric, num_picks)
    np.testing.assert_allclose(weights, expected)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS)
def test_one_pick_is_the_best_member(simulate, seed):
    labels, probabilities = simulate(seed, num_models=4)

    weights = select_greedily(labels, probabilities, num_picks=1)

    scores = [macro_f1(labels, member) for member in probabilities]
    assert sorted(weights) == [0.0, 0.0, 0.0, 1.0]
    assert scores[int(weights.argmax())] == max(scores)


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, num_picks=st.integers(1, 30))
def test_more_picks_never_lower_the_score_on_these_examples(simulate, seed, num_picks):
    labels, probabilities = simulate(seed)

    few, more = (
        macro_f1(
            labels, average(probabilities, select_greedily(labels, probabilities, num_picks=n))
        )
        for n in (num_picks, num_picks + 5)
    )

    assert more >= few - 1e-9


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, num_bags=st.integers(1, 4))
def test_weights_are_shares_and_move_with_the_members(simulate, seed, num_bags):
    labels, probabilities = simulate(seed, num_models=4, num_examples=80)
    order = np.random.default_rng(seed).permutation(4)

    weights = select_greedily(labels, probabilities, num_bags=num_bags)
    moved = select_greedily(labels, probabilities[order], num_bags=num_bags)

    assert np.all(weights >= 0.0)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(moved, weights[order])


def test_copies_of_a_member_change_nothing(simulate):
    labels, probabilities = simulate(seed=1)

    alone = select_greedily(labels, probabilities)
    with_copies = select_greedily(labels, np.concatenate([probabilities, probabilities]))

    np.testing.assert_allclose(with_copies[:3] + with_copies[3:], alone)


def test_useless_member_gets_nothing_where_scores_tie():
    labels = np.arange(40) % 4
    good = 0.6 * np.eye(4)[labels] + 0.1
    useless = np.full((40, 4), 0.25)

    np.testing.assert_array_equal(select_greedily(labels, np.stack([useless, good])), [0.0, 1.0])


def test_bags_make_weights_depend_less_on_the_examples(simulate):
    moved = {1: 0.0, 10: 0.0}
    for num_bags in moved:
        for seed in range(5):
            labels, probabilities = simulate(seed, num_models=6, num_examples=400)
            halves_of_it = (
                select_greedily(labels[half::2], probabilities[:, half::2], num_bags=num_bags)
                for half in (0, 1)
            )
            moved[num_bags] += float(np.abs(np.subtract(*halves_of_it)).sum())

    assert moved[10] < 0.9 * moved[1]


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=40).map(np.array), seed=SEEDS)
def test_halves_take_the_larger_half_of_every_class(labels, seed):
    rows = np.arange(len(labels))[:: 2 if len(labels) > 4 else 1]

    for half in halves(labels, rows, num_bags=3, seed=seed):
        assert set(half) <= set(rows)
        for k in np.unique(labels[rows]):
            assert np.sum(labels[half] == k) == -(-np.sum(labels[rows] == k) // 2)


def test_classes_that_nobody_has_are_no_obstacle(simulate):
    labels, probabilities = simulate(seed=0)
    labels = np.where(labels == 4, 0, labels)

    assert select_greedily(labels, probabilities, num_bags=2).sum() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": log_loss}, "one of macro_f1, accuracy .* `fit_weights`|fit_weights` takes any"),
        ({"num_picks": 0}, "at least 1, got 0 and 1"),
        ({"num_bags": 0}, "at least 1, got 40 and 0"),
    ],
)
def test_wrong_options_are_answered(simulate, options, message):
    with pytest.raises(ValueError, match=message):
        select_greedily(*simulate(seed=0), **options)


def test_flat_probabilities_are_rejected_with_the_fix(simulate):
    labels, probabilities = simulate(seed=0)

    with pytest.raises(ValueError, match=r"pass\s+`probabilities\[np.newaxis\]`"):
        select_greedily(labels, probabilities[0])
