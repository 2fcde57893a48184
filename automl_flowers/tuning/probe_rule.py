"""What probes decide: which backbones are worth a search. And how long probing may take.

A backbone that is far behind is left out: no hyperparameter makes up for features that do not
tell the classes apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from automl_flowers.files import read_if_there

MAX_GAP = 0.10
"""How far below the best probe, in macro F1 on `val`, a backbone's may be before it is left out.
Fine-tuning gains most where features are poor, but rarely more than this on the best."""


SHARE_OF_BUDGET = 0.2
"""Share of a time budget that probes may take; what is not probed then is kept."""

SKIPPED = "skipped.txt"
"""File beside the probes that lists those that were not made, a line each."""


@dataclass(frozen=True)
class Probe:
    """How well frozen features tell the classes apart.

    Attributes:
        backbone: Registry name.
        image_size: In pixels.
        macro_f1: On `val`.
        accuracy: On `val`.
        log_loss: On `val`, in nats.
        strength: Inverse L2 penalty, chosen inside the training images.
        seconds: What it took: building, features, fitting.
        forward_seconds: What passing the training images forward took.
        content: Digits of what it was made from.
    """

    backbone: str
    image_size: int
    macro_f1: float
    accuracy: float
    log_loss: float
    strength: float
    seconds: float
    forward_seconds: float
    content: str

    @property
    def name(self) -> str:
        """Name of its files."""
        return f"{self.backbone}-{self.image_size}"


def choose_backbones(
    backbones: Sequence[str], probes: Sequence[Probe], max_gap: float = MAX_GAP
) -> list[str]:
    """Return the backbones that are worth a search.

    Those whose best probe is within `max_gap` of the best of all come first, best first. Then
    come those without a probe, as where memory did not suffice: nothing is known against them.
    """
    best = best_scores(probes)
    top = max(best.values(), default=0.0)
    ranked = sorted(best, key=lambda name: -best[name])
    near = [name for name in ranked if best[name] >= top - max_gap]
    return near + [name for name in backbones if name not in best]


def best_scores(probes: Sequence[Probe]) -> dict[str, float]:
    """Return the best macro F1 of each backbone that was probed, over image sizes."""
    best: dict[str, float] = {}
    for one in probes:
        best[one.backbone] = max(best.get(one.backbone, 0.0), one.macro_f1)
    return best


def fits(probes: Sequence[Probe], image_size: int, seconds: float) -> bool:
    """Say whether another probe is predicted to fit into what all of them may take.

    It is expected to take as long, a pixel, as the slowest so far. The first is made in any case.

    Args:
        probes: Made so far.
        image_size: Of the next one.
        seconds: That they may take.
    """
    if not probes:
        return True
    longest = max(one.seconds * (image_size / one.image_size) ** 2 for one in probes)
    return sum(one.seconds for one in probes) + longest <= seconds


def comparable(
    probes: Sequence[Probe], sizes: Sequence[int], skipped: Collection[int]
) -> list[Probe]:
    """Return the probes that backbones can be compared by, best first.

    A backbone gains by larger images, so a size counts only if every backbone had its chance, or
    if it is the smallest, where the rest count as not probed.

    Args:
        probes: That were made.
        sizes: Image sizes of the space.
        skipped: Those at which backbones were not probed for want of time.
    """
    fair = [size for size in sizes if size not in skipped] or [min(sizes)]
    chosen = [one for one in probes if one.image_size in fair]
    return sorted(chosen, key=lambda one: (-one.macro_f1, one.name))


def read_skipped(folder: Path) -> list[tuple[str, int]]:
    """Return which backbones, each at an image size, a run did not probe for want of time.

    Args:
        folder: Of the run's probes.
    """
    lines = (line.split() for line in read_if_there(folder / SKIPPED).splitlines())
    return [(name, int(size)) for name, size in lines]
