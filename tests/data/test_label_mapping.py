"""Tests for mapping another data set's class names onto ours."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.label_mapping import (
    MIN_AGREEMENT,
    check_label_map,
    decide,
    map_for,
    normal_form,
    propose,
    require_any_used,
)
from automl_flowers.data.labels import COMPETITION_CLASS_NAMES
from automl_flowers.errors import ConfigError, DataError

OURS = ("daisy", "rose", "tulip")

NAMES = st.lists(st.text("abAB '-_12s", max_size=6), max_size=8, unique=True)


@pytest.mark.parametrize(
    ("name", "same"),
    [
        ("Daisy", "daisy"),
        ("DAISIES", "daisy"),
        ("roses", "rose"),
        ("irises", "Iris"),
        ("Spring Crocuses", "spring crocus"),
        ("lotus", "Lotuses"),
        ("grass", "Grasses"),
        ("12_Tiger-Lilies", "tiger lily"),
        ("001.black_eyed_susan", "black-eyed Susan"),
        ("3 4 roses", "rose"),
        ("Colt's Foot", "colts foot"),
        ("colt\N{RIGHT SINGLE QUOTATION MARK}s foot", "colts-foot"),
        ("  prince of wales   feathers ", "prince of wales feather"),
        ("bird_of_paradise", "Bird of Paradise"),
        ("rose (wild)", "Rose, wild"),
        ("ROSÉ", "rosé"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}ster", "asters"),
    ],
)
def test_names_of_the_same_flower_share_a_normal_form(name, same):
    assert normal_form(name) == normal_form(same)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("rose", "wild rose"),
        ("1", "2"),
        ("7", "07"),
        ("玫瑰", "郁金香"),
        ("玫瑰", "7"),
        ("iris", "iri"),
        ("moss", "mos"),
        ("globe flower", "globeflower"),
        ("rosé", "rose"),
    ],
)
def test_names_of_other_things_do_not(name, other):
    assert normal_form(name) != normal_form(other)


def test_the_competitions_names_are_told_apart():
    assert len({normal_form(name) for name in COMPETITION_CLASS_NAMES}) == 104


@given(external=NAMES, ours=NAMES)
def test_a_proposal_is_equal_or_the_only_one_of_its_normal_form(external, ours):
    proposals = propose(external, ours)

    for name in external:
        alike = [own for own in ours if normal_form(own) == normal_form(name)]
        if name in ours:
            assert proposals[name] == name
        elif len(alike) == 1:
            assert proposals[name] == alike[0]
        else:
            assert name not in proposals


def test_an_ambiguous_name_is_not_proposed():
    proposals = propose(["roses", "Rose", "tulips"], ["rose", "ROSE", "tulip"])

    assert proposals == {"tulips": "tulip"}


def test_an_equal_name_comes_before_a_similar_one():
    assert propose(["rose"], ["Rose", "rose"]) == {"rose": "rose"}


def decide_on(names, *, seen_as=None, label_map=None, labels=None):
    labels = np.arange(len(names)) if labels is None else np.array(labels, np.int64)
    seen_as = None if seen_as is None else np.array(seen_as, np.int64)
    return decide(names, OURS, labels, label_map=label_map or {}, seen_as=seen_as)


def test_without_a_probe_a_name_is_enough():
    roses, nettles = decide_on(["Roses", "nettle"], labels=[0, 0, 1])

    assert (roses.ours, roses.num_images, roses.agreement, roses.is_used) == ("rose", 2, None, True)
    assert roses.reason == "has the name of our rose"
    assert (nettles.ours, nettles.num_images, nettles.is_used) == (None, 1, False)
    assert nettles.reason == "none of our classes has its name, or more than one"


def test_a_class_that_the_probe_recognises_is_used_and_says_so():
    (roses,) = decide_on(["roses"], labels=[0, 0, 0, 0], seen_as=[1, 1, 1, 2])

    assert roses.agreement == 0.75
    assert roses.is_used
    assert roses.reason == "has the name of our rose; the probe sees rose in 75% of them"


def test_a_class_below_the_threshold_is_left_out_with_a_sentence():
    (roses,) = decide_on(["roses"], labels=[0] * 10, seen_as=[1, 1] + [0] * 8)

    assert roses.agreement == 0.2 < MIN_AGREEMENT
    assert not roses.is_used
    assert roses.ours == "rose"
    assert "the probe sees rose in only 20% of its images" in roses.reason
    assert "name it in `--label-map`" in roses.reason


def test_a_class_at_the_threshold_is_used():
    (roses,) = decide_on(["roses"], labels=[0] * 10, seen_as=[1] * 3 + [0] * 7)

    assert roses.agreement == MIN_AGREEMENT
    assert roses.is_used


def test_the_probe_looks_at_each_class_alone():
    roses, tulips = decide_on(["roses", "tulips"], labels=[0, 1, 0, 1], seen_as=[1, 0, 1, 0])

    assert (roses.agreement, tulips.agreement) == (1.0, 0.0)


def test_a_class_without_images_is_not_probed():
    roses, tulips = decide_on(["roses", "tulips"], labels=[1, 1], seen_as=[2, 2])

    assert (roses.num_images, roses.agreement) == (0, None)
    assert tulips.agreement == 1.0


@pytest.mark.parametrize("seen_as", [None, [0, 0]])
def test_a_persons_word_wins(seen_as):
    label_map = {"roses": "tulip", "daisy": None}

    roses, daisies = decide_on(["roses", "daisy"], label_map=label_map, seen_as=seen_as)

    assert (roses.ours, roses.is_used) == ("tulip", True)
    assert roses.reason.startswith("mapped by the label map")
    assert (daisies.ours, daisies.is_used) == (None, False)
    assert daisies.reason == "left out by the label map"


def test_a_label_map_of_known_names_holds_up():
    label_map = {"garden rose": "rose", "daisy": None, "meadow": {"daisy": "daisy"}, "web": None}

    check_label_map(label_map, {"web": ["garden rose", "tulip"], "meadow": ["daisy"]}, OURS)


def test_a_data_sets_own_map_wins_there_and_says_nothing_of_others():
    label_map = {"garden rose": "rose", "daisy": None, "meadow": {"daisy": "daisy"}}

    assert map_for(label_map, "meadow") == {"garden rose": "rose", "daisy": "daisy"}
    assert map_for(label_map, "web") == {"garden rose": "rose", "daisy": None}


@pytest.mark.parametrize(
    ("label_map", "sentence"),
    [
        ({"gardn rose": "rose"}, r"external class in `label_map`: 'gardn rose'.*'garden rose'\?"),
        ({"garden rose": "rosse"}, r"class in `label_map`: 'rosse'.*daisy, rose, tulip.*'rose'\?"),
        ({"wib": {"garden rose": "rose"}}, r"data set in `label_map`: 'wib'.*mean 'web'\?"),
        (
            {"web": {"gardn rose": "rose"}},
            r"class of 'web' in `label_map`: 'gardn rose'.*'garden",
        ),
        ({"web": {"garden rose": "rosse"}}, r"class in `label_map`: 'rosse'.*'rose'\?"),
        ({"web": {7: "rose"}}, r"class of 'web' in `label_map`: '7'"),
        ({"garden rose": ["rose"]}, r"class in `label_map`: \['rose'\], expected one of: daisy"),
    ],
)
def test_a_label_map_with_unknown_names_is_answered_with_the_nearest(label_map, sentence):
    with pytest.raises(ConfigError, match=sentence):
        check_label_map(label_map, {"web": ["garden rose"]}, OURS)


def test_data_of_which_nothing_can_be_used_are_refused():
    with pytest.raises(DataError, match=r"None of the 2 classes of `weeds` .*\(nettle, dock") as e:
        require_any_used(decide_on(["nettle", "dock"]), "weeds")

    assert "--label-map" in e.value.hint


def test_one_usable_class_is_enough():
    require_any_used(decide_on(["nettle", "roses"]), "weeds")
