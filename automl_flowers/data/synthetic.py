"""The embedded default: drawn flowers in the competition's own format, no network needed.

    OUT/tfrecords-jpeg-192x192/{train,val,test}/00-192x192-67.tfrec   and classes.txt beside them
    OUT/external/tfrecords-jpeg-192x192/00-192x192-60.tfrec           other light, other walls
    OUT/sample_submission.csv  OUT/test_labels.csv  OUT/external_planted_duplicates.csv
    OUT/synthetic.json                                                the settings

or, as folders, OUT/{train,val,test}/CLASS/ID.jpg and OUT/external/CLASS/ID.jpg.

As in the competition, classes are unequal and test records carry no label; `test_labels.csv` is
for scoring. A tenth of the external images are copies of test images, recompressed, resized,
mirrored or cropped, as happens with real data from the web, and listed so that a search for them
can be judged. The same settings give the same bytes, on the same versions of NumPy and Pillow.

Everything is written to a hidden folder beside OUT, which takes OUT's name at the end: a kill
leaves no OUT rather than half of one.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from automl_flowers.data.labels import COMPETITION_CLASSES
from automl_flowers.data.synthetic_files import SETTINGS_FILE, OnProgress, write_data_set
from automl_flowers.data.synthetic_plan import (
    DRAWING_VERSION,
    Format,
    Plan,
    Settings,
    make_plan,
)
from automl_flowers.errors import UserError

DEFAULT_NUM_CLASSES = 12
DEFAULT_IMAGES_PER_CLASS = 50
DEFAULT_IMAGE_SIZE = 192
MIN_IMAGES_PER_CLASS = 5
MIN_IMAGE_SIZE, MAX_IMAGE_SIZE = 16, 1024

_DEFAULTS = {
    "num_classes": DEFAULT_NUM_CLASSES,
    "images_per_class": DEFAULT_IMAGES_PER_CLASS,
    "image_size": DEFAULT_IMAGE_SIZE,
}


@dataclass(frozen=True)
class Summary:
    """What a synthesised data set holds, and where.

    Attributes:
        root: Its folder; reads as a data set.
        external: Folder of its external part, or None.
        num_images: Images of each split.
        class_counts: Images of each class, by split, in the order of the labels.
        class_names: Names in the order of the labels.
        num_duplicates: External images that are copies of test images.
    """

    root: Path
    external: Path | None
    num_images: dict[str, int]
    class_counts: dict[str, tuple[int, ...]]
    class_names: tuple[str, ...]
    num_duplicates: int


def synthesize(
    out: Path,
    *,
    num_classes: int = DEFAULT_NUM_CLASSES,
    images_per_class: int = DEFAULT_IMAGES_PER_CLASS,
    seed: int = 0,
    image_size: int = DEFAULT_IMAGE_SIZE,
    format: Format = "tfrecord",  # noqa: A002
    external: bool = True,
    on_progress: OnProgress | None = None,
) -> Summary:
    """Draw a data set of flowers.

    Sizes of classes and splits are in the competition's proportions, see
    `synthetic_plan.count_images` for what small data sets do differently. Fewer than 104
    classes are chosen so that many are look-alikes.

    Args:
        out: Folder to make. One that holds the same data set already is returned at once.
        num_classes: Number of classes, 2 to 104.
        images_per_class: Mean number of training images a class, at least 5. With 104 classes
            and 123 images the data set is about as large as the competition's.
        seed: Any integer. Another seed gives other pictures of the same species.
        image_size: Height and width of the images, in pixels.
        format: `tfrecord` for the competition's layout, or `folders`.
        external: Whether to add external data, 0.4 times as many as training images.
        on_progress: Called with the number of images drawn, and of images in all.

    Returns:
        What was written, or was there.

    Raises:
        UserError: If a number is out of range, the format is unknown, or `out` cannot be written
            or holds something else.
    """
    settings = Settings(num_classes, images_per_class, seed, image_size, format, external)
    _check(settings)
    out = out.absolute()
    plan = make_plan(settings)
    if not _is_finished(out, settings):
        _check_free(out)
        _write_beside(out, settings, plan, on_progress)
    return _summarise(out, settings, plan)


def embedded_default(on_progress: OnProgress | None = None) -> Path:
    """Return the folder of the default data set, drawn on first use.

    It lies in the user's cache, `$XDG_CACHE_HOME/automl-flowers` or `~/.cache/automl-flowers`,
    and is about 10 MB.

    Args:
        on_progress: As for `synthesize`.

    Raises:
        UserError: If the cache cannot be written.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    out = cache / "automl-flowers" / f"flowers-{DRAWING_VERSION}"
    return synthesize(out, on_progress=on_progress).root


def _check(settings: Settings) -> None:
    ranges = (
        ("num_classes", settings.num_classes, 2, len(COMPETITION_CLASSES)),
        ("images_per_class", settings.images_per_class, MIN_IMAGES_PER_CLASS, None),
        ("image_size", settings.image_size, MIN_IMAGE_SIZE, MAX_IMAGE_SIZE),
    )
    for name, value, low, high in ranges:
        if value < low or (high is not None and value > high):
            wanted = f"at least {low}" if high is None else f"between {low} and {high}"
            raise UserError(
                f"`{name}` must be {wanted}, got {value}.",
                hint=f"the default data set has {name}={_DEFAULTS[name]}",
            )
    if settings.format not in get_args(Format):
        raise UserError(
            f"Unknown format {settings.format!r}, expected one of: tfrecord, folders.",
            hint="`tfrecord` is the competition's format",
        )


def _is_finished(out: Path, settings: Settings) -> bool:
    """Return whether `out` is a data set of these settings; raise if it is one of others."""
    try:
        found = dict(json.loads((out / SETTINGS_FILE).read_text(encoding="utf-8"))["settings"])
    except (OSError, ValueError, TypeError, KeyError):
        return False
    wanted = asdict(settings)
    if found == wanted:
        return True
    differing = [name for name, value in wanted.items() if found.get(name) != value]
    raise UserError(
        f"`{out}` holds a data set of other settings; different are: {', '.join(differing)}.",
        hint="name another folder, or remove this one first",
    )


def _check_free(out: Path) -> None:
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise UserError(
            f"`{out}` exists and is not empty.", hint="name a new folder, or remove this one first"
        )


def _write_beside(
    out: Path, settings: Settings, plan: Plan, on_progress: OnProgress | None
) -> None:
    """Write the data set to a temporary folder and give it its name."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        write_data_set(temporary, settings, plan, on_progress)
        temporary.rename(out)
    except OSError as error:
        if _is_finished(out, settings):  # another process was quicker
            return
        raise UserError(
            f"Cannot write `{out}`: {error.strerror}.",
            hint="name a folder that you may write to, on a disk with space left",
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _summarise(out: Path, settings: Settings, plan: Plan) -> Summary:
    external = plan.items.get("external", ())
    return Summary(
        root=out,
        external=out / "external" if settings.external else None,
        num_images={split: len(items) for split, items in plan.items.items()},
        class_counts=plan.counts(),
        class_names=plan.class_names,
        num_duplicates=sum(item.copy is not None for item in external),
    )
