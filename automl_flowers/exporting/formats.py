"""File formats of a model: how each is written, opened again, and used by a reader.

Keras writes all of them, and the names of the classes are inside each. What opens them here is what
opens them elsewhere: Keras, TensorFlow, ONNX Runtime and LiteRT, so the check of an exported model
goes through the program that it is for.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

from automl_flowers.data.cache import Images
from automl_flowers.data.nearest import did_you_mean
from automl_flowers.errors import ConfigError, UserError
from automl_flowers.files import DISK_ERRORS

Predict = Callable[[Images], np.ndarray]
"""From images to probabilities, `(num_images, num_classes)`, any number of images a call."""

CLASS_NAMES = "class_names.json"
"""What the names of the classes are called inside a model: a list, in the order of the labels."""

_LARGEST_FILE = 2_000_000_000
"""Bytes that a protocol buffer or a flatbuffer holds at most, with room for the graph."""


@dataclass(frozen=True)
class Format:
    """A file format.

    Attributes:
        title: What people call it.
        file: Name of the file or folder that holds the model.
        packages: Modules that are needed besides TensorFlow and Keras.
        has_limit: Whether a file holds no more than two gigabytes.
        write: Writes a model and the names of its classes.
        open: Opens what was written.
        example: Python for a reader, from `images` to `probabilities`.
        install: What to install for it.
        class_names: Python for a reader that returns the names of the classes, after the example.
    """

    title: str
    file: str
    packages: tuple[str, ...]
    has_limit: bool
    write: Callable[[keras.Model, Path, Sequence[str]], None]
    open: Callable[[Path], Predict]
    example: str
    install: str
    class_names: str


def find_format(name: str) -> Format:
    """Return a format by its name.

    Raises:
        ConfigError: If there is none.
        UserError: If a package is missing for it, or Keras runs on another backend.
    """
    try:
        found = FORMATS[name]
    except KeyError:
        raise ConfigError(
            f"Unknown format {name!r}, expected one of: {', '.join(FORMATS)}."
            f"{did_you_mean(name, FORMATS)}"
        ) from None
    missing = [package for package in found.packages if not _is_installed(package)]
    if missing:
        raise UserError(
            f"The format {name!r} needs packages that are not installed: {', '.join(missing)}.",
            hint="run `pip install 'automl-flowers[export]'`",
        )
    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras exports on its TensorFlow backend, and runs on {keras.backend.backend()!r}.",
            hint="set KERAS_BACKEND=tensorflow",
        )
    return found


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def check_size(format_name: str, model: keras.Model) -> None:
    """Refuse a model that a format cannot hold, before minutes are spent on it.

    Raises:
        UserError: With the formats that can.
    """
    num_bytes = 4 * model.count_params()
    if FORMATS[format_name].has_limit and num_bytes > _LARGEST_FILE:
        others = [name for name, each in FORMATS.items() if not each.has_limit]
        raise UserError(
            f"The ensemble has {num_bytes / 1e9:.1f} GB of weights, and a file of the format "
            f"{format_name!r} holds 2 GB.",
            hint=f"choose one of {', '.join(others)}, or blend fewer or smaller members",
        )


def write(name: str, model: keras.Model, folder: Path, class_names: Sequence[str]) -> None:
    """Write a model into a folder.

    Raises:
        UserError: If it cannot be converted; another format may do.
    """
    with _explaining(name, "written"):
        FORMATS[name].write(model, folder / FORMATS[name].file, class_names)


def open_again(name: str, folder: Path) -> Predict:
    """Open what `write` wrote.

    Returns:
        What predicts with it; raises as this does.

    Raises:
        UserError: If that cannot be done, as where a backbone has layers of a person's own.
    """
    with _explaining(name, "opened"):
        predict = FORMATS[name].open(folder / FORMATS[name].file)

    def predict_or_explain(images: Images) -> np.ndarray:
        with _explaining(name, "run"):
            return predict(images)

    return predict_or_explain


@contextlib.contextmanager
def _explaining(name: str, what: str) -> Iterator[None]:
    """Turn what converters and their programs raise, which is almost anything, into a sentence."""
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise  # another format does not make room
        raise _failed(name, what, error) from error


def _failed(name: str, what: str, error: Exception) -> UserError:
    reason = next(iter(str(error).strip().splitlines()), "")
    others = [other for other in FORMATS if other != name]
    return UserError(
        f"The ensemble cannot be {what} as {FORMATS[name].title}: {type(error).__name__}: {reason}",
        hint=f"choose another format: {', '.join(others)}",
    )


def _write_keras(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    model.save(path)
    _append(path, class_names)


def _append(path: Path, class_names: Sequence[str]) -> None:
    """Append the names to a file: to the archive that it is, or as one behind what it is.

    Keras reads of its archive what it has put there. LiteRT reads no further than its own end;
    labels behind it, in an archive, are what TensorFlow Lite calls associated files.
    """
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(CLASS_NAMES, json.dumps(list(class_names)))


def _open_keras(path: Path) -> Predict:
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    return lambda images: np.asarray(model(images, training=False))


def _write_saved_model(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    model.export(path, format="tf_saved_model", verbose=False)
    extra = path / "assets.extra"  # a folder for files that are none of TensorFlow's business
    extra.mkdir()
    (extra / CLASS_NAMES).write_text(json.dumps(list(class_names)), encoding="utf-8")


def _open_saved_model(path: Path) -> Predict:
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    return lambda images: np.asarray(model.serve(images))


def _write_onnx(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    import onnx

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tf2onnx, on names that NumPy has given up
        model.export(path, format="onnx", verbose=False)
    made = onnx.load(path)
    _rename_output(made.graph, "probabilities")
    onnx.helper.set_model_props(made, {"class_names": json.dumps(list(class_names))})
    onnx.save(made, path)


def _rename_output(graph: Any, name: str) -> None:
    [output] = graph.output
    for node in graph.node:
        for names in (node.input, node.output):
            names[:] = [name if each == output.name else each for each in names]
    output.name = name


def _open_onnx(path: Path) -> Predict:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: np.asarray(session.run(["probabilities"], {"images": images})[0])


def _write_litert(model: keras.Model, path: Path, class_names: Sequence[str]) -> None:
    import tensorflow as tf

    plain_operations = {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}
    model.export(path, format="litert", verbose=False, target_spec=plain_operations)
    _append(path, class_names)


def _open_litert(path: Path) -> Predict:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=str(path))
    [into], [out] = model.get_input_details(), model.get_output_details()

    def predict(images: Images) -> np.ndarray:
        model.resize_tensor_input(into["index"], images.shape)
        model.allocate_tensors()
        model.set_tensor(into["index"], images)
        model.invoke()
        return np.asarray(model.get_tensor(out["index"]))

    return predict


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "keras": Format(
            title="Keras",
            file="model.keras",
            packages=(),
            has_limit=False,
            write=_write_keras,
            open=_open_keras,
            example="""\
import keras

model = keras.saving.load_model("model.keras", compile=False)
probabilities = model.predict(images, verbose=0)
""",
            install="keras tensorflow",
            class_names='json.loads(zipfile.ZipFile("model.keras").read("class_names.json"))',
        ),
        "saved_model": Format(
            title="TensorFlow SavedModel",
            file="saved_model",
            packages=(),
            has_limit=False,
            write=_write_saved_model,
            open=_open_saved_model,
            example="""\
import tensorflow as tf

model = tf.saved_model.load("saved_model")
probabilities = model.serve(images).numpy()
""",
            install="tensorflow",
            class_names=(
                'json.loads(Path("saved_model/assets.extra/class_names.json").read_bytes())'
            ),
        ),
        "onnx": Format(
            title="ONNX",
            file="model.onnx",
            packages=("onnx", "onnxruntime", "tf2onnx"),
            has_limit=True,
            write=_write_onnx,
            open=_open_onnx,
            example="""\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
[probabilities] = session.run(["probabilities"], {"images": images})
""",
            install="onnxruntime",
            class_names=('json.loads(session.get_modelmeta().custom_metadata_map["class_names"])'),
        ),
        "litert": Format(
            title="LiteRT, formerly TensorFlow Lite",
            file="model.tflite",
            packages=("ai_edge_litert",),
            has_limit=True,
            write=_write_litert,
            open=_open_litert,
            example="""\
from ai_edge_litert.interpreter import Interpreter

model = Interpreter(model_path="model.tflite")
[into], [out] = model.get_input_details(), model.get_output_details()
model.resize_tensor_input(into["index"], images.shape)
model.allocate_tensors()
model.set_tensor(into["index"], images)
model.invoke()
probabilities = model.get_tensor(out["index"])
""",
            install="ai-edge-litert",
            class_names='json.loads(zipfile.ZipFile("model.tflite").read("class_names.json"))',
        ),
    }
)
