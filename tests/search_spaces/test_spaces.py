"""Tests for spaces, and promises every preset makes, present and future."""

import contextlib
import itertools
import re

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.augmentation import AUGMENTATIONS
from search_spaces.backbones import BACKBONES, get_backbone
from search_spaces.fine_tuning import OPTIMIZERS
from search_spaces.parameters import Choice, Range
from search_spaces.recipe import Recipe
from search_spaces.regularisation import CLASS_WEIGHTINGS
from search_spaces.schedules import SCHEDULES, learning_rate_table
from search_spaces.spaces import PARAMETERS, list_presets, load_space, parse_space

PRESETS = pytest.mark.parametrize("preset", list_presets())


class Chosen:
    """Answers like a `HyperParameters` whose values are chosen by name, else the first."""

    def __init__(self, **chosen):
        self.chosen = chosen

    def Choice(self, name, values, **options):  # noqa: N802 - Keras Tuner's name
        value = self.chosen.get(name, values[0])
        assert value in values
        return value

    def Float(self, name, low, high, **options):  # noqa: N802 - Keras Tuner's name
        value = self.chosen.get(name, low)
        assert low <= value <= high
        return value

    def conditional_scope(self, name, values):
        return contextlib.nullcontext()


def corners_of(domain):
    if isinstance(domain, Choice):
        return list(domain.values)
    return [domain.low, domain.high]


def schedule_corners(space):
    """Return every schedule with every combination of its parameters' corners."""
    for kind, domains in space.schedules.items():
        names = [f"{kind}/{name}" for name in domains]
        for values in itertools.product(*map(corners_of, domains.values())):
            yield {"schedule": kind, **dict(zip(names, values, strict=True))}


def check_recipe(recipe):
    """Assert that every part of a recipe is something that exists."""
    backbone = get_backbone(recipe.backbone)
    assert recipe.image_size >= backbone.min_image_size
    assert 0 <= recipe.trainable_blocks <= len(backbone.blocks)
    assert 0 <= recipe.dropout < 1
    assert recipe.l2 >= 0
    assert 0 <= recipe.label_smoothing < 1
    assert recipe.class_weighting in CLASS_WEIGHTINGS
    assert recipe.augmentation in AUGMENTATIONS
    assert recipe.optimizer in OPTIMIZERS
    assert recipe.batch_size >= 1
    rates = learning_rate_table(recipe.schedule, steps_per_epoch=3, num_epochs=5)
    assert np.all(rates > 0)
    assert np.all(rates <= np.float32(recipe.schedule.peak_learning_rate))


@PRESETS
def test_preset_round_trips_through_yaml(preset):
    space = load_space(preset)

    written = yaml.safe_dump(space.to_dict(), sort_keys=False)

    assert parse_space(preset, yaml.safe_load(written)) == space


@PRESETS
def test_preset_says_something_about_every_hyperparameter(preset):
    space = load_space(preset)

    assert set(space.domains) == set(PARAMETERS)
    assert space.name == preset
    assert space.schedules


@PRESETS
def test_every_value_of_a_preset_makes_a_valid_recipe(preset):
    space = load_space(preset)

    for name, domain in space.domains.items():
        for value in corners_of(domain):
            check_recipe(space.declare(Chosen(**{name: value})))


@PRESETS
def test_every_schedule_of_a_preset_makes_a_valid_recipe(preset):
    space = load_space(preset)

    for chosen in schedule_corners(space):
        recipe = space.declare(Chosen(**chosen))
        check_recipe(recipe)
        assert recipe.schedule.kind == chosen["schedule"]


@PRESETS
@given(data=st.data())
def test_every_corner_of_a_preset_is_a_valid_recipe(preset, data):
    space = load_space(preset)
    corner = {n: data.draw(st.sampled_from(corners_of(d))) for n, d in space.domains.items()}
    schedule = data.draw(st.sampled_from(list(schedule_corners(space))))

    recipe = space.declare(Chosen(**corner, **schedule))

    check_recipe(recipe)
    assert recipe == Recipe.from_values({**corner, **schedule})


def test_empty_space_is_all_defaults():
    space = parse_space("mine", {})

    assert {name: space.choices(name) for name in PARAMETERS} == {
        name: (parameter.default,) for name, parameter in PARAMETERS.items()
    }
    assert space.schedules == {"cosine": {"warmup": Choice((0.1,))}}


@pytest.mark.parametrize(
    ("written", "schedules"),
    [
        ("constant", {"constant": {}}),
        ("[constant, cosine]", {"constant": {}, "cosine": {"warmup": Choice((0.1,))}}),
        ("{cosine: {warmup: [0, 0.2]}}", {"cosine": {"warmup": Choice((0.0, 0.2))}}),
        ("{cosine: , constant: {}}", {"cosine": {"warmup": Choice((0.1,))}, "constant": {}}),
        (
            "{ramp: {decay: {min: 0.5, max: 0.9}}}",
            {
                "ramp": {
                    "warmup": Choice((0.2,)),
                    "sustain": Choice((0.0,)),
                    "decay": Range(0.5, 0.9),
                }
            },
        ),
    ],
)
def test_schedules_are_given_by_name_by_list_or_with_their_parameters(written, schedules):
    assert parse_space("mine", {"schedule": yaml.safe_load(written)}).schedules == schedules


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("just words", "Space 'mine' must be a mapping from hyperparameters to values, got str."),
        ("", "Space 'mine' must be a mapping from hyperparameters to values, got NoneType."),
        ("dropuot: 0.1", "Unknown entry in space 'mine': 'dropuot', expected one of: augm"),
        ("dropuot: 0.1", "Did you mean 'dropout'?"),
        ("3: 0.1", "Unknown entry in space 'mine': 3, expected one of: augmentation,"),
        ("dropout: [0.1, 1.5]", "`dropout` must lie in [0, 0.9], got 1.5."),
        ("dropout:", "`dropout` must be a number, got None."),
        ("augmentation:", "Unknown `augmentation` None, expected one of: heavy, light, medium,"),
        ("augmentation: ligth", "Did you mean 'light'?"),
        ("backbone: [vgg_16]", "Did you mean 'vgg16'?"),
        ("optimizer: sgd", "Unknown `optimizer` 'sgd', expected one of: adam, adamw, nadam, rms"),
        ("image_size: {min: 96, max: 224}", "`image_size` takes a list of values, not a range;"),
        ("batch_size: []", "`batch_size` needs at least one value, got an empty list."),
        ("learning_rate: {min: 1e-3, max: 1e-4}", "`learning_rate` needs min < max, got 0.001"),
        ("l2: {min: 0, max: 1e-3, sampling: log}", "`l2` needs min > 0 with log sampling, got 0."),
        ("schedule: cosin", "Unknown schedule 'cosin', expected one of: constant, cosine,"),
        ("schedule: cosin", "Did you mean 'cosine'?"),
        ("schedule:", "Unknown schedule None, expected one of: constant, cosine,"),
        ("schedule: []", "`schedule` needs at least one kind, got none."),
        ("schedule: {}", "`schedule` needs at least one kind, got none."),
        ("schedule: [cosine, cosine]", "`schedule` lists a kind twice: ['cosine', 'cosine']."),
        ("schedule: [{cosine: {warmup: 0}}]", "Unknown schedule {'cosine': {'warmup': 0}}, exp"),
        ("schedule: {cosine: 0}", "Schedule 'cosine' must be followed by its parameters, got 0."),
        ("schedule: {cosine: {warm: 0}}", "Unknown parameter of schedule 'cosine': 'warm', exp"),
        ("schedule: {cosine: {warm: 0}}", "Did you mean 'warmup'?"),
        ("schedule: {cosine: {warmup: 1}}", "`warmup` must lie in [0, 0.9], got 1."),
        (
            "{image_size: [64, 96], backbone: [vgg16, xception]}",
            (
                "`image_size` 64 and backbone 'xception' contradict each other: it needs at least "
                "71 pixels."
            ),
        ),
    ],
)
def test_entries_that_do_not_hold_up_are_refused_by_name(written, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse_space("mine", yaml.safe_load(written))


def test_restricting_keeps_the_rest():
    space = load_space("small")

    restricted = space.restrict(backbone=["efficientnet_lite0"], batch_size=[8, 16])

    assert restricted.choices("backbone") == ("efficientnet_lite0",)
    assert restricted.choices("batch_size") == (8, 16)
    assert restricted.domains["dropout"] == space.domains["dropout"]
    assert restricted.schedules == space.schedules


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"backbones": ["vgg16"]}, "Unknown hyperparameter 'backbones'.*Did you mean 'backbone'"),
        ({"backbone": ["vgg_16"]}, "Unknown `backbone` 'vgg_16'.*Did you mean 'vgg16'"),
        ({"backbone": []}, "`backbone` needs at least one value"),
        ({"backbone": ["xception"], "image_size": [64]}, "contradict each other"),
    ],
)
def test_restrictions_that_do_not_hold_up_are_refused(values, sentence):
    with pytest.raises(ValueError, match=sentence):
        load_space("demo").restrict(**values)


def test_a_range_has_no_list_of_choices():
    with pytest.raises(TypeError, match="`learning_rate` of space 'demo' is a range"):
        load_space("demo").choices("learning_rate")


def test_unknown_preset_is_answered_with_a_suggestion():
    with pytest.raises(ValueError, match=r"space 'dmeo', .*Did you mean 'demo'\? Or give a file"):
        load_space("dmeo")


def test_a_space_is_read_from_a_file(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("dropout: [0.1, 0.3]\n")

    space = load_space(str(file))

    assert space.name == "mine"
    assert space.choices("dropout") == (0.1, 0.3)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "There is no space file"),
        (b"dropout: [0.1", "cannot be read: while parsing"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"!!python/object/apply:os.getcwd []", "cannot be read: could not determine"),
    ],
)
def test_files_that_cannot_be_read_are_refused(tmp_path, content, sentence):
    file = tmp_path / "mine.yaml"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(ValueError, match=sentence):
        load_space(str(file))


@PRESETS
def test_preset_has_at_most_one_level_of_conditions(preset):
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    load_space(preset).declare(hp)

    names = [entry.name for entry in hp.space]
    assert len(set(names)) == len(names)
    for entry in hp.space:
        conditions = [(c.name, list(c.values)) for c in entry.conditions]
        kind, _, parameter = entry.name.rpartition("/")
        assert conditions == ([("schedule", [kind])] if kind else [])
        assert not kind or parameter in {p.name for p in SCHEDULES[kind].parameters}


@PRESETS
def test_preset_emits_only_what_is_active(preset):
    import keras_tuner

    space = load_space(preset)
    for kind, domains in space.schedules.items():
        hp = keras_tuner.HyperParameters()
        hp.values["schedule"] = kind

        recipe = space.declare(hp)

        expected = {*PARAMETERS, "schedule", *(f"{kind}/{name}" for name in domains)}
        assert set(hp.values) == expected
        assert recipe == Recipe.from_values(hp.values)
        assert recipe.schedule.kind == kind


def test_every_step_of_a_range_is_drawn():
    import keras_tuner

    hp = keras_tuner.HyperParameters()
    load_space("demo").declare(hp)
    dropout = next(entry for entry in hp.space if entry.name == "dropout")

    drawn = {dropout.random_sample(seed) for seed in range(200)}

    assert drawn == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}


def test_backbones_of_the_registry_can_all_be_chosen():
    space = parse_space("all", {"backbone": list(BACKBONES), "image_size": [299]})

    for name in BACKBONES:
        assert space.declare(Chosen(backbone=name)).backbone == name
