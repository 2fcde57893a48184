"""The facts of a run, and how they read in a terminal and in JSON.

`UPDATE_GOLDEN=1 pytest tests/reports` writes the golden files anew; read the difference.
"""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from automl_flowers.cli import app
from automl_flowers.config import make_config, write_config
from automl_flowers.errors import RunError
from automl_flowers.files import write_json
from automl_flowers.ledger import EpochRecord, Ledger
from automl_flowers.reports import summary, text
from automl_flowers.run_folder import RunFolder
from ensembles import metrics

GOLDEN = Path(__file__).parent / "golden"
every_run = pytest.mark.parametrize(
    "run", ["empty_run", "searched_run", "blended_run", "unlabelled_run", "repeated_run"]
)


def collect_dict(run):
    return summary.to_dict(summary.collect(run), run.report)


def read_lines(run):
    return text.lines(collect_dict(run))


def print_report(run, *flags):
    """Return what `report` prints of a run."""
    result = CliRunner().invoke(app, ["report", "--run", str(run), *map(str, flags)])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_promoted_trial_and_its_parent_are_one_row(searched_run):
    rows = collect_dict(searched_run)["leaderboard"]

    assert [(row["rank"], row["trial"]) for row in rows] == [(1, "0005"), (2, "0002")]
    assert rows[0]["continues"] == "0001"
    assert rows[0]["macro_f1"] == rows[0]["score"] == 0.8
    assert (rows[0]["epochs"], rows[0]["seconds"]) == (4, 8.0)


def test_recipes_are_named_as_recorded(searched_run, build):
    with Ledger(searched_run.ledger) as ledger:
        recorded = {trial.identity[:6] for trial in ledger.trials()}

    names = [row["name"] for row in collect_dict(searched_run)["leaderboard"]]

    assert {name.rpartition("-")[2] for name in names} <= recorded


def test_best_is_the_first_row(searched_run):
    result = collect_dict(searched_run)

    assert result["best"] == result["leaderboard"][0]


def test_lower_is_better_for_log_loss(empty_run, build):
    write_config(make_config({"max_epochs": 4, "objective": "log_loss"}), empty_run.config)
    with Ledger(empty_run.ledger, writable=True) as ledger:
        build.trial(ledger, 1, build.recipe(dropout=0.2), [0.9, 0.7])
        build.trial(ledger, 2, build.recipe(dropout=0.3), [0.9, 0.2])

    assert [row["trial"] for row in collect_dict(empty_run)["leaderboard"]] == ["0002", "0001"]


def test_what_did_not_finish_is_listed_with_its_reason(searched_run):
    open_trials = collect_dict(searched_run)["not_finished"]

    assert [(trial["trial"], trial["status"]) for trial in open_trials] == [
        ("0000", "running"),
        ("0003", "failed"),
        ("0004", "infeasible"),
    ]
    assert open_trials[1]["reason"] == "DivergedError: <i>the loss is nan</i>"


def test_failed_promotion_leaves_its_parent_on_the_leaderboard(empty_run, build):
    recipe, place = build.recipe(dropout=0.2), {"parent": "0001", "first_epoch": 2, "round": 1}
    with Ledger(empty_run.ledger, writable=True) as ledger:
        build.trial(ledger, 1, recipe, [0.5, 0.6])
        build.trial(ledger, 2, recipe, [0.7], **place, last_epoch=4, status="failed")

    (standing,) = summary.collect(empty_run).ranked

    assert (standing.trial.trial_id, standing.score) == ("0001", 0.6)
    assert [trial.trial_id for trial in standing.others] == ["0002"]
    assert [record.epoch for record in standing.curve] == [0, 1, 2]


@every_run
def test_result_is_plain_json(request, run):
    result = collect_dict(request.getfixturevalue(run))

    assert json.loads(json.dumps(result, allow_nan=False)) == result


def test_nan_in_the_ledger_is_none(empty_run, build):
    with Ledger(empty_run.ledger, writable=True) as ledger:
        build.trial(ledger, 1, build.recipe(dropout=0.2), [0.5])
        broken = EpochRecord(0, 1e-3, math.nan, 0.5, math.nan, math.inf, 2.0)
        ledger.record_epoch("0001", broken, None)

    row = collect_dict(empty_run)["best"]

    assert (row["macro_f1"], row["accuracy"], row["log_loss"]) == (0.5, None, None)


def test_paths_are_those_that_exist(searched_run, blended_run):
    paths = collect_dict(blended_run)["paths"]

    assert set(paths) == {"report", "ledger", "blend"}
    assert paths["report"] == str(blended_run.report)


def test_page_is_named_where_it_was_written(searched_run, tmp_path):
    page = tmp_path / "elsewhere" / "page.html"

    printed = print_report(searched_run.path, "--out", page)
    as_json = print_report(searched_run.path, "--out", page, "--json")

    assert f"report  {page}" in printed.splitlines()
    assert json.loads(as_json)["paths"]["report"] == str(page)
    assert page.exists()
    assert not searched_run.report.exists()


def test_run_can_be_read_while_a_search_writes(searched_run, build):
    with Ledger(searched_run.ledger, writable=True) as ledger:
        build.trial(ledger, 6, build.recipe(dropout=0.5), [0.3], last_epoch=4, status="running")

        facts = summary.collect(searched_run)

    assert facts.statuses["running"] == 2
    assert not facts.is_search_over


def test_run_can_be_read_after_a_kill(searched_run, build, tmp_path):
    killed = RunFolder(tmp_path / "killed")
    with Ledger(searched_run.ledger, writable=True) as ledger:
        build.trial(ledger, 6, build.recipe(dropout=0.5), [0.95])
        shutil.copytree(searched_run.path, killed.path)  # with a log that nobody wrote back

    assert (killed.path / "ledger.sqlite-wal").stat().st_size > 0
    assert collect_dict(killed)["best"]["trial"] == "0006"


@pytest.mark.parametrize("settings", [{"max_recipes": 2}, {"time_budget": 60.0}])
@pytest.mark.parametrize("cut_short", [False, True])
def test_search_is_over_when_it_has_said_so(tmp_path, build, settings, cut_short):
    """Time may end it in the middle of a trial, which nobody goes on with unless it is extended."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_config(make_config({"max_epochs": 1, **settings}), run.config)
    with Ledger(run.ledger, writable=True) as ledger:
        build.trial(ledger, 0, build.recipe(), [0.5])
        status = "running" if cut_short else "completed"
        build.trial(ledger, 1, build.recipe(dropout=0.2), [0.6], bracket=1, status=status)
        between = summary.collect(run)
        ledger.end_session()
    facts = summary.collect(run)

    assert (between.planned_trials, between.is_search_over) == (2, False)
    assert facts.is_search_over
    assert "automl-flowers search" not in " ".join(
        command for command, _ in summary.next_steps(facts)
    )


def test_an_ensemble_made_again_had_no_search(repeated_run):
    result = collect_dict(repeated_run)
    lines = read_lines(repeated_run)

    assert (result["search"]["planned"], result["search"]["is_over"]) == (0, True)
    assert result["next"].startswith("automl-flowers predict ")
    assert lines[0] == f"{repeated_run.path}: made again, without a search"
    assert "No trial has finished yet." not in lines


def test_a_search_that_was_only_begun_has_not_ended(repeated_run):
    repeated_run.blend.unlink()

    result = collect_dict(repeated_run)

    assert (result["search"]["planned"], result["search"]["is_over"]) == (10, False)
    assert result["next"].startswith("automl-flowers search ")
    assert read_lines(repeated_run)[0].endswith(
        "planned trials completed, the search has not ended"
    )


def test_confusion_is_of_the_weighted_blend_on_test(blended_run, build):
    confusion = summary.collect(blended_run).confusion

    assert confusion.split == "test"
    assert confusion.class_names == build.class_names
    assert confusion.counts.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 2]]
    assert confusion.worst_pairs() == [(*build.class_names[:2], 1, 3)]


def test_confusion_agrees_with_the_score_of_the_blend(blended_run, build):
    facts = summary.collect(blended_run)
    predicted = np.eye(4)[list(build.taken_for["lite0"])]

    macro_f1 = facts.confusion.macro_scores()["F1"]

    assert macro_f1 == pytest.approx(facts.blend.score("test"))
    assert macro_f1 == pytest.approx(metrics.macro_f1(np.array(build.labels), predicted))


def test_confusion_is_on_blend_if_test_has_no_labels(unlabelled_run):
    facts = summary.collect(unlabelled_run)

    assert facts.confusion.split == "blend"
    assert facts.blend.score("test") is None


def test_missing_predictions_leave_the_rest(blended_run):
    shutil.rmtree(blended_run.predictions)

    facts = summary.collect(blended_run)

    assert facts.confusion is None
    assert "no longer in the run folder" in facts.no_confusion
    assert facts.blend is not None


def test_damaged_predictions_leave_the_rest(blended_run):
    (blended_run.predictions / "lite0.test.npz").write_bytes(b"PK half of a file")

    facts = summary.collect(blended_run)

    assert facts.confusion is None
    assert "predict again" in facts.no_confusion


def test_blend_of_an_older_version_is_shown_as_far_as_it_goes(blended_run):
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    for member in content["members"]:
        del member["predictions"]
    write_json(blended_run.blend, content)

    facts = summary.collect(blended_run)

    assert [member.name for member in facts.blend.members] == ["lite0", "lite1"]
    assert facts.confusion is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"kind": "harmonic"}, "`kind` must be one of"), ({"new": 1}, "must have the keys")],
)
def test_way_to_blend_of_another_version_leaves_the_rest(blended_run, changes, why):
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["blend"] |= changes
    write_json(blended_run.blend, content)

    facts = summary.collect(blended_run)

    assert facts.confusion is None
    assert why in facts.no_confusion
    assert facts.blend is not None


def test_blend_that_cannot_be_understood_says_so(searched_run):
    write_json(searched_run.blend, {"members": []})

    facts = summary.collect(searched_run)

    assert facts.blend is None
    assert "another version" in facts.no_blend


def test_curves_are_of_members_and_what_they_were_compared_with(blended_run):
    curves = summary.collect(blended_run).curves

    assert [(curve.name, curve.is_member) for curve in curves] == [
        ("lite0", True),
        ("lite0+external", False),
        ("lite1", True),
    ]


def test_curves_of_means_are_those_of_their_first_fit(blended_run, build):
    """What a mean is made of is not shown again, and a mean of an earlier ensemble is not shown."""
    one, two = "lite0+external.soup3", "lite1.soup2.recipes2-0a1b2c3d"
    build.record_fit(blended_run, one, made_of=["lite0+external", "lite0+external.seed1"])
    build.record_fit(blended_run, "lite0.soup3", made_of=["lite0", "lite0.seed1"])
    build.record_fit(blended_run, "lite1.soup2", made_of=["lite1", "lite1.seed1"])
    build.record_fit(blended_run, two, made_of=["lite1.soup2", "lite2.soup2"])
    build.blend_by(blended_run, [one], [two])

    curves = summary.collect(blended_run).curves

    assert [(curve.name, curve.is_member, curve.is_mean) for curve in curves] == [
        ("lite0", False, False),
        (one, True, True),
        (two, True, True),
    ]


def test_curves_of_folds_are_scored_on_the_fold_that_was_left_out(blended_run, build):
    fits = ["lite0.fold1of2", "lite0.fold2of2"]
    for name in fits:
        build.record_fit(blended_run, name)
    blended_run.blend.unlink()

    scored_on = {curve.name: curve.scored_on for curve in summary.collect(blended_run).curves}

    assert [scored_on[name] for name in ("lite0", *fits)] == ["val", "fold 1", "fold 2"]


def test_every_score_stands_with_what_its_images_did(blended_run):
    scores = {(line.what, line.split): line for line in summary.collect(blended_run).scores}

    assert "the best of 2: flattering" in scores["best recipe", "val"].meaning
    assert "flattering" in scores["blend", "val"].meaning
    assert scores["blend, naive", "blend"].interval is not None
    assert scores["blend", "test"].meaning == "chose nothing"
    assert scores["blend, nested", "blend"].interval is not None
    assert scores["blend, expected", "new"].images == 9
    assert [line.what for line in scores.values() if line.is_held_out] == [
        "blend, naive",
        "blend, nested",
        "blend",
    ]


def test_score_on_images_that_fitted_the_weights_is_not_held_out(searched_run, build):
    build.blend(searched_run)
    content = json.loads(searched_run.blend.read_text(encoding="utf-8"))
    write_json(searched_run.blend, {**content, "weights_fitted_on": "blend"})

    naive = next(s for s in summary.collect(searched_run).scores if s.what == "blend, naive")

    assert naive.meaning == "chose the blend: flattering"
    assert not naive.is_held_out


def scores_with(run, **changes):
    """Return the scores after some changes of `blend.json`, by what they are of."""
    content = json.loads(run.blend.read_text(encoding="utf-8"))
    write_json(run.blend, {**content, **changes})
    return {(line.what, line.split): line for line in summary.collect(run).scores}


@pytest.mark.parametrize("fitted_on", ["blend", None])
def test_folds_are_not_called_images_that_chose_nothing(blended_run, fitted_on):
    """They contain `val`, which chose the recipes."""
    scores = scores_with(blended_run, folds=5, weights_fitted_on=fitted_on)

    for what in ("blend, naive", "blend, nested"):
        line = scores[what, "5 folds"]
        assert line.meaning.startswith("chose the recipes, in part")
        assert not line.is_held_out
    assert scores["blend", "test"].is_held_out


def test_images_that_picked_the_plain_mean_have_chosen(blended_run):
    candidates = [{"rule": "uniform", "with_prior": False, "macro_f1": 0.9}]

    scores = scores_with(blended_run, candidates=candidates)

    assert scores["blend, naive", "blend"].meaning == "chose the blend: flattering"
    assert not scores["blend, naive", "blend"].is_held_out


def test_the_blend_without_external_images_has_a_score_of_its_own(blended_run):
    what = "blend without external images, nested"
    assert (what, "blend") not in scores_with(blended_run)
    measured = {"macro_f1": 0.8, "nested_macro_f1": 0.75, "nested_interval_90": [0.6, 0.9]}

    scores = scores_with(blended_run, without_external=measured)

    line = scores[what, "blend"]
    assert (line.macro_f1, line.interval, line.trained_on) == (0.75, (0.6, 0.9), "train")
    assert line.images == scores["blend, nested", "blend"].images


def test_each_score_says_what_its_models_were_trained_on(blended_run):
    assert {line.trained_on for line in summary.collect(blended_run).scores} == {"train"}
    [header] = [line for line in read_lines(blended_run) if line.startswith("score of")]
    assert header.endswith("these images")
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["members"][0]["name"] += "+external"

    scores = scores_with(blended_run, **content, settings={"final_fit": True})

    external = ", and 1 of 2 members on external images of other (7) too"
    assert scores["best recipe", "val"].trained_on == "train"
    assert scores["blend, nested", "blend"].trained_on == f"train{external}"
    assert scores["blend", "test"].trained_on == f"train, val and blend{external}"
    rows = {line.split("  ")[0]: line for line in read_lines(blended_run)}
    assert rows["score of"].endswith("trained on")
    assert rows["best recipe"].endswith("  train")
    assert rows["blend, nested"].endswith(f"  train{external}")
    tests = [line for line in read_lines(blended_run) if line.endswith(f"val and blend{external}")]
    assert [line.split()[:2] for line in tests] == [["blend", "test"]]


def test_log_loss_on_images_that_fitted_the_temperature_is_called_flattering(blended_run):
    told = (
        "the temperature of the blend was fitted on blend, so its log loss and calibration error "
        "there are flattering"
    )
    assert told not in read_lines(blended_run)

    scores_with(blended_run, temperature_fitted_on="blend")

    assert told in read_lines(blended_run)


def test_members_of_several_recipes_are_told(blended_run):
    assert not any("mean of those" in line for line in read_lines(blended_run))
    content = json.loads(blended_run.blend.read_text(encoding="utf-8"))
    content["members"][0]["others"] = [{}, {}]
    write_json(blended_run.blend, content)

    told = "the weights of lite0 are the mean of those of 3 recipes"

    assert told in read_lines(blended_run)


@pytest.mark.parametrize(
    ("run", "command"),
    [
        ("empty_run", "search --config"),
        ("searched_run", "search --config"),
        ("blended_run", "search --config"),
    ],
)
def test_unfinished_search_is_what_comes_next(request, run, command):
    folder = request.getfixturevalue(run)

    assert f"automl-flowers {command}" in collect_dict(folder)["next"]
    assert str(folder.path) in collect_dict(folder)["next"]


def test_commands_quote_the_folder(searched_run, tmp_path):
    moved = searched_run.path.rename(tmp_path / "my run; rm")

    commands = [command for command, _ in summary.next_steps(summary.collect(RunFolder(moved)))]

    assert all("'" in command for command in commands)
    assert any(command.startswith("automl-flowers ensemble --top 2 ") for command in commands)


@pytest.mark.parametrize("run", ["searched_run", "blended_run", "empty_run"])
def test_terminal_output_is_the_golden_one(request, run, monkeypatch):
    monkeypatch.chdir(request.getfixturevalue(run).path.parent)

    golden = GOLDEN / f"{run}.txt"

    printed = print_report("run")

    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(printed, encoding="utf-8")
    assert printed == golden.read_text(encoding="utf-8")


@every_run
def test_terminal_output_ends_with_the_page_and_what_comes_next(request, run):
    folder = request.getfixturevalue(run)

    lines = read_lines(folder)

    assert lines[-2] == f"report  {folder.report}"
    assert lines[-1].startswith("next    automl-flowers ")


def test_terminal_output_has_no_control_characters(searched_run):
    assert all(line.isprintable() for line in print_report(searched_run.path).splitlines())


def test_terminal_output_of_a_long_search_stays_short(empty_run, build):
    with Ledger(empty_run.ledger, writable=True) as ledger:
        for number in range(1, 41):
            build.trial(ledger, number, build.recipe(l2=number / 1e6), [number / 50])

    lines = read_lines(empty_run)

    assert len(lines) < 40
    assert "and 20 more, see the report" in lines
    assert len(collect_dict(empty_run)["leaderboard"]) == 40


def test_folder_without_a_run_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"has no config\.yaml") as caught:
        summary.collect(RunFolder(tmp_path))

    assert "automl-flowers search" in caught.value.hint


@pytest.mark.parametrize("name", ["data.json", "blend.json", "environment.json", "ledger.sqlite"])
def test_broken_file_is_named(searched_run, name):
    (searched_run.path / name).write_text("{ half of", encoding="utf-8")

    with pytest.raises(RunError, match=name):
        summary.collect(searched_run)


def test_recipes_of_another_version_are_refused_with_a_sentence(empty_run, build):
    with Ledger(empty_run.ledger, writable=True) as ledger:
        build.trial(ledger, 1, build.recipe(dropout=0.2), [0.5])
        ledger._connection.execute('UPDATE trials SET recipe = \'{"backbone": "vgg"}\'')

    with pytest.raises(RunError, match="cannot read"):
        summary.collect(empty_run)


def test_report_needs_no_tensorflow():
    code = "import sys, automl_flowers.reports.page; print(*sys.modules)"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"tensorflow", "keras", "keras_tuner"} & set(ran.stdout.split())
