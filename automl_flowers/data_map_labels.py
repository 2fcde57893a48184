"""`data map-labels`: write which classes of other data sets may be ours, for a person to accept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from automl_flowers.data import suggest_labels
from automl_flowers.data.collections import locate_sources, source_names
from automl_flowers.data.copies import OnProgress
from automl_flowers.data.locate import Say, locate
from automl_flowers.data.manifest import Manifest
from automl_flowers.data.sources import data_set_name, open_data
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures


def map_labels(
    address: str,
    external: Sequence[str],
    out: Path,
    *,
    features: RecordFeatures = USUAL_FEATURES,
    say: Say = lambda text: None,
    on_progress: OnProgress = lambda what, done, total: None,
) -> dict[str, Any]:
    """Write a label map to begin with.

    Args:
        address: Of our data.
        external: Addresses of other data sets, as `ensemble --external` takes them.
        out: YAML file to write.
        features: What TFRecords call their label, id and picture.
        say: Hears where data were found.
        on_progress: Hears of reading.

    Returns:
        How many classes have one of the same name, one like it, or neither, and `label_map`.

    Raises:
        DataError: If there is no data set at an address, or `out` is there already.
    """

    def read(place: str) -> Manifest:
        what = f"reading the files of {data_set_name(place)}"
        return open_data(
            place, features=features, on_progress=lambda done, total: on_progress(what, done, total)
        )

    ours = read(locate(address, say)).class_names
    theirs = locate_sources(external, say)
    suggestions = {
        name: suggest_labels.suggest(read(place), ours)
        for name, place in zip(source_names(theirs), theirs, strict=True)
    }
    suggest_labels.write_label_map(out, suggestions)
    return {**suggest_labels.summary_of(suggestions), "label_map": str(out)}
