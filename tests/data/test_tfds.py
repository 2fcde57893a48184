"""Data sets of TensorFlow Datasets: a small one, built here by their own package."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from automl_flowers.data.locate import locate
from automl_flowers.data.prepare import read
from automl_flowers.data.sources import open_data
from automl_flowers.errors import DataError

BUILD = textwrap.dedent(
    """
    import numpy as np
    import tensorflow_datasets as tfds

    class TinyFlowers(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.2.0")
        SPLITS = {"train": (4, 0), "validation": (2, 50), "test": (2, 90)}

        def _info(self):
            features = tfds.features.FeaturesDict({
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                "label": tfds.features.ClassLabel(names=["rose", "iris"]),
                "file_name": tfds.features.Text(),
            })
            return self.dataset_info_from_configs(features=features)

        def _split_generators(self, dl_manager):
            make = self._generate_examples
            return {name: make(*which) for name, which in self.SPLITS.items()}

        def _generate_examples(self, count, first):
            for number in range(count):
                image = np.full((8, 6, 3), first + number, np.uint8)
                yield number, {"image": image, "label": number % 2, "file_name": "same.png"}

    class StrangeFlowers(TinyFlowers):
        SPLITS = {"train": (4, 0), "dev": (2, 50), "test": (2, 90), "extra": (2, 120)}

    class WholeFlowers(TinyFlowers):
        SPLITS = {"full": (4, 0)}

    class HalfFlowers(TinyFlowers):
        SPLITS = {"left": (2, 0), "right": (2, 50)}

    def prepare():
        for builder in (TinyFlowers, StrangeFlowers, WholeFlowers, HalfFlowers):
            builder().download_and_prepare()
    """
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Where TensorFlow Datasets keeps what it has prepared."""
    folder = tmp_path_factory.mktemp("tensorflow_datasets")
    package = tmp_path_factory.mktemp("package") / "garden"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "tiny_flowers.py").write_text(BUILD)
    build = "from garden import tiny_flowers; tiny_flowers.prepare()"
    environment = {**os.environ, "TFDS_DATA_DIR": str(folder)}
    subprocess.run(
        [sys.executable, "-c", build],
        check=True,
        capture_output=True,
        cwd=package.parent,
        env=environment,
    )
    return folder


@pytest.fixture
def home(data_dir, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(data_dir))
    return data_dir


def test_a_prepared_folder_is_read_as_it_is(data_dir, tmp_path):
    folder = data_dir / "tiny_flowers/1.2.0"

    manifest = open_data(str(folder))
    data = read(str(folder), image_size=4, cache=tmp_path)

    assert manifest.class_names == ("rose", "iris")
    assert manifest.count_images() == {"train": 4, "val": 2, "test": 2}
    assert manifest.problems == ()
    for split, first in [("train", 0), ("val", 50), ("test", 90)]:
        examples = data.examples(split, 4)
        shown = {int(examples.take(np.array([n])).max()) for n in range(len(examples))}
        assert shown == {first + number for number in range(len(examples))}
        assert sorted(examples.labels) == sorted(n % 2 for n in range(len(examples)))


def test_a_split_of_another_name_is_left_out_and_said(data_dir):
    manifest = open_data(str(data_dir / "strange_flowers/1.2.0"))

    assert manifest.count_images() == {"train": 4, "val": 2, "test": 2}
    (problem,) = manifest.problems
    assert problem.reason.startswith(
        "The split `extra` is not known, so its 1 file is left out. Known are train, val,"
    )


def test_an_only_split_is_trained_on_and_that_is_said(data_dir):
    manifest = open_data(str(data_dir / "whole_flowers/1.2.0"))

    assert manifest.count_images() == {"train": 4}
    (problem,) = manifest.problems
    assert problem.reason == "The only split, `full`, is taken as `train`."


def test_of_several_strange_splits_a_person_names_one(data_dir):
    folder = data_dir / "half_flowers/1.2.0"

    with pytest.raises(DataError, match="has the splits `left`, `right`, and none is called"):
        open_data(str(folder))

    assert open_data(f"{folder}/*-left.tfrecord*").count_images() == {"train": 2}


SAY_WHERE = """
import sys
from automl_flowers.data.locate import locate
from automl_flowers.errors import DataError
try:
    print(locate(sys.argv[1], lambda text: print(text, file=sys.stderr)))
except DataError as error:
    print("error:", error, error.hint)
"""


def ask(address):
    command = [sys.executable, "-c", SAY_WHERE, address]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", ["tiny_flowers", "tiny_flowers:1.2.0"])
def test_a_name_is_the_folder_that_was_prepared(home, name):
    assert ask(f"tfds:{name}") == str(home / "tiny_flowers/1.2.0")


def test_a_name_that_does_not_exist_is_answered(home):
    answer = ask("tfds:tiny_flowerz")

    assert answer.startswith("error: TensorFlow Datasets has no `tiny_flowerz`. names are listed")


def test_without_the_package_there_is_a_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)

    with pytest.raises(DataError, match="needs the package `tensorflow-datasets`") as refusal:
        locate("tfds:tf_flowers")

    assert "automl-flowers[tfds]" in refusal.value.hint
