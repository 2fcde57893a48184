"""Tests for label maps that a person completes."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.label_mapping import check_label_map, map_for
from automl_flowers.data.manifest import make_manifest
from automl_flowers.data.suggest_labels import (
    MIN_LIKENESS,
    likeness,
    suggest,
    summary_of,
    to_yaml,
    write_label_map,
)
from automl_flowers.errors import DataError

OURS = ("wild rose", "common dandelion", "daisy", "common tulip", "rose")
NAMES = st.lists(st.text(max_size=8), min_size=1, max_size=6, unique=True)


def make_external(*names, images=2):
    rows = [
        (f"{label}/{number}", label, "train", "theirs", "x.jpg", -1, -1)
        for label in range(len(names))
        for number in range(images)
    ]
    return make_manifest(rows, names)


def test_equal_names_are_mapped_and_others_only_suggested():
    made = suggest(make_external("Daisies", "dandelion", "roses", "orchid"), OURS)

    assert [(one.same, one.alike) for one in made] == [
        ("daisy", ()),
        (None, (("common dandelion", 0.8),)),
        ("rose", ()),
        (None, ()),
    ]
    assert {one.num_images for one in made} == {2}
    assert summary_of({"web": made}) == {"same_name": 2, "suggested": 1, "unknown": 1}
    assert yaml.safe_load(to_yaml({"web": made})) == {"Daisies": "daisy", "roses": "rose"}


def test_every_line_says_how_many_images_there_are_and_how_sure_it_is():
    text = to_yaml({"web": suggest(make_external("Daisies", "dandelion", "orchid"), OURS)})

    assert [line.partition("  # ")[2] for line in text.splitlines()[1:]] == [
        "2 images, same name: 1.00",
        "2 images, names alike: 0.80",
        "2 images, no name like it",
    ]


def test_an_ambiguous_name_is_left_to_a_person():
    [one] = suggest(make_external("tulip"), ("common tulip", "siam tulip", "daisy"))

    assert one.same is None
    assert [name for name, _ in one.alike] == ["common tulip", "siam tulip"]
    text = to_yaml({"web": [one]})
    assert yaml.safe_load(text) is None
    first, second = (line for line in text.splitlines()[1:])
    assert yaml.safe_load(first.removeprefix("# ")) == {"tulip": "common tulip"}
    assert yaml.safe_load(second.removeprefix("# ")) == {"tulip": "siam tulip"}


@given(NAMES, NAMES)
def test_whatever_names_there_are_the_file_says_what_is_meant(theirs, ours):
    made = suggest(make_external(*theirs, images=1), ours)

    lines = to_yaml({"web": made}).rstrip("\n").split("\n")
    accepted = {}
    for line in lines[1:]:
        accepted |= yaml.safe_load(line.removeprefix("# "))
    assert accepted.keys() == set(theirs)
    assert set(accepted.values()) <= {*ours, None}
    as_it_is = yaml.safe_load("\n".join(lines)) or {}
    assert as_it_is == {one.external: one.same for one in made if one.same is not None}


@given(first=NAMES, second=NAMES, ours=NAMES)
def test_a_file_for_several_data_sets_holds_up_as_it_is_and_when_all_is_accepted(
    first, second, ours
):
    theirs = {"web": first, "garden 2": second}
    made = {name: suggest(make_external(*each), ours) for name, each in theirs.items()}

    lines = to_yaml(made).rstrip("\n").split("\n")
    as_it_is = yaml.safe_load("\n".join(lines))
    accepted = {name: {} for name in theirs}
    below = None
    for line in lines[1:]:
        said = yaml.safe_load(line.strip().removeprefix("# "))
        if line.startswith(" "):
            below |= said
        else:
            below = accepted[next(iter(said))]

    assert summary_of(made)["same_name"] == sum(len(each or {}) for each in as_it_is.values())
    check_label_map(as_it_is, theirs, ours)
    check_label_map(accepted, theirs, ours)
    for name, each in theirs.items():
        same = {one.external: one.same for one in made[name] if one.same is not None}
        assert map_for(as_it_is, name).items() >= same.items()
        assert map_for(accepted, name).keys() == set(each)


@given(st.text(max_size=12), st.text(max_size=12))
def test_likeness_is_a_share(one, other):
    assert 0 <= likeness(one, other) <= 1
    assert likeness(one, one) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [("rose", "wild rose"), ("dandelions", "common dandelion"), ("hibiscus", "hibiskus")],
)
def test_names_alike(one, other):
    assert likeness(one, other) >= MIN_LIKENESS


@pytest.mark.parametrize(
    ("one", "other"), [("rose", "daisy"), ("iris", "tulip"), ("lotus", "rose")]
)
def test_names_that_are_not(one, other):
    assert likeness(one, other) < MIN_LIKENESS


def test_a_file_that_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "map.yaml").write_text("rose: wild rose")

    with pytest.raises(DataError, match="is there already"):
        write_label_map(tmp_path / "map.yaml", {"web": suggest(make_external("rose"), OURS)})

    assert (tmp_path / "map.yaml").read_text() == "rose: wild rose"
