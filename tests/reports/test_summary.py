"""The facts of a run."""

import json

import pytest

from automl_flowers.errors import RunError
from automl_flowers.reports import summary
from automl_flowers.run_folder import RunFolder


def test_promoted_trial_and_its_parent_are_one_row(searched_run):
    rows = summary.leaderboard(summary.collect(searched_run))

    assert [row["trial"] for row in rows] == ["0005", "0002"]
    assert rows[0]["macro_f1"] == 0.8
    assert rows[0]["epochs"] == 4
    assert rows[0]["seconds"] == 8.0


def test_what_did_not_finish_is_listed_with_its_reason(searched_run):
    result = summary.to_dict(summary.collect(searched_run))

    assert [(t["trial"], t["status"]) for t in result["not_finished"]] == [
        ("0000", "running"),
        ("0003", "failed"),
        ("0004", "infeasible"),
    ]
    assert result["not_finished"][1]["reason"] == "<i>no memory</i>"


def test_confusion_is_of_the_weighted_blend_on_test(blended_run):
    confusion = summary.collect(blended_run).confusion

    assert confusion.split == "test"
    assert confusion.counts.tolist() == [[1, 1, 0], [0, 2, 0], [0, 0, 2]]
    assert confusion.worst_pairs() == [(*confusion.class_names[:2], 1)]


def test_result_is_plain_json(blended_run):
    result = summary.to_dict(summary.collect(blended_run))

    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize("run", ["empty_run", "searched_run", "blended_run"])
def test_lines_end_with_the_page(request, run):
    folder = request.getfixturevalue(run)

    lines = summary.lines(summary.to_dict(summary.collect(folder)))

    assert lines[-1] == f"report  {folder.report}"


def test_blend_is_shown_with_the_split_of_each_score(blended_run):
    lines = summary.lines(summary.to_dict(summary.collect(blended_run)))

    assert "  macro F1 on test: 0.8000" in lines
    assert "  0.750  member0" in lines


def test_folder_without_a_run_says_what_to_do(tmp_path):
    with pytest.raises(RunError, match=r"has no config\.yaml"):
        summary.collect(RunFolder(tmp_path))
