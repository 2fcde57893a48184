"""External data: which of its classes are ours, and which of its images may be trained on.

Every decision is visible: for each external class the share of its images in which a probe,
trained on our images, sees the mapped class; and the number of images that were dropped because
they are copies of images that scores are taken on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from automl_flowers.blending.fits import ImageSet
from automl_flowers.data import copies, label_mapping
from automl_flowers.data.cache import content_hash
from automl_flowers.data.caching import AUTO, Caching
from automl_flowers.data.collections import source_names
from automl_flowers.data.label_mapping import ClassDecision, LabelMap
from automl_flowers.data.leaks import EVALUATION_SPLITS, Leaks, Policy, find_leaks, obey
from automl_flowers.data.pipeline import Examples
from automl_flowers.data.prepare import ImageData, OnProgress, read
from automl_flowers.data.sources.records import USUAL_FEATURES, RecordFeatures
from automl_flowers.modeling import features
from automl_flowers.starting_weights import IMAGENET

_Probe = Callable[[ImageData], npt.NDArray[np.int64]]
"""Called with a data set, returns our class that it sees in each of its images."""


@dataclass(frozen=True)
class Source:
    """One external data set and what of it is used.

    Attributes:
        name: Short name.
        data: Its images.
        decisions: One a class.
        labels: Our label of each image, in the order of its manifest; -1 where unused.
        leaks: Which of the images that would be used are copies of evaluation images, and what
            was done.
    """

    name: str
    data: ImageData
    decisions: tuple[ClassDecision, ...]
    labels: npt.NDArray[np.int64]
    leaks: Leaks

    @property
    def num_used(self) -> int:
        """Images that may join the training set."""
        return int((self.labels >= 0).sum())

    def content_at(self, image_size: int) -> str:
        """Return digits of what all of its images show, used or not; the same at every size."""
        return content_hash(self.data.pictures(image_size), self.data.manifest.rows)

    def examples_at(self, image_size: int) -> Examples:
        """Return the images that may join the training set."""
        rows = self.data.manifest.rows.assign(label=self.labels)
        examples = self.data.examples_of(rows[self.labels >= 0], image_size)
        return replace(examples, ids=np.char.add(f"{self.name}/", examples.ids))


def read_sources(
    addresses: Sequence[str],
    ours: ImageData,
    *,
    label_map: LabelMap,
    probe_with: str | None,
    probe_weights: str = IMAGENET,
    image_size: int,
    cache: Path,
    largest_size: int | None = None,
    record_features: RecordFeatures = USUAL_FEATURES,
    leaks: Policy = "drop",
    scored_on: Sequence[str] = EVALUATION_SPLITS,
    bad_images: str = "skip",
    caching: Caching = AUTO,
    on_progress: OnProgress,
) -> list[Source]:
    """Read external data sets and decide what of them may be trained on.

    Args:
        addresses: Of the external data sets.
        ours: The run's images.
        label_map: A person's word on class names, for all data sets or by the names of some; each
            must exist in one of them.
        probe_with: Backbone of the probe; None for no probe.
        probe_weights: What it starts from: `"imagenet"` or the path of a file.
        image_size: At which to compare and probe, in pixels.
        cache: Folder of decoded images.
        largest_size: As for `automl_flowers.data.prepare.prepare`.
        record_features: What TFRecords call their label, id and picture.
        leaks: What is done with external images that are copies of evaluation images.
        scored_on: Splits of ours whose images are evaluation images.
        bad_images: How many images of each data set may be bad, from `bad_images.parse_policy`.
        caching: How decoded images are kept.
        on_progress: Hears of decoding.

    Raises:
        DataError: If no class of any data set can be used, or if images leak and the policy is to
            fail.
        ConfigError: If the label map names what does not exist.
    """
    names = source_names(addresses)
    read_data = [
        read(
            address,
            image_size=image_size,
            cache=cache,
            source=name,
            largest_size=largest_size,
            features=record_features,
            bad_images=bad_images,
            caching=caching,
            on_progress=on_progress,
        )
        for address, name in zip(addresses, names, strict=True)
    ]
    classes = {n: data.manifest.class_names for n, data in zip(names, read_data, strict=True)}
    label_mapping.check_label_map(label_map, classes, ours.manifest.class_names)
    probe = (
        _make_probe(ours, probe_with, probe_weights, image_size)
        if probe_with and read_data
        else None
    )
    sources = [
        _judge(
            name,
            data,
            ours,
            label_mapping.map_for(label_map, name),
            probe,
            leaks,
            scored_on,
        )
        for name, data in zip(names, read_data, strict=True)
    ]
    if sources:
        decisions = [decision for source in sources for decision in source.decisions]
        label_mapping.require_any_used(decisions, ", ".join(addresses))
    return sources


def _judge(
    name: str,
    data: ImageData,
    ours: ImageData,
    label_map: Mapping[str, str | None],
    probe: _Probe | None,
    policy: Policy,
    scored_on: Sequence[str],
) -> Source:
    """Decide what of one data set may be trained on."""
    our_names = ours.manifest.class_names
    decisions = label_mapping.decide(
        data.manifest.class_names,
        our_names,
        data.manifest.rows["label"].to_numpy(np.int64),
        label_map=label_map,
        seen_as=probe(data) if probe else None,
    )
    labels = _our_labels(data, decisions, our_names)
    leaks = _leaks(name, data, ours, labels, policy, scored_on)
    labels[data.manifest.rows["id"].isin(leaks.dropped)] = -1
    return Source(name, data, tuple(decisions), labels, leaks)


def _make_probe(ours: ImageData, backbone: str, weights: str, image_size: int) -> _Probe:
    """Return a linear head on frozen features, fitted on our training images."""
    encoder = features.build_encoder(backbone, image_size, weights)
    train = ours.examples("train", image_size)
    head = features.fit_head(
        features.extract(encoder, train), train.labels, ours.manifest.num_classes
    )

    def look(external: ImageData) -> npt.NDArray[np.int64]:
        theirs = external.examples_of(external.manifest.rows, image_size)
        return np.asarray(head.probabilities(features.extract(encoder, theirs)).argmax(axis=1))

    return look


def _our_labels(
    data: ImageData, decisions: Sequence[ClassDecision], our_names: Sequence[str]
) -> npt.NDArray[np.int64]:
    table: Mapping[int, int] = {
        label: list(our_names).index(decision.ours)
        for label, decision in enumerate(decisions)
        if decision.is_used and decision.ours is not None
    }
    return np.array([table.get(label, -1) for label in data.manifest.rows["label"]], np.int64)


def _leaks(
    name: str,
    external: ImageData,
    ours: ImageData,
    labels: npt.NDArray[np.int64],
    policy: Policy,
    scored_on: Sequence[str],
) -> Leaks:
    """Say which external images with a label are copies of images that scores are taken on."""
    held_out = ours.manifest.split(*scored_on)
    found = copies.find_copies(
        external.fingerprints(), ours.fingerprints(*scored_on), external.on_progress
    )
    leaking = find_leaks(
        found.take(labels[found.left] >= 0),
        files=external.manifest.rows["id"].tolist(),
        source=name,
        held_out=held_out["id"].tolist(),
        splits=held_out["split"].tolist(),
    )
    return obey(policy, leaking, "external")


def join_sources(sources: Sequence[Source], image_size: int) -> ImageSet:
    """Return all usable external images as one set.

    Args:
        sources: In the order in which their images are added.
        image_size: At which their content is read.
    """
    usable = [source for source in sources if source.num_used] or sources

    def examples_at(size: int) -> Examples:
        joined = usable[0].examples_at(size)
        for source in usable[1:]:
            joined = joined.join(source.examples_at(size))
        return joined

    digest = hashlib.sha256()
    for source in sources:
        rows = source.data.manifest.rows.assign(label=source.labels)
        used = rows[source.labels >= 0]
        digest.update(content_hash(source.data.pictures(image_size), used).encode())
    num_images = sum(source.num_used for source in sources)
    return ImageSet(examples_at, digest.hexdigest()[:16], num_images)
