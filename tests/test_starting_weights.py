"""Tests for what backbones start from."""

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.config import RunConfig, check_same_search, parse_config, write_config
from automl_flowers.errors import ConfigError, DataError, RunError
from automl_flowers.starting_weights import files_of, hash_files, parse_weights, weights_of

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,9}", fullmatch=True)
FILES = st.from_regex(r"/[A-Za-z0-9_./ -]{0,20}[a-z]", fullmatch=True)


@pytest.mark.parametrize(
    ("given_value", "weights"),
    [
        ("imagenet", "imagenet"),
        (["none"], "none"),
        ("vgg16=/a.h5", {"vgg16": "/a.h5"}),
        (["vgg16=/a.h5", "xception=b.h5"], {"vgg16": "/a.h5", "xception": "b.h5"}),
        ("vgg16=/a.h5, xception=b.h5", {"vgg16": "/a.h5", "xception": "b.h5"}),
        ("vgg16=/a,b.h5", {"vgg16": "/a,b.h5"}),
        ("vgg16=/lr=1/a.h5", {"vgg16": "/lr=1/a.h5"}),
        (["imagenet", "vgg16=/a.h5"], {"vgg16": "/a.h5"}),
        ({"vgg16": "/a.h5"}, {"vgg16": "/a.h5"}),
        ({}, "imagenet"),
    ],
)
def test_one_form_for_all_that_a_person_may_write(given_value, weights):
    assert parse_weights(given_value) == weights


@given(files=st.dictionaries(NAMES, FILES, min_size=1))
def test_flags_say_what_a_mapping_says(files):
    flags = [f"{name}={file}" for name, file in files.items()]

    assert parse_weights(flags) == parse_weights(",".join(flags)) == parse_weights(files) == files


@pytest.mark.parametrize(
    ("given_value", "sentence"),
    [
        ("imagnet", "input should be 'imagenet', 'none' or 'name=file', got 'imagnet'"),
        (["imagenet", "none"], "input should be"),
        ([], "input should be"),
        ([3], "input should be"),
        ("vgg16=", "input should be"),
        ("=a.h5", "input should be"),
        ({"vgg16": 1}, "input should be"),
        (["vgg16=a", "vgg16=b"], "two files are given for 'vgg16'"),
        ("none,vgg16=a", "files go with 'imagenet' for the others, not with 'none'"),
    ],
)
def test_what_says_nothing_is_refused(given_value, sentence):
    with pytest.raises(ConfigError, match=re.escape(f"`weights`: {sentence}")):
        parse_config({"weights": given_value})


@pytest.mark.parametrize(
    ("weights", "start"),
    [("imagenet", "imagenet"), ("none", "none"), ({"vgg16": "a"}, "a"), ({"xception": "a"}, None)],
)
def test_backbones_without_a_file_start_from_imagenet(weights, start):
    assert weights_of(weights, "vgg16") == (start or "imagenet")


@pytest.mark.parametrize("weights", ["imagenet", "none"])
def test_words_have_no_files(weights):
    assert files_of(weights) == {}
    assert hash_files(weights, {}) == {}


def test_a_file_is_its_content(tmp_path):
    file = tmp_path / "a.h5"
    file.write_bytes(b"weights")

    assert hash_files({"vgg16": str(file)}, {}) == {"vgg16": hashlib.sha256(b"weights").hexdigest()}


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"weights of 'vgg16' cannot be read from .*: No such file"):
        hash_files({"vgg16": str(tmp_path / "a.h5")}, {})


def test_a_file_that_changed_is_refused(tmp_path):
    file = tmp_path / "a.h5"
    file.write_bytes(b"weights")
    before = hash_files({"vgg16": str(file)}, {})
    assert hash_files({"vgg16": str(file)}, before) == before
    file.write_bytes(b"others")

    with pytest.raises(RunError, match="have changed since this run began"):
        hash_files({"vgg16": str(file)}, before)


def config(file, content):
    return RunConfig(weights={"vgg16": file}, weights_sha256={"vgg16": content})


def test_a_run_goes_on_with_the_same_content_elsewhere_and_with_no_other(tmp_path):
    write_config(config("/a.h5", "0123"), tmp_path / "config.yaml")

    check_same_search(config("/b.h5", "0123"), tmp_path / "config.yaml")
    assert config("/a.h5", "0123").digits() == config("/b.h5", "0123").digits()
    with pytest.raises(RunError, match=r"`weights` was {'vgg16': '0123'}, now {'vgg16': '4567'}"):
        check_same_search(config("/a.h5", "4567"), tmp_path / "config.yaml")
    with pytest.raises(RunError, match=r"`weights` was {'vgg16': '0123'}, now 'imagenet'"):
        check_same_search(RunConfig(), tmp_path / "config.yaml")
