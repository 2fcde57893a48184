"""Tests for the figures of a data set, as SVG."""

from collections import Counter
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.reports import figures_data, svg

SVG = "{http://www.w3.org/2000/svg}"
PER_CLASS = {"daisy": {"train": 30, "val": 10}, "rose": {"train": 60}, "tulip": {}}
WEIGHTS = {name: {"balanced": w} for name, w in zip(PER_CLASS, (1.5, 0.75, 0.0), strict=True)}


def parse(figure):
    return ElementTree.fromstring(figure)  # noqa: S314 - ours


def titled(figure, shape):
    """Return the shapes of a kind that say what they are, by that."""
    return {
        title.text: {name: float(v) for name, v in item.attrib.items() if name in GEOMETRY}
        for item in parse(figure).iter(SVG + shape)
        if (title := item.find(f"{SVG}title")) is not None
    }


GEOMETRY = ("x", "y", "width", "height", "cx", "cy", "r")


def test_bars_are_as_long_as_there_are_images_and_stand_end_to_end():
    bars = titled(figures_data.classes(PER_CLASS, {}), "rect")

    train, val = bars["daisy: 30 train"], bars["daisy: 10 val"]
    assert set(bars) == {"daisy: 30 train", "daisy: 10 val", "rose: 60 train"}
    assert train["width"] == pytest.approx(3 * val["width"], abs=0.05)
    assert bars["rose: 60 train"]["width"] == pytest.approx(2 * train["width"], abs=0.05)
    assert val["x"] == pytest.approx(train["x"] + train["width"], abs=0.02)
    assert bars["rose: 60 train"]["y"] < train["y"], "most first"


def test_weights_are_points_from_zero():
    points = titled(figures_data.classes(PER_CLASS, WEIGHTS), "circle")

    daisy, rose, tulip = (
        points[f"{name}: weight {both['balanced']:.2f}"]["cx"] for name, both in WEIGHTS.items()
    )
    assert daisy - tulip == pytest.approx(2 * (rose - tulip), abs=0.05)
    assert tulip < rose


def test_without_training_images_there_is_no_axis_of_weights():
    assert "weight<" not in figures_data.classes(PER_CLASS, {})
    assert "weight<" in figures_data.classes(PER_CLASS, WEIGHTS)


def test_many_classes_take_thin_lines_without_names():
    many = {f"class {number}": {"train": 1} for number in range(1000)}

    figure = figures_data.classes(many, {})

    assert len(titled(figure, "rect")) == 1000
    assert float(parse(figure).attrib["height"]) < 3200
    assert ">class 1</text>" not in figure


def test_sizes_are_points_wide_against_high_and_larger_where_there_are_more():
    points = titled(figures_data.sizes(Counter({(100, 50): 1, (100, 100): 9})), "circle")

    wide, square = points["100 x 50: 1"], points["100 x 100: 9"]
    assert wide["cx"] == square["cx"]
    assert wide["cy"] > square["cy"], "the origin is below"
    assert wide["r"] < square["r"]


def test_very_many_sizes_share_points():
    counts = Counter({(width, height): 1 for width in range(1, 99) for height in range(1, 99)})

    points = titled(figures_data.sizes(counts), "circle")

    assert sum(int(words.rpartition(" ")[2]) for words in points) == counts.total()
    assert len(points) < 50


@given(
    names=st.lists(st.text(min_size=1), min_size=1, max_size=6, unique=True),
    data=st.data(),
)
def test_any_class_name_gives_well_formed_xml_without_script(names, data):
    count = st.integers(0, 10**6)
    per_class = {name: {"train": data.draw(count), "test": data.draw(count)} for name in names}

    root = parse(figures_data.classes(per_class, {}))

    kinds = {item.tag.removeprefix(SVG) for item in root.iter()}
    assert kinds <= {"svg", "rect", "text", "line", "title", "circle"}


@given(highest=st.floats(1e-3, 1e7), most=st.integers(2, 10), is_whole=st.booleans())
def test_ticks_are_few_evenly_spaced_and_within_the_axis(highest, most, is_whole):
    found = svg.ticks(highest, most, is_whole=is_whole)

    assert 1 <= len(found) <= most + 1
    assert found[0] == 0
    assert found[-1] <= highest * (1 + 1e-6)
    if is_whole:
        assert all(tick == int(tick) for tick in found)


def test_long_words_are_shortened_in_the_middle():
    assert svg.one_line("a" * 20 + "z" * 20, 12) == "aaaaaaa…zzzz"
    assert svg.one_line("pink\nprimrose\x00") == "pink primrose\N{REPLACEMENT CHARACTER}"
