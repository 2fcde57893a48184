"""Members' saved predictions, and joining them example by example.

Each member's predictions are one `.npz` file that carries what belongs together: id, label and
probabilities of every example, the order of the classes, and a hash of the data they are
predictions of. Members are joined by id, never by position, and whatever does not fit is
refused. Images and labels taken in two passes from an unordered data set have cost public
notebooks their blends; here such a mix-up cannot happen after prediction.
"""

from __future__ import annotations

import io
import lzma
import os
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ensembles._checks import complaint_about_rows

_FORMAT = 1
_UNKNOWN = -1

DAMAGED = (
    ValueError,
    KeyError,
    EOFError,
    OSError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What NumPy and zipfile raise for damaged bytes, seen by changing those of a good file;
`NotImplementedError`, of a version or method, is a `RuntimeError`."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one member predicts on one split. Checked when it is made.

    Attributes:
        member: Name of the retrained model.
        split: `val`, `blend`, `test` or an out-of-fold name; members must share it to blend.
        ids: Unique id of each example, NumPy strings, shape `(num_examples,)`.
        labels: True class indices, -1 where unknown, int64, shape `(num_examples,)`.
        probabilities: Distributions over classes, float32, shape
            `(num_examples, num_classes)`; each row sums to 1 within 1e-3.
        class_names: Names in the order of the last axis of `probabilities`, without repeats.
        data_hash: Hash of the examples predicted, independent of member and image size.

    Raises:
        ValueError: If anything above does not hold; the message says what to do.
    """

    member: str
    split: str
    ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    data_hash: str

    def __post_init__(self) -> None:
        complaint = (
            _complaint_about_ids(self.ids)
            or _complaint_about_shapes(self)
            or _complaint_about_values(self)
        )
        if complaint:
            raise ValueError(f"Predictions of {self.member!r} on {self.split!r}: {complaint}")


@dataclass(frozen=True, eq=False)
class AlignedPredictions:
    """What several members predict on the same examples, in the same order.

    Attributes:
        members: Names in the order of the first axis of `probabilities`.
        split: The split that all predicted.
        ids: Ids in rising order, NumPy strings, shape `(num_examples,)`.
        labels: True class indices, -1 where no member knows it, int64, shape
            `(num_examples,)`.
        probabilities: Distributions over classes, float64, shape
            `(num_models, num_examples, num_classes)`.
        class_names: Names in the order of the last axis of `probabilities`.
        data_hash: Hash of the examples, the same for all members.
    """

    members: tuple[str, ...]
    split: str
    ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    class_names: tuple[str, ...]
    data_hash: str


def save_predictions(path: str | os.PathLike[str], predictions: Predictions) -> None:
    """Write `predictions` as a plain `.npz`, all or nothing. A missing folder is made.

    Equal predictions make equal bytes, so files can be compared by hash.

    Args:
        path: The file, conventionally ending in `.npz`.
        predictions: What to write.

    Raises:
        OSError: If the disk is full or the folder cannot be written; a file that was there
            before is then still there.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **_to_arrays(predictions))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def load_predictions(path: str | os.PathLike[str]) -> Predictions:
    """Read what `save_predictions` wrote. Nothing in the file is executed.

    Args:
        path: The file.

    Returns:
        The predictions, checked again.

    Raises:
        ValueError: If the file is cut short, altered, of another kind or of another format.
        OSError: If there is no such file or it cannot be read.
    """
    file = io.BytesIO(Path(path).read_bytes())
    try:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is no `.npz` archive, or was cut short")
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            return _from_arrays(archive)
    except DAMAGED as error:
        raise ValueError(
            f"Cannot read {os.fspath(path)} as saved predictions: {error}. Delete the file and "
            "predict again."
        ) from error


def align(predictions: Sequence[Predictions]) -> AlignedPredictions:
    """Join members' predictions by id.

    A label that one member does not know (-1) is taken from another. Members with the same
    classes in another order are put into that of the first. Cost is a sort of the ids and a copy
    of the probabilities for each member.

    Args:
        predictions: One entry per member, at least one, in the order wanted.

    Returns:
        The same predictions with examples in the order of their ids.

    Raises:
        ValueError: If a member is listed twice, or members differ in split, classes, data hash,
            ids or known labels. The message names them and counts the differences.

    Example:
        >>> def member(name, ids, probabilities):
        ...     return Predictions(name, "test", np.array(ids), np.array([-1, -1]),
        ...                        np.array(probabilities, np.float32), ("daisy", "iris"), "5e1f")
        >>> joined = align([
        ...     member("b7", ["x", "y"], [[0.75, 0.25], [0.0, 1.0]]),
        ...     member("densenet", ["y", "x"], [[0.5, 0.5], [1.0, 0.0]]),
        ... ])
        >>> joined.probabilities[:, 0]
        array([[0.75, 0.25],
               [1.  , 0.  ]])
    """
    _check_members(predictions)
    first = predictions[0]
    for other in predictions[1:]:
        _check_same_data(first, other)
        _check_same_ids(first, other)
    predictions = [_with_classes(one, first.class_names) for one in predictions]
    orders = [np.argsort(one.ids) for one in predictions]
    labels = np.stack([one.labels[order] for one, order in zip(predictions, orders, strict=True)])
    ids = first.ids[orders[0]]
    _check_labels_agree(predictions, labels, ids)
    return AlignedPredictions(
        members=tuple(one.member for one in predictions),
        split=first.split,
        ids=ids,
        labels=labels.max(axis=0),
        probabilities=np.stack(
            [one.probabilities[order] for one, order in zip(predictions, orders, strict=True)]
        ).astype(np.float64),
        class_names=first.class_names,
        data_hash=first.data_hash,
    )


def _to_arrays(predictions: Predictions) -> dict[str, Any]:
    return {"format": np.array(_FORMAT)} | {
        field.name: np.asarray(getattr(predictions, field.name)) for field in fields(predictions)
    }


def _from_arrays(archive: Any) -> Predictions:
    if (found := int(archive["format"])) != _FORMAT:
        raise ValueError(f"it has format {found}, this version reads format {_FORMAT}")
    return Predictions(
        member=str(archive["member"]),
        split=str(archive["split"]),
        ids=archive["ids"],
        labels=archive["labels"],
        probabilities=archive["probabilities"],
        class_names=tuple(archive["class_names"].tolist()),
        data_hash=str(archive["data_hash"]),
    )


def _complaint_about_ids(ids: np.ndarray) -> str | None:
    if ids.dtype.kind != "U" or ids.ndim != 1 or not ids.size:
        return (
            "`ids` must be NumPy strings of shape (num_examples,), at least one, got "
            f"{ids.dtype} of shape {ids.shape}. Decode bytes first, with `np.char.decode`."
        )
    names, counts = np.unique(ids, return_counts=True)
    if len(names) < len(ids):
        return (
            f"`ids` must be unique, got {np.count_nonzero(counts > 1)} ids more than once, the "
            f"first {str(names[counts > 1][0])!r}. Predict each example once, without padding "
            "or repetition."
        )
    return None


def _complaint_about_shapes(predictions: Predictions) -> str | None:
    num_examples, num_classes = len(predictions.ids), len(predictions.class_names)
    labels, probabilities = predictions.labels, predictions.probabilities
    if not isinstance(predictions.class_names, tuple) or not predictions.class_names:
        return (
            "`class_names` must be a tuple of at least one name, got "
            f"{predictions.class_names!r}. Pass `tuple(names)`."
        )
    if len(set(predictions.class_names)) < num_classes:
        return (
            f"`class_names` must be unique, got {num_classes} names of which "
            f"{len(set(predictions.class_names))} differ. Rename one of each pair."
        )
    if labels.dtype != np.int64 or labels.shape != (num_examples,):
        return (
            f"`labels` must be int64 of shape ({num_examples},), one for each id, got "
            f"{labels.dtype} of shape {labels.shape}. Put -1 where a label is unknown."
        )
    if probabilities.dtype != np.float32 or probabilities.shape != (num_examples, num_classes):
        return (
            f"`probabilities` must be float32 of shape ({num_examples}, {num_classes}), a row "
            f"for each id and a column for each class name, got {probabilities.dtype} of shape "
            f"{probabilities.shape}. Convert them with `.astype(np.float32)`."
        )
    return None


def _complaint_about_values(predictions: Predictions) -> str | None:
    labels, num_classes = predictions.labels, len(predictions.class_names)
    outside = (labels < _UNKNOWN) | (labels >= num_classes)
    if outside.any():
        return (
            f"`labels` must lie in [0, {num_classes}), or be -1 where unknown, got "
            f"{outside.sum()} outside, the first {labels[outside][0]}. Check that labels and "
            "`class_names` come from the same class list."
        )
    complaint = complaint_about_rows(predictions.probabilities)
    return f"`probabilities` {complaint}" if complaint else None


def _check_members(predictions: Sequence[Predictions]) -> None:
    members = [one.member for one in predictions]
    if not members:
        raise ValueError("`align` must be given at least one member's predictions, got none.")
    repeated = sorted({name for name in members if members.count(name) > 1})
    if repeated:
        raise ValueError(
            f"Members to blend must have different names, got {', '.join(repeated)} more than "
            "once. List each member once, or rename one."
        )


def _check_same_data(first: Predictions, other: Predictions) -> None:
    pair = f"{first.member!r} and {other.member!r}"
    if first.split != other.split:
        raise ValueError(
            f"{pair} must predict the same split, got {first.split!r} and {other.split!r}. "
            "Predict one split with both."
        )
    if set(first.class_names) != set(other.class_names):
        raise ValueError(
            f"{pair} must have the same classes, got "
            f"{_describe_class_difference(first.class_names, other.class_names)}. Predict again "
            "with one class list."
        )
    if first.data_hash != other.data_hash:
        raise ValueError(
            f"{pair} must predict the same version of the data, got data hashes "
            f"{first.data_hash!r} and {other.data_hash!r}. Predict again with the older one."
        )


def _describe_class_difference(first: tuple[str, ...], other: tuple[str, ...]) -> str:
    if len(first) != len(other):
        return f"{len(first)} and {len(other)} classes"
    only_first = [name for name in first if name not in other]
    only_other = [name for name in other if name not in first]
    return (
        f"{len(only_first)} of {len(first)} that only one of them has, for example "
        f"{only_first[0]!r} and {only_other[0]!r}"
    )


def _with_classes(one: Predictions, class_names: tuple[str, ...]) -> Predictions:
    """Return the same predictions with classes in another order."""
    if one.class_names == class_names:
        return one
    places = np.array([one.class_names.index(name) for name in class_names])
    new_place_of = np.argsort(places)
    return replace(
        one,
        labels=np.where(one.labels == _UNKNOWN, _UNKNOWN, new_place_of[one.labels]),
        probabilities=np.ascontiguousarray(one.probabilities[:, places]),
        class_names=class_names,
    )


def _check_same_ids(first: Predictions, other: Predictions) -> None:
    only_first = np.setdiff1d(first.ids, other.ids)
    only_other = np.setdiff1d(other.ids, first.ids)
    if len(only_first) or len(only_other):
        example = str([*only_first, *only_other][0])
        raise ValueError(
            f"{first.member!r} and {other.member!r} must predict the same examples, got "
            f"{len(first.ids)} and {len(other.ids)} with {len(only_first)} only in the first "
            f"and {len(only_other)} only in the second, for example {example!r}. Predict the "
            f"whole split {first.split!r} with both."
        )


def _check_labels_agree(
    predictions: Sequence[Predictions], labels: np.ndarray, ids: np.ndarray
) -> None:
    conflicts = (labels != _UNKNOWN) & (labels != labels.max(axis=0))
    if not conflicts.any():
        return
    columns = np.flatnonzero(conflicts.any(axis=0))
    column = columns[0]
    low, high = int(np.argmax(conflicts[:, column])), int(np.argmax(labels[:, column]))
    raise ValueError(
        f"Members must agree on the labels, got {len(columns)} of {len(ids)} examples in "
        f"conflict, the first {str(ids[column])!r} with label {labels[low, column]} in "
        f"{predictions[low].member!r} and {labels[high, column]} in "
        f"{predictions[high].member!r}. Predict again from one manifest."
    )
