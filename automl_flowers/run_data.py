"""The data of a run, for commands that look at them: where they lie, and in which splits."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from automl_flowers.config import RunConfig, parse_config, read_yaml
from automl_flowers.data.manifest import Manifest
from automl_flowers.data.synthetic import embedded_default
from automl_flowers.errors import ConfigError
from automl_flowers.run_folder import RunFolder


def settings_of(folder: RunFolder | None) -> RunConfig:
    """Return the settings of a run, or the usual ones without a run.

    Raises:
        UserError: If the folder has no settings, or they do not hold up.
    """
    return RunConfig() if folder is None else parse_config(read_yaml(folder.config))


def address_of(given: str | None, folder: RunFolder | None) -> str:
    """Return where the data lie: what a person gave, or else what the run has.

    Raises:
        ConfigError: If there is neither.
    """
    address = given or settings_of(folder).data
    if address is not None:
        return address
    if folder is None:
        raise ConfigError(
            "There is no data set to look at.",
            hint="name one, or a run with `--run`, whose data are taken",
        )
    return str(embedded_default())


def as_divided(manifest: Manifest, folder: RunFolder | None) -> Manifest:
    """Return data in the splits of a run; what it dropped stays where it was."""
    if folder is None or not folder.manifest.exists():
        return manifest
    table = pd.read_csv(folder.manifest, dtype={"id": str}, keep_default_na=False)
    split_of = dict(zip(table["id"], table["split"], strict=True))
    rows = manifest.rows
    splits = [split_of.get(i, s) for i, s in zip(rows["id"], rows["split"], strict=True)]
    return replace(manifest, rows=rows.assign(split=splits))
