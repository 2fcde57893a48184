"""Tests for saved predictions and for joining them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ensembles.predictions import Predictions, align, load_predictions, save_predictions

CLASSES = ("daisy", "iris", "rose")


def predictions(**changes):
    """Return good predictions of three examples with `changes` applied."""
    values = {
        "member": "b7",
        "split": "blend",
        "ids": np.array(["a", "b", "c"]),
        "labels": np.array([0, 2, -1]),
        "probabilities": np.eye(3, dtype=np.float32)[[0, 2, 1]],
        "class_names": CLASSES,
        "data_hash": "5e1f",
    }
    return Predictions(**(values | changes))


def assert_equal(first, second):
    for field in dataclasses.fields(first):
        one, other = getattr(first, field.name), getattr(second, field.name)
        np.testing.assert_array_equal(one, other)
        assert type(one) is type(other)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": np.array(["a", "b", "a"])}, "got 1 ids more than once, the first 'a'"),
        ({"ids": np.array([b"a", b"b", b"c"])}, r"Decode bytes first, with `np.char.decode`"),
        ({"ids": np.array([], str)}, "at least one"),
        ({"ids": np.array(["a", "b"])}, r"int64 of shape \(2,\), one for each id"),
        ({"labels": np.array([0, 1, 2], np.int32)}, "got int32 of shape"),
        ({"labels": np.array([0, 1, 3])}, r"1 outside, the first 3.*same class list"),
        ({"labels": np.array([0, 1, -2])}, "1 outside, the first -2"),
        ({"probabilities": np.eye(3)}, r"got float64.*`.astype\(np.float32\)`"),
        ({"probabilities": np.eye(4, dtype=np.float32)[:3]}, "a column for each class name"),
        ({"probabilities": np.eye(3, dtype=np.float32) * 1.01}, "3 of 3 rows"),
        ({"probabilities": np.full((3, 3), np.nan, np.float32)}, "hold NaN"),
        ({"class_names": ("daisy", "iris", "iris")}, "3 names of which 2 differ"),
        ({"class_names": ["daisy", "iris", "rose"]}, r"Pass `tuple\(names\)`"),
        ({"class_names": ()}, "at least one name"),
    ],
)
def test_inconsistent_predictions_are_refused_with_what_to_do(changes, message):
    with pytest.raises(ValueError, match=rf"^Predictions of 'b7' on 'blend': .*{message}"):
        predictions(**changes)


def test_rows_may_miss_one_by_a_rounding():
    predictions(probabilities=np.eye(3, dtype=np.float32) * np.float32(1.0009))


@settings(deadline=None)
@given(
    ids=st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        min_size=1,
        unique=True,
    ),
    data=st.data(),
)
def test_predictions_come_back_as_they_were_saved(tmp_path_factory, ids, data):
    path = tmp_path_factory.getbasetemp() / "round_trip.npz"
    raw = data.draw(hnp.arrays(np.float64, (len(ids), 3), elements=st.floats(0.01, 1.0)))
    saved = predictions(
        ids=np.array(ids),
        labels=data.draw(hnp.arrays(np.int64, len(ids), elements=st.integers(-1, 2))),
        probabilities=(raw / raw.sum(axis=-1, keepdims=True)).astype(np.float32),
    )

    save_predictions(path, saved)

    assert_equal(load_predictions(path), saved)


def test_equal_predictions_make_equal_bytes(tmp_path):
    save_predictions(tmp_path / "one.npz", predictions())
    save_predictions(tmp_path / "two.npz", predictions())

    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_missing_folders_are_made_and_no_temporary_file_stays(tmp_path):
    path = tmp_path / "predictions" / "blend" / "b7.npz"

    save_predictions(path, predictions())

    assert list(path.parent.iterdir()) == [path]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "b7.npz"
    save_predictions(path, predictions())

    def fill_the_disk(file, **arrays):
        file.write(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "savez", fill_the_disk)
    with pytest.raises(OSError, match="No space left"):
        save_predictions(path, predictions(member="densenet"))

    assert load_predictions(path).member == "b7"
    assert list(tmp_path.iterdir()) == [path]


@settings(deadline=None)
@given(data=st.data())
def test_damaged_file_is_refused_or_unharmed(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    save_predictions(path, predictions())
    content = bytearray(path.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)

    try:
        loaded = load_predictions(path)
    except ValueError:
        return
    assert_equal(loaded, predictions())


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_file_cut_short_is_refused_by_name(tmp_path, share):
    path = tmp_path / "b7.npz"
    save_predictions(path, predictions())
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(ValueError, match=r"Cannot read .*b7\.npz.* was cut short"):
        load_predictions(path)


def test_pickled_arrays_are_not_executed(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, format=np.array(1), ids=np.array([print], dtype=object))

    with pytest.raises(ValueError, match="Cannot read"):
        load_predictions(path)


def test_missing_array_is_named(tmp_path):
    path = tmp_path / "other.npz"
    np.savez(path, format=np.array(1), member=np.array("b7"))

    with pytest.raises(ValueError, match="split is not a file in the archive"):
        load_predictions(path)


def test_later_format_is_refused(tmp_path):
    path = tmp_path / "later.npz"
    np.savez(path, format=np.array(2))

    with pytest.raises(ValueError, match="format 2, this version reads format 1"):
        load_predictions(path)


def test_missing_file_is_reported_as_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_predictions(tmp_path / "nothing.npz")


def test_members_are_joined_by_id_not_by_position():
    first = predictions()
    order = [2, 0, 1]
    second = predictions(
        member="densenet",
        ids=first.ids[order],
        labels=first.labels[order],
        probabilities=first.probabilities[order],
    )

    joined = align([second, first])

    assert joined.members == ("densenet", "b7")
    assert (joined.split, joined.class_names, joined.data_hash) == ("blend", CLASSES, "5e1f")
    np.testing.assert_array_equal(joined.ids, ["a", "b", "c"])
    np.testing.assert_array_equal(joined.labels, [0, 2, -1])
    np.testing.assert_array_equal(joined.probabilities[0], joined.probabilities[1])
    assert joined.probabilities.dtype == np.float64


@settings(deadline=None)
@given(order=st.permutations(range(3)))
def test_classes_are_joined_by_name_not_by_position(order):
    first = predictions(probabilities=np.array([[0.5, 0.5, 0], [0, 0, 1], [0, 1, 0]], np.float32))
    second = predictions(
        member="densenet",
        labels=np.array([order.index(0), order.index(2), -1]),
        probabilities=first.probabilities[:, order],
        class_names=tuple(CLASSES[k] for k in order),
    )

    joined = align([first, second])

    assert joined.class_names == CLASSES
    np.testing.assert_array_equal(joined.labels, [0, 2, -1])
    np.testing.assert_array_equal(joined.probabilities[0], joined.probabilities[1])


@settings(deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_order_of_examples_makes_no_difference(seed):
    rng = np.random.default_rng(seed)
    ids = np.array([f"image_{k}" for k in range(20)])
    labels = rng.integers(3, size=20)
    probabilities = rng.dirichlet(np.ones(3), size=20).astype(np.float32)
    whole = {"ids": ids, "labels": labels, "probabilities": probabilities}
    order = rng.permutation(20)
    shuffled = {name: value[order] for name, value in whole.items()}

    assert_equal(align([predictions(**whole)]), align([predictions(**shuffled)]))


def test_label_one_member_does_not_know_is_taken_from_another():
    joined = align([predictions(), predictions(member="densenet", labels=np.array([-1, 2, 1]))])

    np.testing.assert_array_equal(joined.labels, [0, 2, 1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split": "test"}, "same split, got 'blend' and 'test'"),
        (
            {"class_names": ("lily", "daisy", "rose")},
            "1 of 3 that only one of them has, for example 'iris' and 'lily'",
        ),
        (
            {
                "class_names": (*CLASSES, "tulip"),
                "probabilities": np.eye(4, dtype=np.float32)[:3],
            },
            "got 3 and 4 classes",
        ),
        ({"data_hash": "beef"}, "data hashes '5e1f' and 'beef'"),
        (
            {"ids": np.array(["a", "b", "d"])},
            "got 3 and 3 with 1 only in the first and 1 only in the second, for example 'c'",
        ),
        (
            {
                "ids": np.array(["a", "c"]),
                "labels": np.array([0, -1]),
                "probabilities": np.eye(3, dtype=np.float32)[:2],
            },
            "got 3 and 2 with 1 only in the first and 0 only in the second, for example 'b'",
        ),
        (
            {"labels": np.array([1, 2, 0])},
            "1 of 3 examples in conflict, the first 'a' with label 0 in 'b7' and 1 in 'densenet'",
        ),
    ],
)
def test_members_that_do_not_fit_are_named_and_counted(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        align([predictions(), predictions(member="densenet", **changes)])

    assert "'b7'" in str(caught.value)
    assert "'densenet'" in str(caught.value)


def test_member_listed_twice_is_refused():
    with pytest.raises(ValueError, match="different names, got b7 more than once"):
        align([predictions(), predictions()])


def test_nothing_to_join_is_refused():
    with pytest.raises(ValueError, match="at least one member's predictions, got none"):
        align([])
