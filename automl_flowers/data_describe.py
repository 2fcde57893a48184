"""`data describe`: look at every image of a data set, say what is there, draw it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from automl_flowers.config import make_config
from automl_flowers.console import Reporter, progress_bars
from automl_flowers.data import explore
from automl_flowers.data.collections import list_data_sets
from automl_flowers.data.locate import Say, locate
from automl_flowers.data.sources import data_set_name, open_data, storage
from automl_flowers.data.sources.records import RecordFeatures
from automl_flowers.errors import DataError
from automl_flowers.files import write_json, write_text
from automl_flowers.run_data import address_of, as_divided, settings_of
from automl_flowers.run_folder import open_run
from automl_flowers.tensorflow_import import import_tensorflow
from search_spaces.augmentation import TRAINABLE, UNCHANGED

JSON_FILE = "description.json"
PAGE_FILE = "description.html"
FIGURES = "figures"


def describe(
    data: str | None,
    *,
    record_features: str | None = None,
    run: str | None = None,
    out: Path | None = None,
    quiet: bool = False,
    say: Say = lambda text: None,
) -> dict[str, Any]:
    """Look at a data set, and write page and figures if there is a place for them.

    Args:
        data: Address of the data set; None for the run's.
        record_features: What TFRecords call their label, id and picture; None for the run's.
        run: Run folder: its data, as it divided them; it gets the page.
        out: Folder that gets the page instead. Without either, nothing is written.
        quiet: Show no progress; it is shown in a terminal only.
        say: Hears where data were found.

    Returns:
        What `explore.summary_of` says, and `page` where one was written.

    Raises:
        UserError: If there is no data set at the address, or files cannot be read or written.
    """
    folder = open_run(run) if run else None
    place = out or (folder.path if folder else None)
    if place is not None:
        import_tensorflow()  # the augmented pictures need it: better to miss it now than later
    given = make_config({"record_features": record_features}).record_features
    features = RecordFeatures.named(given or settings_of(folder).record_features)
    address = locate(address_of(data, folder), say)
    _require_one(address)
    with contextlib.closing(progress_bars(quiet=quiet)) as bars:
        reading = f"reading the files of {data_set_name(address)}"
        manifest = open_data(
            address,
            features=features,
            on_progress=lambda done, total: bars.counting(reading, done, total),
        )
        seen = explore.describe(address, as_divided(manifest, folder), bars.counting)
        facts = explore.summary_of(seen)
        if place is None:
            return facts
        _write(seen, facts, place, bars)
    return {**facts, "page": str(place / PAGE_FILE)}


def _require_one(address: str) -> None:
    if storage.is_pattern(address):
        return
    names = list_data_sets(address)
    if names:
        raise DataError(
            f"`{address}` is a folder of {len(names)} data sets: {', '.join(names)}.",
            hint=f"describe one of them: `automl-flowers data describe {address}/{names[0]}`",
        )


def _write(seen: explore.Description, facts: dict[str, Any], place: Path, bars: Reporter) -> None:
    from automl_flowers.reports import description_page, figures_data, pictures
    from automl_flowers.reports.sheets import write_sheet

    chosen = pictures.choose(seen.manifest)
    if not chosen:
        raise DataError(
            f"None of the images of `{seen.address}` can be read, so there is nothing to show.",
            hint="without `--out` or `--run` the problems are listed",
        )
    strengths = [name for name in TRAINABLE if name != UNCHANGED]
    by_strength = []
    for done, name in enumerate(strengths, start=1):
        by_strength.append(pictures.versions(chosen[: pictures.MOST_COMPARED], name))
        bars.counting("drawing augmented pictures", done, len(strengths))
    sheets = [pictures.grid(chosen), pictures.compare(by_strength), *by_strength]
    for sheet in sheets:
        write_sheet(sheet, place / FIGURES / f"{sheet.name}.png")
    figures = {
        "classes": figures_data.classes(facts["per_class"], facts["class_weights"]),
        "sizes": figures_data.sizes(seen.sizes),
    }
    for name, figure in figures.items():
        write_text(place / FIGURES / f"{name}.svg", figure)
    write_json(place / JSON_FILE, facts)
    write_text(place / PAGE_FILE, description_page.render(facts, figures, sheets))
