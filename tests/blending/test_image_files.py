"""Tests for finding the images to predict."""

import io
import itertools
import os
import pathlib
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.image_files import find_images, stdin_chunks
from automl_flowers.errors import DataError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"bytes")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*paths, lines=()):
    return list(find_images(paths, lambda: lines))


def test_images_are_found_below_folders_in_order(here):
    touch(here, "b/2.jpg", "b/1.PNG", "a/deep/3.webp", "a/notes.txt", "b/x.jpg/inside.gif")

    files = found(".")

    assert files == ["a/deep/3.webp", "b/1.PNG", "b/2.jpg", "b/x.jpg/inside.gif"]
    assert found("./b/") == ["b/1.PNG", "b/2.jpg", "b/x.jpg/inside.gif"]


def test_hidden_files_of_a_folder_are_passed_over(here):
    touch(here, "a/.thumbnails/1.jpg", "a/._1.jpg", "a/1.jpg")

    assert found("a") == ["a/1.jpg"]
    assert found("a/._1.jpg") == ["a/._1.jpg"]


def test_links_to_folders_are_not_followed_and_dead_links_are_found_to_be_missed(here):
    touch(here, "a/1.jpg", "b/2.jpg")
    (here / "a/around").symlink_to(here / "a")
    (here / "a/dead.jpg").symlink_to(here / "nowhere.jpg")

    assert found("a") == ["a/1.jpg", "a/dead.jpg"]


def test_a_file_that_is_named_counts_whatever_it_is_called(here):
    touch(here, "photograph")

    assert found("photograph") == ["photograph"]


def test_an_image_that_is_named_twice_is_found_once(here):
    touch(here, "a/1.jpg", "a/2.jpg")

    assert found("a/2.jpg", "a", "a/*.jpg") == ["a/2.jpg", "a/1.jpg"]


def test_a_pattern_finds_images_and_what_folders_hold(here):
    touch(here, "a/1.jpg", "a/notes.txt", "a/b/2.png", "a/b/c/3.png")

    assert found("a/*") == ["a/1.jpg", "a/b/2.png", "a/b/c/3.png"]
    assert found("a/**/*.png") == ["a/b/2.png", "a/b/c/3.png"]


@pytest.mark.parametrize("pattern", ["a/**", "./a/**", "[a]/**/*"])
def test_an_image_that_a_pattern_matches_within_folders_that_match_is_found_once(here, pattern):
    """The pattern matches `a/`, `a/b` and the images in them."""
    touch(here, "a/1.jpg", "a/b/2.png", "a/b/c/3.png")

    assert found(pattern) == ["a/1.jpg", "a/b/2.png", "a/b/c/3.png"]


def test_a_file_with_the_name_of_a_pattern_is_a_file(here):
    touch(here, "a/[1].jpg", "a/1.jpg")

    assert found("a/[1].jpg") == ["a/[1].jpg"]


def test_a_list_is_read_line_by_line_with_what_is_not_there(here):
    touch(here, "a/1.jpg", "a/2.jpg", "b 1/[x].jpg")

    def lines():
        yield from [b"b 1/[x].jpg\r\n", b"\n", b"gone.jpg\n", b"a\n"]
        pytest.fail("this line was not asked for")

    files = find_images(["-"], lines)

    assert [next(files) for _ in range(4)] == ["b 1/[x].jpg", "gone.jpg", "a/1.jpg", "a/2.jpg"]


def test_a_list_names_an_image_as_often_as_it_says(here):
    touch(here, "1.jpg")

    assert found("-", lines=[b"1.jpg\n", b"1.jpg"]) == ["1.jpg", "1.jpg"]


def test_a_list_may_end_its_names_in_nul(here):
    assert found("-", lines=[b"one.jpg\0two.jpg\0"]) == ["one.jpg", "two.jpg"]


def test_with_nul_a_line_may_end_in_a_name_and_names_come_as_they_end(here):
    """As `find -print0` writes them."""

    def chunks():
        yield from [b"./on\ne.jpg\0tw", b"o.jpg\0three", b"\n3.jpg\0"]
        pytest.fail("this piece was not asked for")

    files = find_images(["-"], chunks)

    assert [next(files) for _ in range(3)] == ["on\ne.jpg", "two.jpg", "three\n3.jpg"]


@given(
    names=st.lists(st.binary(min_size=1, max_size=5).filter(lambda name: not {*name} & {*b"\0/."})),
    cuts=st.lists(st.integers(0, 40)),
)
def test_pieces_of_a_list_may_end_anywhere(names, cuts):
    text = b"".join(name + b"\0" for name in names)
    places = sorted({0, *(cut for cut in cuts if cut < len(text)), len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    if pieces and b"\0" not in pieces[0]:  # or lines are what it would see
        pieces = [text]

    found = list(find_images(["-"], lambda: pieces))

    assert found == [str(pathlib.Path(os.fsdecode(name))) for name in names]


def test_a_listed_image_that_another_path_names_is_found_once(here):
    touch(here, "a/1.jpg")

    assert found("-", "a", lines=[b"./a/1.jpg\n"]) == ["a/1.jpg"]


@pytest.mark.parametrize("content", [b"r\xf6se.jpg\nb.jpg\n", b""])
def test_stdin_is_read_as_bytes(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    assert b"".join(stdin_chunks()) == content


def test_a_name_that_is_not_utf_8_is_found_as_it_is(here):
    name = os.fsdecode(b"r\xf6se.jpg")
    touch(here, name)

    assert found("-", lines=[b"r\xf6se.jpg\n"]) == found(".") == [name]


@pytest.mark.parametrize(
    ("path", "sentence"), [("nowhere", "nothing at `nowhere`"), ("*.jpg", "Nothing matches `.*jpg")]
)
def test_a_path_without_anything_is_answered_before_the_first_image(here, path, sentence):
    touch(here, "a/1.jpg")

    with pytest.raises(DataError, match=sentence) as error:
        find_images(["a", path])

    assert "'holiday/*.jpg'" in error.value.hint


def test_a_folder_that_may_not_be_read_is_named(here, monkeypatch):
    touch(here, "a/b/1.jpg")
    scandir = os.scandir

    def refuse(path):
        if pathlib.Path(path).name == "b":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)

    with pytest.raises(DataError, match="Cannot read `a/b`: Permission denied"):
        found("a")
