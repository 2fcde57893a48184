"""`data check`: read data sets, look for copies, write `leaks.json` and `leaks.html`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from automl_flowers.config import RunConfig, make_config, parse_config, read_label_map, read_yaml
from automl_flowers.console import Reporter
from automl_flowers.data import label_mapping
from automl_flowers.data.audit import audit, summary_of
from automl_flowers.data.locate import locate
from automl_flowers.data.manifest import Manifest
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.records import RecordFeatures
from automl_flowers.errors import ConfigError
from automl_flowers.files import write_json, write_text
from automl_flowers.reports import leaks_page
from automl_flowers.run_folder import RunFolder, open_run

OUT = Path("leaks")
JSON_FILE = "leaks.json"
PAGE_FILE = "leaks.html"


def check(
    data: str | None,
    external: Sequence[str] | None = None,
    *,
    label_map: str | None = None,
    record_features: str | None = None,
    run: str | None = None,
    out: Path | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Find copies within and across data sets, and write what was found.

    Args:
        data: Address of our data; None for the run's.
        external: Addresses of more training data; None for the run's, if there is a run.
        label_map: YAML file from external class names to ours.
        record_features: What TFRecords call their label and id; None for the run's.
        run: Run folder, for its data and how it divided them.
        out: Folder to write to; by default the run's, else `leaks/`.
        quiet: Show no progress.

    Returns:
        What is in `leaks.json`, and where the page is.

    Raises:
        UserError: If there is no data set at an address, or files cannot be read.
    """
    folder = open_run(run) if run else None
    config = parse_config(read_yaml(folder.config)) if folder else RunConfig()
    address = data or config.data
    if address is None:
        raise ConfigError(
            "There is no data set to check.", hint="name one with `--data`, or a run with `--run`"
        )
    reporter = Reporter(quiet=quiet)
    features = RecordFeatures.named(
        make_config({"record_features": record_features}).record_features or config.record_features
    )
    ours, *theirs = (
        open_data(locate(name, reporter.say), features=features)
        for name in (address, *(external or config.external))
    )
    names = [name for manifest in theirs for name in manifest.class_names]
    given = read_label_map(label_map or config.label_map)
    label_mapping.check_label_map(given, names, ours.class_names)
    place = out or (folder.path if folder else OUT)
    cache = folder.cache if folder else place / "cache"
    with contextlib.closing(reporter):
        found = audit(
            _as_divided(ours, folder),
            theirs,
            cache,
            label_map=given,
            on_progress=reporter.counting,
        )
        facts = summary_of(found)
        page = leaks_page.render(found, facts, on_progress=reporter.counting)
    write_json(place / JSON_FILE, facts)
    write_text(place / PAGE_FILE, page)
    return {**facts, "page": str(place / PAGE_FILE)}


def _as_divided(ours: Manifest, folder: RunFolder | None) -> Manifest:
    """Return our data in the splits of a run; what it dropped stays where it was."""
    if folder is None or not folder.manifest.exists():
        return ours
    table = pd.read_csv(folder.manifest, dtype={"id": str}, keep_default_na=False)
    split_of = dict(zip(table["id"], table["split"], strict=True))
    rows = ours.rows
    splits = [split_of.get(i, s) for i, s in zip(rows["id"], rows["split"], strict=True)]
    return replace(ours, rows=rows.assign(split=splits))
