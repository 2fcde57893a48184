"""Tests for picking the recipes of an ensemble."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.pick import (
    MAX_DISTANCE,
    MOST_IN_SOUP,
    candidates,
    others_of,
    pick_members,
)
from automl_flowers.errors import RunError
from automl_flowers.ledger import EpochRecord, TrialRecord

NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def trial(recipe):
    """A completed trial; `dropout` makes its recipe another one."""

    def trial(trial_id, score, *, backbone="efficientnet_lite0", dropout=0.0, **options):
        mine = replace(recipe, backbone=backbone, dropout=dropout)
        options = {"first_epoch": 0, "last_epoch": 1, "status": "completed", **options}
        trained = range(options["first_epoch"], options["last_epoch"])
        return TrialRecord(
            trial_id=trial_id,
            number=next(NUMBERS),
            identity=mine.identity,
            recipe=mine.to_dict(),
            bracket=0,
            round=0,
            parent=None,
            score=score,
            epochs=tuple(EpochRecord(n, 0.1, 1.0, 0.5, 0.5, 0.7, 1.0) for n in trained),
            **options,
        )

    return trial


def ids(picked):
    return [candidate.trial_id for candidate in picked]


def test_the_best_recipe_of_each_backbone_comes_first(trial):
    trials = [
        trial("a", 0.90, dropout=0.0),
        trial("b", 0.89, dropout=0.1),
        trial("c", 0.88, backbone="densenet201", dropout=0.0),
        trial("d", 0.875, backbone="densenet201", dropout=0.1),
        trial("e", 0.8701, backbone="vgg16"),
    ]

    assert ids(pick_members(trials, 3, "macro_f1")) == ["a", "c", "e"]
    assert ids(pick_members(trials, 5, "macro_f1")) == ["a", "c", "e", "b", "d"]


def test_a_backbone_that_is_too_far_behind_waits_for_its_score(trial):
    trials = [
        trial("a", 0.90, dropout=0.0),
        trial("b", 0.88, dropout=0.1),
        trial("c", 0.90 - MAX_DISTANCE["macro_f1"] - 1e-6, backbone="densenet201"),
        trial("d", 0.80, dropout=0.2),
    ]

    assert ids(pick_members(trials, 2, "macro_f1")) == ["a", "b"]
    assert ids(pick_members(trials, 4, "macro_f1")) == ["a", "b", "c", "d"]


def test_log_loss_is_better_when_lower(trial):
    trials = [
        trial("a", 1.0, dropout=0.0),
        trial("b", 0.5, dropout=0.1),
        trial("c", 0.6, backbone="densenet201"),
        trial("d", 0.7, backbone="vgg16"),
    ]

    assert ids(pick_members(trials, 4, "log_loss")) == ["b", "c", "d", "a"]


@pytest.mark.parametrize("objective", MAX_DISTANCE)
def test_every_objective_has_a_distance(trial, objective):
    assert ids(pick_members([trial("a", 0.5)], 1, objective)) == ["a"]


def test_a_promoted_trial_and_its_ancestors_are_one_recipe(trial):
    trials = [
        trial("first", 0.95, last_epoch=1),
        trial("second", 0.90, first_epoch=1, last_epoch=3),
        trial("third", 0.92, first_epoch=3, last_epoch=9),
    ]

    (candidate,) = candidates(trials, maximise=True)

    assert (candidate.trial_id, candidate.score, candidate.epochs) == ("third", 0.92, 9)


def test_a_recipe_that_a_callback_ended_has_the_epochs_behind_its_score(trial):
    whole = trial("a", 0.90, last_epoch=6)

    (candidate,) = candidates([replace(whole, epochs=whole.epochs[:3])], maximise=True)

    assert (candidate.epochs, candidate.planned) == (3, 6)


def test_only_completed_trials_with_a_score_count(trial, recipe):
    trials = [
        trial("done", 0.5),
        trial("failed", None, dropout=0.1, status="failed"),
        trial("infeasible", None, dropout=0.2, status="infeasible"),
        trial("running", None, dropout=0.3, status="running"),
        trial("without a score", None, dropout=0.4),
        trial("promotion that failed", None, first_epoch=1, last_epoch=3, status="failed"),
    ]

    for maximise in (True, False):
        (candidate,) = candidates(trials, maximise=maximise)

        assert candidate.trial_id == "done"
        assert candidate.recipe == replace(recipe, dropout=0.0)


def test_ties_are_broken_by_trial(trial):
    trials = [trial(name, 0.5, dropout=k / 10) for k, name in enumerate("cab")]

    assert ids(candidates(trials, maximise=True)) == ["a", "b", "c"]
    assert ids(candidates(trials, maximise=False)) == ["a", "b", "c"]


@given(
    scores=st.lists(
        st.tuples(st.sampled_from(["efficientnet_lite0", "densenet201", "vgg16"]), st.floats(0, 1)),
        min_size=1,
        max_size=12,
    ),
    top=st.integers(1, 12),
    objective=st.sampled_from(sorted(MAX_DISTANCE)),
)
def test_picks_are_distinct_begin_with_the_best_and_repeat_no_backbone_too_early(
    trial, scores, top, objective
):
    trials = [
        trial(f"{number:02d}", score, backbone=backbone, dropout=number / 100)
        for number, (backbone, score) in enumerate(scores)
    ]
    if top > len(trials):
        return

    picked = pick_members(trials, top, objective)

    assert len({candidate.recipe.identity for candidate in picked}) == len(picked) == top
    best = (min if objective == "log_loss" else max)(score for _, score in scores)
    assert picked[0].score == best
    near = {b for b, score in scores if abs(score - best) <= MAX_DISTANCE[objective]}
    first = [candidate.recipe.backbone for candidate in picked[: len(near)]]
    assert len(set(first)) == len(first)
    assert set(first) <= near


@pytest.mark.parametrize(
    ("finished", "message", "hint"),
    [
        (0, "no recipe has finished", "run `automl-flowers search` first"),
        (1, "top 3 recipes: only one finished", "`--top 1` retrains it alone"),
    ],
)
def test_fewer_than_two_are_no_blend(trial, finished, message, hint):
    trials = [trial(str(k), 0.5, dropout=k / 10) for k in range(finished)]

    with pytest.raises(RunError, match=message) as error:
        pick_members(trials, 3, "macro_f1")

    assert error.value.hint.startswith(hint)


def test_fewer_than_asked_for_are_taken_all(trial):
    trials = [trial(str(k), 0.5, dropout=k / 10) for k in range(2)]

    assert len(pick_members(trials, 3, "macro_f1")) == 2


def others(trials, top):
    picked = pick_members(trials, top, "macro_f1")
    return ids(picked), [ids(some) for some in others_of(trials, picked, "macro_f1")]


def test_others_are_of_the_same_kind_and_not_picked_themselves(trial):
    trials = [
        trial("a", 0.90, dropout=0.0),
        trial("b", 0.89, dropout=0.1),
        trial("c", 0.88, backbone="densenet201", dropout=0.0),
        trial("d", 0.87, dropout=0.2),
        trial("e", 0.80, backbone="densenet201", dropout=0.1),
        trial("f", 0.99, dropout=0.3, status="running"),
    ]

    assert others(trials, 1) == (["a"], [["b", "d"]])
    assert others(trials, 2) == (["a", "c"], [["b", "d"], ["e"]])
    assert others(trials, 3) == (["a", "c", "b"], [["d"], ["e"], []])


def test_others_were_trained_for_as_long(trial):
    trials = [
        trial("a", 0.90, dropout=0.0, last_epoch=3),
        trial("b", 0.89, dropout=0.1),
        trial("c", 0.88, dropout=0.2, last_epoch=3),
    ]

    assert others(trials, 1) == (["a"], [["c"]])
    assert others(trials, 2) == (["a", "b"], [["c"], []])


def test_what_a_callback_ended_was_to_be_trained_for_as_long(trial):
    whole = trial("a", 0.90, last_epoch=6)
    ended = replace(whole, epochs=whole.epochs[:3])
    trials = [ended, trial("b", 0.89, dropout=0.1, last_epoch=6)]

    assert others(trials, 1) == (["a"], [["b"]])


def test_a_recipe_that_was_cut_short_has_no_others(trial):
    trials = [
        trial("a", 0.90, dropout=0.0),
        trial("b", 0.89, dropout=0.1),
        trial("c", 0.88, dropout=0.2, last_epoch=3),
    ]

    assert others(trials, 1) == (["a"], [[]])


def test_others_are_no_more_than_one_model_may_be_made_of(trial):
    trials = [trial(str(n), 0.9 - n / 100, dropout=n / 20) for n in range(9)]

    assert others(trials, 1) == (["0"], [[str(n) for n in range(1, MOST_IN_SOUP)]])
