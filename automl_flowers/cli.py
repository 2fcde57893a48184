"""The command line: arguments in, one call, results out. No logic.

Results go to stdout, everything else to stderr. Exit status: 0 done, 1 `doctor` found a problem,
2 user error, 130 stopped by Ctrl-C. Everything slow is imported inside the commands, so `--help`
answers at once.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from automl_flowers import __version__
from automl_flowers.errors import UserError
from automl_flowers.files import DISK_ERRORS
from automl_flowers.reports.words import printable

if TYPE_CHECKING:
    from automl_flowers.data.sources.records import RecordFeatures

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

EXAMPLES = """
Examples:

  automl-flowers search                                        the embedded default, a few minutes

  automl-flowers search --data photos/ --max-epochs 6          your own folders of images

  automl-flowers ensemble --top 3 --external more_photos/      blend the best of the latest run

  automl-flowers report                                        see what happened
"""

app = typer.Typer(
    help="AutoML for image classification: search, retrain, blend, submit.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="Look at, draw and convert data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Run = Annotated[str | None, typer.Option(help="Run folder; by default the latest run.")]
Quiet = Annotated[bool | None, typer.Option("--quiet", help="Show no progress.")]
Json = Annotated[bool | None, typer.Option("--json", help="Print results as JSON.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file with settings; flags win over it."),
]
RecordNames = Annotated[
    str | None,
    typer.Option(
        metavar="label=NAME,id=NAME,image=NAME",
        help="What TFRecords call these, some or all, if unusual.",
    ),
]
Leaks = Annotated[
    str | None,
    typer.Option(
        help="drop, warn, fail or keep: training images that are copies of evaluation images."
    ),
]
BadImages = Annotated[
    str | None,
    typer.Option(
        help="skip (up to 1% of a data set, or 5 images of a small one), fail, or the most that "
        "may be bad, such as 5%: images that cannot be read."
    ),
]
CacheMode = Annotated[
    str | None,
    typer.Option(
        help="disk, memory, none (decode for every batch) or auto (the first that has room): "
        "where decoded images are kept. Changes no number."
    ),
]
Strategy = Annotated[str | None, typer.Option(help="auto, tpu, tpu:NAME, mirrored, gpu or cpu.")]
Bank = Annotated[
    str | None,
    typer.Option(help="on or off: keep what frozen layers compute. Changes no number."),
]
Precision = Annotated[
    str | None, typer.Option(help="auto, float32, mixed_bfloat16 or mixed_float16.")
]


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"automl-flowers {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """AutoML for image classification: search, retrain, blend, submit."""


@app.command(epilog="Example: automl-flowers search --data photos/ --max-epochs 6 --run runs/one")
def search(
    data: Annotated[
        str | None,
        typer.Option(
            help="Folder of images (a folder a class, or train/ val/ test/ with those), CSV file, "
            "TFRecords (a folder, a glob or gs://), or name on Kaggle. Without it, drawn flowers."
        ),
    ] = None,
    run: Annotated[
        str | None, typer.Option(help="Run folder; the same folder goes on where it stopped.")
    ] = None,
    record_features: RecordNames = None,
    config: ConfigFile = None,
    space: Annotated[
        str | None, typer.Option(help="Search space: demo, small, petals or a YAML file.")
    ] = None,
    oracle: Annotated[
        str | None, typer.Option(help="hyperband, pasha, random, bayesian or grid.")
    ] = None,
    max_epochs: Annotated[int | None, typer.Option(help="Epochs of the longest trials.")] = None,
    time_budget: Annotated[
        str | None,
        typer.Option(help="What the search may take, final fits included: 90s, 20m, 3h."),
    ] = None,
    extend: Annotated[
        str | None, typer.Option(help="More time for a search that has ended: 90s, 20m, 3h.")
    ] = None,
    max_recipes: Annotated[
        int | None, typer.Option(help="Distinct recipes to try; promotions are not counted.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="macro_f1, accuracy or log_loss, on the val split.")
    ] = None,
    backbones: Annotated[str | None, typer.Option(help="Names, separated by commas.")] = None,
    image_size: Annotated[
        str | None, typer.Option(help="Pixels; several are separated by commas.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(help="Images a step and replica; several by commas.")
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(
            help="imagenet, none for random, or NAME=FILE for a backbone; may be repeated."
        ),
    ] = None,
    probe: Annotated[
        str | None,
        typer.Option(help="drop (backbones whose frozen features are far behind), keep or off."),
    ] = None,
    enqueue: Annotated[
        str | None, typer.Option(help="YAML file, a list of recipes to begin with.")
    ] = None,
    leaks: Leaks = None,
    bad_images: BadImages = None,
    cache: CacheMode = None,
    feature_bank: Bank = None,
    max_disk: Annotated[
        float | None, typer.Option(help="Gigabytes that the run folder may take while searching.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Any integer.")] = None,
    fresh_programs: Annotated[
        bool | None,
        typer.Option("--fresh-programs", help="Compile every trial anew: slower, same numbers."),
    ] = None,
    strategy: Strategy = None,
    precision: Precision = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Search for the best recipes."""
    flags = {k: v for k, v in locals().items() if k != "json_output"}

    def go() -> None:
        from automl_flowers import api

        as_json = _wants_json(json_output, config)
        _print_result(api.search(**flags).to_dict(), as_json, _search_lines)

    _run(go, resumes=True)


@app.command(epilog="Example: automl-flowers ensemble --top 3 --external more_photos/")
def ensemble(
    top: Annotated[int | None, typer.Option(help="How many distinct recipes to blend.")] = None,
    run: Run = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="A recipe.yaml: make that ensemble again, in a new run."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="With --from: other data than the file's.")
    ] = None,
    config: ConfigFile = None,
    external: Annotated[
        list[str] | None,
        typer.Option(
            help="More training data, of the same kinds as --data, or a folder of several; "
            "FOLDER:NAME,NAME takes some of them. May be repeated."
        ),
    ] = None,
    label_map: Annotated[
        str | None, typer.Option(help="YAML file, external class name to ours, one a line.")
    ] = None,
    leaks: Leaks = None,
    bad_images: BadImages = None,
    blend_weights: Annotated[
        str | None, typer.Option(help="auto (as the data allow), optimized or uniform.")
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(help="Average weights over steps with this momentum, such as 0.99."),
    ] = None,
    pseudo_labels: Annotated[
        float | None,
        typer.Option(help="Train again with test images labelled with this confidence."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Fits of each member, averaged; 1 by default.")
    ] = None,
    soup: Annotated[
        int | None,
        typer.Option(help="Recipes whose weights become one model; 1 for each member alone."),
    ] = None,
    folds: Annotated[
        int | None, typer.Option(help="Blend by predictions out of so many folds of all images.")
    ] = None,
    final_fit: Annotated[
        bool | None,
        typer.Option(
            "--final-fit",
            help="Go on training on evaluation images, too, to predict new ones.",
        ),
    ] = None,
    probabilities: Annotated[
        bool | None,
        typer.Option("--probabilities", help="Write probabilities.csv beside the submission."),
    ] = None,
    cache: CacheMode = None,
    test_views: Annotated[
        int | None, typer.Option(help="Predict 2 or 4 views of each image, where that helps.")
    ] = None,
    feature_bank: Bank = None,
    strategy: Strategy = None,
    precision: Precision = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Retrain the best recipes, blend them, write the submission."""
    flags = {k: v for k, v in locals().items() if k != "json_output"}

    def go() -> None:
        from automl_flowers import api

        as_json = _wants_json(json_output, config)
        _print_result(api.ensemble(**flags).to_dict(), as_json, _blend_lines)

    _run(go, resumes=True)


@app.command(epilog="Example: automl-flowers report --run runs/one")
def report(
    run: Run = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page there, not to the run.")
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write trials.csv and epochs.csv there."),
    ] = None,
    keras_tuner: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Also write the run there as Keras Tuner's project."),
    ] = None,
    json_output: Json = None,
) -> None:
    """Write report.html for a run and print its leaderboard."""

    def go() -> None:
        from automl_flowers import api
        from automl_flowers.reports.text import lines

        made = api.make_report(run, out=out, csv=csv, keras_tuner=keras_tuner)
        _print_result(made, bool(json_output), lines)

    _run(go)


@app.command(epilog="Example: automl-flowers predict holiday/ rose.jpg > classes.csv")
def predict(
    paths: Annotated[
        list[str],
        typer.Argument(help="Images, folders, patterns such as 'holiday/*.jpg', or - for stdin."),
    ],
    run: Run = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write there; JSON if it ends in .json.")
    ] = None,
    probabilities: Annotated[
        bool, typer.Option("--probabilities", help="Give the probability of each class.")
    ] = False,
    bad_images: Annotated[
        str,
        typer.Option(
            help="skip, fail, or the most that may be bad, such as 5%: images that cannot be read."
        ),
    ] = "skip",
    strategy: Strategy = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Classify images with a run's ensemble, or its best trial; CSV on stdout."""

    def go() -> None:
        from automl_flowers import api, prediction_output

        made = api.predict_stream(
            paths,
            run=run,
            probabilities=probabilities,
            bad_images=bad_images,
            strategy=strategy,
            quiet=quiet,
        )
        prediction_output.write_predictions(made, out, as_json=bool(json_output))

    _run(go)


@app.command(epilog="Example: automl-flowers export --format onnx --out classifier/")
def export(
    format_: Annotated[
        str, typer.Option("--format", help="keras, saved_model, onnx or litert.", metavar="NAME")
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder to make, for the model and its README."),
    ],
    run: Run = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Write a run's whole ensemble as one model for other programs, checked against predict."""

    def go() -> None:
        from automl_flowers import api

        made = api.export(run, format=format_, out=out, quiet=quiet)
        _print_result(made.to_dict(), bool(json_output), _export_lines)

    _run(go)


@app.command(epilog="Example: automl-flowers search 2>&1 | automl-flowers doctor --explain -")
def doctor(
    explain: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Say what mends the errors in a log; - reads stdin."),
    ] = None,
    json_output: Json = None,
) -> None:
    """Check this machine; exit status 1 if something will stop a search."""

    def go() -> None:
        from automl_flowers import doctor, machine

        if explain is not None:
            for line in doctor.explain(_read_log(explain)) or ["no error here is known"]:
                typer.echo(line)
            return
        findings = doctor.examine(machine.gather())
        if json_output:
            typer.echo(json.dumps(doctor.to_dict(findings), indent=2))
        else:
            doctor.show(findings)
        if doctor.has_problem(findings):
            raise typer.Exit(1)

    _run(go)


@data_app.command("describe", epilog="Example: automl-flowers data describe photos/ --out look/")
def data_describe(
    address: Annotated[
        str | None,
        typer.Argument(help="Anything that `search --data` reads; by default the run's data."),
    ] = None,
    record_features: RecordNames = None,
    run: Annotated[
        str | None,
        typer.Option(help="Run folder: its data, as it divided them; figures are written to it."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write description.html, .json and figures/ there."),
    ] = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Print classes, counts, sizes, imbalance and problems of a data set; write figures."""

    def go() -> None:
        from automl_flowers import data_describe
        from automl_flowers.data import explore

        facts = data_describe.describe(
            address,
            record_features=record_features,
            run=run,
            out=out,
            quiet=bool(quiet),
            say=_say,
        )
        _print_result(facts, bool(json_output), explore.lines)

    _run(go)


@data_app.command(
    "check", epilog="Example: automl-flowers data check --data photos/ --external more_photos/"
)
def data_check(
    data: Annotated[
        str | None,
        typer.Option(help="Our data: anything that `search --data` reads; by default the run's."),
    ] = None,
    external: Annotated[
        list[str] | None,
        typer.Option(help="More training data, as for `ensemble`; may be repeated."),
    ] = None,
    label_map: Annotated[
        str | None, typer.Option(help="YAML file, external class name to ours, one a line.")
    ] = None,
    record_features: RecordNames = None,
    run: Annotated[
        str | None, typer.Option(help="Run folder: its data, as it divided them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for leaks.json and leaks.html; `leaks/`, or RUN.")
    ] = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Find copies of pictures, within and across data sets, and show them side by side."""

    def go() -> None:
        from automl_flowers import data_check
        from automl_flowers.data import audit_summary

        facts = data_check.check(
            data,
            external,
            label_map=label_map,
            record_features=record_features,
            run=run,
            out=out,
            quiet=bool(quiet),
            say=_say,
        )
        _print_result(facts, bool(json_output), audit_summary.lines)

    _run(go)


@data_app.command(
    "map-labels",
    epilog="Example: automl-flowers data map-labels photos/ more_photos/ --out map.yaml",
)
def data_map_labels(
    address: Annotated[str, typer.Argument(help="Our data: anything that `search --data` reads.")],
    external: Annotated[
        list[str], typer.Argument(help="External data, as `ensemble --external` takes them.")
    ],
    out: Annotated[Path, typer.Option(help="YAML file to write, for `ensemble --label-map`.")],
    record_features: RecordNames = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Write which external classes may be ours, for a person to accept."""

    def go() -> None:
        from automl_flowers.console import progress_bars
        from automl_flowers.data_map_labels import map_labels

        with contextlib.closing(progress_bars(quiet=bool(quiet))) as bars:
            facts = map_labels(
                address,
                external,
                out,
                features=_features(record_features),
                say=_say,
                on_progress=bars.counting,
            )
        _print_result(facts, bool(json_output), _fact_lines)

    _run(go)


@data_app.command(
    "synthesize",
    epilog="Example: automl-flowers data synthesize flowers/ --classes 20 --images-per-class 50",
)
def data_synthesize(
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    classes: Annotated[int | None, typer.Option(help="2 to 104.")] = None,
    images_per_class: Annotated[int | None, typer.Option(help="On average.")] = None,
    seed: Annotated[int, typer.Option(help="Any integer.")] = 0,
    image_size: Annotated[int | None, typer.Option(help="Pixels.")] = None,
    format_: Annotated[
        Literal["tfrecord", "folders"], typer.Option("--format", help="What to write.")
    ] = "tfrecord",
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Draw a data set of flowers, with an external part that holds planted copies."""

    def go() -> None:
        from automl_flowers.console import Reporter
        from automl_flowers.data import synthetic

        given = {
            "num_classes": classes,
            "images_per_class": images_per_class,
            "image_size": image_size,
        }
        reporter = Reporter(quiet=bool(quiet))
        made = synthetic.synthesize(
            out,
            seed=seed,
            format=format_,
            on_progress=lambda done, total: reporter.counting("drawing flowers", done, total),
            **_given(given),
        )
        _print_result(dataclasses.asdict(made), bool(json_output), _fact_lines)

    _run(go)


@data_app.command(
    "convert", epilog="Example: automl-flowers data convert photos/ records/ --size 224"
)
def data_convert(
    address: Annotated[str, typer.Argument(help="Anything that `search --data` reads.")],
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
    size: Annotated[
        int | None, typer.Option(help="Resize to this many pixels; without it, bytes are kept.")
    ] = None,
    record_features: RecordNames = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Write any data set as TFRecords in the competition's layout."""

    def go() -> None:
        from automl_flowers.console import progress_bars
        from automl_flowers.data import convert
        from automl_flowers.data.locate import locate

        with contextlib.closing(progress_bars(quiet=bool(quiet))) as bars:
            made = convert.convert(
                locate(address, _say),
                out,
                image_size=size,
                features=_features(record_features),
                on_progress=lambda done, total: bars.counting("converting", done, total),
            )
        _print_result(dataclasses.asdict(made), bool(json_output), _fact_lines)

    _run(go)


@data_app.command(
    "augment",
    epilog="Example: automl-flowers data augment --data photos/ --augmentation strong --out a.png",
)
def data_augment(
    data: Annotated[
        str | None,
        typer.Option(help="Anything that `search --data` reads. Without it, drawn flowers."),
    ] = None,
    augmentation: Annotated[
        str | None, typer.Option(help="Name of a strength; without it, all of them.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Also draw pictures beside their versions.")
    ] = None,
    image_size: Annotated[int, typer.Option(min=16, max=1024, help="Pixels.")] = 128,
    record_features: RecordNames = None,
    quiet: Quiet = None,
    json_output: Json = None,
) -> None:
    """Measure how many pictures a strength of augmentation makes unrecognisable."""

    def go() -> None:
        from automl_flowers import data_augment
        from automl_flowers.console import progress_bars
        from automl_flowers.data import synthetic
        from automl_flowers.data.locate import locate

        address = locate(data, _say) if data else str(synthetic.embedded_default())
        with contextlib.closing(progress_bars(quiet=bool(quiet))) as bars:
            facts = data_augment.inspect(
                address,
                augmentation,
                out,
                image_size=image_size,
                features=_features(record_features),
                on_progress=bars.counting,
            )
        _print_result(facts, bool(json_output), data_augment.lines)

    _run(go)


def _features(names: str | None) -> RecordFeatures:
    from automl_flowers.config import make_config
    from automl_flowers.data.sources.records import RecordFeatures

    return RecordFeatures.named(make_config({"record_features": names}).record_features)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _wants_json(flag: bool | None, config: Path | None) -> bool:
    """Say whether results are printed as JSON, by the flag or else by the file of settings."""
    from automl_flowers.config import make_config

    return make_config({"json": flag}, config).json_output


def _read_log(file: str) -> str:
    if file == "-":
        return sys.stdin.read()
    try:
        return Path(file).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"`{file}` cannot be read: {error.strerror}.") from error


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in flags.items() if value is not None}


def _print_result(
    result: dict[str, Any], as_json: bool, lines: Callable[[dict[str, Any]], list[str]]
) -> None:
    if as_json:
        typer.echo(json.dumps(result, indent=2, allow_nan=False, default=str))
    else:
        for line in lines(result):
            typer.echo(printable(line))


def _search_lines(result: dict[str, Any]) -> list[str]:
    best = result["best"]
    lines = [f"run     {result['run']}", f"trials  {result['trials']} finished"]
    if result["failed"]:
        lines.append(f"failed  {result['failed']}")
    if best is not None:
        recipe = best["recipe"]
        lines += [
            f"best    {recipe['backbone']} at {recipe['image_size']} px, trial {best['trial']}",
            f"        val macro F1 {best['val_macro_f1']:.4f} after {best['epochs']} epochs",
        ]
    top = max(min(3, result["recipes"]), 1)
    return [*lines, f"next    automl-flowers ensemble --top {top} --run {result['run']}"]


def _blend_lines(result: dict[str, Any]) -> list[str]:
    from automl_flowers.reports.text import blend_lines

    return [*blend_lines(result), "", f"next    automl-flowers report --run {result['run']}"]


def _export_lines(result: dict[str, Any]) -> list[str]:
    found = result["checked"]
    shape = " x ".join(str(size) for size in result["input"]["shape"][1:])
    return [
        f"model    {Path(result['out'], result['file'])}",
        f"input    {result['input']['name']}, uint8, any number of {shape}",
        f"output   probabilities of {len(result['class_names'])} classes",
        f"checked  {found['num_images']} images, at most {found['largest_difference']:.2g} off",
        f"next     {Path(result['out'], 'README.md')} says how to use it",
    ]


def _fact_lines(result: dict[str, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')}: {value}" for name, value in result.items()]


def _run(go: Callable[[], None], *, resumes: bool = False) -> None:
    """Run a command and turn what a person can mend into a sentence and an exit status.

    Args:
        go: Does it.
        resumes: Whether the same command goes on from where it was stopped.
    """
    try:
        go()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        if error.hint:
            typer.echo(f"\nhint: {error.hint}", err=True)
        raise typer.Exit(2) from None
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        where = f" `{error.filename}`" if error.filename else ""
        typer.echo(f"error: Cannot write{where}: {error.strerror}.", err=True)
        hint = "make room, restore access or name another path, then give the command again"
        typer.echo(f"\nhint: {hint}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        typer.echo(f"\nstopped{'; the same command goes on from here' * resumes}", err=True)
        raise typer.Exit(130) from None


def main() -> None:
    """Run the command line."""
    app()
