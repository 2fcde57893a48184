"""The figures of a data set: its classes with their weights, and the sizes of its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from automl_flowers.data.manifest import SPLITS
from automl_flowers.reports import svg

_SPLIT_COLOURS = {
    "train": "#6f8fb3",
    "val": "#2b9a8b",
    "blend": "#8a6fb3",
    "test": "#cf8f1d",
    "external": "#98a2b3",
}
_POINTS, _WEIGHTS = "#6f8fb3", "#d23f7d"

_WIDTH, _LEFT, _TOP, _BOTTOM = 960, 196, 64, 12
_BARS_END, _WEIGHTS_START, _RIGHT = 700, 730, 940
_LETTERS = 26
_MOST_NAMED, _NAMED_HEIGHT, _UNNAMED_HEIGHT = 300, 17, 3

_SIZES_WIDTH, _SIZES_HEIGHT, _MARGIN_LEFT, _MARGIN_BOTTOM, _MARGIN = 620, 460, 68, 48, 14
_MOST_SIZES = 4000
_COARSE = 16


def classes(
    per_class: Mapping[str, Mapping[str, int]], weights: Mapping[str, Mapping[str, float]]
) -> Markup:
    """Return labelled images of each class by split, most first, and what the class weighs: SVG.

    Above some hundred classes the lines are thin and their names appear beside the pointer only.

    Args:
        per_class: Counts by class and split.
        weights: By class and weighting; may be empty.
    """
    names = sorted(per_class, key=lambda name: (-sum(per_class[name].values()), name))
    row_height = _NAMED_HEIGHT if len(names) <= _MOST_NAMED else _UNNAMED_HEIGHT
    bottom = _TOP + row_height * len(names)
    most = max((sum(splits.values()) for splits in per_class.values()), default=0) or 1
    parts = [
        *_legend([split for split in SPLITS if any(per_class[n].get(split) for n in names)]),
        *_axis_above("images", most, _LEFT, _BARS_END, bottom, is_whole=True),
    ]
    for row, name in enumerate(names):
        top = _TOP + row * row_height
        if row_height == _NAMED_HEIGHT:
            words = svg.one_line(name, _LETTERS)
            parts.append(svg.text(_LEFT - 8, top + 0.72 * row_height, words, anchor="end"))
        parts += _bars(name, per_class[name], top, row_height, (_BARS_END - _LEFT) / most)
    if weights:
        balanced = [weights[name]["balanced"] for name in names]
        parts += _weights(names, balanced, row_height, bottom)
    return svg.drawing(_WIDTH, bottom + _BOTTOM, "Images of each class, and class weights", parts)


def _legend(splits: Sequence[str]) -> Iterator[Markup]:
    x = float(_LEFT)
    for split in splits:
        yield svg.rectangle(x, 4, 11, 11, colour=_SPLIT_COLOURS[split])
        yield svg.text(x + 16, 14, split)
        x += 16 + 8 * len(split) + 20


def _axis_above(
    title: str, highest: float, left: float, right: float, bottom: float, *, is_whole: bool = False
) -> Iterator[Markup]:
    """Yield an axis from 0 with its grid down to `bottom`."""
    yield svg.text((left + right) / 2, 32, title, anchor="middle")
    for tick in svg.ticks(highest, 8 if is_whole else 4, is_whole=is_whole):
        x = left + (right - left) * tick / highest
        yield svg.line(x, _TOP - 6, x, bottom)
        yield svg.text(x, _TOP - 12, f"{tick:,g}", anchor="middle")


def _bars(
    name: str, splits: Mapping[str, int], top: float, row_height: float, scale: float
) -> Iterator[Markup]:
    x, height = float(_LEFT), 0.8 * row_height
    for split in SPLITS:
        if count := splits.get(split, 0):
            yield svg.rectangle(
                *(x, top + (row_height - height) / 2, count * scale, height),
                colour=_SPLIT_COLOURS[split],
                words=f"{name}: {count} {split}",
            )
            x += count * scale


def _weights(
    names: Sequence[str], weights: Sequence[float], row_height: float, bottom: float
) -> Iterator[Markup]:
    highest = 1.08 * max(weights)
    yield from _axis_above("weight", highest, _WEIGHTS_START, _RIGHT, bottom)
    for row, (name, weight) in enumerate(zip(names, weights, strict=True)):
        yield svg.circle(
            _WEIGHTS_START + (_RIGHT - _WEIGHTS_START) * weight / highest,
            _TOP + (row + 0.5) * row_height,
            min(3.0, row_height),
            colour=_WEIGHTS,
            words=f"{name}: weight {weight:.2f}",
        )


def sizes(counts: Counter[tuple[int, int]]) -> Markup:
    """Return widths against heights, a point a size, larger where more images have it: SVG.

    Above some thousand sizes, those within a few pixels of one another share a point.
    """
    shown = counts
    if len(counts) > _MOST_SIZES:
        shown = Counter()
        for (width, height), count in counts.items():
            shown[_rounded(width), _rounded(height)] += count
    most = max(shown.values())
    limit = 1.06 * max(max(place) for place in shown)
    across = (_SIZES_WIDTH - _MARGIN_LEFT - _MARGIN) / limit
    down = (_SIZES_HEIGHT - _MARGIN_BOTTOM - _MARGIN) / limit
    floor = _SIZES_HEIGHT - _MARGIN_BOTTOM
    parts = [*_axes_of_sizes(limit, across, down, floor)]
    for (width, height), count in sorted(shown.items()):
        parts.append(
            svg.circle(
                _MARGIN_LEFT + width * across,
                floor - height * down,
                3 + 10 * (count / most) ** 0.5 if most > 1 else 3.5,
                colour=_POINTS,
                opacity=0.65,
                words=f"{width} x {height}: {count}",
            )
        )
    return svg.drawing(_SIZES_WIDTH, _SIZES_HEIGHT, "Width against height of the images", parts)


def _axes_of_sizes(limit: float, across: float, down: float, floor: float) -> Iterator[Markup]:
    right, top = _MARGIN_LEFT + limit * across, floor - limit * down
    for tick in svg.ticks(limit, 6, is_whole=True):
        x, y = _MARGIN_LEFT + tick * across, floor - tick * down
        yield svg.line(x, top, x, floor)
        yield svg.line(_MARGIN_LEFT, y, right, y)
        yield svg.text(x, floor + 18, f"{tick:,g}", anchor="middle")
        yield svg.text(_MARGIN_LEFT - 8, y + 4, f"{tick:,g}", anchor="end")
    yield svg.text((_MARGIN_LEFT + right) / 2, floor + 40, "width, pixels", anchor="middle")
    yield svg.text(14, (top + floor) / 2, "height, pixels", anchor="middle", turned=True)
    yield svg.line(_MARGIN_LEFT, floor, right, top, is_dotted=True)


def _rounded(pixels: int) -> int:
    return max(round(pixels / _COARSE), 1) * _COARSE
