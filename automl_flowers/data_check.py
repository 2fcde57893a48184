"""`data check`: read data sets, look for copies, write `leaks.json` and `leaks.html`."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl_flowers.config import make_config, read_label_map
from automl_flowers.console import progress_bars
from automl_flowers.data import label_mapping
from automl_flowers.data.audit import audit
from automl_flowers.data.audit_summary import summary_of
from automl_flowers.data.collections import locate_sources, source_names
from automl_flowers.data.locate import Say, locate
from automl_flowers.data.sources import open_data
from automl_flowers.data.sources.records import RecordFeatures
from automl_flowers.files import write_json, write_text
from automl_flowers.reports import leaks_page
from automl_flowers.run_data import address_of, as_divided, settings_of
from automl_flowers.run_folder import open_run

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
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Find copies within and across data sets, and write what was found.

    Args:
        data: Address of our data; None for the run's.
        external: Addresses of more training data; None for the run's, if there is a run.
        label_map: YAML file from external class names to ours.
        record_features: What TFRecords call their label, id and picture; None for the run's.
        run: Run folder, for its data and how it divided them.
        out: Folder to write to; by default the run's, else `leaks/`.
        quiet: Show no progress; it is shown in a terminal only.
        say: Hears where data were found.

    Returns:
        What is in `leaks.json`, and where the page is.

    Raises:
        UserError: If there is no data set at an address, or files cannot be read.
    """
    folder = open_run(run) if run else None
    config = settings_of(folder)
    address = address_of(data, folder)
    bars = progress_bars(quiet=quiet)
    features = RecordFeatures.named(
        make_config({"record_features": record_features}).record_features or config.record_features
    )
    ours = open_data(locate(address, say), features=features)
    addresses = locate_sources(external or config.external, say)
    names = source_names(addresses)
    theirs = [
        open_data(place, source=name, features=features)
        for place, name in zip(addresses, names, strict=True)
    ]
    classes = {name: manifest.class_names for name, manifest in zip(names, theirs, strict=True)}
    given = read_label_map(label_map or config.label_map)
    label_mapping.check_label_map(given, classes, ours.class_names)
    place = out or (folder.path if folder else OUT)
    cache = folder.cache if folder else place / "cache"
    with contextlib.closing(bars):
        found = audit(
            as_divided(ours, folder),
            theirs,
            cache,
            label_map=given,
            on_progress=bars.counting,
        )
        facts = summary_of(found)
        page = leaks_page.render(found, facts, on_progress=bars.counting)
    write_json(place / JSON_FILE, facts)
    write_text(place / PAGE_FILE, page)
    return {**facts, "page": str(place / PAGE_FILE)}
