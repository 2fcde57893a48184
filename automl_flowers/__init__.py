"""AutoML for image classification: search, retrain, blend, submit, and know how good it is."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from automl_flowers.api import ensemble, export, predict, predict_stream, report, search
    from automl_flowers.custom_backbones import register_backbone
    from automl_flowers.errors import UserError
    from automl_flowers.results import EnsembleResult, ExportResult, Prediction, SearchResult
    from search_spaces.spaces import Space, load_space

__version__ = "0.1.0"

_MODULES = {
    "search": "automl_flowers.api",
    "ensemble": "automl_flowers.api",
    "predict": "automl_flowers.api",
    "predict_stream": "automl_flowers.api",
    "export": "automl_flowers.api",
    "report": "automl_flowers.api",
    "register_backbone": "automl_flowers.custom_backbones",
    "SearchResult": "automl_flowers.results",
    "EnsembleResult": "automl_flowers.results",
    "ExportResult": "automl_flowers.results",
    "Prediction": "automl_flowers.results",
    "UserError": "automl_flowers.errors",
    "Space": "search_spaces.spaces",
    "load_space": "search_spaces.spaces",
}
"""Where each public name lives. Nothing is imported before it is used."""

__all__ = [  # noqa: RUF022 - in the order in which a reader meets them
    "search",
    "ensemble",
    "predict",
    "predict_stream",
    "export",
    "report",
    "register_backbone",
    "SearchResult",
    "EnsembleResult",
    "ExportResult",
    "Prediction",
    "UserError",
    "Space",
    "load_space",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
