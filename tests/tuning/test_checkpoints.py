"""Tests for the states of trials on disk."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st

from automl_flowers.errors import RunError
from automl_flowers.tuning.checkpoints import CheckpointFolder, load_state, save_state

STATE = {"model/0000": np.arange(6.0).reshape(2, 3), "optimizer/0000": np.int64(7)}

states = st.dictionaries(
    st.sampled_from(["model/0000", "a b", "x/y/z", "ünï"]),
    np_st.arrays(
        st.sampled_from(["float32", "float64", "int64", "uint8", "bool"]),
        np_st.array_shapes(min_dims=0, min_side=0, max_side=4),
    ),
)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@given(state=states)
def test_a_state_comes_back_bit_for_bit(tmp_path_factory, state):
    path = tmp_path_factory.getbasetemp() / "state.npz"

    save_state(path, state)
    loaded = load_state(path)

    assert list(loaded) == list(state)
    for name, array in state.items():
        assert loaded[name].dtype == array.dtype
        assert loaded[name].tobytes() == array.tobytes()


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04 half", None])
def test_a_damaged_or_missing_state_is_named(tmp_path, content):
    path = tmp_path / "state.npz"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(
        RunError, match=r"state\.npz` does not hold a readable model state"
    ) as error:
        load_state(path)

    assert error.value.hint


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.95])
def test_a_state_that_was_cut_off_is_refused(tmp_path, kept):
    path = tmp_path / "state.npz"
    save_state(path, STATE)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])

    with pytest.raises(RunError, match="readable model state"):
        load_state(path)


def test_a_state_with_a_flipped_bit_is_refused(tmp_path):
    path = tmp_path / "state.npz"
    save_state(path, STATE)
    content = bytearray(path.read_bytes())
    content[content.index(np.float64(5.0).tobytes())] ^= 1
    path.write_bytes(content)

    with pytest.raises(RunError, match="readable model state"):
        load_state(path)


def test_no_byte_that_has_changed_is_a_traceback(tmp_path):
    """`zipfile` has another exception for nearly every byte of its headers."""
    path = tmp_path / "state.npz"
    save_state(path, {"model/0000": np.arange(3.0)})
    content = path.read_bytes()
    refused = 0
    for place in range(len(content)):
        for flipped in (1, 8, 0xFF):
            path.write_bytes(
                content[:place] + bytes([content[place] ^ flipped]) + content[place + 1 :]
            )
            try:
                load_state(path)
            except RunError:
                refused += 1

    assert refused > len(content) / 2


def test_a_file_holds_one_trial_and_epoch(tmp_path):
    folder = CheckpointFolder(tmp_path / "checkpoints")

    file = folder.save("0003", 12, STATE)

    assert file.name == "0003.0012.npz"
    assert file.num_bytes == (tmp_path / "checkpoints" / file.name).stat().st_size
    assert folder.exists(file)
    assert not folder.exists(replace(file, name="0003.0011.npz"))
    np.testing.assert_array_equal(folder.load(file)["model/0000"], STATE["model/0000"])


def test_equal_states_make_equal_files(tmp_path):
    first, second = CheckpointFolder(tmp_path / "one"), CheckpointFolder(tmp_path / "two")

    assert first.save("0003", 12, STATE) == second.save("0003", 12, dict(STATE))


def test_a_file_that_someone_put_in_its_place_is_refused(tmp_path):
    folder = CheckpointFolder(tmp_path)
    file = folder.save("0003", 12, STATE)
    folder.save("0003", 12, {name: array + 1 for name, array in STATE.items()})

    with pytest.raises(RunError, match="not the file that this run wrote"):
        folder.load(file)


def test_all_but_the_named_are_removed(tmp_path):
    folder = CheckpointFolder(tmp_path)
    names = [folder.save(trial_id, 1, STATE).name for trial_id in ("0000", "0001", "0002")]
    (tmp_path / ".0003.0001.npz.123.tmp").write_bytes(b"half")

    folder.keep_only([names[1]])

    assert names_in(tmp_path) == [names[1]]


def test_nothing_to_remove_is_fine(tmp_path):
    CheckpointFolder(tmp_path / "none").keep_only(())

    assert not (tmp_path / "none").exists()
