"""Tests for the standings of the leaderboard."""

from automl_flowers.ledger import Ledger
from automl_flowers.reports import summary, tables


def test_a_trial_that_a_callback_ended_counts_the_epochs_behind_its_score(empty_run, build):
    with Ledger(empty_run.ledger, writable=True) as ledger:
        build.trial(ledger, 1, build.recipe(dropout=0.2), [0.4, 0.5], last_epoch=4)

    ranked = summary.collect(empty_run).ranked

    assert [standing.epochs for standing in ranked] == [2]
    assert [group.first.span for group in tables.leaderboard(ranked).groups] == ["1-2"]
