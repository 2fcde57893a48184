"""Tests for recipes and their identity."""

import dataclasses
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.augmentation import AUGMENTATIONS
from search_spaces.backbones import BACKBONES
from search_spaces.fine_tuning import OPTIMIZERS
from search_spaces.recipe import Recipe, flatten
from search_spaces.regularisation import CLASS_WEIGHTINGS
from search_spaces.schedules import SCHEDULES, Schedule

RECIPE = Recipe(
    backbone="efficientnet_lite0",
    image_size=96,
    trainable_blocks=3,
    dropout=0.2,
    l2=1e-5,
    label_smoothing=0.1,
    class_weighting="none",
    augmentation="light",
    optimizer="adam",
    batch_size=32,
    schedule=Schedule("cosine", 1e-3, {"warmup": 0.1}),
)

CHANGES = {
    "backbone": "xception",
    "image_size": 128,
    "trainable_blocks": 4,
    "dropout": 0.3,
    "l2": 2e-5,
    "label_smoothing": 0.0,
    "class_weighting": "balanced",
    "augmentation": "none",
    "optimizer": "adamw",
    "batch_size": 16,
    "schedule": Schedule("cosine", 1e-3, {"warmup": 0.2}),
    "views": 4,
}

VALUES = {
    "backbone": "efficientnet_lite0",
    "image_size": 96,
    "trainable_fraction": 0.5,
    "dropout": 0.2,
    "l2": 1e-5,
    "label_smoothing": 0.1,
    "class_weighting": "none",
    "augmentation": "light",
    "optimizer": "adam",
    "batch_size": 32,
    "learning_rate": 1e-3,
    "schedule": "cosine",
    "cosine/warmup": 0.1,
    "views": 0,
}


@st.composite
def schedules(draw):
    kind = draw(st.sampled_from(sorted(SCHEDULES)))
    parameters = {
        p.name: draw(st.integers(1, 3) if p.kind == "int" else st.sampled_from([0.5, 0.25]))
        for p in SCHEDULES[kind].parameters
    }
    return Schedule(kind, draw(st.sampled_from([1e-3, 1])), parameters)


recipes = st.builds(
    Recipe,
    backbone=st.sampled_from(sorted(BACKBONES)),
    image_size=st.sampled_from([96, 128]),
    trainable_blocks=st.integers(0, 2),
    dropout=st.sampled_from([0, 0.0, -0.0, 0.1]),
    l2=st.sampled_from([0, 0.0, 1e-5]),
    label_smoothing=st.sampled_from([0.0, 0.1]),
    class_weighting=st.sampled_from(CLASS_WEIGHTINGS),
    augmentation=st.sampled_from(sorted(AUGMENTATIONS)),
    optimizer=st.sampled_from(OPTIMIZERS),
    batch_size=st.sampled_from([16, 32]),
    schedule=schedules(),
    views=st.sampled_from([0, 1, 4]),
)


def test_identity_is_twelve_digits_and_stays_what_it_is():
    assert re.fullmatch("[0-9a-f]{12}", RECIPE.identity)
    assert dataclasses.replace(RECIPE).identity == RECIPE.identity
    assert RECIPE.name == f"efficientnet_lite0-{RECIPE.identity[:6]}"


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Recipe)])
def test_identity_changes_with_every_field(field):
    changed = dataclasses.replace(RECIPE, **{field: CHANGES[field]})

    assert changed.identity != RECIPE.identity


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule("cosine", 2e-3, {"warmup": 0.1}),
        Schedule("cosine", 1e-3, {"warmup": 0.0}),
        Schedule("one_cycle", 1e-3, {"warmup": 0.1}),
    ],
)
def test_identity_changes_with_every_part_of_the_schedule(schedule):
    assert dataclasses.replace(RECIPE, schedule=schedule).identity != RECIPE.identity


@given(a=recipes, b=recipes)
def test_recipes_share_an_identity_if_and_only_if_they_are_equal(a, b):
    assert (a.identity == b.identity) == (a == b)


@given(recipe=recipes)
def test_whole_numbers_are_the_same_with_and_without_a_point(recipe):
    twin = dataclasses.replace(recipe, dropout=float(recipe.dropout), l2=float(recipe.l2))

    assert twin == recipe
    assert hash(twin) == hash(recipe)
    assert twin.identity == recipe.identity


@given(recipe=recipes)
def test_recipe_survives_json(recipe):
    read = Recipe.from_dict(json.loads(json.dumps(recipe.to_dict())))

    assert read == recipe
    assert read.identity == recipe.identity


def test_a_recipe_from_before_there_were_views_is_the_same_recipe():
    data = RECIPE.to_dict()
    del data["views"]

    assert Recipe.from_dict(data) == RECIPE
    assert RECIPE.identity == "51b2159f40b1"


@given(recipe=recipes, epoch=st.integers(0, 50))
def test_an_epoch_shows_one_of_the_views(recipe, epoch):
    view = recipe.view_of(epoch)

    assert recipe.mixes or view == recipe.view_of(epoch + recipe.views)
    assert recipe.repeats_views == (len({recipe.view_of(e) for e in range(99)}) < 99)
    if recipe.augmentation == "none":
        assert view == 0
    else:
        assert view == (epoch % recipe.views if recipe.views and not recipe.mixes else epoch)


def test_views_of_images_that_do_not_change_or_are_mixed_are_no_other_recipe():
    unchanged = {**VALUES, "augmentation": "none"}

    mixing = {**VALUES, "augmentation": "medium_mixup"}

    assert Recipe.from_values({**unchanged, "views": 4}) == Recipe.from_values(unchanged)
    assert Recipe.from_values({**mixing, "views": 4}) == Recipe.from_values(mixing)
    assert Recipe.from_values({**VALUES, "views": 4}) != Recipe.from_values(VALUES)


@pytest.mark.parametrize("missing", ["dropout", "schedule"])
def test_data_without_a_field_are_refused(missing):
    data = RECIPE.to_dict()
    del data[missing]

    with pytest.raises(TypeError, match=missing):
        Recipe.from_dict(data)


def test_data_with_an_unknown_field_are_refused():
    with pytest.raises(TypeError, match="colour"):
        Recipe.from_dict({**RECIPE.to_dict(), "colour": "red"})


def test_values_of_a_trial_are_resolved():
    recipe = Recipe.from_values(VALUES)

    assert recipe == dataclasses.replace(RECIPE, trainable_blocks=9)  # half of 18 blocks


@pytest.mark.parametrize(
    "inactive",
    [{"ramp/warmup": 0.3}, {"ramp/decay": None}, {"tuner/epochs": 4}, {"tuner/trial_id": "0001"}],
)
def test_inactive_values_do_not_change_the_recipe(inactive):
    assert Recipe.from_values({**VALUES, **inactive}) == Recipe.from_values(VALUES)


def test_fractions_that_train_the_same_blocks_are_one_recipe():
    nearly_half = Recipe.from_values({**VALUES, "trainable_fraction": 0.49})

    assert nearly_half == Recipe.from_values(VALUES)


def test_flat_data_name_the_parts_of_the_schedule():
    flat = flatten(RECIPE.to_dict())

    assert flat == {
        **{field: getattr(RECIPE, field) for field in CHANGES if field != "schedule"},
        "schedule": "cosine",
        "learning_rate": 1e-3,
        "warmup": 0.1,
    }


@pytest.mark.parametrize("kind", SCHEDULES)
def test_no_parameter_of_a_schedule_hides_a_field(kind):
    names = {parameter.name for parameter in SCHEDULES[kind].parameters}

    assert not names & {*(field.name for field in dataclasses.fields(Recipe)), "learning_rate"}
