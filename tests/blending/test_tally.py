"""Tests for counting images that can and cannot be read."""

import pytest

from automl_flowers.blending.tally import Tally
from automl_flowers.data.manifest import Problem
from automl_flowers.errors import ConfigError, DataError


def bad(count):
    return tuple(Problem(f"{number}.jpg", "It is no image.") for number in range(count))


def tally(policy, *added):
    made = Tally(policy)
    for num_usable, num_bad in added:
        made.add(num_usable, bad(num_bad))
    return made


def test_nothing_skipped_is_nothing_to_say():
    assert tally("fail", (5, 0), (3, 0)).end() is None


def test_skipped_files_are_counted_and_the_first_named():
    sentence = tally("skip", (1, 2), (0, 9)).end()

    assert sentence == (
        "skipped 11 files: 0.jpg: It is no image.; 1.jpg: It is no image.; "
        "0.jpg: It is no image. and 8 more"
    )


def test_a_share_is_put_up_with_up_to_itself():
    assert tally("10%", (9, 1)).end().startswith("skipped 1 files: 0.jpg")

    with pytest.raises(DataError, match="2 of 10 images cannot be read, and at most 10% may be"):
        tally("10%", (8, 2)).end()


def test_fail_does_so_at_the_first():
    with pytest.raises(DataError, match=r"`0\.jpg` cannot be read: It is no image\.") as error:
        tally("fail", (5, 0), (5, 1))

    assert "--bad-images skip" in error.value.hint


def test_no_image_at_all_is_answered_with_the_endings():
    with pytest.raises(DataError, match="no images at the paths") as error:
        tally("skip", (0, 0)).end()

    assert ".bmp, .gif, .jpeg, .jpg" in error.value.hint


def test_nothing_that_can_be_read_is_an_error():
    with pytest.raises(DataError, match=r"None of the 7 files can be read, .*`0\.jpg`: It is no"):
        tally("skip", (0, 5), (0, 2)).end()


def test_a_word_that_is_no_policy_is_answered():
    with pytest.raises(ConfigError, match=r"must be 'skip', 'fail', or .*5%', got 'ignore'"):
        Tally("ignore")
