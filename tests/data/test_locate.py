"""Tests for finding what a person means by a name."""

import subprocess
import sys
import textwrap

import pytest

from automl_flowers.data.locate import KAGGLE_INPUT_VARIABLE, locate
from automl_flowers.errors import DataError

# kagglehub 1.0.2, as far as it is used here: names, signatures, and the errors it raises.
KAGGLEHUB = """
import logging
import os
import sys
from kagglehub.exceptions import KaggleApiHTTPError, UnauthenticatedError

logger = logging.getLogger("kagglehub")
logger.addHandler(logging.StreamHandler(sys.stdout))
logger.setLevel(logging.INFO)


def competition_download(handle, path=None, *, force_download=False, output_dir=None):
    if "/" in handle:
        raise ValueError(f"Invalid competition handle: {handle}")
    return _resolve("competitions", handle)


def dataset_download(handle, path=None, *, force_download=False, output_dir=None):
    if handle.count("/") != 1:
        raise ValueError(f"Invalid dataset handle: {handle}")
    return _resolve("datasets", handle) + "/versions/3"


def _resolve(kind, handle):
    import requests

    logger.info(f"Downloading {handle} ...")
    outcome = os.environ.get("KAGGLEHUB_TEST_OUTCOME", "done")
    if outcome == "stranger":
        raise UnauthenticatedError()
    if outcome == "offline":
        raise requests.exceptions.ConnectionError("HTTPSConnectionPool: Max retries exceeded")
    if outcome == "full":
        raise OSError(28, "No space left on device")
    if outcome.isdigit():
        response = requests.Response()
        response.status_code = int(outcome)
        raise KaggleApiHTTPError(f"{outcome} Client Error.\\n\\nlong text", response=response)
    if outcome == "broken":
        raise ValueError("Invalid Kaggle credentials file at here\\nmore")
    return os.path.join(os.environ["KAGGLEHUB_CACHE"], kind, handle)
"""
EXCEPTIONS = """
import requests


class KaggleApiHTTPError(requests.HTTPError):
    def __init__(self, message, response=None):
        super().__init__(message, response=response)


class UnauthenticatedError(Exception):
    def __init__(self, message="User is not authenticated"):
        super().__init__(message)
"""


@pytest.fixture
def heard():
    return []


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, without kagglehub and without Kaggle's own folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv(KAGGLE_INPUT_VARIABLE, str(tmp_path / "input"))
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    return tmp_path


@pytest.fixture
def kagglehub(tmp_path, monkeypatch):
    """Install a package that does what kagglehub does, into a folder of its own."""
    package = tmp_path / "site" / "kagglehub"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(KAGGLEHUB)
    (package / "exceptions.py").write_text(EXCEPTIONS)
    monkeypatch.syspath_prepend(package.parent)
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path / "downloads"))
    for name in ("kagglehub", "kagglehub.exceptions"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield package
    for name in ("kagglehub", "kagglehub.exceptions"):
        sys.modules.pop(name, None)


def folder(path):
    path.mkdir(parents=True)
    return path


# In this order: a scheme, here, Kaggle's folder, a download


def test_an_address_with_a_scheme_stays_as_it_is(heard):
    assert locate("gs://bucket/petals/*.tfrec", heard.append) == "gs://bucket/petals/*.tfrec"
    assert heard == []


@pytest.mark.parametrize("address", ["photos", "photos/", "./photos", "../here/photos"])
def test_a_path_that_exists_becomes_absolute(elsewhere, heard, address):
    photos = folder(elsewhere / "here/photos")

    assert locate(address, heard.append) == str(photos)
    assert heard == []


def test_home_is_expanded(elsewhere, monkeypatch):
    monkeypatch.setenv("HOME", str(elsewhere))

    assert locate("~/here") == str(elsewhere / "here")


def test_a_pattern_that_matches_becomes_absolute(elsewhere):
    (folder(elsewhere / "here/photos") / "a.tfrec").touch()

    assert locate("photos/*.tfrec") == str(elsewhere / "here/photos/*.tfrec")


def test_what_is_here_wins_over_what_kaggle_has(elsewhere):
    here = folder(elsewhere / "here/petals")
    folder(elsewhere / "input/petals")

    assert locate("petals") == str(here)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("petals", "petals"),
        ("petals", "competitions/petals"),
        ("petals/train", "competitions/petals/train"),
        ("ann/flowers", "flowers"),
        ("ann/flowers", "datasets/ann/flowers"),
        ("ann/flowers/train", "datasets/ann/flowers/train"),
        ("ann/flowers/train", "flowers/train"),
        ("flowers", "datasets/ann/flowers"),
    ],
)
def test_a_name_is_found_in_kaggles_folder(elsewhere, heard, name, place):
    path = folder(elsewhere / "input" / place)

    assert locate(name, heard.append) == str(path)
    assert heard == [f"`{name}` is {path}"]


def test_a_pattern_is_found_in_kaggles_folder(elsewhere):
    (folder(elsewhere / "input/petals/train") / "a.tfrec").touch()

    assert locate("petals/*/*.tfrec") == str(elsewhere / "input/petals/*/*.tfrec")


def test_the_owners_own_data_set_wins_over_one_of_the_same_name(elsewhere):
    folder(elsewhere / "input/flowers")
    path = folder(elsewhere / "input/datasets/ann/flowers")

    assert locate("ann/flowers") == str(path)


def test_a_bare_name_that_two_owners_use_is_not_guessed(elsewhere):
    for owner in ("ann", "bob"):
        folder(elsewhere / "input/datasets" / owner / "flowers")

    with pytest.raises(DataError, match="There is nothing at"):
        locate("flowers")


def test_a_path_is_no_name(elsewhere):
    folder(elsewhere / "input/petals")

    with pytest.raises(DataError, match=r"There is nothing at `.*here/petals`"):
        locate("./petals")


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("petals", "competitions/petals"),
        ("ann/flowers", "datasets/ann/flowers/versions/3"),
    ],
)
def test_a_name_is_downloaded_where_kagglehub_is_installed(
    kagglehub, elsewhere, heard, capfd, name, place
):
    path = str(elsewhere / "downloads" / place)

    assert locate(name, heard.append) == path

    assert heard == [
        f"downloading `{name}` from Kaggle; what was downloaded before is used again",
        f"`{name}` is {path}",
    ]
    said = capfd.readouterr()
    assert said.out == ""
    assert f"Downloading {name}" in said.err


def test_what_kaggle_has_put_here_is_not_downloaded(kagglehub, elsewhere, heard):
    path = folder(elsewhere / "input/petals")

    assert locate("petals", heard.append) == str(path)
    assert not any("downloading" in line for line in heard)


@pytest.mark.parametrize("address", ["photos/", "./photos", "/photos", "my_photos", "a.csv"])
def test_what_cannot_be_a_name_is_not_asked_for(kagglehub, elsewhere, address, monkeypatch):
    monkeypatch.setenv("KAGGLEHUB_TEST_OUTCOME", "broken")

    with pytest.raises(DataError, match="There is nothing at") as caught:
        locate(address)

    assert "kagglehub" not in str(caught.value)


# Answers


@pytest.mark.parametrize(
    ("name", "outcome", "reason", "hint"),
    [
        ("petals", "stranger", "wants to know who you are", r"~/\.kaggle/kaggle\.json"),
        ("petals", "401", "wants to know who you are", "KAGGLE_KEY"),
        ("petals", "403", "accept the competition's rules", "competitions/petals/rules"),
        ("ann/flowers", "403", "does not let you download it", "datasets/ann/flowers"),
        ("petals", "404", "has none of this name either", "competitions/petals"),
        ("petals", "offline", "Kaggle cannot be reached", "connect to the network"),
        ("petals", "full", "No space left on device", "KAGGLEHUB_CACHE"),
        ("petals", "500", "cannot download it: 500 Client Error", "competitions/petals"),
        ("petals", "broken", "Invalid Kaggle credentials file at here", "look at"),
    ],
)
def test_a_download_that_fails_is_answered_with_the_way_out(
    kagglehub, elsewhere, monkeypatch, name, outcome, reason, hint
):
    monkeypatch.setenv("KAGGLEHUB_TEST_OUTCOME", outcome)

    with pytest.raises(
        DataError, match=rf"There is nothing at `.*` nor below .*{reason}"
    ) as caught:
        locate(name)

    assert "\n" not in str(caught.value)
    assert hint.replace("\\", "") in caught.value.hint


def test_the_nearest_name_is_suggested_when_a_download_fails(kagglehub, elsewhere, monkeypatch):
    folder(elsewhere / "here/photos")
    monkeypatch.setenv("KAGGLEHUB_TEST_OUTCOME", "404")

    with pytest.raises(DataError, match=r"none of this name either\. Did you mean `.*photos`\?"):
        locate("photo")


def test_a_broken_kagglehub_is_answered_too(kagglehub):
    (kagglehub / "__init__.py").write_text("import nothing_of_this_name")

    with pytest.raises(DataError, match="kagglehub cannot download it: No module named"):
        locate("petals")


@pytest.mark.parametrize(
    ("address", "suggestion"),
    [
        ("photo", "here/photos"),
        ("photo/train", "here/photos/train"),
        ("photos/trian", "here/photos/train"),
        ("photo/nowhere", "here/photos"),
        ("petalls", "petals"),
        ("ann/flower", "ann/flowers"),
    ],
)
def test_the_nearest_name_is_suggested(elsewhere, address, suggestion):
    folder(elsewhere / "here/photos/train")
    folder(elsewhere / "input/competitions/petals")
    folder(elsewhere / "input/datasets/ann/flowers")

    with pytest.raises(DataError, match=rf"Did you mean `(.*/)?{suggestion}`\?"):
        locate(address)


def test_all_places_are_listed(elsewhere):
    with pytest.raises(DataError) as caught:
        locate("petals")

    assert str(caught.value) == (
        f"There is nothing at `{elsewhere}/here/petals` nor below `{elsewhere}/input`; Kaggle was "
        "not asked, since the package `kagglehub` is not installed."
    )
    assert "CSV file" in caught.value.hint


@pytest.mark.parametrize("address", ["", " "])
def test_an_empty_address_is_not_the_working_folder(address):
    with pytest.raises(DataError, match="The address of a data set is empty"):
        locate(address)


def test_locating_imports_no_tensorflow(elsewhere):
    code = """
    import sys
    from automl_flowers.data.locate import locate
    locate(".")
    print("tensorflow" in sys.modules)
    """

    command = [sys.executable, "-c", textwrap.dedent(code)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"
