"""A search with and without a feature bank finds the same."""

import pytest

SEARCH = ("--max-epochs", "3", "--max-recipes", "4")

VIEWS = """
backbone: [efficientnet_lite0]
image_size: 32
trainable_fraction: [0.0, 0.1]
batch_size: 6
dropout: [0.0, 0.2]
augmentation: [none, light]
views: [0, 2]
learning_rate: [0.003, 0.01]
schedule: {cosine: {warmup: 0.1}}
"""


@pytest.mark.slow
def test_a_search_finds_the_same_with_and_without(cli, pictures, what_happened, tmp_path):
    space = tmp_path / "views.yaml"
    space.write_text(VIEWS)
    results = {}
    for switch in ("on", "off"):
        run = tmp_path / switch
        given = ("--data", pictures, "--space", space, "--run", run, "--feature-bank", switch)
        results[switch] = cli.json("search", *given, *SEARCH)
        assert any((run / "feature_bank").glob("*.npy")) == (switch == "on")
        cli.json("ensemble", "--run", run, "--top", "2")

    assert what_happened(tmp_path / "on") == what_happened(tmp_path / "off")
    assert {**results["on"], "run": None} == {**results["off"], "run": None}
    blends = [(tmp_path / switch / "blend.json").read_text() for switch in ("on", "off")]
    assert blends[0] == blends[1]
    assert not any(
        (tmp_path / "on" / "feature_bank").glob("*.npy")
    )  # the ensemble was its last use
    assert not (tmp_path / "off" / "feature_bank").exists()
