"""The commands as Python functions, for notebooks and scripts.

    import automl_flowers

    found = automl_flowers.search("photos/", max_epochs=6)
    blend = automl_flowers.ensemble(found.run, top=3)
    classes = automl_flowers.predict("holiday/", run=found.run)
    page = automl_flowers.report(found.run)

The command line is these functions with flags for arguments. An argument left at None has the
value of the `config` file, else its default. Progress goes to stderr.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from search_spaces.spaces import Space

if TYPE_CHECKING:
    import keras

    from automl_flowers.results import EnsembleResult, ExportResult, Prediction, SearchResult

Address = str | Path
CallbackFactory = Callable[[], "keras.callbacks.Callback"]
"""A function without arguments, or a class, that makes a Keras callback. Each training makes its
own, because a callback keeps state and cannot be used twice."""


def search(
    data: Address | None = None,
    *,
    run: Address | None = None,
    record_features: Mapping[str, str] | str | None = None,
    space: Address | Space | Mapping[str, Any] | None = None,
    backbones: Sequence[str] | str | None = None,
    image_size: Sequence[int] | int | None = None,
    batch_size: Sequence[int] | int | None = None,
    oracle: str | None = None,
    max_epochs: int | None = None,
    time_budget: str | float | None = None,
    extend: str | float | None = None,
    max_recipes: int | None = None,
    factor: int | None = None,
    objective: str | None = None,
    weights: str | Sequence[str] | Mapping[str, Address] | None = None,
    probe: str | None = None,
    enqueue: Address | Sequence[Mapping[str, Any]] | None = None,
    leaks: str | None = None,
    bad_images: str | None = None,
    cache: str | None = None,
    feature_bank: str | None = None,
    max_disk: float | None = None,
    seed: int | None = None,
    fresh_programs: bool | None = None,
    strategy: str | None = None,
    precision: str | None = None,
    callbacks: Sequence[CallbackFactory] = (),
    config: Address | None = None,
    quiet: bool | None = None,
) -> SearchResult:
    """Search for the best recipes; the same call goes on where a killed one stopped.

    Args:
        data: Folder of images, CSV file, TFRecords, or a name on Kaggle; None for the embedded
            default, drawn flowers.
        run: Run folder; None for one below `runs/` that is named after the settings.
        record_features: What TFRecords call the index of a class (`label`), the `id` and the
            picture (`image`), where these have unusual names.
        space: What may be chosen: a preset's name, a YAML file, a `Space`, or a mapping as in
            such a file. None for `demo` with the embedded default, else `petals` with an
            accelerator and `small` without.
        backbones: Instead of the space's.
        image_size: Pixels, instead of the space's.
        batch_size: Images a step and replica, instead of the space's.
        oracle: What decides which recipe runs next, and for how long: `hyperband`, `pasha`,
            `random`, `bayesian` or `grid`.
        max_epochs: Epochs of the longest trials; with a time budget, by default, as many as fit.
        time_budget: What the search may take, final fits included: seconds, or `20m`, `3h`.
        extend: What a search that has ended may take more.
        max_recipes: Distinct recipes to try; promotions are not counted.
        factor: How many times fewer trials, and more epochs, each round has; 3 by default.
        objective: `macro_f1`, `accuracy` or `log_loss`, on the whole `val` split.
        weights: `imagenet`, `none` for random ones, or files by backbone; the other backbones
            then start from ImageNet.
        probe: What a linear head on frozen features decides before the search: `drop` leaves out
            backbones that are far behind, `keep` none, `off` is without.
        enqueue: Recipes to begin with, as mappings, or a YAML file with a list of them.
        leaks: What is done with training images that are copies of evaluation images: `drop`
            them, `warn`, `fail`, or `keep` them in silence.
        bad_images: What is done about images that cannot be read: `skip` up to 1 % of the data
            set, or five of a small one, `fail` at the first, or the most that may be bad, such as
            `5%`.
        cache: Where decoded images are kept: `disk`, `memory`, `none` (decoded for every batch) or
            `auto`, the first that has room. Changes no number.
        feature_bank: `on` or `off`: keep what frozen layers compute. Changes no number.
        max_disk: Gigabytes that the run folder may take while searching.
        seed: Any integer; 0 by default.
        fresh_programs: Compile for every trial anew instead of reusing programs; slower, with the
            same numbers.
        strategy: `auto`, `tpu`, `tpu:NAME`, `mirrored`, `gpu` or `cpu`.
        precision: `auto`, `float32`, `mixed_bfloat16` or `mixed_float16`.
        callbacks: Your own. They find `loss`, `learning_rate`, `val_macro_f1`, `val_accuracy`
            and `val_log_loss` in the `logs` of each epoch's end.
        config: YAML file with settings; arguments win over it.
        quiet: Show no progress.

    Returns:
        The trials and the best of them.

    Raises:
        UserError: If settings or data do not hold up, or the run folder cannot be used. Its
            text says what was expected, and `hint` what to do.
    """
    given = {name: value for name, value in locals().items() if name not in _NO_SETTINGS}
    started = time.perf_counter()
    from automl_flowers.config import make_config

    settings = make_config(_plain(given), Path(config) if config else None)
    result: SearchResult = _workflows().search(settings, callbacks=callbacks, started=started)
    return result


def ensemble(
    run: Address | None = None,
    *,
    from_: Address | None = None,
    data: Address | None = None,
    top: int | None = None,
    external: Sequence[Address] | Address | None = None,
    label_map: Address | Mapping[str, str | Mapping[str, str | None] | None] | None = None,
    leaks: str | None = None,
    bad_images: str | None = None,
    blend_weights: str | None = None,
    ema: float | None = None,
    pseudo_labels: float | None = None,
    seeds: int | None = None,
    soup: int | None = None,
    folds: int | None = None,
    final_fit: bool | None = None,
    probabilities: bool | None = None,
    cache: str | None = None,
    test_views: int | None = None,
    feature_bank: str | None = None,
    strategy: str | None = None,
    precision: str | None = None,
    callbacks: Sequence[CallbackFactory] = (),
    config: Address | None = None,
    quiet: bool | None = None,
) -> EnsembleResult:
    """Retrain the best recipes of a run, blend them, and write the submission.

    Args:
        run: Run folder; None for the latest run, or with `from_` for a new one.
        from_: A `recipe.yaml` of another ensemble, which is made again, without a search.
        data: With `from_`: other data than the file's.
        top: How many distinct recipes to blend; 3 by default. Not with `from_`, whose members are
            those of the file.
        external: More training data; a folder of data sets stands for all of them,
            `FOLDER:NAME,NAME` for some.
        label_map: From external class names to ours, None to leave one out; a mapping, or a
            YAML file with one. What stands below the name of a data set concerns that one.
        leaks: As for `search`, of external images; those of the search are as they were.
        bad_images: As for `search`; the external data sets each have a share of their own.
        blend_weights: `auto` (as the data allow), `optimized` or `uniform`.
        ema: Momentum, a step, of the moving average of weights that members consist of, such as
            0.99; 0, the default, for the weights themselves.
        pseudo_labels: Train once more with the test images that the ensemble labels with this
            confidence, such as 0.95, where that does not lower the score. They must have no labels.
        seeds: Fits of each member that differ in their seed, and are averaged; 1 by default.
        soup: Most recipes of the search, of one backbone and image size, that become one model by
            the mean of their weights, where that lowers log loss; 1 for each member alone. By
            default 5 where they are trained already, else 1.
        folds: Blend by out-of-fold predictions of all labelled images, in so many folds; by default
            by the `blend` split.
        final_fit: Go on training on all labelled images, evaluation included, to predict new
            ones; scores are those of before.
        probabilities: Write `probabilities.csv` beside the submission, a column a class.
        cache: As for `search`.
        test_views: Show members 2 or 4 views of each image when they predict, where that lowers
            their log loss; 1 by default.
        feature_bank: As for `search`.
        strategy: As for `search`.
        precision: As for `search`.
        callbacks: As for `search`.
        config: YAML file with settings; arguments win over it, and it over the run's.
        quiet: Show no progress.

    Raises:
        UserError: If the run has too few finished recipes, or settings or external data do not
            hold up.
    """
    given = {name: value for name, value in locals().items() if name not in _NO_SETTINGS}
    from automl_flowers.config import read_yaml
    from automl_flowers.errors import ConfigError
    from automl_flowers.run_folder import open_run

    given = {**(read_yaml(Path(config)) if config else {}), **_plain(given)}
    if from_ is not None:
        made: EnsembleResult = _workflows().repeat(Path(from_), given, callbacks=callbacks)
        return made
    if data is not None:
        raise ConfigError(
            "`data` is for making an ensemble again, from a file; a run has its own data.",
            hint="give `--from recipe.yaml` too, or leave `--data` out",
        )
    folder = open_run(given.pop("run", None))
    workflows = _workflows()
    settings = workflows.run_config(folder, given)
    return workflows.ensemble(settings, callbacks=callbacks)  # type: ignore[no-any-return]


def predict(
    images: Sequence[Address] | Address,
    *,
    run: Address | None = None,
    probabilities: bool = False,
    bad_images: str = "skip",
    strategy: str | None = None,
    quiet: bool | None = None,
) -> list[Prediction]:
    """Classify images with a run's ensemble, or with its best trial if it has none.

    Args:
        images: Image files, folders of them, and patterns such as `holiday/**/*.jpg`.
        run: Run folder; None for the latest run.
        probabilities: Whether to give the probability of each class, not only of the best.
        bad_images: What is done about images that cannot be read: `skip` however many they are,
            `fail` at the first, or the most that may be bad, such as `5%`.
        strategy: As for `search`.
        quiet: Say nothing of what was skipped.

    Returns:
        One an image that can be read; `pandas.DataFrame(predictions)` makes it a table.

    Raises:
        UserError: If there is no image or no model.
    """
    given = locals()
    return list(predict_stream(**given))


def predict_stream(
    images: Sequence[Address] | Address,
    *,
    run: Address | None = None,
    probabilities: bool = False,
    bad_images: str = "skip",
    strategy: str | None = None,
    quiet: bool | None = None,
) -> Iterator[Prediction]:
    """Do what `predict` does, an image after the other: for more of them than memory holds.

    Args:
        images: As for `predict`.
        run: As for `predict`.
        probabilities: As for `predict`.
        bad_images: As for `predict`.
        strategy: As for `search`.
        quiet: As for `predict`.

    Returns:
        What yields the predictions; the next images are decoded meanwhile. It raises, too, where
        images turn out to be bad.

    Raises:
        UserError: If there is nothing at a path, or no model.
    """
    from automl_flowers.run_folder import open_run

    paths = [images] if isinstance(images, str | Path) else images
    folder = open_run(str(run) if run else None)
    workflows = _workflows()
    settings = workflows.run_config(folder, {"strategy": strategy, "quiet": quiet})
    made: Iterator[Prediction] = workflows.predict(
        settings, [str(path) for path in paths], every_class=probabilities, bad_images=bad_images
    )
    return made


def export(
    run: Address | None = None,
    *,
    format: str,  # noqa: A002 - what it is called everywhere
    out: Address,
    quiet: bool | None = None,
) -> ExportResult:
    """Write a run's ensemble, or its best trial if it has none, as one model for other programs.

    Members, blend weights, temperatures and prior are in it: images go in, probabilities come out.
    It is opened again and compared with `predict` on images of the run before it counts as made.

    Args:
        run: Run folder; None for the latest run.
        format: `keras`, `saved_model`, `onnx` or `litert`; the last two need the packages of
            `automl-flowers[export]`.
        out: Folder to make, for the model, a README with its contract, and `model.json`.
        quiet: Show no progress.

    Raises:
        UserError: If there is no model or no such format, a package is missing, `out` is not
            empty, or the exported model does not agree with `predict`.
    """
    from automl_flowers.run_folder import open_run

    folder = open_run(str(run) if run else None)
    workflows = _workflows()
    settings = workflows.run_config(folder, {"quiet": quiet})
    made: ExportResult = workflows.export(settings, format, Path(out))
    return made


def report(
    run: Address | None = None,
    *,
    out: Address | None = None,
    csv: Address | None = None,
    keras_tuner: Address | None = None,
) -> Path:
    """Write a run's `report.html` and return its path.

    Args:
        run: Run folder; None for the latest run.
        out: HTML file to write instead of the run's own, as for a run that can only be read.
        csv: Folder to write the tables `trials.csv` and `epochs.csv` to as well.
        keras_tuner: Folder to write the run to as a project of Keras Tuner as well.

    Raises:
        UserError: If there is no such run, or `keras_tuner` holds something else.
    """
    return Path(make_report(run, out=out, csv=csv, keras_tuner=keras_tuner)["paths"]["report"])


def make_report(
    run: Address | None = None,
    *,
    out: Address | None = None,
    csv: Address | None = None,
    keras_tuner: Address | None = None,
) -> dict[str, Any]:
    """Do what `report` does, and return what `automl-flowers report --json` prints.

    Args:
        run: As for `report`.
        out: As for `report`.
        csv: As for `report`.
        keras_tuner: As for `report`.

    Raises:
        UserError: As `report`.
    """
    from automl_flowers.reports import page, summary
    from automl_flowers.run_folder import open_run

    folder = open_run(str(run) if run else None)
    facts = summary.collect(folder)
    written = folder.report if out is None else Path(out)
    page.write(facts, written)
    if csv is not None:
        from automl_flowers.reports.csv_files import write_csv_files

        write_csv_files(facts.trials, Path(csv))
    if keras_tuner is not None:
        from automl_flowers.tensorflow_import import import_tensorflow

        import_tensorflow()
        from automl_flowers.tuning.export import export_project

        export_project(folder, Path(keras_tuner))
    return summary.to_dict(facts, written)


_NO_SETTINGS = ("callbacks", "config", "from_")


def _plain(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that were given, as they stand in a YAML file."""
    return {k: _plain_value(value) for k, value in arguments.items() if value is not None}


def _plain_value(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Space):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {name: _plain_value(item) for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain_value(item) for item in value]
    return value


def _workflows() -> ModuleType:
    """Return the module `workflows`, which imports TensorFlow: say so where that is missing."""
    from automl_flowers.tensorflow_import import import_tensorflow

    import_tensorflow()
    from automl_flowers import workflows

    return workflows
