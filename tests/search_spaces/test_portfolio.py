"""Tests for the recipes that a search begins with, and for recipes near others."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.parameters import Choice, Range
from search_spaces.portfolio import (
    BOLD,
    GENTLE,
    PORTFOLIO,
    first_recipes,
    fit_into,
    nearest,
    parse_recipes,
    vary,
)
from search_spaces.recipe import Recipe
from search_spaces.schedules import SCHEDULES
from search_spaces.spaces import PARAMETERS, list_presets, load_space, parse_space

SPACE = parse_space(
    "wide",
    {
        "backbone": ["efficientnet_lite0", "vgg16"],
        "image_size": [96, 160],
        "trainable_fraction": {"min": 0.0, "max": 1.0, "step": 0.25},
        "learning_rate": {"min": 1e-4, "max": 1e-2, "sampling": "log"},
        "dropout": {"min": 0.0, "max": 0.5},
        "augmentation": ["none", "light", "strong"],
        "schedule": {"cosine": {"warmup": [0.0, 0.1, 0.2]}, "one_cycle": {}, "constant": {}},
    },
)


def check_in_space(space, values):
    """Assert that values are complete, allowed, and of one schedule only."""
    domains = {**space.domains, "schedule": Choice(tuple(space.schedules))}
    domains |= {
        f"{values['schedule']}/{name}": domain
        for name, domain in space.schedules[values["schedule"]].items()
    }
    assert values.keys() == domains.keys()
    for name, domain in domains.items():
        if isinstance(domain, Range) and domain.step is None:
            assert domain.low <= values[name] <= domain.high
        else:
            listed = domain.values() if isinstance(domain, Range) else domain.values
            assert values[name] in listed
    Recipe.from_values(values)


@pytest.mark.parametrize("entry", PORTFOLIO)
def test_every_entry_names_what_exists(entry):
    for name, value in entry.items():
        kind, _, parameter = name.rpartition("/")
        if kind:
            assert kind == entry["schedule"]
            [found] = [p for p in SCHEDULES[kind].parameters if p.name == parameter]
            assert found.check(value) == value
        elif name == "schedule":
            assert value in SCHEDULES
        else:
            assert PARAMETERS[name].check(value) == value


@pytest.mark.parametrize("preset", list_presets())
def test_first_recipes_lie_in_every_preset_and_differ(preset):
    space = load_space(preset)
    backbones = space.choices("backbone")

    recipes = first_recipes(space, backbones)

    for values in recipes:
        check_in_space(space, values)
    assert recipes[0]["backbone"] == backbones[0]
    assert {values["backbone"] for values in recipes} == set(backbones)
    assert len({Recipe.from_values(values).identity for values in recipes}) == len(recipes)


@pytest.mark.parametrize(
    ("domain", "wanted", "value"),
    [
        (Choice((32, 64, 128)), 100, 128),
        (Choice((32, 64, 128)), 64, 64),
        (Choice((32, 64, 128)), None, 32),
        (Choice(("adam", "nadam")), "adamw", "adam"),
        (Choice(("adam", "nadam")), "nadam", "nadam"),
        (Choice(("none", "light")), "medium", "light"),
        (Choice(("none", "strong")), "medium", "strong"),
        (Range(0.0, 0.5), 0.7, 0.5),
        (Range(0.0, 0.5), 0.3, 0.3),
        (Range(0.0, 0.5, 0.1), 0.26, 0.3),
        (Range(1e-4, 1e-2, sampling="log"), None, 1e-3),
        (Range(0.0, 0.5), None, 0.25),
        (Choice(("v2", "medium_mixup")), "medium", "v2"),
    ],
)
def test_the_nearest_value_of_a_domain(domain, wanted, value):
    assert nearest(domain, wanted) == pytest.approx(value)


def test_where_frozen_features_tell_the_classes_apart_the_gentle_recipe_comes_first():
    space = load_space("petals")
    first, second = space.choices("backbone")[:2]

    def recipes(frozen):
        return first_recipes(space, [first, second], frozen)

    bold, gentle = ({**fit_into(space, {**entry, "backbone": first})} for entry in (BOLD, GENTLE))
    assert recipes({})[0] == recipes({first: 0.84, second: 0.99})[0] == bold
    assert recipes({first: 0.85})[0] == gentle
    assert bold in recipes({first: 0.85})
    assert gentle in recipes({})
    assert recipes({second: 0.9})[1] == {**gentle, "backbone": second}
    for frozen in ({}, {first: 0.9}, {first: 0.9, second: 0.9}):
        made = recipes(frozen)
        assert len({Recipe.from_values(values).identity for values in made}) == len(made)


def test_values_of_the_space_stay_as_they_are():
    values = first_recipes(SPACE, ["vgg16"])[1]

    assert fit_into(SPACE, values) == values


@given(st.integers(0, 2**32), st.sampled_from(range(len(PORTFOLIO))))
def test_a_recipe_near_another_is_in_the_space_and_another(seed, entry):
    values = fit_into(SPACE, PORTFOLIO[entry])

    near = vary(SPACE, values, np.random.default_rng(seed))

    check_in_space(SPACE, near)
    assert near != values


def test_a_recipe_near_another_mostly_keeps_it():
    values = fit_into(SPACE, PORTFOLIO[0])
    generator = np.random.default_rng(0)

    drawn = [vary(SPACE, values, generator) for _ in range(300)]

    kept = [np.mean([near.get(name) == value for near in drawn]) for name, value in values.items()]
    assert 0.5 < np.mean(kept) < 0.9
    rates = np.log10([near["learning_rate"] for near in drawn])
    assert abs(rates.mean() - np.log10(values["learning_rate"])) < 0.1
    assert 0.1 < rates.std() < 0.5


def test_a_space_of_one_recipe_has_none_near_it():
    space = parse_space("one", {"dropout": 0.1, "schedule": "constant"})
    values = fit_into(space, {})

    assert vary(space, values, np.random.default_rng(0)) == values


def test_a_persons_recipes_are_completed_from_the_best_known_one():
    whole, part = parse_recipes(
        [
            {"backbone": "vgg16", "dropout": 0.7, "schedule": {"one_cycle": {"warmup": 0.2}}},
            {"image_size": 96},
        ],
        SPACE,
    )

    assert (whole["backbone"], whole["dropout"]) == ("vgg16", 0.7)  # 0.7 is not in the space
    assert whole["one_cycle/warmup"] == 0.2
    assert "cosine/warmup" not in whole
    assert part == {**fit_into(SPACE, PORTFOLIO[0]), "image_size": 96}


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ({"dropout": 0.1}, "must be a list of mappings"),
        (["dropout"], "must be a list of mappings"),
        ([{"droput": 0.1}], "'droput'.*Did you mean 'dropout'"),
        ([{"dropout": 2.0}], r"`dropout` must lie in \[0, 0.9\]"),
        ([{"backbone": "xceptoin"}], "'xceptoin'.*Did you mean 'xception'"),
        ([{"schedule": "cosin"}], "'cosin'.*Did you mean 'cosine'"),
        ([{"schedule": {"cosine": {"warmpu": 0.1}}}], "'warmpu'.*Did you mean 'warmup'"),
        ([{"schedule": {"cosine": 0.1}}], "must be followed by its parameters"),
    ],
)
def test_a_recipe_that_does_not_hold_up_is_answered_by_name(entries, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_recipes(entries, SPACE)
