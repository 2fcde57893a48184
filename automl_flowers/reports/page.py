"""The report as one page that needs nothing else: no network, no other file.

The page forbids itself, by its content security policy, to load anything and to run any script
but the two that are written here. Words that come from data are escaped by Jinja in the text,
by `style.label` in figures, and as JSON where figures are embedded.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from automl_flowers.errors import RunError
from automl_flowers.files import write_text
from automl_flowers.reports import figures, figures_blend, panels, scores, standings, tables, words
from automl_flowers.reports.embedding import (
    Embedded,
    embed,
    policy_for,
    resource,
    template_environment,
)
from automl_flowers.reports.summary import Facts, next_steps

SECTIONS = {
    "summary": "Summary",
    "leaderboard": "Leaderboard",
    "curves": "Learning curves",
    "hyperparameters": "Hyperparameters",
    "backbones": "Backbones",
    "learning-rate": "Learning rate",
    "blend": "Blend",
    "external": "External data",
    "confusion": "Confusion",
    "model": "Best model",
    "data": "Data",
    "skipped": "Skipped files",
    "environment": "Environment",
    "next": "How to go on",
}
"""Anchors and titles, in order."""

MOST_PROBLEMS = 50
"""Skipped files that are listed by name."""


def write(facts: Facts, path: Path) -> None:
    """Write a run's report, all or nothing.

    Args:
        facts: From `summary.collect`.
        path: Of the HTML file.

    Raises:
        RunError: If it cannot be written.
    """
    text = render(facts)
    try:
        write_text(path, text)
    except OSError as error:
        raise RunError(
            f"`{path}` cannot be written: {error.strerror or error}.",
            hint="make room or restore access, or write it elsewhere with `--out`",
        ) from error


def render(facts: Facts) -> str:
    """Return a run's report as HTML; the same facts give the same page."""
    scripts = {"plotly": str(get_plotlyjs()), "script": resource("report.js")}
    problems = facts.data.get("problems", [])
    return (
        template_environment()
        .get_template("report.html.j2")
        .render(
            facts=facts,
            sections=SECTIONS,
            table=tables.leaderboard(facts.standings),
            backbones=standings.by_backbone(facts.ranked),
            model=tables.model(facts.ranked[0]) if facts.ranked else None,
            overview=tables.overview(facts),
            objective=words.OBJECTIVES[facts.objective],
            absent=tables.absent_classes(facts),
            figures=_embedded(facts),
            gain=scores.gain,
            steps=next_steps(facts),
            problems=problems[:MOST_PROBLEMS],
            num_problems=len(problems),
            style=Markup(resource("report.css")),  # noqa: S704 - ours
            policy=policy_for(scripts.values()),
            **{name: Markup(source) for name, source in scripts.items()},  # noqa: S704 - ours
        )
    )


def _embedded(facts: Facts) -> dict[str, list[Embedded]]:
    """Return the figures of each section; a section without data has none."""
    single = {
        "data": figures.images_per_class(
            facts.data.get("class_names", []), facts.data.get("images_per_class", {})
        ),
        "confusion": figures_blend.confusion(facts.confusion) if facts.confusion else None,
        **(_of_search(facts) if facts.standings else {}),
    }
    panels = {
        "members": [(figures_blend.member_curve(c), c.name) for c in facts.curves],
        "hyperparameters": [(p.figure, p.name) for p in _hyperparameters(facts)],
    }
    return {
        **{name: [embed(figure)] if figure else [] for name, figure in single.items()},
        **{name: [embed(f, caption) for f, caption in some] for name, some in panels.items()},
    }


def _of_search(facts: Facts) -> Mapping[str, go.Figure | None]:
    horizon, ranked = _horizon(facts), facts.ranked
    has_curves = any(standing.curve for standing in facts.standings)
    several = len({standing.recipe["backbone"] for standing in ranked}) > 1
    return {
        "curves": figures.learning_curves(facts.standings, horizon) if has_curves else None,
        "backbones": panels.strips("backbone", ranked, horizon) if several else None,
        "learning-rate": figures.learning_rate(ranked[0], horizon) if ranked else None,
    }


def _hyperparameters(facts: Facts) -> list[panels.Panel]:
    return panels.hyperparameters(facts.ranked, facts.log_sampled, _horizon(facts))


def _horizon(facts: Facts) -> int:
    """Return the epochs over which learning rates are planned."""
    longest = max((trial.last_epoch for trial in facts.trials), default=1)
    return int(facts.settings.get("max_epochs") or longest)
