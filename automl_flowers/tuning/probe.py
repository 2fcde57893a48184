"""Probes: what a linear head makes of frozen features, before anything is fine-tuned.

In seconds a probe says how far a backbone gets without training, which is an honest floor for
everything that follows. A second head, of small weights, is where trials of that backbone start
(linear probing, then fine-tuning: Kumar et al. 2022, https://arxiv.org/abs/2202.10054), and
backbones that are far behind are left out (`probe_rule.py`).
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from automl_flowers.data.pipeline import Examples
from automl_flowers.data.prepare import ImageData
from automl_flowers.files import read_json, sha256_of, write_json, write_text
from automl_flowers.modeling import features
from automl_flowers.modeling.features import START_STRENGTH, Head
from automl_flowers.out_of_memory import is_out_of_memory
from automl_flowers.starting_weights import IMAGENET, Weights, weights_of
from automl_flowers.tuning.checkpoints import load_state, save_state
from automl_flowers.tuning.probe_rule import SKIPPED, Probe, comparable, fits, read_skipped
from ensembles import metrics
from search_spaces.spaces import Space

Scope = Callable[[], contextlib.AbstractContextManager[Any]]
"""Makes what variables are made within, as a `tf.distribute.Strategy.scope` does."""


def probe(
    backbone: str,
    image_size: int,
    weights: str,
    train: Examples,
    val: Examples,
    num_classes: int,
    content: str,
    scope: Scope = contextlib.nullcontext,
) -> tuple[Probe, Head]:
    """Score a linear head on frozen features of `train`, and fit another to start from.

    Args:
        backbone: Registry name.
        image_size: In pixels, of the examples too.
        weights: What the backbone starts from: `"imagenet"` or a path.
        train: Labelled examples.
        val: Labelled examples; they are scored, and nothing is chosen by them.
        num_classes: Outputs of the head.
        content: Digits of all of this.
        scope: Of the strategy that says on which devices the backbone lies.

    Returns:
        The scores of the one, and the other.
    """
    started = time.perf_counter()
    with scope():
        encoder = features.build_encoder(backbone, image_size, weights)
    of_val = features.extract(encoder, val)  # first, so that tracing is not counted below
    forward = time.perf_counter()
    of_train = features.extract(encoder, train)
    forward = time.perf_counter() - forward
    head = features.fit_head(of_train, train.labels, num_classes)
    start = features.fit_start(of_train, train.labels, num_classes)
    probabilities = head.probabilities(of_val)
    made = Probe(
        backbone=backbone,
        image_size=image_size,
        macro_f1=metrics.macro_f1(val.labels, probabilities),
        accuracy=metrics.accuracy(val.labels, probabilities),
        log_loss=metrics.log_loss(val.labels, probabilities),
        strength=head.strength,
        seconds=time.perf_counter() - started,
        forward_seconds=forward,
        content=content,
    )
    return made, start


def probe_all(
    space: Space,
    data: ImageData,
    weights: Weights,
    folder: ProbeFolder,
    on_probe: Callable[[Probe], None] = lambda made: None,
    *,
    scope: Scope = contextlib.nullcontext,
    seconds: float = math.inf,
) -> list[Probe]:
    """Probe every backbone of a space at every image size; what was probed before is read.

    Small images come first. When the next probe would take more time than there is, it and all
    further ones are skipped, which the folder remembers: a search that goes on must not choose
    its backbones anew.

    Args:
        space: Says which.
        data: The images, divided.
        weights: What backbones start from.
        folder: Where probes lie.
        on_probe: Hears of each.
        scope: Of the strategy that says on which devices backbones lie.
        seconds: That all probes may take.

    Returns:
        The probes that backbones can be compared by, best first; without those that do not fit
        into memory.
    """
    sizes = sorted(int(size) for size in space.choices("image_size"))
    pairs = [(str(name), size) for size in sizes for name in space.choices("backbone")]
    skipped = folder.skipped()
    probes: list[Probe] = []
    for number, (name, size) in enumerate(pairs):
        if (name, size) in skipped:
            continue
        if not folder.has(name, size) and not fits(probes, size, seconds):
            skipped = pairs[number:]
            folder.skip(skipped)
            break
        probes += probe_pairs([(name, size)], data, weights, folder, on_probe, scope)
    return comparable(probes, sizes, {size for _, size in skipped})


def probe_pairs(
    pairs: Iterable[tuple[str, int]],
    data: ImageData,
    weights: Weights,
    folder: ProbeFolder,
    on_probe: Callable[[Probe], None] = lambda made: None,
    scope: Scope = contextlib.nullcontext,
) -> list[Probe]:
    """Do what `probe_all` does for some backbones, each at an image size, whatever it takes."""
    probes = []
    for name, size in pairs:
        made = _probe_or_read(name, size, data, weights, folder, scope)
        if made is not None:
            on_probe(made)
            probes.append(made)
    return sorted(probes, key=lambda one: (-one.macro_f1, one.name))


def _probe_or_read(
    backbone: str,
    image_size: int,
    data: ImageData,
    weights: Weights,
    folder: ProbeFolder,
    scope: Scope,
) -> Probe | None:
    start = weights_of(weights, backbone)
    content = _content(data, image_size, start)
    known = folder.find(backbone, image_size, content)
    if known is not None:
        return known
    train, val = (data.examples(split, image_size) for split in ("train", "val"))
    try:
        made, head = probe(
            *(backbone, image_size, start, train, val, data.manifest.num_classes, content, scope)
        )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None  # trials of it will say so
    folder.save(made, head)
    return made


def _content(data: ImageData, image_size: int, start: str) -> str:
    """Return digits of all that a probe depends on."""
    what = start if start == IMAGENET else sha256_of(Path(start))
    images = (data.content_hash(image_size, split) for split in ("train", "val"))
    return hashlib.sha256(":".join([what, *images]).encode()).hexdigest()[:16]


class ProbeFolder:
    """Probes of a run, one `.json` and one `.npz` each.

    Args:
        folder: Where they lie; made when first written to.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, made: Probe, head: Head) -> None:
        """Write a probe and a head to start from, and then the record that speaks for both."""
        self._record(made.name).unlink(missing_ok=True)
        save_state(self._head(made.name), {"kernel": head.kernel, "bias": head.bias})
        write_json(self._record(made.name), asdict(made))

    def find(self, backbone: str, image_size: int, content: str | None = None) -> Probe | None:
        """Return a probe that was made, or None; of the content, if that is given."""
        path = self._record(f"{backbone}-{image_size}")
        if not path.exists():
            return None
        found = Probe(**read_json(path))
        return found if content in (None, found.content) else None

    def has(self, backbone: str, image_size: int) -> bool:
        """Say whether a backbone was probed."""
        return self.find(backbone, image_size) is not None

    def head(self, backbone: str, image_size: int) -> Head | None:
        """Return what trials of a probed backbone start from, or None."""
        found = self.find(backbone, image_size)
        if found is None:
            return None
        state = load_state(self._head(found.name))
        return Head(state["kernel"], state["bias"], START_STRENGTH)

    def skip(self, pairs: Sequence[tuple[str, int]]) -> None:
        """Remember which backbones, each at an image size, are not probed for want of time."""
        write_text(self._folder / SKIPPED, "".join(f"{name} {size}\n" for name, size in pairs))

    def skipped(self) -> list[tuple[str, int]]:
        """Return what `skip` was told last."""
        return read_skipped(self._folder)

    def all(self) -> list[Probe]:
        """Return all probes, best first."""
        probes = (Probe(**read_json(path)) for path in self._folder.glob("*.json"))
        return sorted(probes, key=lambda one: (-one.macro_f1, one.name))

    def _record(self, name: str) -> Path:
        return self._folder / f"{name}.json"

    def _head(self, name: str) -> Path:
        return self._folder / f"{name}.npz"
