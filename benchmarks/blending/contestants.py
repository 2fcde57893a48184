"""Ways to blend of this project, each with the score that it reports."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from threadpoolctl import threadpool_limits

from ensembles.blend import Blend, apply_blend, plain_blend
from ensembles.chooser import choose_blend
from ensembles.evolution import fit_evolved_weights
from ensembles.metrics import macro_f1
from ensembles.selection import select_greedily

THREADS = 2
"""Of linear algebra, for everybody."""


@dataclass(frozen=True)
class Fitted:
    """A blend, the score it reports and the seconds it took."""

    blend: Blend
    reported: float
    seconds: float


Way = Callable[[np.ndarray, np.ndarray], tuple[Blend, float | None]]
"""Called as `way(labels, stack)`; None reports the score on these images."""


def _chosen(labels: np.ndarray, stack: np.ndarray) -> tuple[Blend, float | None]:
    choice = choose_blend(labels, stack)
    return choice.blend, choice.expected.score if choice.expected else None


def _single(labels: np.ndarray, stack: np.ndarray) -> tuple[Blend, float | None]:
    best = int(np.argmax([macro_f1(labels, member) for member in stack]))
    return plain_blend(np.eye(len(stack))[best]), None


def _uniform(labels: np.ndarray, stack: np.ndarray) -> tuple[Blend, float | None]:
    return plain_blend(np.full(len(stack), 1.0 / len(stack))), None


WAYS: Mapping[str, Way] = MappingProxyType(
    {
        "chooser": _chosen,
        "best single": _single,
        "plain mean": _uniform,
        "greedy": lambda labels, stack: (plain_blend(select_greedily(labels, stack)), None),
        "greedy, 5 bags": lambda labels, stack: (
            plain_blend(select_greedily(labels, stack, num_bags=5)),
            None,
        ),
        "CMA-ES": lambda labels, stack: (plain_blend(fit_evolved_weights(labels, stack)), None),
    }
)


def fit(name: str, labels: np.ndarray, stack: np.ndarray) -> Fitted:
    """Blend, and take the time.

    Raises:
        ImportError: If the way needs a library that is not installed.
    """
    with threadpool_limits(THREADS):
        started = time.perf_counter()
        blend, reported = WAYS[name](labels, stack)
        seconds = time.perf_counter() - started
    if reported is None:
        reported = macro_f1(labels, apply_blend(blend, stack))
    return Fitted(blend, reported, seconds)
