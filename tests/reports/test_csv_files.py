"""A run as tables, read back by pandas."""

import math
import re

import pandas as pd
import pytest
from typer.testing import CliRunner

from automl_flowers.cli import app
from automl_flowers.ledger import Ledger
from automl_flowers.reports.csv_files import write_csv_files
from search_spaces.recipe import flatten


def trials_of(run):
    with Ledger(run.ledger) as ledger:
        return ledger.trials()


@pytest.fixture
def tables(searched_run, tmp_path):
    files = write_csv_files(trials_of(searched_run), tmp_path / "tables")
    return [pd.read_csv(file, dtype={"trial": str, "continues": str}) for file in files]


def test_a_row_for_each_trial_with_a_column_for_each_hyperparameter(searched_run, tables):
    trials, records = tables[0], trials_of(searched_run)

    assert list(trials["trial"]) == [record.trial_id for record in records]
    assert list(trials["status"]) == [record.status for record in records]
    for row, record in zip(trials.to_dict("records"), records, strict=True):
        recipe = flatten(record.recipe)
        assert {name: row[name] for name in recipe} == recipe
        assert row["score"] == record.score or (math.isnan(row["score"]) and record.score is None)
        assert row["epochs_trained"] == record.first_epoch + len(record.epochs)


def test_a_promotion_names_the_trial_that_it_continues(tables):
    promoted = tables[0][tables[0]["round"] == 1]

    assert promoted["continues"].tolist() == ["0001"]
    assert promoted["epochs_before"].tolist() == [2]
    assert tables[0]["continues"].isna().sum() == len(tables[0]) - 1


def test_parameters_of_other_schedules_are_empty(tables):
    is_constant = tables[0]["schedule"] == "constant"

    assert tables[0]["warmup"].isna().tolist() == is_constant.tolist()


def test_a_row_for_each_epoch_counted_from_one(searched_run, tables):
    epochs, records = tables[1], trials_of(searched_run)

    assert len(epochs) == sum(len(record.epochs) for record in records)
    assert epochs[epochs["trial"] == "0001"]["epoch"].tolist() == [1, 2]
    assert epochs[epochs["trial"] == "0005"]["epoch"].tolist() == [3, 4]
    assert epochs[epochs["trial"] == "0005"]["macro_f1"].tolist() == [0.7, 0.8]
    assert epochs[epochs["trial"] == "0003"]["macro_f1"].isna().tolist() == [True]


def test_reasons_are_written_as_they_are(tables):
    reasons = tables[0]["reason"].dropna().tolist()

    assert reasons[1] == "needs more memory\x1b[31m than there is"


def test_a_run_in_which_nothing_has_finished_makes_tables_too(empty_run, tmp_path):
    files = write_csv_files(trials_of(empty_run), tmp_path)

    trials, epochs = (pd.read_csv(file) for file in files)
    assert (len(trials), len(epochs)) == (1, 0)
    assert {"trial", "epoch", "macro_f1"} <= set(epochs.columns)


def test_no_trials_make_tables_without_rows(tmp_path):
    _, epochs = write_csv_files([], tmp_path)

    assert len(pd.read_csv(epochs)) == 0


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("notes.txt", r"notes\.txt`: File exists"),
        ("notes.txt/tables", "tables`: Not a directory"),
        ("x" * 300, "`: File name too long"),
    ],
)
def test_a_folder_that_cannot_be_made_is_answered(searched_run, tmp_path, folder, why):
    (tmp_path / "notes.txt").write_text("")
    command = ["report", "--run", str(searched_run.path), "--csv", str(tmp_path / folder)]

    result = CliRunner().invoke(app, command)

    assert result.exit_code == 2
    assert re.match(f"error: Cannot write `.*{why}", result.stderr)
    assert "name another path" in result.stderr
