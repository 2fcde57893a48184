"""Tests for folders that hold several data sets."""

import pytest

from automl_flowers.data.collections import list_data_sets, locate_sources
from automl_flowers.data.locate import KAGGLE_INPUT_VARIABLE
from automl_flowers.errors import DataError


@pytest.fixture
def kaggle(tmp_path, write_images, write_records, serialise):
    """A folder laid out as the external data of the competition, with a few folders more."""
    root = tmp_path / "tf-flower-photo-tfrec"
    for name in ("imagenet_no_test", "oxford_102", "tf_flowers"):
        for size in ("192x192", "224x224"):
            write_records(root / name / f"tfrecords-jpeg-{size}/00-{size}-1.tfrec", [serialise()])
    write_images(root, {"garden/train/daisy/a.jpg": None, "meadow/rose/b.jpg": None})
    (root / "notes").mkdir()
    (root / "notes/read.txt").write_text("words")
    (root / "read.me").write_text("words")
    return root


ALL = ["garden", "imagenet_no_test", "meadow", "oxford_102", "tf_flowers"]


def paths(root, names):
    return [str(root / name) for name in names]


def test_a_folder_of_data_sets_stands_for_all_of_them_and_says_so(kaggle):
    said = []

    assert locate_sources([str(kaggle)], said.append) == paths(kaggle, ALL)
    assert said == [f"`{kaggle}` is a folder of 5 data sets: {', '.join(ALL)}"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ([":oxford_102"], ["oxford_102"]),
        ([":tf_flowers, oxford_102"], ["tf_flowers", "oxford_102"]),
        (["/oxford_102", "/garden"], ["oxford_102", "garden"]),
        (["/oxford_102", ":garden,oxford_102"], ["oxford_102", "garden"]),
        (["/oxford_102/tfrecords-jpeg-192x192"], ["oxford_102/tfrecords-jpeg-192x192"]),
        (["/*/tfrecords-jpeg-192x192/*.tfrec"], ["*/tfrecords-jpeg-192x192/*.tfrec"]),
    ],
)
def test_some_are_chosen_by_name_each_once(kaggle, given, names):
    assert locate_sources([f"{kaggle}{part}" for part in given]) == paths(kaggle, names)


def test_names_are_found_where_kaggle_has_them(kaggle, monkeypatch):
    monkeypatch.setenv(KAGGLE_INPUT_VARIABLE, str(kaggle.parent))

    found = locate_sources(["tf-flower-photo-tfrec:oxford_102"])

    assert found == paths(kaggle, ["oxford_102"])


@pytest.mark.parametrize("name", ["oxford_102", "garden", "meadow"])
def test_a_data_set_is_no_folder_of_data_sets(kaggle, name):
    assert list_data_sets(str(kaggle / name)) == []
    assert locate_sources([str(kaggle / name)]) == [str(kaggle / name)]


def test_a_name_that_does_not_exist_is_answered_with_the_nearest(kaggle):
    with pytest.raises(DataError, match=r"data set in `.*`: 'oxford_103', .*mean 'oxford_102'\?"):
        locate_sources([f"{kaggle}:oxford_103"])


def test_choosing_from_a_single_data_set_is_an_error(kaggle):
    with pytest.raises(DataError, match=r"no folder of several data sets, so there is no `daisy`"):
        locate_sources([f"{kaggle / 'garden'}:daisy"])


def test_a_path_that_holds_a_colon_is_a_path(tmp_path, write_images):
    root = write_images(tmp_path / "photos: best, mine", {"daisy/a.jpg": None, "rose/b.jpg": None})

    assert locate_sources([str(root)]) == [str(root)]


@pytest.mark.parametrize("scheme", ["memory-less", "nothing"])
def test_what_is_not_there_is_said(tmp_path, scheme):
    with pytest.raises(DataError, match="There is nothing at"):
        locate_sources([str(tmp_path / f"{scheme}:all")])
