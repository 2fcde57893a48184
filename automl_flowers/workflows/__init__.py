"""The commands as functions: each reads a configuration and leaves files in the run folder.

    search    config -> manifest, ledger
    ensemble  ledger -> members, predictions, blend.json, submission.csv
    repeat    recipe.yaml -> the same, in a run of its own
    predict   members and blend.json -> a class for any image
    export    members and blend.json -> one model for other programs

Each is a page of composition; the work is in the rooms.
"""

from automl_flowers.workflows.ensemble import ensemble
from automl_flowers.workflows.export import export
from automl_flowers.workflows.predict import predict
from automl_flowers.workflows.repeat import repeat
from automl_flowers.workflows.search import search
from automl_flowers.workflows.training import run_config

__all__ = ["ensemble", "export", "predict", "repeat", "run_config", "search"]
