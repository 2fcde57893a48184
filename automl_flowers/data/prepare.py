"""From an address to the images of a run: read, decode, drop what is broken, divide, remember.

What comes out is written to the run folder (`manifest.csv`, `data.json`), so later steps and
people see exactly which image played which part.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from automl_flowers.data import copies, splits
from automl_flowers.data.bad_images import check_bad_images
from automl_flowers.data.cache import Pictures, content_hash, load_pictures
from automl_flowers.data.caching import AUTO, Caching
from automl_flowers.data.copies.fingerprints import Fingerprints, load_fingerprints
from automl_flowers.data.leaks import NOTHING_DONE, Leaks, Policy, leaks_within, obey
from automl_flowers.data.losses import Unread, losses_among
from automl_flowers.data.manifest import SPLITS, Manifest, save_manifest
from automl_flowers.data.pipeline import Examples
from automl_flowers.data.sources import data_set_name, open_data
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.errors import DataError, RunError
from automl_flowers.files import read_json, write_json

_READ_TOO_LATE = "It could not be read when the run began, so it stays out of it."

OnProgress = Callable[[str, int, int], None]
"""Called with what is being done, the images done and their total."""


def _quietly(what: str, done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class ImageData:
    """The readable images of a data set, at any size.

    Attributes:
        manifest: Readable rows only, with their final splits.
        read_rows: All rows as they were read, those that cannot be decoded too: what the cache
            is made from, so that finding one broken image decodes no other twice.
        cache: Folder of decoded images.
        on_progress: Hears of decoding.
        caching: How they are kept.
        leaks: Which training images are copies of evaluation images, and what was done.
        unread: Ids of the images that could not be had when the run began, for reasons outside of
            their bytes. They stay out of it.
        largest_size: The largest size that they were read for, in pixels; None for all there is.
    """

    manifest: Manifest
    read_rows: pd.DataFrame
    cache: Path
    on_progress: OnProgress = _quietly
    caching: Caching = AUTO
    leaks: Leaks = NOTHING_DONE
    unread: tuple[str, ...] = ()
    largest_size: int | None = None
    _pictures: dict[int, Pictures] = field(default_factory=dict, repr=False)

    def pictures(self, image_size: int) -> Pictures:
        """Return all images at one size, made ready the first time."""
        if image_size not in self._pictures:
            what = f"{self.read_rows['source'].iloc[0]} at {image_size} px"
            self._pictures[image_size] = load_pictures(
                self.read_rows,
                image_size,
                self.cache,
                functools.partial(self.on_progress, f"decoding {what}"),
                self.caching,
                what,
            )
        return self._pictures[image_size]

    def fingerprints(self, *split_names: str) -> Fingerprints:
        """Return the fingerprints of some splits, by default of all, ordered by id."""
        rows = self.manifest.split(*split_names) if split_names else self.manifest.rows
        what = f"taking fingerprints of {self.read_rows['source'].iloc[0]}"
        progress = functools.partial(self.on_progress, what)
        made = load_fingerprints(self.read_rows, self.cache, progress)
        _check_read(made, rows["id"])
        return made.of(rows["id"])

    def examples(self, split: str, image_size: int) -> Examples:
        """Return the images of a split at one size, ordered by id."""
        return self.examples_of(self.manifest.split(split), image_size)

    def examples_of(self, rows: pd.DataFrame, image_size: int) -> Examples:
        """Return the images of some manifest rows at one size, in their order."""
        pictures = self.pictures(image_size)
        return Examples(
            caches=(pictures.images,),
            cache_of=np.zeros(len(rows), np.int64),
            row_of=pictures.rows_of(rows["id"]),
            labels=rows["label"].to_numpy(np.int64),
            ids=rows["id"].to_numpy(str),
            content=content_hash(pictures, rows),
        )

    def content_hash(self, image_size: int, *splits: str) -> str:
        """Return digits of what the named splits show; the same at every image size."""
        return content_hash(self.pictures(image_size), self.manifest.split(*splits))


def prepare(
    address: str,
    *,
    seed: int,
    image_size: int,
    cache: Path,
    source: str | None = None,
    largest_size: int | None = None,
    features: RecordFeatures = USUAL_FEATURES,
    leaks: Policy = "drop",
    bad_images: str = "skip",
    caching: Caching = AUTO,
    left_out: Collection[str] = (),
    on_progress: OnProgress = _quietly,
) -> ImageData:
    """Read a data set and divide it into train, val, blend and test.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        seed: Of the run; says how images are divided.
        image_size: The size to decode first, in pixels.
        cache: Folder of decoded images.
        source: Short name of the data set; by default from the address.
        largest_size: The largest size that will be asked for, in pixels. Where the data set
            comes in several sizes, the smallest of them that is big enough is read for all
            sizes; by default the largest, so that nothing is ever scaled up.
        features: What TFRecords call their label and id.
        leaks: What is done with training images that are copies of evaluation images.
        bad_images: As for `read`.
        caching: How decoded images are kept.
        left_out: As for `read`.
        on_progress: Hears of decoding.

    Returns:
        The readable images. Whatever was skipped is in `manifest.problems`, copies in `leaks`.

    Raises:
        DataError: If there is nothing to read, too little to train on, or if images leak and
            the policy is to fail.
    """
    data = read(
        address,
        image_size=image_size,
        cache=cache,
        source=source,
        largest_size=largest_size,
        features=features,
        bad_images=bad_images,
        caching=caching,
        left_out=left_out,
        on_progress=on_progress,
    )
    data = _without_leaks(_divided(data, seed), leaks)
    _check_trainable(data.manifest, len(data.leaks.dropped))
    return data


def read(
    address: str,
    *,
    image_size: int,
    cache: Path,
    source: str | None = None,
    largest_size: int | None = None,
    features: RecordFeatures = USUAL_FEATURES,
    bad_images: str = "skip",
    caching: Caching = AUTO,
    left_out: Collection[str] = (),
    on_progress: OnProgress = _quietly,
) -> ImageData:
    """Read a data set as it comes, without the images that cannot be decoded.

    Args:
        address: As for `automl_flowers.data.sources.open_data`.
        image_size: The size to decode first, in pixels.
        cache: Folder of decoded images.
        source: Short name of the data set; by default from the address.
        largest_size: As for `prepare`.
        features: As for `prepare`.
        bad_images: How many images may be bad, from `bad_images.parse_policy`.
        caching: How decoded images are kept.
        left_out: Ids of images that could not be had when the run began, from `unread_before`.
            They stay out of it, whether they can be had now or not.
        on_progress: Hears of reading and decoding.

    Raises:
        DataError: If there is nothing to read, or more images are bad than may be.
    """
    name = source or data_set_name(address)
    manifest = open_data(
        address,
        image_size=largest_size,
        source=name,
        features=features,
        on_progress=functools.partial(on_progress, f"reading the files of {name}"),
    )
    data = ImageData(
        manifest, manifest.rows, cache, on_progress, caching, largest_size=largest_size
    )
    pictures = data.pictures(image_size)
    usable = [identity for identity in pictures.ids if identity not in left_out]
    late = [Unread(i, _READ_TOO_LATE) for i in pictures.ids if i in left_out]
    problems = (*manifest.problems, *pictures.problems, *late)
    check_bad_images(bad_images, losses_among(problems), len(usable), address)
    readable = manifest.rows[manifest.rows["id"].isin(usable)].reset_index(drop=True)
    unread = tuple(problem.path for problem in problems if isinstance(problem, Unread))
    return replace(data, manifest=Manifest(readable, manifest.class_names, problems), unread=unread)


def unread_before(summary_path: Path) -> frozenset[str]:
    """Return the ids of the images that could not be had when a run began; none if it is new.

    Args:
        summary_path: As for `remember`.
    """
    return frozenset(read_json(summary_path).get("unread", ()) if summary_path.exists() else ())


def size_before(summary_path: Path) -> int | None:
    """Return the largest size that a run's images were read for; None if it is new or old.

    Args:
        summary_path: As for `remember`.
    """
    return read_json(summary_path).get("largest_size") if summary_path.exists() else None


def _check_read(made: Fingerprints, ids: pd.Series) -> None:
    """Refuse to look for copies without images that are used."""
    gone = set(ids) & set(made.unread)
    if gone:
        first = next(problem for problem in made.problems if problem.path in gone)
        raise DataError(
            f"{len(gone)} of the images that were decoded cannot be read any more, for example "
            f"{first.path!r}: {first.reason}",
            hint="restore the files as they were, and give the command again",
        )


def _divided(data: ImageData, seed: int) -> ImageData:
    """Divide one split, copies together, if there is one to divide."""
    division = splits.shares_for(set(data.manifest.rows["split"]))
    if division is None:
        return data
    split, shares = division
    rows = data.manifest.rows.copy()
    chosen = (rows["split"] == split).to_numpy()
    found = copies.find_copies_within(data.fingerprints(split), data.on_progress)
    groups = copies.group_copies(found, int(chosen.sum()))
    rows.loc[chosen, "split"] = splits.deal(rows[chosen], groups, shares, seed=seed)
    return replace(data, manifest=data.manifest.replace_rows(rows))


def _without_leaks(data: ImageData, policy: Policy) -> ImageData:
    """Return the data with what the policy says about training images that leak."""
    rows = data.manifest.rows
    source = str(rows["source"].iloc[0])
    found = leaks_within(data.fingerprints(), rows["split"].tolist(), source, data.on_progress)
    leaks = obey(policy, found, "training")
    kept = rows[~rows["id"].isin(leaks.dropped)].reset_index(drop=True)
    return replace(data, manifest=data.manifest.replace_rows(kept), leaks=leaks)


def _check_trainable(manifest: Manifest, num_dropped: int) -> None:
    for split in ("train", "val", "blend"):
        labels = manifest.split(split)["label"]
        if len(labels) == 0 and num_dropped and split == "train":
            raise DataError(
                f"No training image is left: all {num_dropped} are copies of evaluation images.",
                hint="give other training images; `automl-flowers data check` shows the copies",
            )
        if len(labels) == 0:
            raise DataError(
                f"There are too few images: none is left for the `{split}` split.",
                hint="give at least ten images a class",
            )
        if (labels < 0).any():
            raise DataError(
                f"{(labels < 0).sum()} images of the `{split}` split have no label.",
                hint="put them into a folder a class, or into `test/`",
            )
    if manifest.split("train")["label"].nunique() < 2:
        raise DataError(
            "All training images are of one class, so there is nothing to tell apart.",
            hint="give one folder a class, at least two",
        )


def content_of_splits(data: ImageData, image_size: int) -> str:
    """Return digits of what the images show and of the parts that they play.

    Args:
        data: The run's images.
        image_size: A size at which the images are decoded already.
    """
    digests = {split: data.content_hash(image_size, split) for split in SPLITS}
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]


def remember(data: ImageData, manifest_path: Path, summary_path: Path, *, image_size: int) -> None:
    """Write which image plays which part, and what was skipped.

    Args:
        data: The run's images.
        manifest_path: Of the table.
        summary_path: Of the summary.
        image_size: A size at which the images are decoded already.

    Raises:
        RunError: If the run was started with other images; nothing is written then.
    """
    manifest = data.manifest
    content = content_of_splits(data, image_size)
    if summary_path.exists():
        _check_same_content(read_json(summary_path), content, data)
    counts = manifest.rows.groupby(["split", "label"]).size()
    save_manifest(manifest, manifest_path)
    write_json(
        summary_path,
        {
            "content": content,
            "class_names": list(manifest.class_names),
            "images": manifest.count_images(),
            "images_per_class": {
                split: [int(counts.get((split, label), 0)) for label in range(manifest.num_classes)]
                for split in sorted(set(manifest.rows["split"]))
            },
            "leaks": data.leaks.to_dict(),
            "unread": list(data.unread),
            "largest_size": data.largest_size,
            "problems": [vars(problem) for problem in manifest.problems],
        },
    )


def _check_same_content(before: dict[str, Any], content: str, data: ImageData) -> None:
    if before["content"] != content:
        raise RunError(
            f"The images have changed since this run began: it had "
            f"{sum(before['images'].values())}, now there are {len(data.manifest.rows)}, or some "
            "show something else or are in another split.",
            hint="choose another folder with `--run`, or restore the images",
        )
