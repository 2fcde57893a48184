"""Tests for the one configuration."""

import re

import pydantic
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from automl_flowers.config import (
    DEFAULT_MAX_EPOCHS,
    SEARCH_SETTINGS,
    RunConfig,
    check_same_search,
    make_config,
    parse_config,
    read_yaml,
    write_config,
)
from automl_flowers.errors import ConfigError, RunError, UserError
from search_spaces.spaces import list_presets

OTHER_VALUES = {
    "data": "photos",
    "record_features": {"label": "flower"},
    "seed": 1,
    "leaks": "warn",
    "space": "small",
    "backbones": ["vgg16"],
    "image_size": [96],
    "batch_size": [8],
    "max_epochs": 9,
    "factor": 2,
    "max_recipes": 5,
    "objective": "log_loss",
    "weights": "none",
    "precision": "float32",
    "oracle": "pasha",
    "probe": "off",
    "enqueue": [{"dropout": 0.1}],
}

settings_of_a_run = st.fixed_dictionaries(
    {},
    optional={
        "data": st.none() | st.text(min_size=1),
        "run": st.none() | st.text(min_size=1),
        "seed": st.integers(),
        "backbones": st.none() | st.lists(st.text(min_size=1).filter(lambda t: "," not in t)),
        "image_size": st.none() | st.lists(st.integers(1, 1024)),
        "max_epochs": st.none() | st.integers(1, 10_000),
        "factor": st.integers(2, 100),
        "objective": st.sampled_from(["macro_f1", "accuracy", "log_loss"]),
        "weights": st.sampled_from(["imagenet", "none"]),
        "precision": st.sampled_from(["auto", "float32"]),
        "external": st.lists(st.text(min_size=1)),
        "json": st.booleans(),
    },
)


@pytest.fixture
def write(tmp_path):
    def write(content):
        file = tmp_path / "config.yaml"
        if isinstance(content, bytes):
            file.write_bytes(content)
        else:
            file.write_text(content, encoding="utf-8")
        return file

    return write


def test_defaults_hold_up():
    config = make_config({})

    assert config == RunConfig()
    assert (config.seed, config.factor, config.top) == (0, 3, 3)


def test_every_preset_has_its_horizon():
    assert set(DEFAULT_MAX_EPOCHS) == set(list_presets())


def test_flags_win_over_the_file_and_the_file_over_defaults(write):
    file = write("seed: 3\nfactor: 4\n")

    config = make_config({"seed": 5, "factor": None, "top": None}, file)

    assert (config.seed, config.factor, config.top) == (5, 4, 3)


@pytest.mark.parametrize("flag", [False, 0])
def test_a_flag_that_is_false_is_given(write, flag):
    file = write("quiet: true\nseed: 3\n")
    name = "quiet" if flag is False else "seed"

    assert getattr(make_config({name: flag}, file), name) == flag


@pytest.mark.parametrize(
    ("setting", "given", "value"),
    [
        ("backbones", "vgg16", ["vgg16"]),
        ("backbones", "vgg16, xception,", ["vgg16", "xception"]),
        ("backbones", ["vgg16"], ["vgg16"]),
        ("image_size", 96, [96]),
        ("image_size", "96,128", [96, 128]),
        ("image_size", [96, 128], [96, 128]),
        ("batch_size", "8", [8]),
        ("external", "more/", ["more/"]),
    ],
)
def test_one_value_stands_for_a_list_of_one(setting, given, value):
    assert getattr(parse_config({setting: given}), setting) == value


@pytest.mark.parametrize("seed", [0, -1, 2**70])
def test_any_integer_is_a_seed(seed):
    assert parse_config({"seed": seed}).seed == seed


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"seeed": 1}, "There is no setting 'seeed'. Did you mean 'seed'?"),
        ({"image-size": 96}, "There is no setting 'image-size'. Did you mean 'image_size'?"),
        ({"xyzzy": 1}, "There is no setting 'xyzzy'. Settings: backbones, bad_images, batch_size"),
        ({"seed": 1.5}, "`seed`: input should be a valid integer"),
        ({"seed": "five"}, "`seed`: input should be a valid integer"),
        ({"max_epochs": 0}, "`max_epochs`: input should be greater than or equal to 1, got 0"),
        ({"factor": 1}, "`factor`: input should be greater than or equal to 2, got 1"),
        ({"max_recipes": 0}, "`max_recipes`: input should be greater than or equal to 1, got 0"),
        ({"top": 0}, "`top`: input should be greater than or equal to 1, got 0"),
        ({"objective": "f1"}, "`objective`: input should be 'macro_f1', 'accuracy' or 'log_loss'"),
        (
            {"weights": False},
            "`weights`: input should be 'imagenet', 'none' or 'name=file'",
        ),
        ({"image_size": "96,wide"}, "`image_size`: input should be a valid integer"),
        ({"image_size": "96,wide"}, "got 'wide'"),
        ({"bad_images": "5"}, "`bad_images`: must be 'skip', 'fail', or the most that may be bad"),
        ({"bad_images": "101%"}, "`bad_images`: must be 'skip', 'fail', or the most"),
        ({"quiet": "maybe"}, "`quiet`: input should be a valid boolean"),
    ],
)
def test_settings_that_do_not_hold_up_are_refused_by_name(settings, sentence):
    with pytest.raises(ConfigError, match=re.escape(sentence)):
        parse_config(settings)


def test_all_mistakes_are_named_at_once():
    with pytest.raises(ConfigError) as refusal:
        parse_config({"seeed": 1, "factor": 1, "top": "many"})

    assert str(refusal.value).count("; ") == 2
    for name in ("seeed", "factor", "top"):
        assert name in str(refusal.value)


@pytest.mark.parametrize("content", ["", "# nothing yet\n"])
def test_an_empty_file_says_nothing(write, content):
    assert read_yaml(write(content)) == {}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("- seed\n", "must hold settings, one `name: value` a line"),
        ("1: 2\n", "must hold settings, one `name: value` a line"),
        ("just words", "must hold settings, one `name: value` a line"),
        ("seed: [1\n", "cannot be read: in line 2, expected"),
        (b"\xff\xfe\x00", "cannot be read"),
    ],
)
def test_files_that_cannot_be_read_are_named(write, content, sentence):
    file = write(content)

    with pytest.raises(ConfigError, match=re.escape(sentence)) as refusal:
        make_config({}, file)

    assert str(file) in str(refusal.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml` cannot be read: .*No such file"):
        make_config({}, tmp_path / "none.yaml")


def test_config_errors_are_user_errors():
    assert issubclass(ConfigError, UserError)
    assert UserError("words", hint="do this").hint == "do this"
    assert UserError("words").hint is None


@given(settings=settings_of_a_run)
@example(settings={"backbones": ["\x85"]})
def test_the_written_configuration_is_read_back(tmp_path_factory, settings):
    config = parse_config(settings)
    file = tmp_path_factory.getbasetemp() / "round_trip.yaml"

    write_config(config, file)

    of_one_call = {"run": None, "quiet": False, "json_output": False}
    assert parse_config(read_yaml(file)) == config.model_copy(update=of_one_call)
    check_same_search(config, file)


def test_the_written_configuration_holds_every_setting_but_those_of_one_call(tmp_path):
    write_config(parse_config({"json": True, "data": "Blumen für alle"}), tmp_path / "c.yaml")

    text = (tmp_path / "c.yaml").read_text(encoding="utf-8")

    assert "data: Blumen für alle\n" in text
    assert set(yaml.safe_load(text)) == set(RunConfig.model_fields) - {
        "run",
        "quiet",
        "json_output",
        "extend",
    }


def test_a_configuration_cannot_be_changed_by_accident():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        RunConfig().seed = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("objective", "maximise"), [("macro_f1", True), ("accuracy", True), ("log_loss", False)]
)
def test_only_a_loss_is_minimised(objective, maximise):
    assert parse_config({"objective": objective}).maximise is maximise


@pytest.mark.parametrize(("word", "value"), [("off", "off"), ("on", "on"), ("'off'", "off")])
def test_a_switch_in_a_file_may_stand_without_quotes(write, word, value):
    file = write(f"feature_bank: {word}\n")

    assert make_config({}, file).feature_bank == value


def test_every_search_setting_has_another_value_to_test_with():
    assert set(OTHER_VALUES) == set(SEARCH_SETTINGS)


@pytest.mark.parametrize("setting", SEARCH_SETTINGS)
def test_digits_change_with_every_search_setting(setting):
    changed = parse_config({setting: OTHER_VALUES[setting]})

    assert re.fullmatch("[0-9a-f]{6}", RunConfig().digits())
    assert changed.digits() != RunConfig().digits()


@pytest.mark.parametrize(
    "settings",
    [
        {"run": "x"},
        {"quiet": True},
        {"top": 5},
        {"json": True},
        {"feature_bank": "off"},
        {"cache": "none"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_digits_do_not_change_with_anything_else(settings):
    assert parse_config(settings).digits() == RunConfig().digits()


@pytest.mark.parametrize("setting", SEARCH_SETTINGS)
def test_a_run_of_another_search_is_refused_with_both_values(tmp_path, setting):
    write_config(RunConfig(), tmp_path / "config.yaml")
    changed = parse_config({setting: OTHER_VALUES[setting]})

    before, now = getattr(RunConfig(), setting), OTHER_VALUES[setting]
    sentence = re.escape(f"`{setting}` was {before!r}, now {now!r}.")
    with pytest.raises(RunError, match=sentence) as refusal:
        check_same_search(changed, tmp_path / "config.yaml")

    assert "--run" in refusal.value.hint


def test_a_run_may_go_on_with_another_display_or_ensemble(tmp_path):
    write_config(RunConfig(), tmp_path / "config.yaml")

    check_same_search(parse_config({"quiet": True, "top": 5}), tmp_path / "config.yaml")


def test_a_new_run_has_nothing_to_differ_from(tmp_path):
    check_same_search(RunConfig(), tmp_path / "config.yaml")
