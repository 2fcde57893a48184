"""Tests for time budgets, over a learner that takes no time on a clock that only it moves."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.blending.pick import in_order_of_picking
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.tuning.budget import (
    FEWEST_TRAININGS,
    SHARE_FOR_TRAININGS,
    Budget,
    Horizon,
    TimedPace,
    choose_horizon,
    reserve,
)
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.cost import (
    EPOCH_OVERHEAD_SECONDS,
    FIRST_BUILD_SECONDS,
    PROGRAMS_ALIVE,
    SECONDS_PER_SECOND_OF_WORK,
    Costs,
    Workload,
    learn_costs,
)
from automl_flowers.tuning.hyperband import Round, plan_brackets
from automl_flowers.tuning.search import FINAL, Task
from search_spaces.backbones import BACKBONES
from search_spaces.portfolio import parse_recipes
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

RECIPE = Recipe(
    "vgg16", 96, 1, 0.1, 0.0, 0.0, "none", "none", "adam", 32, Schedule("constant", 1e-3, {})
)
HORIZON = 4
EPOCH, BUILD = 10.0, 5.0


def make_trial(recipe=RECIPE, seconds=(12.0, 8.0, 8.0), outside=3.0, number=0, ended=True):
    epochs = tuple(EpochRecord(n, 0.1, 1.0, 0.5, 0.5, 0.7, s) for n, s in enumerate(seconds))
    end = 100.0 + sum(seconds) + outside
    return TrialRecord(
        f"{number:04d}", number, recipe.identity, recipe.to_dict(), 0, 0, None, 0, len(seconds),
        status="completed", score=0.5, started=100.0, ended=end if ended else None, epochs=epochs,
    )  # fmt: skip


# What trainings take.


def test_an_epoch_takes_what_it_took_and_its_tracing_counts_as_building():
    costs = learn_costs([make_trial()], {})

    assert costs.epoch(RECIPE) == 8
    assert costs.builds == [3 + 12 - 8]
    assert costs.training(RECIPE, 3) == 24  # it is built


def test_what_differs_in_variables_only_costs_the_same():
    costs = learn_costs([make_trial()], {})

    assert costs.training(replace(RECIPE, dropout=0.4, label_smoothing=0.1), 1) == 8


def test_epochs_that_show_images_again_are_measured_apart():
    fresh, again = replace(RECIPE, augmentation="light"), replace(RECIPE, augmentation="none")
    few = replace(fresh, views=2)
    trials = [make_trial(fresh, (9.0, 9.0)), make_trial(again, (2.0, 1.0, 1.0), number=1)]

    costs = learn_costs(trials, {})

    assert [costs.epoch(recipe) for recipe in (fresh, again, few)] == [9, 1, 1]


def test_another_architecture_is_scaled_by_its_work_and_must_be_built():
    costs = learn_costs([make_trial()], {("vgg16", 96): 2.0, ("vgg16", 192): 8.0})
    deeper = replace(RECIPE, trainable_blocks=5)

    per_work = SECONDS_PER_SECOND_OF_WORK * 2.0
    ratio = (1 + per_work * 3) / (1 + per_work * (1 + 2 / 5))
    assert costs.epoch(deeper) == pytest.approx(8 * ratio)
    assert 3 * 8 < costs.epoch(replace(RECIPE, image_size=192)) < 4 * 8
    assert costs.training(deeper, 0) == 7


def test_an_architecture_among_more_than_are_kept_may_have_to_be_built_again():
    recipes = [replace(RECIPE, trainable_blocks=blocks) for blocks in range(PROGRAMS_ALIVE + 1)]
    trials = [make_trial(recipe, number=number) for number, recipe in enumerate(recipes)]

    assert learn_costs(trials[:-1], {}).build(recipes[0]) == 0
    assert learn_costs(trials, {}).build(recipes[0]) == 7


def test_before_anything_was_measured_the_probe_says():
    costs = learn_costs([], {("vgg16", 96): 2.0})

    frozen = replace(RECIPE, trainable_blocks=0)
    assert costs.epoch(frozen) == EPOCH_OVERHEAD_SECONDS + 2 * SECONDS_PER_SECOND_OF_WORK
    assert costs.build(frozen) == FIRST_BUILD_SECONDS


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_has_its_work(name):
    entry = BACKBONES[name]

    for blocks, work in [(0, 1), (entry.num_blocks, 3)]:
        assert Workload(name, 96, blocks, "adam", 32, False).work == work


def test_a_trial_that_was_killed_says_nothing_of_building():
    assert learn_costs([make_trial(ended=False)], {}).builds == []


@given(st.integers(0, 5), st.integers(32, 512))
def test_more_blocks_and_pixels_never_cost_less(blocks, size):
    costs = Costs({}, [], {})
    recipe = replace(RECIPE, trainable_blocks=blocks, image_size=size)

    more = replace(recipe, trainable_blocks=min(5, blocks + 1), image_size=size + 32)

    assert costs.epoch(more) > costs.epoch(recipe) > 0


# What is reserved, and how long a training may be.

KNOWN = Costs({Workload.of(RECIPE): EPOCH}, [BUILD], {})


def others(*epochs):
    """Return recipes of the same cost, with the epochs that each still has to train."""
    return [(replace(RECIPE, dropout=0.1 * n), missing) for n, missing in enumerate(epochs)]


def test_the_first_final_fit_is_reserved_whatever_it_takes():
    assert reserve(others(3), KNOWN, seconds=10) == 30


def test_others_are_reserved_as_far_as_a_share_goes():
    missing = others(1, 2, 3)

    assert reserve(missing, KNOWN, seconds=1000) == 10 + 20 + 30
    assert reserve(missing, KNOWN, seconds=90) == 10 + 20  # 50 are above a third
    assert reserve(missing, KNOWN, seconds=30) == 10
    assert reserve(others(0, 2, 3), KNOWN, seconds=90) == 20


def test_nothing_is_reserved_for_what_is_finished_or_not_there():
    assert reserve([], KNOWN, seconds=100) == 0
    assert reserve(others(0), KNOWN, seconds=100) == 0


@pytest.mark.parametrize(
    ("seconds", "epochs"),
    [
        (10, 1),
        (40, 3),
        (90, 8),
        (120, 11),
        (130, 6),
        (160, 7),
        (200, 6),
        (239, 7),
        (240, 6),
        (800, 8),
        (10_000, 12),
    ],
)
def test_the_horizon_follows_the_budget(seconds, epochs):
    horizon = choose_horizon(6, [RECIPE], KNOWN, seconds)

    assert horizon == Horizon(epochs, in_rounds=seconds >= FEWEST_TRAININGS * 60)


ALIKE = [
    replace(RECIPE, backbone=backbone, trainable_blocks=0)
    for backbone in ("efficientnet_lite0", "vgg16", "xception")
]
"""Recipes whose epochs take the same, but each of which must be built."""


def costs_of_alike(build):
    """Return costs where the first of them was timed, and the others are known by their probes."""
    forward = {(recipe.backbone, recipe.image_size): 2.0 for recipe in ALIKE}
    return Costs({Workload.of(ALIKE[0]): EPOCH}, [build], forward)


def test_every_architecture_among_the_first_recipes_is_built():
    costs = costs_of_alike(build=12)

    assert choose_horizon(6, ALIKE[:1], costs, 230) == Horizon(7, in_rounds=False)
    assert choose_horizon(6, ALIKE, costs, 230) == Horizon(6, in_rounds=False)
    assert 3 * 7 * EPOCH + 2 * 12 > 230 > 3 * 6 * EPOCH + 2 * 12


@given(st.floats(1, 1e5), st.integers(1, 30), st.integers(1, 3))
def test_trainings_fit_into_the_budget_and_leave_less_than_an_epoch_for_each(
    seconds, default, num_kinds
):
    horizon = choose_horizon(default, ALIKE[:num_kinds], costs_of_alike(BUILD), seconds)

    def taken(trainings, epochs):
        return (min(trainings, num_kinds) - 1) * BUILD + trainings * epochs * EPOCH

    room = seconds * SHARE_FOR_TRAININGS
    if horizon.in_rounds:
        assert default <= horizon.epochs <= 2 * default
    elif taken(1, 1) <= room:
        fitting = [n for n in range(1, FEWEST_TRAININGS) if taken(n, default) <= room]
        trainings = max(fitting, default=1)
        assert taken(trainings, horizon.epochs) <= room
        assert taken(trainings, horizon.epochs + 1) > room
    else:
        assert horizon.epochs == 1


@given(st.floats(1, 1e5), st.floats(1, 1e5))
def test_more_time_never_does_without_rounds(one, other):
    less, more = sorted([one, other])
    shorter, longer = (choose_horizon(6, [RECIPE], KNOWN, seconds) for seconds in (less, more))

    assert shorter.in_rounds <= longer.in_rounds


def test_few_trainings_are_brackets_of_one_round():
    plan = plan_brackets(8, 9, endless=True)

    assert len(plan) > 100
    assert {tuple((r.first_epoch, r.last_epoch) for r in bracket) for bracket in plan} == {
        ((0, 8),)
    }


# The search under a clock.


class Watch:
    """Makes the toy's trainer take time on a clock."""

    def __init__(self, toy, clock, epoch=EPOCH, build=BUILD, num_epochs=HORIZON):
        self.train = functools.partial(toy.train, num_epochs=num_epochs)
        self.clock, self.epoch, self.build = clock, epoch, build
        self.built = set()

    def __call__(self, recipe, first_epoch, last_epoch, state, on_epoch):
        workload = Workload.of(recipe)
        first = 0.0 if workload in self.built else self.build
        self.built.add(workload)

        def on_timed_epoch(record, get_state):
            nonlocal first
            self.clock.now += self.epoch + first
            timed = replace(record, seconds=self.epoch + first)
            first = 0.0
            on_epoch(timed, get_state)

        return self.train(recipe, first_epoch, last_epoch, state, on_timed_epoch)


@pytest.fixture
def timed_search(toy, tmp_path):
    """A function that searches for some seconds, and returns trials and the seconds it took."""

    def timed_search(
        seconds,
        run=tmp_path,
        *,
        spent=0.0,
        before=0.0,
        top=1,
        horizon=toy.NUM_EPOCHS,
        plan=toy.ENDLESS_PLAN,
        **watch,
    ):
        clock = toy.Clock()
        clock.now = before
        checkpoints = CheckpointFolder(run / "checkpoints")

        def pick(trials):
            return in_order_of_picking(trials, "log_loss")[:top]

        def make_pace(ledger):
            def has_state(trial_id):
                found = ledger.checkpoint_of(trial_id)
                return found is not None and checkpoints.exists(found[1])

            budget = Budget(seconds, spent, 0.0, clock)
            return TimedPace(budget, horizon, {}, pick, has_state, ledger)

        trials = toy.search(
            run,
            Watch(toy, clock, num_epochs=horizon, **watch),
            oracle=toy.make_oracle(plan=plan),
            ledger=functools.partial(Ledger, clock=clock),
            worth_keeping=lambda trials: [c.trial_id for c in pick(trials)],
            make_pace=make_pace,
        )
        return trials, clock.now

    return timed_search


@pytest.mark.parametrize("seconds", [30, 60, 100, 171, 300, 500, 1000])
@pytest.mark.parametrize("top", [1, 3])
def test_a_budget_is_kept_and_used(timed_search, toy, seconds, top):
    trials, spent = timed_search(seconds, top=top)

    assert spent <= max(1.05 * seconds, seconds + EPOCH + BUILD)
    assert spent >= seconds - toy.NUM_EPOCHS * (EPOCH + BUILD)
    assert trials


@pytest.mark.parametrize("seconds", [60, 90, 120, 200, 350, 600])
@pytest.mark.parametrize("build", [0.0, BUILD])
def test_a_budget_is_kept_from_the_command_to_the_last_fit(timed_search, seconds, build):
    """As the workflow does it: look first, choose how long trainings are, plan, search, finish."""
    before, factor = 12.0, 3  # decoding, probes and a rehearsal
    costs = Costs({Workload.of(RECIPE): EPOCH}, [build], {})
    horizon = choose_horizon(6, [RECIPE], costs, seconds - before)
    factor = factor if horizon.in_rounds else horizon.epochs + 1

    trials, spent = timed_search(
        seconds,
        before=before,
        top=3,
        horizon=horizon.epochs,
        plan=plan_brackets(horizon.epochs, factor, endless=True),
        build=build,
    )

    assert spent <= max(1.05 * seconds, seconds + EPOCH + build)
    longest = build + horizon.epochs * EPOCH
    assert spent >= seconds - longest, "a whole training would have fitted"
    assert in_order_of_picking(trials, "log_loss")[0].epochs == horizon.epochs


@pytest.mark.parametrize("seconds", [80, 171, 300, 1000])
def test_the_best_recipe_comes_to_its_full_horizon(timed_search, toy, seconds):
    trials, _ = timed_search(seconds)

    best = in_order_of_picking(trials, "log_loss")[0]
    assert best.epochs == toy.NUM_EPOCHS


def test_a_final_fit_continues_and_equals_one_training(timed_search, toy):
    trials, _ = timed_search(80)

    [final] = [trial for trial in trials if trial.bracket == FINAL]
    assert final.parent is not None
    assert final.last_epoch == toy.NUM_EPOCHS
    losses = {}
    for trial in trials:
        if trial.identity == final.identity:
            losses |= {epoch.epoch: epoch.log_loss for epoch in trial.epochs}
    anew = []
    toy.train(Recipe.from_dict(final.recipe), 0, toy.NUM_EPOCHS, None, lambda e, _: anew.append(e))
    assert [losses[n] for n in range(toy.NUM_EPOCHS)] == [epoch.log_loss for epoch in anew]


def test_more_time_goes_on_with_the_same_search(timed_search, what_happened):
    short, spent = timed_search(171)
    longer, _ = timed_search(600, spent=spent)

    begun = [trial for trial in short if trial.status == "completed"]
    assert len(longer) > len(short)
    for before, after in itertools.product(begun, longer):
        if before.trial_id == after.trial_id:
            assert what_happened([before]) == what_happened([after])


def test_what_more_time_adds_comes_after_the_final_fits_that_there_were(timed_search):
    short, spent = timed_search(171)
    longer, _ = timed_search(600, spent=spent)

    assert any(trial.bracket == FINAL for trial in short)
    assert [trial.number for trial in longer] == list(range(len(longer)))
    before = [trial.trial_id for trial in short]
    assert [trial.trial_id for trial in longer[: len(short)]] == before


def test_a_trial_that_time_cut_short_keeps_its_state(timed_search, tmp_path):
    for seconds in range(150, 500, 10):
        run = tmp_path / str(seconds)
        trials, _ = timed_search(seconds, run)
        if cut := [trial for trial in trials if trial.status == "running" and trial.epochs]:
            break

    [trial] = cut
    state = f"{trial.trial_id}.{trial.epochs[-1].epoch + 1:04d}.npz"
    assert (run / "checkpoints" / state).exists()


def test_a_trial_after_a_failed_one_ends_whatever_it_takes(toy, tmp_path):
    pace = TimedPace(
        *(Budget(1.0, 2.0), toy.NUM_EPOCHS, {}, lambda trials: [], lambda trial: False),
        Ledger(tmp_path / "ledger.sqlite", writable=True),
    )
    failed = replace(make_trial(), status="failed", score=None)
    running = replace(make_trial(number=1), status="running", score=None)
    task = Task("0001", RECIPE, 0, 0, None, 0, toy.NUM_EPOCHS)

    assert not pace.is_over(task, [failed, running])
    assert pace.is_over(task, [make_trial(), running])


def test_what_was_chosen_for_a_final_fit_keeps_its_state_until_then(toy, tmp_path):
    """The first final fit takes the other backbones out of reach: they would not be picked now."""
    good, *worse = backbones = ("efficientnet_lite0", "efficientnet_lite1", "vgg16", "xception")
    plan = ((Round(7, 0, 2), Round(0, 2, toy.NUM_EPOCHS)),)
    entries = [{"backbone": good, "dropout": dropout} for dropout in (0.1, 0.2, 0.3)]
    entries = [{"backbone": backbone, "dropout": 0.0} for backbone in backbones] + entries
    clock = toy.Clock()

    def train(recipe, first_epoch, last_epoch, state, on_epoch):
        assert (state is None) == (first_epoch == 0)
        for epoch in range(first_epoch, last_epoch):
            clock.now += EPOCH
            loss = 1.1 if recipe.backbone in worse else 1.0 + recipe.dropout / 10
            loss = 0.8 if recipe.backbone == good and epoch >= 2 else loss
            record = EpochRecord(epoch, 0.1, loss, 0.5, 0.5, loss, EPOCH)
            on_epoch(record, lambda: {"weights": np.zeros(1)})
        return {"layers": 1}

    trials = toy.search(
        tmp_path,
        train,
        oracle=toy.make_oracle(plan=plan, first=parse_recipes(entries, toy.SPACE)),
        ledger=functools.partial(Ledger, clock=clock),
        worth_keeping=lambda trials: [candidate.trial_id for candidate in toy.pick(trials)],
        make_pace=functools.partial(toy.make_pace, tmp_path, 1000),
    )

    finals = [trial for trial in trials if trial.bracket == FINAL]
    assert [(final.recipe["backbone"], final.first_epoch) for final in finals] == [
        (backbone, 2) for backbone in backbones
    ]
    assert not {candidate.recipe.backbone for candidate in toy.pick(trials)} & set(worse)


FINISHED = make_trial(seconds=(8.0,) * HORIZON)
HALF_WAY = make_trial(replace(RECIPE, dropout=0.4), seconds=(8.0,) * 2, number=1)
PROMOTION = Task("0002", replace(RECIPE, dropout=0.4), 0, 1, HALF_WAY.trial_id, 2, HORIZON)
NEW = Task("0002", RECIPE, 0, 0, None, 0, 1)


@pytest.fixture
def make_pace(tmp_path):
    """A function from the seconds left, and whether states are there, to a pace."""
    with Ledger(tmp_path / "ledger.sqlite", writable=True) as ledger:

        def make_pace(left, *, has_state):
            return TimedPace(
                *(Budget(100.0, 100.0 - left, 0.0, lambda: 0.0), HORIZON, {}),
                lambda trials: in_order_of_picking(trials, "log_loss"),
                lambda trial_id: has_state,
                ledger,
            )

        yield make_pace


@pytest.mark.parametrize(("has_state", "epochs"), [(True, 2), (False, HORIZON)])
def test_what_goes_on_from_no_state_costs_all_its_epochs(make_pace, has_state, epochs):
    for left in (8.0 * epochs - 1, 8.0 * epochs):
        pace = make_pace(left, has_state=has_state)

        assert pace.allows(PROMOTION, [FINISHED]) == (left >= 8 * epochs)


@pytest.mark.parametrize(("has_state", "epochs"), [(True, 2), (False, HORIZON)])
def test_what_is_kept_for_final_fits_counts_what_they_train(make_pace, has_state, epochs):
    for left in (8.0 * (1 + epochs) - 1, 8.0 * (1 + epochs)):
        pace = make_pace(left, has_state=has_state)

        assert pace.allows(NEW, [HALF_WAY]) == (left >= 8 * (1 + epochs))


@pytest.mark.parametrize(("has_state", "epochs"), [(True, 2), (False, HORIZON)])
def test_a_final_fit_starts_where_all_that_it_trains_fits_in(make_pace, has_state, epochs):
    for left in (8.0 * epochs - 1, 8.0 * epochs):
        pace = make_pace(left, has_state=has_state)

        tasks = list(pace.final_fits([FINISHED, HALF_WAY]))

        assert [HORIZON - task.first_epoch for task in tasks] == [epochs] * (left >= 8 * epochs)


def test_what_a_callback_ended_on_its_way_to_the_horizon_is_finished(make_pace):
    ended = replace(FINISHED, epochs=FINISHED.epochs[:2])
    pace = make_pace(8.0, has_state=True)

    assert pace.allows(NEW, [ended]), "nothing is kept for a final fit"
    assert list(pace.final_fits([ended])) == []


def test_what_a_callback_ended_in_a_round_goes_on_from_there(make_pace):
    ended = replace(HALF_WAY, epochs=HALF_WAY.epochs[:1])

    [task] = make_pace(99.0, has_state=True).final_fits([ended])

    assert (task.parent, task.first_epoch, task.last_epoch) == (ended.trial_id, 1, HORIZON)


def test_one_trial_ends_whatever_it_takes_and_then_nothing_starts(timed_search):
    trials, spent = timed_search(100, spent=200)
    assert [trial.status for trial in trials] == ["completed"]

    again, more = timed_search(100, spent=200 + spent)
    assert (again, more) == (trials, 0)
