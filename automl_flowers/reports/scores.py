"""Every score of a run beside the images that it was taken on and what it may be read as.

A score on images that chose something is flattering: the best of many is partly the luckiest.
So no score here stands alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from automl_flowers.reports.ensemble import BlendFacts
from automl_flowers.reports.standings import Standing


@dataclass(frozen=True)
class ScoreLine:
    """One score.

    Attributes:
        what: Of which model.
        split: On which images.
        images: How many; None if unknown.
        macro_f1: The score; None if there are no labels.
        interval: Its 90 % interval, or None.
        meaning: What these images have done before, as a predicate.
        is_held_out: Whether nothing was chosen by them.
        trained_on: What the model was trained on, external data sets by name.
    """

    what: str
    split: str
    images: int | None
    macro_f1: float | None
    meaning: str
    interval: tuple[float, float] | None = None
    is_held_out: bool = False
    trained_on: str = "train"


def score_lines(
    ranked: Sequence[Standing], blend: BlendFacts | None, images: Mapping[str, int]
) -> tuple[ScoreLine, ...]:
    """Return the scores of the best recipe and of the blend, the most flattering first.

    Args:
        ranked: Standings, best first.
        blend: The blend, or None.
        images: How many each split has.
    """
    lines = [_of_best(ranked, images.get("val"))] if ranked else []
    if blend is not None:
        images = {**images, **blend.images}
        of_blend = [*_of_blend(blend, images), _of_test(blend, images.get("test"))]
        sources = {"test": blend.sources_of_test}
        lines += [
            replace(line, trained_on=sources.get(line.split, blend.sources)) for line in of_blend
        ]
        lines += _without_external(blend, images.get("blend"))
    return tuple(lines)


def _of_best(ranked: Sequence[Standing], images: int | None) -> ScoreLine:
    choice = f", and this is the best of {len(ranked)}: flattering" if len(ranked) > 1 else ""
    return ScoreLine(
        what="best recipe",
        split="val",
        images=images,
        macro_f1=ranked[0].scores["macro_f1"],
        meaning=f"steered the search{choice}",
    )


def _of_blend(blend: BlendFacts, images: Mapping[str, int]) -> Iterator[ScoreLine]:
    if blend.score("val") is not None:
        yield ScoreLine(
            what="blend",
            split="val",
            images=images.get("val"),
            macro_f1=blend.score("val"),
            meaning="picked the members: flattering",
        )
    split = f"{blend.num_folds} folds" if blend.num_folds else "blend"
    naive, nested = _meanings(blend)
    yield ScoreLine(
        what="blend, naive",
        split=split,
        images=images.get("blend"),
        macro_f1=blend.naive.macro_f1,
        interval=blend.naive.interval,
        meaning=naive,
        is_held_out=not blend.is_fitted and not blend.num_folds,
    )
    yield ScoreLine(
        what="blend, nested",
        split=split,
        images=images.get("blend"),
        macro_f1=blend.nested.macro_f1,
        interval=blend.nested.interval,
        meaning=nested,
        is_held_out=not blend.num_folds,
    )
    yield ScoreLine(
        what="blend, expected",
        split="new",
        images=blend.num_new,
        macro_f1=blend.expected.macro_f1,
        interval=blend.expected.interval,
        meaning="are still to come: nine times in ten their score is in the interval",
    )


def _without_external(blend: BlendFacts, images: int | None) -> Iterator[ScoreLine]:
    if blend.without_external is not None:
        yield ScoreLine(
            what="blend without external images, nested",
            split="blend",
            images=images,
            macro_f1=blend.without_external.macro_f1,
            interval=blend.without_external.interval,
            meaning="say what external images are worth to the blend",
            is_held_out=True,
        )


def _meanings(blend: BlendFacts) -> tuple[str, str]:
    """Return what the images of the naive and of the nested score have done before.

    Folds contain `val`, which steered the search.
    """
    if not blend.num_folds:
        if not blend.is_fitted:
            nothing = "chose nothing, so this equals the naive score"
            return "chose neither recipes nor weights", nothing
        return (
            "chose the blend: flattering",
            "were each blended by a fit without them, picked by the scores of the others",
        )
    if not blend.is_fitted:
        nothing = "chose the recipes, in part, so this equals the naive score"
        return "chose the recipes, in part: a little flattering", nothing
    return (
        "chose the recipes, in part, and the blend: flattering",
        "chose the recipes, in part: a little flattering; each was blended by a fit without it",
    )


def _of_test(blend: BlendFacts, images: int | None) -> ScoreLine:
    score = blend.score("test")
    if not images:
        meaning = "do not exist in this data set"
    else:
        meaning = "have no labels" if score is None else "chose nothing"
    return ScoreLine("blend", "test", images, score, meaning, is_held_out=score is not None)


def gain(blend: BlendFacts, split: str) -> str | None:
    """Return how far the blend's macro F1 is from that of its best member on a split, in words."""
    members = [score for member in blend.members if (score := member.score(split)) is not None]
    blended = blend.score(split)
    if not members or blended is None:
        return None
    difference = round(blended - max(members), 4)
    if difference == 0:
        return "level with"
    return f"{abs(difference):.4f} {'above' if difference > 0 else 'below'}"
