"""What the figures draw."""

import doctest

import numpy as np
import pytest

from automl_flowers.ledger import Ledger
from automl_flowers.reports import figures, figures_blend, panels, style, summary, tables, words
from automl_flowers.reports.ensemble import Confusion, MemberCurve
from search_spaces.schedules import SCHEDULES, Schedule


@pytest.fixture
def facts(searched_run):
    return summary.collect(searched_run)


def rates_of(kind, **parameters):
    schedule = Schedule(kind, 1e-3, parameters)
    return [schedule.learning_rate(epoch / 10, 10) for epoch in range(101)]


def test_promotion_continues_its_parents_line(facts):
    best = figures.learning_curves(facts.standings, 4).data[-2]

    assert best.name == facts.ranked[0].name
    assert list(best.x) == [1, 2, 3, 4]
    assert list(best.y) == [0.5, 0.6, 0.7, 0.8]


def test_end_of_every_trial_is_marked_and_failures_are_crossed(facts):
    traces = figures.learning_curves(facts.standings, 4).data
    failed = next(trace for trace in traces if list(trace.y) == [None])

    assert list(traces[-2].marker.size) == [4, 8, 4, 8]
    assert list(failed.marker.symbol) == ["x"]


def test_learning_rate_of_the_best_is_on_the_second_axis(facts):
    made = figures.learning_curves(facts.standings, 4)

    assert made.data[-1].yaxis == "y2"
    assert made.layout.yaxis2.side == "right"
    assert set(made.data[-1].y) == {2e-3}


def test_only_the_best_few_are_coloured(empty_run, build):
    with Ledger(empty_run.ledger, writable=True) as ledger:
        for number in range(1, 7):
            build.trial(ledger, number, build.recipe(l2=number / 1e6), [number / 10])
    standings = summary.collect(empty_run).standings

    traces = figures.learning_curves(standings, 4).data[:-1]

    coloured = [trace.name for trace in traces if trace.line.color in style.HIGHLIGHTS]
    assert sorted(coloured) == sorted(standing.name for standing in standings[:3])


def test_panels_are_of_what_varied(facts):
    names = [panel.name for panel in panels.hyperparameters(facts.ranked, facts.log_sampled, 4)]

    assert set(names) == {
        *("backbone", "dropout", "l2", "augmentation", "schedule", "learning_rate"),
    }


def test_axis_is_logarithmic_where_sampling_was(facts):
    made = panels.hyperparameters(facts.ranked, facts.log_sampled, 4)
    kinds = {panel.name: panel.figure.layout.xaxis.type for panel in made}

    assert facts.log_sampled == {"learning_rate"}
    assert kinds["learning_rate"] == "log"
    assert kinds["l2"] != "log"


def test_panels_share_their_range_of_scores(facts):
    made = panels.hyperparameters(facts.ranked, facts.log_sampled, 4)

    assert len({tuple(panel.figure.layout.yaxis.range) for panel in made}) == 1


def test_strip_has_a_place_for_each_word(facts):
    made = panels.strips("backbone", facts.ranked, 4)

    assert list(made.layout.xaxis.ticktext) == ["efficientnet<br>lite0", "efficientnet<br>lite1"]
    assert [round(place) for place in made.data[0].x] == [0, 1]


def test_one_recipe_leaves_nothing_to_compare(facts):
    assert panels.hyperparameters(facts.ranked[:1], frozenset(), 4) == []


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        (rates_of("constant"), ["1e-3 throughout"]),
        (rates_of("cosine", warmup=0.1), ["start 0", "peak 1e-3", "end 0"]),
        (rates_of("cosine", warmup=0.0), ["start and peak 1e-3", "end 0"]),
        (rates_of("cosine_restarts", cycles=2), ["start and peak 1e-3", "end 0"]),
        (rates_of("one_cycle", warmup=0.3), ["start 4e-5", "peak 1e-3", "end 4e-9"]),
        (
            rates_of("ramp", warmup=0.2, sustain=0.2, decay=0.5),
            ["start 2.5e-5", "peak 1e-3", "end 4.02e-5"],
        ),
    ],
    ids=lambda value: value[-1] if isinstance(value[0], str) else "",
)
def test_start_peak_and_end_are_written_on_the_learning_rate(rates, expected):
    assert [text for _, text, _ in figures.landmarks(rates)] == expected


def test_every_kind_of_schedule_can_be_drawn(facts, empty_run, build):
    kinds = [
        Schedule(kind.name, 1e-3, {p.name: p.default for p in kind.parameters})
        for kind in SCHEDULES.values()
    ]
    with Ledger(empty_run.ledger, writable=True) as ledger:
        for number, schedule in enumerate(kinds, start=10):
            build.trial(ledger, number, build.recipe(schedule=schedule), [0.5])

    for standing in summary.collect(empty_run).ranked:
        made = figures.learning_rate(standing, 4)
        assert made.layout.annotations


def test_cells_of_the_matrix_say_what_was_taken_for_what():
    counts = np.array([[3, 1, 0], [0, 2, 0], [0, 0, 0]])
    right, wrong = figures_blend.confusion(Confusion("test", counts, ("iris", "<b>", "a"))).data

    assert right.hovertext[0][0] == "iris: 3 of 4 recognised (75%)"
    assert wrong.hovertext[0][1] == "iris: 1 of 4 taken for &lt;b&gt; (25%)"
    assert right.z[0][0] == 0.75
    assert list(wrong.z[0]) == [None, 0.25, None]


def test_matrix_of_104_classes_fits_a_page():
    names = tuple(f"class {number} {'x' * 60}" for number in range(104))
    made = figures_blend.confusion(Confusion("test", np.eye(104, dtype=np.int64), names))

    assert made.layout.width < 1190
    assert all(len(text) <= 20 for text in made.layout.xaxis.ticktext)


def test_member_without_a_finite_loss_leaves_a_gap(build):
    epochs = tuple(build.epochs([0.5, float("nan"), 0.7]))

    made = figures_blend.member_curve(MemberCurve("one", epochs, is_member=True))

    assert list(made.data[1].y) == [0.5, None, pytest.approx(0.3)]


def test_histogram_needs_counts_of_every_class():
    assert figures.images_per_class([], {}) is None
    assert figures.images_per_class(["a", "b"], {"train": [1]}) is None
    made = figures.images_per_class(["a", "b"], {"train": [1, 5]})
    assert (list(made.data[0].y), list(made.data[0].text)) == ([5, 1], ["b", "a"])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<b>bold</b>", "&lt;b&gt;bold&lt;/b&gt;"),
        ("a\nb\tc", "a b c"),
        ("x" * 60, f"{'x' * 31}…{'x' * 16}"),
        ("dåisy 🌼", "dåisy 🌼"),
    ],
)
def test_labels_are_words_and_short(text, shown):
    assert style.label(text) == shown


@pytest.mark.parametrize("module", [style, tables, words], ids=lambda module: module.__name__)
def test_examples_in_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0
