"""Tests for the reader of legacy torch files; the files are written here, byte by byte."""

from __future__ import annotations

import hashlib
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from automl_flowers.errors import DataError
from automl_flowers.modeling import torch_weights
from automl_flowers.modeling.torch_weights import read_state_dict

PROTO, STOP, NONE, FALSE = b"\x80\x02", b".", b"N", b"\x89"
CALL, BUILD, REFER, SET_ITEMS = b"R", b"b", b"Q", b"u"
SYSTEM = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"long": 4}}
STORAGE_TYPES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}


def plain(value: object) -> bytes:
    return pickle.dumps(value, protocol=2)[2:-1]


def whole(program: bytes) -> bytes:
    return PROTO + program + STOP


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def bundle(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def storage(key: str, num_elements: int, kind: str = "FloatStorage") -> bytes:
    what = (plain("storage"), named("torch", kind), plain(key), plain("cpu"))
    return bundle(*what, plain(num_elements), NONE) + REFER


ORDERED_DICT = named("collections", "OrderedDict") + b")" + CALL


def tensor(source: bytes, shape: object, strides: object, offset: int = 0) -> bytes:
    view = (source, plain(offset), plain(shape), plain(strides), FALSE, ORDERED_DICT)
    return named("torch._utils", "_rebuild_tensor_v2") + bundle(*view) + CALL


def state_dict(**tensors: bytes) -> bytes:
    items = b"".join(plain(name) + program for name, program in tensors.items())
    metadata = plain({"_metadata": {"": {"version": 1}}}) + BUILD
    return ORDERED_DICT + b"(" + items + SET_ITEMS + metadata


def legacy_file(
    state: bytes,
    storages: dict[str, NDArray[Any]],
    *,
    magic: bytes = plain(0x1950A86A20F9469CFC6C),
    protocol: bytes = plain(1001),
    system: bytes = plain(SYSTEM),
    keys: bytes | None = None,
) -> bytes:
    keys = plain(list(storages)) if keys is None else keys
    pickles = (magic, protocol, system, state, keys)
    content = (struct.pack("<q", data.size) + data.tobytes() for data in storages.values())
    return b"".join(map(whole, pickles)) + b"".join(content)


def save(folder: Path, content: bytes) -> Path:
    path = folder / f"weights-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    path.write_bytes(content)
    return path


SIX = np.arange(6, dtype=np.float32)


def six_elements(shape: object, strides: object, offset: int = 0) -> bytes:
    view = tensor(storage("7", 6), shape, strides, offset)
    return legacy_file(state_dict(kernel=view), {"7": SIX})


@pytest.mark.parametrize(("dtype", "kind"), STORAGE_TYPES.items())
def test_every_storage_type_comes_back_as_it_was_saved(
    tmp_path: Path, dtype: str, kind: str
) -> None:
    saved = np.array([[0, 1, 2], [3, 4, 5]]).astype(dtype)
    state = state_dict(x=tensor(storage("1", 6, kind), (2, 3), (3, 1)))

    loaded = read_state_dict(save(tmp_path, legacy_file(state, {"1": saved})))

    assert list(loaded) == ["x"]
    assert loaded["x"].dtype == dtype
    np.testing.assert_array_equal(loaded["x"], saved)


@given(
    saved=arrays.arrays(
        dtype=st.sampled_from([np.float32, np.int64]),
        shape=arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=4),
    ),
    order=st.randoms(use_true_random=False),
)
def test_any_shape_and_memory_order_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, saved: NDArray[Any], order: Any
) -> None:
    axes = order.sample(range(saved.ndim), saved.ndim)
    view = saved.transpose(axes)
    strides = tuple(stride // saved.itemsize for stride in view.strides)
    source = storage("1", saved.size, STORAGE_TYPES[saved.dtype.name])
    content = legacy_file(state_dict(x=tensor(source, view.shape, strides)), {"1": saved})

    loaded = read_state_dict(save(tmp_path_factory.mktemp("weights"), content))["x"]

    np.testing.assert_array_equal(loaded, view)
    assert loaded.flags.c_contiguous
    assert loaded.flags.writeable


def test_tensors_may_share_a_storage(tmp_path: Path) -> None:
    shared = storage("7", 6)
    state = state_dict(low=tensor(shared, (2,), (1,)), odd=tensor(shared, (3,), (2,), 1))

    loaded = read_state_dict(save(tmp_path, legacy_file(state, {"7": SIX})))
    loaded["low"][:] = -1

    np.testing.assert_array_equal(loaded["odd"], [1, 3, 5])


def test_storages_follow_in_the_order_of_their_list(tmp_path: Path) -> None:
    one, two = np.array([1], np.float32), np.array([2], np.float32)
    state = state_dict(
        one=tensor(storage("b", 1), (1,), (1,)), two=tensor(storage("a", 1), (1,), (1,))
    )

    loaded = read_state_dict(save(tmp_path, legacy_file(state, {"a": two, "b": one})))

    assert list(loaded) == ["one", "two"]
    assert loaded["one"] == 1
    assert loaded["two"] == 2


@pytest.mark.parametrize("place", ["magic", "protocol", "system", "state", "keys"])
@pytest.mark.parametrize("module", ["os", "posix"])
def test_no_pickle_of_the_file_can_run_a_command(tmp_path: Path, place: str, module: str) -> None:
    trace = tmp_path / "trace"
    attack = named(module, "system") + bundle(plain(f"touch {trace}")) + CALL
    parts = {"state": state_dict(), place: attack}
    path = save(tmp_path, legacy_file(parts.pop("state"), {}, **parts))

    with pytest.raises(DataError, match=f"asks for '{module}.system'.*was not called"):
        read_state_dict(path)

    assert not trace.exists()


@pytest.mark.parametrize(
    ("program", "operation"),
    [
        (plain("os") + plain("system") + b"\x93", "STACK_GLOBAL"),
        (b"(" + plain("true") + b"ios\nsystem\n", "INST"),
        (named("collections", "OrderedDict") + b")\x81", "NEWOBJ"),
        (b"\x82\x01", "EXT1"),
        (b"Pstorage\n", "PERSID"),
    ],
)
def test_operations_that_weights_do_not_need_are_refused(
    tmp_path: Path, program: bytes, operation: str
) -> None:
    path = save(tmp_path, legacy_file(program, {}))

    with pytest.raises(DataError, match=f"no need of the pickle operation {operation}"):
        read_state_dict(path)


@pytest.mark.parametrize("name", sorted(torch_weights._GLOBALS))
def test_a_pickle_cannot_change_our_stand_ins(tmp_path: Path, name: tuple[str, str]) -> None:
    attributes = plain({"dtype": "O"})
    for state in (attributes, bundle(NONE, attributes)):
        path = save(tmp_path, legacy_file(named(*name) + state + BUILD, {}))

        with pytest.raises(DataError, match="is not usable"):
            read_state_dict(path)

    np.testing.assert_array_equal(
        read_state_dict(save(tmp_path, six_elements((6,), (1,))))["kernel"], SIX
    )


def test_a_huge_memo_number_does_not_take_memory(tmp_path: Path) -> None:
    path = save(tmp_path, legacy_file(b"Nr" + struct.pack("<I", 2**31), {}))

    with pytest.raises(DataError, match="more than the file can hold"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0),
        ((6,), (1,), 1),
        ((2, 3), (4, 1), 0),
        ((2**20, 2**20), (0, 0), 0),
        ((1,), (1,), 6),
    ],
)
def test_tensor_that_leaves_its_storage_is_refused(
    tmp_path: Path, shape: object, strides: object, offset: int
) -> None:
    path = save(tmp_path, six_elements(shape, strides, offset))

    with pytest.raises(DataError, match=r"'kernel' of shape .* leaves its storage of 6 elements"):
        read_state_dict(path)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((-1,), (1,), 0),
        ((2,), (-1,), 1),
        ((1,), (1,), -1),
        ((2**64,), (0,), 0),
        ((True,), (1,), 0),
        ([6], [1], 0),
        ("6", "1", 0),
    ],
)
def test_sizes_that_are_no_sizes_are_refused(
    tmp_path: Path, shape: object, strides: object, offset: int
) -> None:
    path = save(tmp_path, six_elements(shape, strides, offset))

    with pytest.raises(DataError, match="'kernel' is not described by a storage and sizes"):
        read_state_dict(path)


@pytest.mark.parametrize(("shape", "strides"), [((6,), ()), ((1,) * 100, (1,) * 100)])
def test_shape_and_strides_must_belong_together(
    tmp_path: Path, shape: object, strides: object
) -> None:
    path = save(tmp_path, six_elements(shape, strides))

    with pytest.raises(DataError, match="as many strides as dimensions for the tensor 'kernel'"):
        read_state_dict(path)


def test_tensor_without_a_real_storage_is_refused(tmp_path: Path) -> None:
    state = state_dict(kernel=tensor(plain(("<f4", "7", 6)), (6,), (1,)))

    with pytest.raises(DataError, match="not described by a storage"):
        read_state_dict(save(tmp_path, legacy_file(state, {})))


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (plain([1, 2]), "expected a state dict, got an object of type list"),
        (state_dict(epoch=plain(3)), "maps 'epoch' to 3. Save `model.state_dict\\(\\)`"),
        (state_dict(a=storage("7", 6), b=storage("7", 5)), "the storage '7' twice, differently"),
        (plain("storage") + REFER, "expected the reference to a storage, got 'storage'"),
        (state_dict(x=tensor(storage("1", 6), (1,), (1,))), "each of the 1 storages"),
    ],
)
def test_anything_but_a_flat_state_dict_is_refused(
    tmp_path: Path, state: bytes, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        read_state_dict(save(tmp_path, legacy_file(state, {})))


@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        ({"magic": plain(1)}, "expected the magic number 119547037146038801333356, got 1"),
        ({"protocol": plain(1002)}, "expected the protocol version 1001, got 1002"),
        ({"system": plain({"little_endian": False})}, "`little_endian` True, got False"),
        ({"system": plain([])}, "`little_endian` True, got an object of type NoneType"),
        ({"keys": plain([7])}, "each of the 1 storages"),
        ({"keys": plain(["7", "7"])}, "each of the 1 storages"),
    ],
)
def test_another_frame_around_the_weights_is_refused(
    tmp_path: Path, parts: dict[str, bytes], sentence: str
) -> None:
    state = state_dict(kernel=tensor(storage("7", 6), (6,), (1,)))

    with pytest.raises(DataError, match=sentence):
        read_state_dict(save(tmp_path, legacy_file(state, {"7": SIX}, **parts)))


@pytest.mark.parametrize("announced", [-1, 5, 7, 2**62])
def test_storage_must_have_the_announced_length(tmp_path: Path, announced: int) -> None:
    content = six_elements((6,), (1,)).replace(struct.pack("<q", 6), struct.pack("<q", announced))

    with pytest.raises(DataError, match=f"expected 6 elements .* {announced} are announced"):
        read_state_dict(save(tmp_path, content))


@pytest.mark.parametrize("length", [-1, 2**40, 2**70])
def test_storage_must_lie_within_the_file(tmp_path: Path, length: int) -> None:
    state = state_dict(kernel=tensor(storage("7", length), (6,), (1,)))
    content = legacy_file(state, {"7": SIX})
    content = content.replace(struct.pack("<q", 6), struct.pack("<q", min(length, 2**40)))

    with pytest.raises(DataError, match=r"in the storage '7'|for the storage '7'"):
        read_state_dict(save(tmp_path, content))


def test_a_file_that_is_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    content = six_elements((2, 3), (3, 1))

    for length in range(len(content)):
        with pytest.raises(DataError, match="Cannot read the weights"):
            read_state_dict(save(tmp_path, content[:length]))


@pytest.mark.parametrize("change", [1, 0x20, 0xFF])
def test_a_changed_byte_gives_weights_or_a_sentence(tmp_path: Path, change: int) -> None:
    content = six_elements((2, 3), (3, 1))

    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= change
        path = save(tmp_path, bytes(changed))
        try:
            loaded = read_state_dict(path)
        except DataError:
            continue
        assert all(value.size <= SIX.size for value in loaded.values())


def test_bytes_behind_the_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the end of the file, but 1 bytes follow"):
        read_state_dict(save(tmp_path, six_elements((6,), (1,)) + b"\0"))


def test_a_file_that_does_not_match_the_hash_in_its_name_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights-0123abcd.pth"
    path.write_bytes(six_elements((6,), (1,)))

    with pytest.raises(DataError, match=r"begins with 0123abcd, but it is [0-9a-f]{64}") as caught:
        read_state_dict(path)

    assert "install the package" in str(caught.value.hint)


def test_a_name_without_a_hash_is_answered_with_one(tmp_path: Path) -> None:
    content = six_elements((6,), (1,))
    path = tmp_path / "weights.pth"
    path.write_bytes(content)

    with pytest.raises(DataError, match="at least 8 digits of its SHA-256") as caught:
        read_state_dict(path)

    assert save(tmp_path, content).name in str(caught.value.hint)


def test_the_newer_zip_format_is_answered_with_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got a zip archive") as caught:
        read_state_dict(save(tmp_path, b"PK\x03\x04 and so on"))

    assert "_use_new_zipfile_serialization=False" in str(caught.value.hint)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing-0123abcd\.pth"):
        read_state_dict(tmp_path / "nothing-0123abcd.pth")
