"""An ensemble made again from its recipe file, and one of many fits, through the command line."""

import contextlib
import csv
import io
import json
import shutil
import sqlite3

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from automl_flowers.blending.fits import load_weights
from automl_flowers.cli import app
from automl_flowers.data.convert import convert
from automl_flowers.ledger import Ledger


@pytest.fixture(scope="module")
def blended(cli, pictures, space, tmp_path_factory):
    """A run with an ensemble of one member, of two seeds and a final fit each."""
    run = tmp_path_factory.mktemp("blended") / "run"
    searched = cli(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 1, "--max-recipes", 1),
    )
    assert searched.exit_code == 0, searched.stderr
    made = cli.json("ensemble", "--run", run, "--top", 1, "--seeds", 2, "--final-fit")
    return run, made


def read_rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_a_member_of_many_fits_says_which(blended):
    run, made = blended

    [member] = made["members"]
    name, tried = member["name"], member["tried_soup"]
    written = {path.stem for path in (run / "members").glob("*.npz")}
    if tried["weights"]["log_loss"] <= tried["probabilities"]["log_loss"]:
        assert member["fits"] == [f"{name}.soup2"]
        assert member["final_fits"] == [f"{name}+evaluation.soup2"]
        assert member["scores"]["val"]["log_loss"] == pytest.approx(tried["weights"]["log_loss"])
    else:
        assert member["fits"] == [name, f"{name}.seed1"]
        assert member["final_fits"] == [f"{name}+evaluation", f"{name}+evaluation.seed1"]
    assert written == {*member["fits"], *member["final_fits"]}


def test_the_same_ensemble_again_trains_nothing(cli, blended, tmp_path):
    run, copy = blended[0], tmp_path / "run"
    shutil.copytree(run, copy)

    again = cli("ensemble", "--run", copy, "--top", 1, "--seeds", 2, "--final-fit")

    assert again.exit_code == 0, again.stderr
    assert (copy / "blend.json").read_text() == (run / "blend.json").read_text()
    assert "its fits count as" in again.stderr
    weights = [
        {p.name: p.stat().st_mtime_ns for p in (r / "members").glob("*.npz")} for r in (run, copy)
    ]
    assert weights[0] == weights[1]


@pytest.fixture(scope="module")
def blended_by_folds(cli, blended, tmp_path_factory):
    """The same run with an ensemble of one member on three folds."""
    run = tmp_path_factory.mktemp("folds") / "run"
    shutil.copytree(blended[0], run)
    made = cli.json("ensemble", "--run", run, "--top", 1, "--folds", 3, "--test-views", 2)
    return run, made


def test_folds_are_blended_by_all_labelled_images(blended_by_folds, pictures):
    _, made = blended_by_folds

    [member] = made["members"]
    name = member["name"]
    assert member["fits"] == member["final_fits"] == [f"{name}.fold{k}of3" for k in (1, 2, 3)]
    labelled = [path for s in ("train", "val") for path in (pictures / s).rglob("*.png")]
    assert made["images"]["blend"] == len(labelled)
    assert made["scores"]["val"] is None
    assert made["folds"] == 3
    assert member["views"] in (1, 2)
    assert member["tried_views"]["split"] == "blend"


def test_the_report_says_what_folds_were(cli, blended_by_folds):
    run, made = blended_by_folds

    text = cli("report", "--run", run).stdout

    assert "3 folds" in text
    [line] = [one for one in text.splitlines() if one.startswith("blend, naive")]
    assert f" {made['images']['blend']} " in line
    page = (run / "report.html").read_text()
    assert f"{made['members'][0]['name']}.fold1of3" in page


@pytest.mark.parametrize("which", ["blended", "blended_by_folds", "blended_recipes"])
def test_what_predicts_files_has_predicted_the_submission(cli, which, pictures, request):
    run, _ = request.getfixturevalue(which)
    rows = read_rows(cli("predict", pictures / "test", "--run", run, "--quiet").stdout)

    predicted = {row["path"].removeprefix(f"{pictures}/"): row["label"] for row in rows}

    submitted = {row["id"]: row["label"] for row in read_rows((run / "submission.csv").read_text())}
    assert predicted == submitted


def test_a_list_on_stdin_is_predicted(blended, pictures):
    run, _ = blended
    files = [str(file) for file in sorted((pictures / "test").rglob("*.png"))][::-2]

    made = CliRunner().invoke(
        app, ["predict", "-", "--run", str(run), "--quiet"], input="\n".join(files)
    )

    assert made.exit_code == 0, made.stderr
    assert [row["path"] for row in read_rows(made.stdout)] == files


def test_a_member_may_be_a_moving_average(cli, blended, pictures, tmp_path):
    run = shutil.copytree(blended[0], tmp_path / "run")
    [plain] = cli.json("ensemble", "--run", run, "--top", 1)["members"]
    before = load_weights(run / "members", plain["fits"][0])
    blend = (run / "blend.json").read_text()

    made = cli.json("ensemble", "--run", run, "--top", 1, "--ema", 0.5)

    assert made["settings"]["ema"] == 0.5
    [averaged] = made["members"]
    assert averaged["fits"] == plain["fits"]
    after = load_weights(run / "members", averaged["fits"][0])
    moved = [name for name in before if not np.array_equal(before[name], after[name])]
    assert moved
    assert yaml.safe_load((run / "recipe.yaml").read_text())["ensemble"]["ema"] == 0.5
    (run / "blend.json").write_text(blend)  # as if it had been stopped before it wrote its own
    refused = cli("predict", pictures / "test", "--run", run)
    assert refused.exit_code == 2
    assert "are not those that" in refused.stderr


def test_it_is_made_again_with_the_same_numbers(cli, blended, tmp_path):
    run, before = blended
    recipe = shutil.copy(run / "recipe.yaml", tmp_path / "recipe.yaml")

    made = cli("ensemble", "--from", recipe, "--run", tmp_path / "again", "--json")

    assert made.exit_code == 0, made.stderr
    again = json.loads(made.stdout)
    assert again["members"] == before["members"]
    assert again["scores"] == before["scores"]
    for name in ("submission.csv", "recipe.yaml"):
        assert (tmp_path / "again" / name).read_text() == (run / name).read_text()
    reported = cli("report", "--run", tmp_path / "again")
    assert reported.exit_code == 0, reported.stderr
    assert "made again, without a search" in reported.stdout
    assert "automl-flowers search" not in reported.stdout
    goes_on = cli("ensemble", "--from", recipe, "--run", tmp_path / "again", "--json")
    assert json.loads(goes_on.stdout) == again
    assert "epoch 1:" not in goes_on.stderr


def test_other_images_are_refused_unless_they_are_asked_for(
    cli, blended, draw_folder, tmp_path, pictures
):
    run, _ = blended
    other = draw_folder(tmp_path / "other", {"train": 6, "val": 6, "test": 2})
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["search"]["data"] = str(other)
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(recipe))

    refused = cli("ensemble", "--from", changed, "--run", tmp_path / "refused")
    asked_for = cli(  # in the same run, for nothing was written there
        *("ensemble", "--from", run / "recipe.yaml", "--data", other, "--seeds", 1),
        *("--run", tmp_path / "refused"),
    )

    assert refused.exit_code == 2
    assert "are not those that" in refused.stderr
    assert asked_for.exit_code == 0, asked_for.stderr


def test_leaks_are_those_of_external_images(cli, pictures, space, tmp_path):
    """Our images are divided and dropped as the search had it, or they would be other images."""
    photos = shutil.copytree(pictures, tmp_path / "photos")
    copied = next((photos / "val").rglob("*.png"))
    shutil.copy(copied, photos / "train" / copied.parent.name / "copy.png")
    run = tmp_path / "run"
    searched = cli(
        *("search", "--data", photos, "--run", run, "--space", space),
        *("--max-epochs", 1, "--max-recipes", 1),
    )
    assert searched.exit_code == 0, searched.stderr
    made = cli.json("ensemble", "--run", run, "--top", 1)

    again = cli(
        *("ensemble", "--from", run / "recipe.yaml", "--leaks", "warn", "--json"),
        *("--run", tmp_path / "again"),
    )

    assert again.exit_code == 0, again.stderr
    assert json.loads(again.stdout)["scores"] == made["scores"]


@pytest.fixture(scope="module")
def blended_with_more(cli, draw_folder, pictures, space, tmp_path_factory):
    """A run with an ensemble of two members on folds, with external images, without heads."""
    root = tmp_path_factory.mktemp("more")
    drawn = draw_folder(root / "drawn", {"train": 15, "val": 5})  # of train our pictures are copies
    more = (drawn / "val").rename(root / "more")
    run = root / "run"
    (run / "probes").mkdir(parents=True)
    (run / "probes" / "skipped.txt").write_text("efficientnet_lite0 32\n")
    searched = cli(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 1, "--max-recipes", 2),
    )
    assert searched.exit_code == 0, searched.stderr
    assert "not probed, for want of time" in searched.stderr
    made = cli.json(
        *("ensemble", "--run", run, "--top", 2, "--folds", 2, "--external", more),
        *("--blend-weights", "optimized"),
    )
    return run, made, more


def test_two_members_external_images_and_folds_are_made_again(cli, blended_with_more, tmp_path):
    """Trials whose probe was skipped did not start from a head, and do not when repeated."""
    run, before, _ = blended_with_more
    written = yaml.safe_load((run / "recipe.yaml").read_text())

    made = cli("ensemble", "--from", run / "recipe.yaml", "--run", tmp_path / "again", "--json")

    assert made.exit_code == 0, made.stderr
    again = json.loads(made.stdout)
    assert len(again["members"]) == 2
    for name in ("members", "blend", "scores", "external", "folds"):
        assert again[name] == before[name]
    assert written["heads"] == []
    assert written["look_with"] == {"backbone": "efficientnet_lite0", "image_size": 32}
    assert not list((tmp_path / "again" / "probes").glob("*"))
    for name in ("submission.csv", "recipe.yaml"):
        assert (tmp_path / "again" / name).read_text() == (run / name).read_text()


def test_heads_that_there_were_are_there_again(cli, blended, tmp_path):
    run, _ = blended
    written = yaml.safe_load((run / "recipe.yaml").read_text())
    older = {name: value for name, value in written.items() if name != "heads"}
    (tmp_path / "older.yaml").write_text(yaml.safe_dump(older))

    again = cli("ensemble", "--from", tmp_path / "older.yaml", "--run", tmp_path / "run")

    assert again.exit_code == 0, again.stderr
    assert written["heads"] == [{"backbone": "efficientnet_lite0", "image_size": 32}]
    assert (
        yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())["heads"]
        == (written["heads"])
    )


def test_other_external_images_are_refused_unless_they_are_asked_for(
    cli, blended_with_more, draw_folder, tmp_path
):
    run, _, more = blended_with_more
    moved = shutil.copytree(more, tmp_path / "more")
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe["ensemble"] |= {"external": [str(moved)], "folds": None}
    recipe["members"] = recipe["members"][:1]
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(recipe))
    next(moved.rglob("*.png")).unlink()

    refused = cli("ensemble", "--from", changed, "--run", tmp_path / "refused")
    asked_for = cli(
        *("ensemble", "--from", changed, "--external", moved),
        *("--run", tmp_path / "asked for"),
    )

    assert refused.exit_code == 2
    assert "The external images of more are not those that" in refused.stderr
    assert not (tmp_path / "refused" / "members").exists()
    assert asked_for.exit_code == 0, asked_for.stderr


def in_sizes(pictures, root, *sizes):
    """Write a data set as the competition has its own: once for each size."""
    for size in sizes:
        convert(str(pictures), root / f"of {size}", image_size=size)
        shutil.copytree(root / f"of {size}", root / "all", dirs_exist_ok=True)
    return root / "all"


def test_of_data_in_several_sizes_the_same_one_is_read_again(
    cli, draw_folder, pictures, space, tmp_path
):
    """Though no member looks at the size that the search read them for."""
    data = in_sizes(pictures, tmp_path / "data", 32, 48)
    drawn = draw_folder(tmp_path / "drawn", {"train": 15, "val": 5})
    more = in_sizes(drawn / "val", tmp_path / "more", 32, 48)
    both = tmp_path / "both.yaml"
    both.write_text(space.read_text().replace("image_size: 32", "image_size: [32, 48]"))
    first = tmp_path / "first.yaml"
    first.write_text("- {image_size: 32, trainable_fraction: 0.0}")
    searched = cli(
        *("search", "--data", data, "--run", tmp_path / "run", "--space", both),
        *("--max-epochs", 1, "--max-recipes", 1, "--enqueue", first),
        *("--weights", "none", "--leaks", "keep"),
    )
    assert searched.exit_code == 0, searched.stderr
    made = cli.json("ensemble", "--run", tmp_path / "run", "--top", 1, "--external", more)
    assert [member["recipe"]["image_size"] for member in made["members"]] == [32]
    recipe = tmp_path / "run" / "recipe.yaml"
    written = yaml.safe_load(recipe.read_text())
    del written["image_sizes"]
    older = tmp_path / "older.yaml"
    older.write_text(yaml.safe_dump(written))

    again = cli("ensemble", "--from", recipe, "--run", tmp_path / "again")
    refused = cli("ensemble", "--from", older, "--run", tmp_path / "refused")

    assert again.exit_code == 0, again.stderr
    assert (tmp_path / "again" / "recipe.yaml").read_text() == recipe.read_text()
    assert refused.exit_code == 2
    assert "The images at" in refused.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("format: 7", "must be a recipe file of format 1, got 7"),
        ("seed: 1", "must be a recipe file of format 1, got 'none'"),
        ("{format: 1, search: {}}", "does not say what the ensemble was made from"),
        ("- 1", "must hold settings"),
    ],
)
def test_a_file_that_is_no_recipe_file_is_answered(cli, tmp_path, content, said):
    file = tmp_path / "recipe.yaml"
    file.write_text(content)

    refused = cli("ensemble", "--from", file, "--run", tmp_path / "run")

    assert refused.exit_code == 2
    assert said in refused.stderr
    assert not (tmp_path / "run").exists()


def test_a_run_with_a_search_is_not_overwritten(cli, blended):
    run, _ = blended

    refused = cli("ensemble", "--from", run / "recipe.yaml", "--run", run)

    assert refused.exit_code == 2
    assert "holds a search" in refused.stderr


def test_members_of_a_file_are_not_picked_again(cli, blended, tmp_path):
    recipe = blended[0] / "recipe.yaml"

    refused = cli("ensemble", "--from", recipe, "--top", 2, "--run", tmp_path / "run")

    assert refused.exit_code == 2
    assert "the members of this ensemble are those of" in refused.stderr
    assert "leave `--top` out" in refused.stderr
    assert not (tmp_path / "run").exists()


def test_other_data_are_for_a_recipe_file_alone(cli, blended, pictures):
    run, _ = blended

    refused = cli("ensemble", "--run", run, "--data", pictures)

    assert refused.exit_code == 2
    assert "`data` is for making an ensemble again" in refused.stderr


@pytest.fixture(scope="module")
def blended_recipes(cli, pictures, space, tmp_path_factory):
    """A run whose one member may be made of up to three recipes."""
    run = tmp_path_factory.mktemp("recipes") / "run"
    searched = cli(
        *("search", "--data", pictures, "--run", run, "--space", space),
        *("--max-epochs", 1, "--max-recipes", 4),
    )
    assert searched.exit_code == 0, searched.stderr
    made = cli.json(*SOUP, "--run", run)
    return run, made


SOUP = ("ensemble", "--top", 1, "--soup", 3, "--final-fit")


def test_a_member_of_several_recipes_says_which(blended_recipes):
    run, made = blended_recipes

    [member] = made["members"]
    tried, others = member["tried_recipes"], member["others"]
    assert tried["together"]["log_loss"] <= tried["alone"]["log_loss"]
    assert len(others) <= 2
    if others:
        [fit] = member["fits"]
        assert fit.startswith(f"{member['name']}.recipes{1 + len(others)}-")
        assert member["scores"]["val"]["log_loss"] == pytest.approx(tried["together"]["log_loss"])
    written = {path.stem for path in (run / "members").glob("*.npz")}
    assert written == {*member["fits"], *member["final_fits"]}
    assert not list((run / "feature_bank").glob("*.npy"))


def test_several_recipes_are_made_into_one_again(cli, blended_recipes, tmp_path):
    run, before = blended_recipes

    made = cli("ensemble", "--from", run / "recipe.yaml", "--run", tmp_path / "again", "--json")

    assert made.exit_code == 0, made.stderr
    again = json.loads(made.stdout)
    [mine], [theirs] = again["members"], before["members"]
    assert mine["tried_recipes"]["left_over"] == []  # what stayed out is not in the file
    tried = {**theirs["tried_recipes"], "left_over": []}
    assert mine == {**theirs, "tried_recipes": tried if theirs["others"] else None}
    assert again["scores"] == before["scores"]
    assert (tmp_path / "again" / "submission.csv").read_text() == (
        run / "submission.csv"
    ).read_text()


def test_one_model_of_several_recipes_again_trains_nothing(cli, blended_recipes, tmp_path):
    run, before = blended_recipes
    copy = shutil.copytree(run, tmp_path / "run")

    again = cli(*SOUP, "--run", copy, "--json")

    [mine], [theirs] = json.loads(again.stdout)["members"], before["members"]
    assert mine == theirs
    assert "epoch 1:" not in again.stderr


def test_recipes_of_the_search_are_kept_for_one_model(blended_recipes):
    """All four were trained for as long, so the best and three others have their weights."""
    run, _ = blended_recipes

    assert len(list((run / "checkpoints").glob("*.npz"))) == 4


def test_a_trial_that_time_cut_short_keeps_no_state_once_there_is_an_ensemble(
    cli, blended_recipes, tmp_path
):
    """An ensemble never takes it, and with its optimizer it is larger than any other."""
    copy = shutil.copytree(blended_recipes[0], tmp_path / "run")
    with Ledger(copy / "ledger.sqlite") as ledger:
        trials = sorted(ledger.trials(), key=lambda trial: trial.score)
    cut = trials[0].trial_id
    with contextlib.closing(sqlite3.connect(copy / "ledger.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE trials SET status = 'running', score = NULL, ended = NULL WHERE trial_id = ?",
            [cut],
        )

    made = cli(*SOUP, "--run", copy)

    assert made.exit_code == 0, made.stderr
    kept = {path.name.split(".")[0] for path in (copy / "checkpoints").glob("*.npz")}
    assert kept == {trial.trial_id for trial in trials} - {cut}
