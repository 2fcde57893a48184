"""Mistakes are answered in a sentence, with exit status 2 and nothing half written."""

import shutil

import pytest

from tests.end_to_end.conftest import draw_folder


def missing_folder(folder):
    return ["--data", folder / "nowhere"]


def empty_folder(folder):
    (folder / "empty").mkdir()
    return ["--data", folder / "empty"]


def one_class(folder):
    (folder / "data" / "train" / "rose").mkdir(parents=True)
    (folder / "data" / "train" / "rose" / "a.jpg").write_bytes(b"not an image")
    return ["--data", folder / "data"]


def config_with_a_typo(folder):
    (folder / "config.yaml").write_text("max_epoch: 3\n")
    return ["--config", folder / "config.yaml"]


def config_of_another_type(folder):
    (folder / "config.yaml").write_text("- 1\n")
    return ["--config", folder / "config.yaml"]


def unknown_space(_folder):
    return ["--space", "petal"]


def unknown_backbone(_folder):
    return ["--backbones", "efficientnet_lite9"]


def image_too_small(_folder):
    return ["--image-size", 8]


def unknown_objective(_folder):
    return ["--objective", "f1"]


def zero_epochs(_folder):
    return ["--max-epochs", 0]


def tpu_that_is_not_there(_folder):
    return ["--strategy", "tpu"]


def misspelt_strategy(_folder):
    return ["--strategy", "miror"]


CASES = [
    (missing_folder, "is neither a folder of images nor TFRecords"),
    (empty_folder, "empty"),
    (one_class, "takes at least two"),
    (config_with_a_typo, "There is no setting 'max_epoch'. Did you mean 'max_epochs'?"),
    (config_of_another_type, "must hold settings"),
    (unknown_space, "Did you mean 'petals'?"),
    (unknown_backbone, "Did you mean 'efficientnet_lite"),
    (image_too_small, "`image_size` must lie in [16, 1024], got 8"),
    (unknown_objective, "`objective`: input should be 'macro_f1', 'accuracy' or 'log_loss'"),
    (zero_epochs, "`max_epochs`: input should be greater than or equal to 1, got 0"),
    (tpu_that_is_not_there, "TPU"),
    (misspelt_strategy, "mirrored"),
]


@pytest.mark.parametrize(("make", "sentence"), CASES, ids=[case[0].__name__ for case in CASES])
def test_search_answers(cli, pictures, tmp_path, make, sentence):
    arguments = make(tmp_path)
    data = [] if "--data" in arguments else ["--data", pictures]

    result = cli("search", *data, *arguments, "--run", tmp_path / "run", "--quiet")

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_ensemble_without_a_run_says_what_to_do(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    result = cli("ensemble")

    assert result.exit_code == 2
    assert "automl-flowers search" in result.stderr


def test_predict_without_a_model_says_what_to_do(cli, searched_once, pictures, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(searched_once, run, ignore=shutil.ignore_patterns("best"))

    result = cli("predict", pictures, "--run", run)

    assert result.exit_code == 2
    assert f"automl-flowers search --run {run}" in result.stderr


def test_top_larger_than_what_there_is(cli, searched_once):
    result = cli("ensemble", "--top", 9, "--run", searched_once, "--quiet")

    assert result.exit_code == 2
    assert "Cannot blend the top 9 recipes: only 2 finished." in result.stderr
    assert "--top 2" in result.stderr
    assert not (searched_once / "blend.json").exists()


def test_run_of_another_config_is_refused_by_name(cli, searched_once, pictures, space):
    result = cli(
        *("search", "--data", pictures, "--space", space, "--max-epochs", 1),
        *("--max-recipes", 2, "--seed", 1, "--run", searched_once, "--quiet"),
    )

    assert result.exit_code == 2
    assert "`seed` was 0, now 1" in result.stderr


@pytest.fixture(scope="module")
def searched_once(cli, pictures, space, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "small"
    result = cli(
        *("search", "--data", pictures, "--space", space, "--max-epochs", 1),
        *("--max-recipes", 2, "--run", run, "--quiet"),
    )
    assert result.exit_code == 0, result.stderr
    return run


def test_images_that_changed_since_the_run_began_are_refused(cli, space, tmp_path):
    data = draw_folder(tmp_path / "data")
    arguments = ["search", "--data", data, "--space", space, "--run", tmp_path / "run", "--quiet"]
    arguments += ["--max-epochs", 1, "--max-recipes", 1]
    assert cli(*arguments).exit_code == 0
    (data / "train" / "red rose" / "0.png").unlink()

    result = cli(*arguments)

    assert result.exit_code == 2
    assert "The images have changed since this run began: it had 45, now there are 44" in (
        result.stderr
    )


def test_space_file_that_changed_since_the_run_began_is_refused(cli, pictures, space, tmp_path):
    file = tmp_path / "space.yaml"
    file.write_text(space.read_text())
    arguments = ["search", "--data", pictures, "--space", file, "--run", tmp_path / "run"]
    arguments += ["--max-epochs", 1, "--max-recipes", 1, "--quiet"]
    assert cli(*arguments).exit_code == 0
    file.write_text(space.read_text().replace("[0.0, 0.2]", "[0.0, 0.3]"))

    result = cli(*arguments)

    assert result.exit_code == 2
    assert "has changed since this run began, in dropout" in result.stderr


def test_unreadable_image_among_many_is_skipped_counted_and_named(cli, space, tmp_path):
    data = draw_folder(tmp_path / "data")
    (data / "train" / "red rose" / "broken.png").write_bytes(b"\x89PNG, it says")

    result = cli(
        *("search", "--data", data, "--space", space, "--run", tmp_path / "run"),
        *("--max-epochs", 1, "--max-recipes", 1),
    )

    assert result.exit_code == 0
    assert "skipped 1 files: train/red rose/broken.png" in result.stderr
