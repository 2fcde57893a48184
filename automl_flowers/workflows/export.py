"""Export: a run's whole ensemble to one model that needs nothing of this package."""

from __future__ import annotations

from pathlib import Path

from automl_flowers.accelerators import set_up
from automl_flowers.blending.predictor import Predictor
from automl_flowers.blending.read_ensemble import read_ensemble
from automl_flowers.config import RunConfig
from automl_flowers.console import Reporter
from automl_flowers.exporting import formats, parity
from automl_flowers.exporting.graph import build_ensemble
from automl_flowers.exporting.readme import FACTS, describe, write_page
from automl_flowers.files import atomic_folder, write_json, write_text
from automl_flowers.results import ExportResult
from automl_flowers.run_folder import RunFolder
from automl_flowers.workflows.training import drop_programs


def export(
    config: RunConfig, format_name: str, out: Path, reporter: Reporter | None = None
) -> ExportResult:
    """Write an ensemble, or the best model of a search without one, as one model.

    It is opened again and compared with `predict` on images of the run before `out` is there.

    Args:
        config: Of the run, from `run_config`.
        format_name: One of `automl_flowers.exporting.formats.FORMATS`.
        out: Folder to make; must not exist, or be empty.
        reporter: Shows progress; by default on stderr.

    Raises:
        ConfigError: If there is no such format.
        RunError: If the run has no model yet.
        UserError: If a package is missing, `out` is not empty, the format cannot hold the
            ensemble, or what was written does not agree with `predict`.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    run = RunFolder(Path(str(config.run)))
    chosen = formats.find_format(format_name)
    drop_programs()
    with atomic_folder(out) as folder:
        ensemble = read_ensemble(run, reporter.say)
        images = parity.sample_images(run.manifest, ensemble.image_sizes)
        # formats hold float32, whatever the device of the run computes with
        predictor = Predictor(ensemble, set_up("cpu", "float32"), config.weights)
        expected = predictor.predict(images)
        model = build_ensemble(predictor)
        formats.check_size(format_name, model)
        largest = images[max(images)]
        in_keras = model.predict(largest, verbose=0)  # Keras exports what has been called
        reporter.say(f"writing {len(ensemble.members)} members as {chosen.title}")
        formats.write(format_name, model, folder, ensemble.class_names)
        made = parity.predict_in_batches(formats.open_again(format_name, folder), largest)
        parity.check(parity.compare(in_keras, made), parity.CONVERSION_TOLERANCE, format_name)
        found = parity.compare(expected, made)
        several = len(ensemble.image_sizes) > 1
        tolerance = parity.RESIZING_TOLERANCE if several else parity.CONVERSION_TOLERANCE
        parity.check(found, tolerance, format_name)
        facts = describe(ensemble, format_name, found)
        write_json(folder / FACTS, facts)
        write_text(folder / "README.md", write_page(facts, found))
    reporter.say(f"checked: {found}")
    return ExportResult(out, facts)
