"""Tests for dividing labelled images."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from automl_flowers.data.splits import HALVES, NO_SPLITS, NO_VAL, deal, deal_folds, shares_for
from automl_flowers.errors import DataError

SHARES = [NO_SPLITS, NO_VAL, HALVES]
SEEDS = st.integers(-(2**63), 2**63)


def images(*counts, prefix="image"):
    """Return rows of classes 0, 1, ... with that many images."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return pd.DataFrame(
        {"id": [f"{prefix} {k}" for k in range(len(labels))], "label": labels.astype(np.int64)}
    )


def alone(rows):
    """Return groups of one."""
    return np.arange(len(rows))


@st.composite
def classes_of_groups(draw):
    """Draw rows and groups, each group within one class."""
    sizes = draw(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=30), max_size=4))
    rows = images(*(sum(groups) for groups in sizes))
    flat = [size for groups in sizes for size in groups]
    return rows, np.repeat(np.arange(len(flat)), flat)


def count_largest_group(groups):
    return int(np.bincount(groups).max())


@given(drawn=classes_of_groups(), shares=st.sampled_from(SHARES), seed=SEEDS)
def test_every_share_is_met_to_within_one_group_in_every_class(drawn, shares, seed):
    rows, groups = drawn

    splits = deal(rows, groups, shares, seed=seed)

    for label in rows["label"].unique():
        here = (rows["label"] == label).to_numpy()
        for name, share in shares.items():
            count = np.count_nonzero(splits[here] == name)
            assert abs(count - share * here.sum()) <= count_largest_group(groups[here])


@given(
    labels=st.lists(st.integers(0, 3), max_size=40),
    shares=st.sampled_from(SHARES),
    seed=SEEDS,
    data=st.data(),
)
def test_near_copies_are_never_divided_even_if_their_labels_differ(labels, shares, seed, data):
    rows = pd.DataFrame({"id": [f"{k}" for k in range(len(labels))], "label": labels})
    groups = np.array([data.draw(st.integers(0, 9)) for _ in labels], np.int64)

    splits = deal(rows, groups, shares, seed=seed)

    assert set(splits) <= set(shares)
    for group in np.unique(groups):
        assert len(set(splits[groups == group])) == 1


@given(drawn=classes_of_groups(), shares=st.sampled_from(SHARES), seed=SEEDS, data=st.data())
def test_the_order_of_rows_and_the_numbers_of_groups_do_not_matter(drawn, shares, seed, data):
    rows, groups = drawn
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)

    splits = deal(rows, groups, shares, seed=seed)
    shuffled = deal(rows.iloc[order], 1000 - groups[order], shares, seed=seed)

    assert shuffled.tolist() == splits[order].tolist()


@given(
    count=st.integers(1, 300), seed=SEEDS, shares=st.sampled_from(SHARES), label=st.integers(0, 5)
)
def test_one_more_image_moves_one_other_across_each_border_at_most(count, seed, shares, label):
    rows = images(count + 1).assign(label=label)

    before = deal(rows[:count], alone(rows[:count]), shares, seed=seed)
    after = deal(rows, alone(rows), shares, seed=seed)

    assert np.count_nonzero(before != after[:count]) <= len(shares) - 1


@given(counts=st.lists(st.integers(1, 20), min_size=2, max_size=5), seed=SEEDS)
def test_a_class_is_divided_without_a_look_at_the_others(counts, seed):
    rows = images(*counts)
    first = rows[rows["label"] == 0]

    splits = deal(rows, alone(rows), NO_SPLITS, seed=seed)

    assert splits[: counts[0]].tolist() == deal(first, alone(first), NO_SPLITS, seed=seed).tolist()


def test_seeds_divide_differently():
    rows = images(40, 40)

    divisions = {tuple(deal(rows, alone(rows), HALVES, seed=seed)) for seed in (0, 1, -1, 2**40)}

    assert len(divisions) == 4


@given(drawn=classes_of_groups(), shares=st.sampled_from([NO_SPLITS, NO_VAL]), seed=SEEDS)
def test_every_class_has_a_train_image_however_small_it_is(drawn, shares, seed):
    rows, groups = drawn
    assume(len(rows))

    trained = rows["label"][deal(rows, groups, shares, seed=seed) == "train"]

    assert set(trained) == set(rows["label"])


@pytest.mark.parametrize("shares", SHARES, ids=["no splits", "no val", "halves"])
@pytest.mark.parametrize("count", range(3, 10))
def test_three_small_classes_together_have_all_splits(count, shares):
    rows = images(count, count, count)

    assert set(deal(rows, alone(rows), shares, seed=0)) == set(shares)


def test_ten_images_a_class_are_divided_exactly():
    rows = images(10, 20, 30)

    splits = deal(rows, alone(rows), NO_SPLITS, seed=0)

    counts = pd.crosstab(rows["label"], splits)[["train", "val", "blend", "test"]]
    assert counts.to_numpy().tolist() == [[7, 1, 1, 1], [14, 2, 2, 2], [21, 3, 3, 3]]


def test_no_image_is_no_problem():
    rows = images()

    assert deal(rows, alone(rows), NO_VAL, seed=0).tolist() == []


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"train"}, ("train", NO_SPLITS)),
        ({"train", "external"}, ("train", NO_SPLITS)),
        ({"train", "test"}, ("train", NO_VAL)),
        ({"train", "val"}, ("val", HALVES)),
        ({"train", "val", "test"}, ("val", HALVES)),
        ({"train", "val", "blend", "test"}, None),
        ({"train", "blend"}, None),
    ],
)
def test_what_is_divided_depends_on_what_there_is(there, expected):
    assert shares_for(there) == expected


@pytest.mark.parametrize("shares", SHARES)
def test_shares_add_up(shares):
    assert sum(shares.values()) == pytest.approx(1)


@given(drawn=classes_of_groups(), num_folds=st.integers(2, 6), seed=SEEDS)
def test_folds_have_their_share_of_every_class_to_within_one_group(drawn, num_folds, seed):
    rows, groups = drawn
    folds = folds_or_none(rows, groups, num_folds, seed)

    for label in rows["label"].unique():
        here = (rows["label"] == label).to_numpy()
        counts = np.bincount(folds[here], minlength=num_folds)
        assert np.abs(counts - here.sum() / num_folds).max() <= count_largest_group(groups[here])


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    num_folds=st.integers(2, 6),
    seed=SEEDS,
)
def test_without_copies_the_folds_of_a_class_differ_by_one_image(counts, num_folds, seed):
    rows = images(*counts)
    folds = folds_or_none(rows, alone(rows), num_folds, seed)

    for label in range(len(counts)):
        sizes = np.bincount(folds[rows["label"] == label], minlength=num_folds)
        assert sizes.max() - sizes.min() <= 1


@given(
    labels=st.lists(st.integers(0, 3), min_size=10, max_size=40),
    num_folds=st.integers(2, 5),
    seed=SEEDS,
    data=st.data(),
)
def test_every_row_is_in_one_fold_with_all_its_copies(labels, num_folds, seed, data):
    rows = pd.DataFrame({"id": [f"{k}" for k in range(len(labels))], "label": labels})
    groups = np.array([data.draw(st.integers(0, 19)) for _ in labels], np.int64)
    folds = folds_or_none(rows, groups, num_folds, seed)

    assert folds.shape == (len(rows),)
    assert set(folds) == set(range(num_folds))
    for group in np.unique(groups):
        assert len(set(folds[groups == group])) == 1


def folds_or_none(rows, groups, num_folds, seed):
    """Return folds, where there are enough images."""
    try:
        return deal_folds(rows, groups, num_folds, seed=seed)
    except DataError:
        assume(False)


@given(drawn=classes_of_groups(), seed=SEEDS, data=st.data())
def test_folds_belong_to_images_not_to_places_in_the_table(drawn, seed, data):
    rows, groups = drawn
    order = np.array(data.draw(st.permutations(range(len(rows)))), np.int64)

    folds = folds_or_none(rows, groups, 3, seed)
    shuffled = deal_folds(rows.iloc[order], 1000 - groups[order], 3, seed=seed)

    assert shuffled.tolist() == folds[order].tolist()


def test_the_remainders_of_many_classes_are_spread_over_the_folds():
    rows = images(*[7] * 20)

    folds = deal_folds(rows, alone(rows), 5, seed=0)

    assert np.bincount(folds).tolist() == [28] * 5


def test_too_few_images_for_the_folds_are_told():
    rows = images(4)

    with pytest.raises(DataError, match=r"4 images in 4 groups .* fill 4 folds, not 5"):
        deal_folds(rows, alone(rows), 5, seed=0)


@pytest.mark.parametrize("num_folds", [1, 0, -3])
def test_fewer_than_two_folds_are_none(num_folds):
    rows = images(10, 10)

    with pytest.raises(ValueError, match="must be at least 2"):
        deal_folds(rows, alone(rows), num_folds, seed=0)
