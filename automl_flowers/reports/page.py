"""The report as one page that needs nothing else: no network, no other file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from automl_flowers.files import write_text
from automl_flowers.reports import figures
from automl_flowers.reports.summary import Facts, leaderboard

_MOST_PROBLEMS = 50


def write(facts: Facts, path: Path) -> None:
    """Write a run's report, all or nothing.

    Args:
        facts: From `summary.collect`.
        path: Of the HTML file.
    """
    write_text(path, render(facts))


def render(facts: Facts) -> str:
    """Return a run's report as HTML; every word that comes from data is escaped."""
    environment = Environment(
        loader=PackageLoader("automl_flowers.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "percent": _percent, "words": _words}
    return environment.get_template("report.html.j2").render(
        facts=facts,
        rows=leaderboard(facts),
        trials=facts.trials,
        best=_best(facts),
        figures={name: _embed(figure) for name, figure in _figures(facts).items()},
        problems=facts.data.get("problems", [])[:_MOST_PROBLEMS],
        num_problems=len(facts.data.get("problems", [])),
        plotly=Markup(get_plotlyjs()),  # noqa: S704 - Plotly's own script
    )


def _figures(facts: Facts) -> dict[str, go.Figure | None]:
    if not facts.ranking:
        return {}
    horizon = int(facts.settings["max_epochs"])
    return {
        "curves": figures.learning_curves(facts),
        "hyperparameters": figures.hyperparameters(facts),
        "backbones": figures.backbones(facts),
        "learning_rate": figures.learning_rate(facts.ranking[0].recipe, horizon),
        "confusion": figures.confusion(facts.confusion) if facts.confusion else None,
    }


def _embed(figure: go.Figure | None) -> Markup | None:
    if figure is None:
        return None
    options = {"displayModeBar": False, "responsive": True}
    # Plotly writes `<` inside its JSON as an escape; our labels are escaped in `figures`.
    return Markup(  # noqa: S704
        figure.to_html(full_html=False, include_plotlyjs=False, config=options)
    )


def _best(facts: Facts) -> dict[str, Any] | None:
    """Return the best recipe's trial, with the size of its model."""
    if not facts.ranking:
        return None
    candidate = facts.ranking[0]
    trial = facts.trial(candidate.trial_id)
    return {"candidate": candidate, "trial": trial, "size": trial.size}


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _words(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return str(value).replace("_", " ")
