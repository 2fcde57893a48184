"""Search, ensemble, report and predict through the real command line."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
import yaml

from automl_flowers.blending.pick import MOST_IN_SOUP
from automl_flowers.tuning.checkpoints import load_state
from tests.end_to_end.conftest import draw_folder

PAIR = """
backbone: [densenet201, efficientnet_b0]
image_size: 32
trainable_fraction: 0.2
batch_size: 6
schedule: constant
"""


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def search_of_four(cli, pictures, space, tmp_path_factory):
    """The run folder of a search, what it prints for scripts, and what it tells meanwhile."""
    run = tmp_path_factory.mktemp("runs") / "main"
    result = cli(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 3, "--max-recipes", 4, "--seed", 0, "--json"),
    )
    assert result.exit_code == 0, result.stderr
    return run, json.loads(result.stdout), result.stderr


@pytest.fixture(scope="module")
def searched(search_of_four):
    run, result, _ = search_of_four
    return run, result


@pytest.fixture(scope="module")
def blended(cli, searched):
    run, _ = searched
    return run, cli.json("ensemble", "--top", 2, "--run", run, "--probabilities")


def test_search_prints_what_scripts_rely_on(searched):
    run, result = searched

    assert result["run"] == str(run)
    assert result["trials"] >= 4
    assert result["recipes"] == 4
    assert 0 <= result["best"]["val_macro_f1"] <= 1
    assert result["best"]["recipe"]["backbone"] == "efficientnet_lite0"


COST = re.compile(
    r"^space \w+, hyperband: (\d+) recipes in .*, at most (\d+) epochs of (\d+) images, "
    r"about \d+ (?:s|min)$\n(?:  bracket \d+: .*\n)+",
    re.M,
)
"""What is told of a search before it begins: its cost, then a line a bracket."""


def before_the_first_trial(told):
    before, trial, _ = told.partition("\ntrial 0000 (new)")
    assert trial
    return before + "\n"


def test_rounds_and_cost_are_told_before_the_first_trial(search_of_four):
    *_, told = search_of_four

    before = before_the_first_trial(told)
    assert COST.search(before).groups() == ("4", "8", "18")
    assert "\n  bracket 0: 3 x epochs 1-1, then 1 x epochs 2-3\n" in before
    assert "probe efficientnet_lite0" in before  # which says what it will cost


def test_without_probes_a_rehearsal_says_what_a_search_will_cost(cli, pictures, space, tmp_path):
    result = cli(
        *("search", "--data", pictures, "--run", tmp_path / "run", "--space", space),
        *("--max-epochs", 1, "--max-recipes", 1, "--probe", "off"),
    )

    before = before_the_first_trial(result.stderr)
    assert COST.search(before).groups() == ("1", "1", "18")
    assert re.search(r"^rehearsed efficientnet_lite0.*: about [\d.]+ s an epoch$", before, re.M)
    assert "probe " not in before


def test_effective_configuration_is_written(searched, pictures):
    run, _ = searched

    settings = yaml.safe_load((run / "config.yaml").read_text())

    assert settings["data"] == str(pictures)
    assert settings["max_epochs"] == 3
    assert settings["precision"] == "float32"


def test_same_search_again_trains_nothing(cli, searched, pictures, space):
    run, before = searched

    result = cli(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 3, "--max-recipes", 4, "--seed", 0, "--json"),
    )

    assert json.loads(result.stdout) == before
    assert "epoch 1:" not in result.stderr


def test_blend_holds_what_scripts_rely_on(blended):
    run, _ = blended

    blend = json.loads((run / "blend.json").read_text())

    assert len(blend["members"]) == 2
    assert sum(member["weight"] for member in blend["members"]) == pytest.approx(1)
    assert {"val", "blend", "test"} <= set(blend["members"][0]["scores"])
    assert 0 <= blend["scores"]["blend"]["macro_f1"] <= 1
    assert 0 <= blend["scores"]["test"]["macro_f1"] <= 1


def test_what_the_search_trained_equals_what_is_trained_anew(cli, blended, tmp_path):
    run, before = blended
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("checkpoints", "members", "pred*"))

    anew = cli("ensemble", "--top", 2, "--run", copy, "--json")

    assert "epoch 1:" in anew.stderr
    again = json.loads(anew.stdout)
    assert [m["scores"] for m in again["members"]] == [m["scores"] for m in before["members"]]
    for member in before["members"]:
        first, second = (
            load_state(folder / "members" / f"{member['name']}.npz") for folder in (run, copy)
        )
        assert first.keys() == second.keys()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_submission_has_a_row_for_each_test_image(blended):
    run, _ = blended

    rows = read_rows((run / "submission.csv").read_text())

    assert list(rows[0]) == ["id", "label"]
    assert len({row["id"] for row in rows}) == 9
    assert {row["label"] for row in rows} <= {"0", "1", "2"}


def test_no_half_written_files_are_left(blended):
    run, _ = blended

    assert list(run.rglob("*.tmp")) == []
    assert len(list((run / "checkpoints").glob("*"))) <= MOST_IN_SOUP  # what ensembles take over


def test_predict_agrees_with_the_submission(cli, blended, pictures):
    run, _ = blended
    result = cli("predict", pictures / "test", "--run", run, "--quiet", "--probabilities")

    rows = {row["path"].removeprefix(f"{pictures}/"): row for row in read_rows(result.stdout)}

    submitted = {r["id"]: r["label"] for r in read_rows((run / "submission.csv").read_text())}
    assert {identity: row["label"] for identity, row in rows.items()} == submitted
    written = read_rows((run / "probabilities.csv").read_text())
    assert [row["id"] for row in written] == list(submitted)
    for row in written:
        for name in ("blue bell", "red rose", "yellow daisy"):
            predicted = float(rows[row["id"]][f"probability_{name}"])
            assert float(row[name]) == pytest.approx(predicted, abs=1e-6)


def test_report_is_one_page(cli, blended):
    run, _ = blended

    facts = cli.json("report", "--run", run)

    assert facts
    page = (run / "report.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "efficientnet_lite0" in page


def test_tfrecords_of_the_same_pictures_give_the_same_numbers(
    cli, searched, pictures, space, what_happened, tmp_path
):
    run, from_folders = searched
    cli.json("data", "convert", pictures, tmp_path / "records")

    from_records = cli.json(
        *("search", "--data", tmp_path / "records", "--run", tmp_path / "run", "--space", space),
        *("--max-epochs", 3, "--max-recipes", 4, "--seed", 0),
    )

    assert what_happened(tmp_path / "run") == what_happened(run)
    assert from_records["best"] == from_folders["best"]


def test_test_images_without_labels_are_predicted_and_not_scored(cli, space, tmp_path):
    pictures = draw_folder(tmp_path / "pictures", {"train": 6, "val": 6})
    drawn = draw_folder(tmp_path / "drawn", {"test": 2})
    (pictures / "test").mkdir()
    for number, file in enumerate(sorted(drawn.rglob("*.png"))):
        file.rename(pictures / "test" / f"{number}.png")
    sample = pictures / "sample_submission.csv"
    sample.write_text("id,label\n9,0\n")
    run = tmp_path / "run"
    cli.json(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 1, "--max-recipes", 2),
    )

    refused = cli("ensemble", "--top", 2, "--run", run)
    assert refused.exit_code == 2
    assert "sample_submission.csv" in refused.stderr
    assert not (run / "members").exists()

    ids = [f"test/{number}.png" for number in range(6)][::-1]
    sample.write_text("id,label\n" + "".join(f"{identity},0\n" for identity in ids))
    blend = cli.json("ensemble", "--top", 2, "--run", run)
    assert blend["scores"]["test"]["macro_f1"] is None
    assert [row["id"] for row in read_rows((run / "submission.csv").read_text())] == ids
    assert cli.json("report", "--run", run)["blend"]

    again = cli("ensemble", "--top", 1, "--run", run, "--pseudo-labels", 0.01, "--json")
    assert "pseudo-labels: 6 of 6 test images" in again.stderr
    [member] = json.loads(again.stdout)["members"]
    assert member["val_macro_f1_with_pseudo_labels"] is not None
    assert member["name"].endswith("+pseudo") == (
        member["val_macro_f1_with_pseudo_labels"] >= member["val_macro_f1_without_external"]
    )


@pytest.mark.slow
def test_densenet_and_efficientnet_go_through_the_whole_job(cli, pictures, tmp_path):
    space = tmp_path / "pair.yaml"
    space.write_text(PAIR)
    run = tmp_path / "run"

    cli.json(
        *("search", "--data", pictures, "--run", run, "--space", space, "--weights", "none"),
        *("--max-epochs", 1, "--max-recipes", 2),
    )
    blend = cli.json("ensemble", "--top", 2, "--run", run)

    backbones = {member["recipe"]["backbone"] for member in blend["members"]}
    assert backbones == {"densenet201", "efficientnet_b0"}

    result = cli("predict", pictures / "test", "--run", run, "--quiet")
    predicted = [row["label"] for row in read_rows(result.stdout)]
    submitted = [row["label"] for row in read_rows((run / "submission.csv").read_text())]
    assert predicted == submitted
