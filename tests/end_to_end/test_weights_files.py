"""Backbones that start from a person's file."""

import shutil
from pathlib import Path

import pytest
import yaml

from automl_flowers.modeling.efficientnet_lite import find_weights_file

FILE = find_weights_file(0)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A copy of the weights that the package has."""
    return shutil.copy(FILE, tmp_path_factory.mktemp("weights") / FILE.name)


@pytest.fixture(scope="module")
def arguments(pictures, space):
    """A search of one recipe for one epoch."""
    return (
        *("search", "--data", pictures, "--space", space, "--quiet"),
        *("--max-epochs", 1, "--max-recipes", 1),
    )


@pytest.fixture(scope="module")
def run(cli, arguments, file, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "from_file"
    cli.json(*arguments, "--run", run, "--weights", f"efficientnet_lite0={file}")
    return run


def test_the_packages_weights_from_a_file_give_the_same_numbers(
    cli, arguments, run, what_happened, tmp_path
):
    cli.json(*arguments, "--run", tmp_path / "run")

    assert what_happened(run) == what_happened(tmp_path / "run")


def test_what_the_file_held_is_noted(run, file):
    settings = yaml.safe_load((run / "config.yaml").read_text())

    assert settings["weights"] == {"efficientnet_lite0": str(file)}
    assert settings["weights_sha256"]["efficientnet_lite0"].startswith(file.stem[-8:])


def test_a_run_goes_on_with_the_file_elsewhere(cli, arguments, run, tmp_path, what_happened):
    elsewhere = shutil.copy(FILE, tmp_path / FILE.name)
    before = what_happened(run)

    result = cli(*arguments, "--run", run, "--weights", f"efficientnet_lite0={elsewhere}")

    assert result.exit_code == 0, result.stderr
    assert what_happened(run) == before


def missing(_file):
    return "efficientnet_lite0=/nowhere/weights.pth"


def of_another_variant(_file):
    return f"efficientnet_lite0={find_weights_file(1)}"


def for_an_unknown_backbone(file):
    return f"efficientnet_lite9={file}"


def for_a_backbone_that_is_not_in_the_space(file):
    return f"efficientnet_lite1={file}"


def without_a_name(file):
    return str(file)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (missing, "cannot be read from `/nowhere/weights.pth`: No such file"),
        (of_another_variant, "do not fit 'efficientnet_lite0'"),
        (for_an_unknown_backbone, "Unknown backbone 'efficientnet_lite9'"),
        (for_a_backbone_that_is_not_in_the_space, "which space 'tiny' does not have"),
        (without_a_name, "`weights`: input should be 'imagenet', 'none' or 'name=file'"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_search_answers(cli, arguments, file, tmp_path, make, sentence):
    result = cli(*arguments, "--run", tmp_path / "run", "--weights", make(file))

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_another_file_is_refused(cli, arguments, run):
    result = cli(
        *arguments, "--run", run, "--weights", f"efficientnet_lite0={find_weights_file(1)}"
    )

    assert result.exit_code == 2
    assert "was started with other settings: `weights` was {'efficientnet_lite0': " in result.stderr


@pytest.mark.parametrize(
    "command", [["ensemble", "--top", 1], ["predict", "."]], ids=["ensemble", "predict"]
)
def test_later_commands_refuse_a_file_that_changed(cli, run, command):
    settings = yaml.safe_load((run / "config.yaml").read_text())
    file = Path(settings["weights"]["efficientnet_lite0"])
    content = file.read_bytes()
    file.write_bytes(content[:-1])

    result = cli(*command, "--run", run)

    file.write_bytes(content)
    assert result.exit_code == 2
    assert "have changed since this run began" in result.stderr
