"""What probes decide: which backbones are worth a search.

A backbone that is far behind is left out: no hyperparameter makes up for features that do not
tell the classes apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_GAP = 0.10
"""How far below the best probe, in macro F1 on `val`, a backbone's may be before it is left out.
Fine-tuning gains most where features are poor, but rarely more than this on the best."""


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
