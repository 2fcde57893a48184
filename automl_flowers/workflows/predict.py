"""Prediction: a run's ensemble to a class for any image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from automl_flowers.accelerators import set_up
from automl_flowers.blending.image_files import find_images
from automl_flowers.blending.predict import chunk_sizes, decide, decoded_chunks
from automl_flowers.blending.predictor import Predictor
from automl_flowers.blending.read_ensemble import read_ensemble
from automl_flowers.blending.tally import Tally
from automl_flowers.config import RunConfig
from automl_flowers.console import Reporter
from automl_flowers.results import Prediction
from automl_flowers.run_folder import RunFolder
from automl_flowers.workflows.training import drop_programs


def predict(
    config: RunConfig,
    paths: Sequence[str],
    reporter: Reporter | None = None,
    *,
    every_class: bool = False,
    bad_images: str = "skip",
) -> Iterator[Prediction]:
    """Classify images with a run's ensemble, or with its best model if it has none.

    What can be said before the first image is, at once; the images are read as the predictions
    are taken.

    Args:
        config: Of the run, from `run_config`.
        paths: Image files, folders to search for them, patterns, or `-` for a list on stdin.
        reporter: Shows progress and what was skipped; by default on stderr.
        every_class: Whether to give the probability of each class.
        bad_images: What is done about images that cannot be read: `skip`, `fail`, or the most
            that may be bad, such as `5%`.

    Raises:
        RunError: If the run has no model yet.
        DataError: If there are no images, none can be read, or more cannot than may be.
    """
    reporter = reporter or Reporter(quiet=config.quiet)
    files, tally = find_images(paths), Tally(bad_images)
    drop_programs()
    ensemble = read_ensemble(RunFolder(Path(str(config.run))), reporter.say)
    predictor = Predictor(ensemble, set_up(config.strategy, config.precision), config.weights)
    num_images = chunk_sizes(ensemble.image_sizes, predictor.batch_size)

    def predictions() -> Iterator[Prediction]:
        for chunk in decoded_chunks(files, ensemble.image_sizes, num_images):
            tally.add(len(chunk.files), chunk.problems)
            if chunk.files:
                made = predictor.predict(chunk.images)
                yield from decide(chunk.files, made, ensemble.class_names, every_class=every_class)
            reporter.so_far("images predicted", tally.num_usable)
        if skipped := tally.end():
            reporter.say(skipped)

    return predictions()
