"""A report in a terminal: leaderboard, blend, and what to do next, as aligned plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from automl_flowers.reports.ensemble import SPLITS, BlendFacts, MemberFacts, parse_blend
from automl_flowers.reports.scores import score_lines
from automl_flowers.reports.words import OBJECTIVES, percent, score, short, signed

_WIDEST_REASON = 100
_MOST_ROWS = 20


def lines(result: dict[str, Any]) -> list[str]:
    """Return a report for a terminal.

    Args:
        result: From `summary.to_dict`.
    """
    content = result["blend"]
    is_made_again = content and not result["search"]["planned"]
    blocks = [
        [f"{result['run']}: made again, without a search" if is_made_again else _headline(result)],
        [] if is_made_again else _leaderboard(result["leaderboard"]),
        _not_finished(result["not_finished"]),
        _blend(parse_blend(content), result["scores"]) if content else [],
        [f"report  {result['paths']['report']}", f"next    {result['next']}"],
    ]
    return [line for block in blocks if block for line in (*block, "")][:-1]


def blend_lines(content: dict[str, Any]) -> list[str]:
    """Return an ensemble for a terminal.

    Args:
        content: As in `blend.json`.
    """
    blend = parse_blend(content)
    return _blend(blend, [asdict(line) for line in score_lines((), blend, {})])


def _headline(result: Mapping[str, Any]) -> str:
    search = result["search"]
    counts = [f"{search[n]} {n}" for n in ("failed", "infeasible", "running") if search[n]]
    state = [] if search["is_over"] else ["the search has not ended"]
    done = f"{search['completed']} of {search['planned']} planned trials completed"
    return f"{result['run']}: {', '.join([done, *counts, *state])}"


def _leaderboard(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["No trial has finished yet."]
    header = ["#", "recipe", "trial", "epochs", *OBJECTIVES.values(), "seconds", "what"]
    body = [
        [
            str(row["rank"]),
            row["name"],
            row["trial"],
            str(row["epochs"]),
            *(score(row[metric]) for metric in OBJECTIVES),
            f"{row['seconds']:.0f}",
            _describe(row["recipe"]),
        ]
        for row in rows[:_MOST_ROWS]
    ]
    return [*_table(header, body, left=(1, 2, 8)), *_more(rows)]


def _more(rows: Sequence[Any]) -> list[str]:
    """Say how many are left out; the page and `--json` have all of them."""
    left = len(rows) - _MOST_ROWS
    return [f"and {left} more, see the report"] if left > 0 else []


def _describe(recipe: Mapping[str, Any]) -> str:
    return (
        f"{recipe['image_size']} px, {recipe['trainable_blocks']} blocks, "
        f"{short(recipe['schedule'])} {short(recipe['learning_rate'])}, {recipe['augmentation']}"
    )


def _not_finished(trials: Sequence[Mapping[str, Any]]) -> list[str]:
    if not trials:
        return []
    body = [
        [t["trial"], t["name"], t["status"], str(t["epochs"]), _reason(t["reason"])]
        for t in trials[:_MOST_ROWS]
    ]
    table = _table(["trial", "recipe", "status", "epochs", "reason"], body, left=(0, 1, 2, 4))
    return [*table, *_more(trials)]


def _reason(reason: str | None) -> str:
    words = " ".join((reason or "not ended").split())
    return words if len(words) <= _WIDEST_REASON else f"{words[: _WIDEST_REASON - 1]}…"


def _blend(blend: BlendFacts, scores: Sequence[Mapping[str, Any]]) -> list[str]:
    body = [
        [
            f"{member.weight:.3f}",
            member.name,
            *_by_split(member),
            signed(member.gain),
            percent(member.disagreement),
        ]
        for member in blend.members
    ]
    table = _table(
        ["weight", "macro F1 on", *SPLITS, "gain", "differs"],
        [*body, ["", "blend", *_by_split(blend), "", percent(blend.disagreement)]],
        left=(1,),
    )
    models = [
        f"the members were trained on {blend.trained_on}",
        blend.about_recipes,
        blend.about_final_fits,
        blend.about_temperature,
    ]
    return [*table, "", blend.reason, "", *_scores(scores), "", *filter(None, models)]


def _by_split(of: BlendFacts | MemberFacts) -> list[str]:
    return [score(of.score(split)) for split in SPLITS]


def _scores(scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line a score; what the models were trained on stands there if it differs."""
    body = []
    for line in scores:
        interval = line["interval"]
        spread = f"{interval[0]:.4f}-{interval[1]:.4f}" if interval else ""
        images = "" if line["images"] is None else str(line["images"])
        value = score(line["macro_f1"])
        body.append([line["what"], line["split"], images, value, spread, line["meaning"]])
    header = ["score of", "on", "images", "macro F1", "90 % interval", "these images"]
    if len({line["trained_on"] for line in scores}) > 1:
        header = [*header, "trained on"]
        body = [[*row, line["trained_on"]] for row, line in zip(body, scores, strict=True)]
    return _table(header, body, left=(0, 1, 4, 5, 6))


def _table(header: Sequence[str], body: Sequence[Sequence[str]], left: Sequence[int]) -> list[str]:
    """Return rows of equal columns, numbers to the right, the columns in `left` to the left."""
    rows = [header, *body]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
