"""Recipes to begin with that are not in the space."""

import keras
import pandas as pd
import pytest
import yaml

from automl_flowers.custom_backbones import register_backbone
from automl_flowers.data.convert import convert
from automl_flowers.ledger import Ledger
from automl_flowers.modeling.efficientnet_lite import find_weights_file


@pytest.fixture
def search(cli, tmp_path):
    """A search that begins with given recipes and tries no other; returns its answer and run."""

    def search(data, space, recipes, *flags):
        (tmp_path / "recipes.yaml").write_text(yaml.safe_dump(recipes))
        if isinstance(space, dict):
            (tmp_path / "space.yaml").write_text(yaml.safe_dump(space))
            space = tmp_path / "space.yaml"
        result = cli(
            *("search", "--data", data, "--run", tmp_path / "run", "--space", space),
            *("--enqueue", tmp_path / "recipes.yaml", "--max-epochs", 1),
            *("--max-recipes", len(recipes), *flags),
        )
        return result, tmp_path / "run"

    return search


def recipes_of(run):
    with Ledger(run / "ledger.sqlite") as ledger:
        trials = ledger.trials()
    assert {trial.status for trial in trials} == {"completed"}
    return [(trial.recipe["backbone"], trial.recipe["image_size"]) for trial in trials]


def test_records_are_read_for_them_and_their_weights_come_from_a_file(
    cli, search, pictures, space, tmp_path
):
    records = tmp_path / "records"
    records.mkdir()
    for size in (32, 40):
        convert(str(pictures), tmp_path / str(size), image_size=size)
        layout = f"tfrecords-jpeg-{size}x{size}"
        (tmp_path / str(size) / layout).rename(records / layout)

    result, run = search(
        *(records, space, [{"backbone": "efficientnet_lite1", "image_size": 40}]),
        *("--weights", f"efficientnet_lite1={find_weights_file(1)}", "--probe", "off"),
    )

    assert result.exit_code == 0, result.stderr
    assert recipes_of(run) == [("efficientnet_lite1", 40)]
    paths = pd.read_csv(run / "manifest.csv")["path"]
    assert paths.str.contains("40x40").all()
    (tmp_path / "recipes.yaml").unlink()  # an ensemble needs it no more
    blended = cli("ensemble", "--top", 1, "--run", run)
    assert blended.exit_code == 0, blended.stderr


def test_their_pictures_count_for_the_disk(search, pictures, space):
    refused, run = search(
        *(pictures, space, [{"image_size": 1024}], "--cache", "disk"),
        *("--max-disk", 0.05, "--weights", "none"),
    )

    assert refused.exit_code == 2
    assert "`--max-disk` allows 0.05 GB" in refused.stderr
    assert not (run / "config.yaml").exists()


def net(first_layer):
    def build(image_size):
        images = keras.Input((image_size, image_size, 3))
        features = keras.layers.Conv2D(8, 3, strides=8, kernel_initializer=first_layer)(images)
        return keras.Model(images, keras.layers.Conv2D(8, 1)(features))

    return build


def test_what_was_checked_is_what_is_trained_whatever_probes_leave_out(search, pictures, registry):
    register_backbone("blind", net("zeros"), input_convention="signed", min_image_size=16)
    seeing = net(keras.initializers.RandomNormal(seed=1))
    register_backbone("seeing", seeing, input_convention="signed", min_image_size=64)
    space = {"backbone": ["blind", "seeing"], "image_size": 64, "batch_size": 6}

    result, run = search(pictures, space, [{"image_size": 32}])

    assert result.exit_code == 0, result.stderr
    assert "left out, more than 0.10 below the best probe: blind" in " ".join(result.stderr.split())
    assert recipes_of(run) == [("blind", 32)]
