"""Tests for the choice of a blend and the scores that come with it."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ensembles._gains import classes_without_each
from ensembles._members import Members
from ensembles.averaging import average, uniform_weights
from ensembles.blend import Blend, apply_blend, plain_blend
from ensembles.calibration import fit_temperature
from ensembles.chooser import DEFAULT_RULES, choose_blend, uniform_choice
from ensembles.metrics import macro_f1

SEEDS = st.integers(0, 2**32 - 1)


def one_strong_of_two(num_examples=200, num_classes=4):
    rng = np.random.default_rng(0)
    labels = np.arange(num_examples) % num_classes
    strong = 0.6 * np.eye(num_classes)[labels] + 0.4 / num_classes
    poor = rng.dirichlet(np.full(num_classes, 0.2), size=num_examples)
    return labels, np.stack([poor, strong])


def uneven(simulate, seed, sizes=(300, 60, 20, 10)):
    """Members that ignore how frequent classes are."""
    labels, probabilities = simulate(seed, num_examples=4000, num_classes=len(sizes), skill=1.5)
    rows = np.concatenate([np.flatnonzero(labels == k)[:n] for k, n in enumerate(sizes)])
    return labels[rows], probabilities[:, rows]


def score_of(choice, rule, with_prior=False):
    return next(
        one.macro_f1 for one in choice.ways if (one.rule, one.with_prior) == (rule, with_prior)
    )


@settings(deadline=None, max_examples=12)
@given(seed=SEEDS, num_models=st.integers(2, 4))
def test_choice_is_within_a_standard_error_of_the_best_and_no_worse_than_a_single(
    simulate, seed, num_models
):
    labels, probabilities = simulate(seed, num_models=num_models)

    choice = choose_blend(labels, probabilities, num_repeats=1)

    chosen = score_of(choice, choice.rule, choice.blend.prior is not None)
    assert chosen >= score_of(choice, "single")
    assert chosen == pytest.approx(choice.with_members)
    assert len(choice.ways) == 8


def test_choice_among_members_of_noise_is_worth_chance():
    naive, nested = [], []
    for seed in range(10):
        labels = np.arange(400) % 4
        noise = np.random.default_rng(seed).dirichlet(np.ones(4), size=(5, 400))
        choice = choose_blend(labels, noise, num_repeats=1)
        naive.append(choice.naive.score)
        nested.append(choice.nested.score)

    assert np.mean(nested) == pytest.approx(0.25, abs=0.02)
    assert np.mean(naive) > np.mean(nested) + 0.01


def test_naive_score_is_above_the_nested_one_where_weights_fit_noise(simulate):
    naive, nested = [], []
    for seed in range(6):
        labels, probabilities = simulate(seed, num_models=8, num_examples=80, skill=1.0)
        choice = choose_blend(
            labels, probabilities, rules=("greedy",), min_images_per_class=2, num_repeats=1
        )
        naive.append(choice.naive.score)
        nested.append(choice.nested.score)

    assert np.mean(naive) > np.mean(nested) + 0.01


def test_strong_member_is_preferred_to_the_mean():
    labels, probabilities = one_strong_of_two()

    choice = choose_blend(labels, probabilities)

    assert choice.rule == "single"
    assert choice.blend.weights == (0.0, 1.0)
    assert choice.is_fitted
    assert choice.reason.startswith("The best single member scores macro F1 1.0000")


def test_members_that_are_alike_get_the_plain_mean(simulate):
    labels, probabilities = simulate(seed=0, num_models=5, num_examples=300)

    choice = choose_blend(labels, probabilities, rules=("uniform", "single", "greedy", "weighted"))

    assert choice.rule == "uniform"
    assert not choice.is_fitted
    assert choice.blend.weights == (0.2,) * 5


def test_members_of_unequal_strength_and_confidence_are_fitted(simulate):
    labels, probabilities = simulate(seed=0, num_models=4, num_examples=1000)
    rng = np.random.default_rng(1)
    loud = np.eye(5)[rng.integers(5, size=(2, 1000))] * 0.96 + 0.008
    members = np.concatenate([probabilities[:2], loud])

    choice = choose_blend(labels, members)

    assert choice.rule in {"geometric", "greedy", "weighted"}
    assert choice.blend.temperatures[2] > 2.0 * choice.blend.temperatures[0]
    assert choice.nested.score > macro_f1(labels, average(members)) + 0.05


def test_prior_is_shifted_where_it_helps(simulate):
    labels, probabilities = uneven(simulate, seed=0, sizes=(600, 30, 30, 30))

    choice = choose_blend(labels, probabilities, rules=("geometric", "single"))

    assert choice.blend.prior_exponent < 0.0
    assert score_of(choice, "geometric", with_prior=True) > score_of(choice, "geometric")


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS, rule=st.sampled_from(["geometric", "greedy", "weighted"]))
def test_naive_score_is_that_of_the_blend_applied(simulate, seed, rule):
    labels, probabilities = simulate(seed)

    choice = choose_blend(labels, probabilities, rules=(rule,), num_repeats=1)

    assert choice.naive.score == pytest.approx(
        macro_f1(labels, apply_blend(choice.blend, probabilities))
    )


@settings(deadline=None, max_examples=10)
@given(seed=SEEDS)
def test_members_in_another_order_are_chosen_alike(simulate, seed):
    labels, probabilities = simulate(seed, num_models=3, num_examples=100)
    order = np.random.default_rng(seed).permutation(3)

    choice, moved = (
        choose_blend(labels, stack, num_repeats=1)
        for stack in (probabilities, probabilities[order])
    )

    assert moved.rule == choice.rule
    np.testing.assert_allclose(moved.blend.weights, np.array(choice.blend.weights)[order])
    np.testing.assert_allclose(
        moved.without_members, np.array(choice.without_members)[order], atol=1e-9
    )
    assert moved.nested.score == pytest.approx(choice.nested.score)


def test_expected_score_depends_on_how_many_images_come(simulate):
    labels, probabilities = simulate(seed=0, num_examples=200)

    few, many = (choose_blend(labels, probabilities, num_new=n, num_repeats=1) for n in (50, None))

    assert few.expected.high - few.expected.low > many.expected.high - many.expected.low
    assert (few.num_new, many.num_new) == (50, None)
    assert few.nested == many.nested


def test_gain_of_a_member_is_what_the_score_loses_without_it(simulate):
    labels, probabilities = simulate(seed=0, num_models=2, num_examples=200)
    poor = np.random.default_rng(0).permutation(probabilities[0])
    members = np.concatenate([probabilities, poor[None]])

    choice = choose_blend(labels, members, rules=("uniform",))

    np.testing.assert_allclose(
        choice.without_members,
        [macro_f1(labels, average(np.delete(members, m, axis=0))) for m in range(3)],
    )
    assert choice.without_members[2] > choice.with_members


@settings(deadline=None, max_examples=30)
@given(seed=SEEDS, kind=st.sampled_from(["arithmetic", "geometric"]), num_models=st.integers(2, 4))
def test_a_blend_without_a_member_is_the_blend_of_the_others(simulate, seed, kind, num_models):
    probabilities = simulate(seed, num_models=num_models)[1]
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(num_models))
    prior = tuple(rng.dirichlet(np.full(5, 5.0)).tolist())
    temperatures = rng.uniform(0.5, 2.0, size=num_models)
    blend = Blend(kind, tuple(weights), tuple(temperatures), 1.0, 0.5, prior)

    without = classes_without_each(blend, probabilities)

    for m in range(num_models):
        rest = np.delete(weights, m) / np.delete(weights, m).sum()
        others = Blend(kind, tuple(rest), tuple(np.delete(temperatures, m)), 1.0, 0.5, prior)
        blended = apply_blend(others, np.delete(probabilities, m, axis=0))
        np.testing.assert_array_equal(without[m], blended.argmax(axis=-1))


def test_without_the_only_member_of_a_blend_the_others_count_equally(simulate):
    probabilities = simulate(seed=0)[1]

    without = classes_without_each(plain_blend([0.0, 1.0, 0.0]), probabilities)

    expected = average(probabilities[[0, 2]]).argmax(axis=-1)
    np.testing.assert_array_equal(without[1], expected)


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS, skill=st.floats(1.5, 4.0), sharpness=st.floats(0.5, 1.5))
def test_tabulated_temperature_is_close_to_the_fitted_one(simulate, seed, skill, sharpness):
    labels, probabilities = simulate(seed, num_models=1, num_examples=300, skill=skill)
    powers = probabilities.astype(np.float64) ** sharpness
    stack = (powers / powers.sum(axis=-1, keepdims=True)).astype(np.float32)
    rows = np.arange(0, 300, 2)

    temperature = Members(labels, stack).fit_temperatures(rows)[0]

    assert temperature == pytest.approx(fit_temperature(labels[rows], stack[0, rows]), rel=0.12)


def test_cma_is_compared_when_asked_for(simulate):
    choice = choose_blend(*simulate(seed=0), rules=("uniform", "single", "cma"), num_repeats=1)

    assert [one.rule for one in choice.ways] == ["uniform", "single", "cma", "cma"]


def test_one_member_is_single_and_calibrated(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    choice = choose_blend(labels, probabilities)

    assert choice.rule == "single"
    assert choice.reason == "There is one member, so there is nothing to weigh."
    assert choice.naive == choice.nested
    assert choice.nested.score == pytest.approx(macro_f1(labels, probabilities[0]))
    assert choice.blend.global_temperature != 1.0
    assert choice.without_members == ()


def test_identical_members_count_equally(simulate):
    labels, probabilities = simulate(seed=0, num_models=1)

    choice = choose_blend(labels, np.repeat(probabilities, 3, axis=0))

    assert choice.rule == "uniform"
    assert len({one.macro_f1 for one in choice.ways if not one.with_prior}) == 1
    assert choice.without_members == (choice.with_members,) * 3


def test_members_without_labels_count_equally_and_have_no_score(simulate):
    labels, probabilities = simulate(seed=0)

    choice = choose_blend(np.full_like(labels, -1), probabilities)

    assert choice.rule == "uniform"
    assert choice.blend == plain_blend(uniform_weights(3))
    assert choice.reason == "No image has a label, so the 3 members count equally."
    assert (choice.naive, choice.nested, choice.expected) == (None, None, None)


def test_too_few_images_a_class_leave_members_equal(simulate):
    labels, probabilities = simulate(seed=0, num_models=2, num_examples=39, num_classes=4)

    choice = choose_blend(labels, probabilities)

    assert choice.blend == plain_blend([0.5, 0.5])
    assert not choice.is_fitted
    assert choice.reason == (
        "39 labelled images over 4 classes are 9.8 a class, fewer than the 10 that fitting a "
        "blend takes, so the 2 members count equally."
    )
    assert choice.naive == choice.nested


def test_a_broken_member_is_left_out_of_the_mean_of_few_images(simulate):
    labels, probabilities = simulate(seed=0, num_models=2, num_examples=39, num_classes=4)
    broken = np.tile(np.eye(4)[0] * 0.97 + 0.0075, (39, 1))
    members = np.stack([probabilities[0], broken, probabilities[1]])

    choice = choose_blend(labels, members, num_new=100)

    assert choice.rule == "comparable"
    assert choice.is_fitted
    assert choice.blend == plain_blend([0.5, 0.0, 0.5])
    assert choice.nested.score == pytest.approx(macro_f1(labels, average(members[[0, 2]])), abs=0.1)
    assert choice.without_members[1] == choice.with_members
    best = max(macro_f1(labels, member) for member in members)
    assert choice.reason == (
        "39 labelled images over 4 classes are 9.8 a class, fewer than the 10 that fitting a "
        f"blend takes, so the 3 members count equally, without member 2 "
        f"({macro_f1(labels, broken):.4f}): macro F1 of the best is {best:.4f}, and the "
        "difference is beyond chance, more than two standard errors."
    )


def test_the_only_member_that_works_is_left():
    labels, probabilities = one_strong_of_two(num_examples=39)

    choice = choose_blend(labels, probabilities)

    assert choice.blend.weights == (0.0, 1.0)
    assert choice.nested.score == pytest.approx(1.0)


def test_who_asks_for_equal_members_gets_them():
    labels, probabilities = one_strong_of_two(num_examples=39)

    assert uniform_choice(labels, probabilities, "As asked.").blend == plain_blend([0.5, 0.5])


@pytest.mark.parametrize("num_models", [2, 3, 8])
def test_members_that_are_equally_good_are_hardly_ever_left_out(simulate, num_models):
    left_out = [
        choose_blend(*simulate(seed, num_models=num_models, num_examples=45)).is_fitted
        for seed in range(100)
    ]

    assert np.mean(left_out) <= 0.08


@settings(deadline=None, max_examples=40)
@given(
    seed=SEEDS,
    num_examples=st.integers(1, 45),
    skills=st.lists(st.floats(-1.0, 5.0), min_size=2, max_size=5),
)
def test_the_mean_of_few_images_is_of_equals_and_has_the_best_in_it(
    simulate, seed, num_examples, skills
):
    stacks = [simulate(seed, 1, num_examples, skill=skill) for skill in skills]
    labels, members = stacks[0][0], np.concatenate([stack for _, stack in stacks])

    weights = np.array(choose_blend(labels, members, num_repeats=1).blend.weights)

    scores = [macro_f1(labels, member) for member in members]
    kept = weights > 0.0
    np.testing.assert_allclose(weights, kept / kept.sum())
    assert max(scores) == pytest.approx(max(np.array(scores)[kept]))
    assert num_examples >= 5 or kept.all()


@settings(deadline=None, max_examples=15)
@given(seed=SEEDS)
def test_what_is_left_out_does_not_depend_on_the_order_of_members(simulate, seed):
    labels, good = simulate(seed, num_models=3, num_examples=40)
    noise = np.random.default_rng(seed).dirichlet(np.ones(5), size=(1, 40))
    members = np.concatenate([good, noise.astype(np.float32)])
    order = np.random.default_rng(seed).permutation(4)

    choice, moved = (
        choose_blend(labels, stack, num_repeats=1) for stack in (members, members[order])
    )

    np.testing.assert_allclose(moved.blend.weights, np.array(choice.blend.weights)[order])


def test_just_enough_images_a_class_are_fitted():
    assert choose_blend(*one_strong_of_two(num_examples=40)).rule == "single"


def test_fewer_images_than_classes_leave_members_equal(simulate):
    labels, probabilities = simulate(seed=0, num_examples=4, num_classes=7)

    choice = choose_blend(labels, probabilities)

    assert choice.rule == "uniform"
    assert 0.0 <= choice.nested.low <= choice.nested.high <= 1.0


def test_class_without_images_is_rare_and_left_out_of_the_score(simulate):
    labels, probabilities = uneven(simulate, seed=0, sizes=(200, 60, 0, 60))

    choice = choose_blend(labels, probabilities, rules=("geometric", "greedy"))

    assert choice.nested.score > 0.5
    assert choice.blend.prior is None or min(choice.blend.prior) == choice.blend.prior[2]


def test_class_of_one_image_is_no_obstacle(simulate):
    labels, probabilities = uneven(simulate, seed=0, sizes=(100, 60, 1, 60))

    assert choose_blend(labels, probabilities, num_repeats=1).nested.score > 0.0


def test_examples_of_unknown_label_are_ignored():
    labels, probabilities = one_strong_of_two()
    padded = np.concatenate([labels, [-1, -1]])
    padded_probabilities = np.concatenate([probabilities, probabilities[:, :2]], axis=1)

    assert choose_blend(labels, probabilities) == choose_blend(padded, padded_probabilities)


def test_uniform_choice_has_the_scores_of_the_mean_and_the_reason_given(simulate):
    labels, probabilities = simulate(seed=0)

    choice = uniform_choice(labels, probabilities, "As asked for.", num_new=10)

    temperature = fit_temperature(labels, average(probabilities))
    assert choice.blend.global_temperature == pytest.approx(temperature)
    assert replace(choice.blend, global_temperature=1.0) == plain_blend(uniform_weights(3))
    assert choice.reason == "As asked for."
    assert choice.nested.score == pytest.approx(macro_f1(labels, average(probabilities)))
    assert choice.expected.low < choice.nested.score < choice.expected.high


def test_uniform_choice_of_few_images_has_no_temperature(simulate):
    labels, probabilities = simulate(seed=0)
    few = np.arange(len(labels)) % 6 == 0

    choice = uniform_choice(labels[few], probabilities[:, few], "As asked for.")

    assert choice.blend == plain_blend(uniform_weights(3))


def test_uniform_choice_without_labels_has_no_score(simulate):
    labels, probabilities = simulate(seed=0)

    choice = uniform_choice(np.full_like(labels, -1), probabilities, "As asked for.")

    assert (choice.reason, choice.nested) == ("As asked for.", None)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0, 4]), "1 of 2 outside, the first 4"),
        (np.array([0, -2]), "1 of 2 outside, the first -2"),
        (np.array([0]), "got 1 labels and 2 rows"),
    ],
)
def test_wrong_labels_are_answered(labels, message):
    with pytest.raises(ValueError, match=message):
        choose_blend(labels, np.full((2, 2, 4), 0.25))


@pytest.mark.parametrize("broken", [np.nan, 0.7, -0.1])
def test_rows_that_are_no_distribution_are_refused(simulate, broken):
    labels, probabilities = simulate(seed=0)
    probabilities[1, 7, 0] = broken

    with pytest.raises(ValueError, match="1 of 180 rows that do not"):
        choose_blend(labels, probabilities)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_images_per_class": 1}, "`min_images_per_class` must be at least 2"),
        ({"rules": ("uniform", "stacking")}, "must be some of uniform, .*, got stacking"),
        ({"rules": ()}, "must be some of uniform, .*, got none"),
        ({"num_repeats": 0}, "`num_repeats` must be at least 1"),
        ({"num_folds": 1}, "`num_folds` at least 2"),
        ({"num_new": 0}, "`num_new` must be at least 1"),
    ],
)
def test_wrong_options_are_answered(simulate, options, message):
    with pytest.raises(ValueError, match=message):
        choose_blend(*simulate(seed=0), **options)


def test_wrong_options_are_answered_without_labels_too():
    with pytest.raises(ValueError, match="`num_new` must be at least 1"):
        choose_blend(np.array([-1]), np.full((2, 1, 4), 0.25), num_new=0)


def test_default_rules_begin_with_what_learns_nothing():
    assert DEFAULT_RULES[:2] == ("uniform", "single")
