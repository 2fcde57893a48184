"""From outcomes to scores, paired differences and ratios.

A difference is of macro F1 over the test pictures of all repeats. Its interval is a bootstrap over
pictures: a picture is drawn with what both contestants made of it, in every repeat in which it was
a test picture, so what makes a picture hard for both does not count as doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ensembles.metrics import macro_f1_of_classes

from .outcomes import Outcome, incumbent

LEVEL = 0.9
NUM_RESAMPLES = 4000

DIFFERENCES = {"tenth": "ours_tenth", "equal": "ours_equal", "blend": "ours_blend"}
"""Each is that contestant minus `peer`."""

_CHUNK = 200

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Repeat:
    """The test pictures of one repeat, and what each contestant that has ended made of them.

    Attributes:
        ids: Of the pictures, `(num_pictures,)`.
        labels: Their classes.
        outcomes: By contestant.
    """

    ids: npt.NDArray[np.str_]
    labels: Classes
    outcomes: Mapping[str, Outcome]

    def predicted(self, contestant: str) -> Classes:
        """Return a contestant's classes, in the order of `ids`.

        Raises:
            ValueError: If it did not predict exactly these pictures.
        """
        outcome = self.outcomes[contestant]
        class_of = dict(zip(outcome.ids.tolist(), outcome.predicted.tolist(), strict=True))
        if class_of.keys() != set(self.ids.tolist()):
            raise ValueError(f"{contestant} predicted other pictures than those of the test split.")
        return np.array([class_of[identity] for identity in self.ids.tolist()], dtype=np.int64)


def summarise(repeats: Sequence[Repeat], contestants: Sequence[str], num_classes: int) -> Any:
    """Return all figures as plain data; what has not been measured yet is left out or None.

    Args:
        repeats: In order.
        contestants: Names, in the order in which they are shown.
        num_classes: Of the data set.
    """
    result: dict[str, Any] = {}
    for name in contestants:
        ended = [repeat for repeat in repeats if name in repeat.outcomes]
        if ended:
            result[name] = _figures(ended, name, num_classes)
    result["difference"] = {
        key: _difference(repeats, ours, num_classes) for key, ours in DIFFERENCES.items()
    }
    result["ratio"] = {
        "disk": _ratio(repeats, "ours_equal", "disk_bytes"),
        "peak_memory": _ratio(repeats, "ours_equal", "peak_memory_bytes"),
        "seconds_equal": _ratio(repeats, "ours_equal", "seconds"),
        "seconds_tenth": _ratio(repeats, "ours_tenth", "seconds"),
    }
    return result


def _figures(repeats: Sequence[Repeat], name: str, num_classes: int) -> dict[str, Any]:
    each = []
    for repeat in repeats:
        outcome = repeat.outcomes[name]
        score = macro_f1_of_classes(repeat.labels, repeat.predicted(name), num_classes)
        each.append(
            {
                "test_macro_f1": round(score, 4),
                "seconds": round(outcome.seconds, 1),
                "disk_bytes": outcome.disk_bytes,
                "peak_memory_bytes": outcome.peak_memory_bytes,
                "seconds_by_step": {step: round(s, 1) for step, s in outcome.parts.items()},
                **outcome.notes,
                "incumbent_val_macro_f1": [
                    [round(seconds, 1), round(score, 4)]
                    for seconds, score in incumbent(outcome.curve).tolist()
                ],
            }
        )
    digits = {"test_macro_f1": 4, "seconds": 1, "disk_bytes": None, "peak_memory_bytes": None}
    means = {key: round(float(np.mean([r[key] for r in each])), n) for key, n in digits.items()}
    return {**means, "repeats": each}


def _difference(repeats: Sequence[Repeat], ours: str, num_classes: int) -> dict[str, Any] | None:
    both = [r for r in repeats if ours in r.outcomes and "peer" in r.outcomes]
    if not both:
        return None
    ids = np.concatenate([r.ids for r in both])
    labels = np.concatenate([r.labels for r in both])
    first = np.concatenate([r.predicted(ours) for r in both])
    second = np.concatenate([r.predicted("peer") for r in both])
    each = [
        macro_f1_of_classes(r.labels, r.predicted(ours), num_classes)
        - macro_f1_of_classes(r.labels, r.predicted("peer"), num_classes)
        for r in both
    ]
    pooled = macro_f1_of_classes(labels, first, num_classes) - macro_f1_of_classes(
        labels, second, num_classes
    )
    interval = paired_interval(ids, labels, first, second, num_classes)
    return {
        "macro_f1": round(pooled, 4),
        "interval_90": [round(end, 4) for end in interval],
        "repeats": [round(value, 4) for value in each],
    }


def _ratio(repeats: Sequence[Repeat], ours: str, attribute: str) -> float | None:
    """Return the mean of ours over the mean of the peer's, of repeats that have both."""
    both = [r.outcomes for r in repeats if ours in r.outcomes and "peer" in r.outcomes]
    if not both:
        return None
    mine, theirs = (
        np.mean([getattr(outcomes[name], attribute) for outcomes in both])
        for name in (ours, "peer")
    )
    return round(float(mine / theirs), 3)


def paired_interval(
    pictures: npt.NDArray[Any],
    labels: Classes,
    first: Classes,
    second: Classes,
    num_classes: int,
    *,
    level: float = LEVEL,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Return the bootstrap interval of macro F1 of `first` minus that of `second`.

    Args:
        pictures: What is drawn, `(num_rows,)`; all rows of a picture come together.
        labels: True classes, `(num_rows,)`.
        first: Classes that one contestant predicts, `(num_rows,)`.
        second: Classes that the other predicts, `(num_rows,)`.
        num_classes: How many there are.
        level: Share of the resampled differences inside the interval, in (0, 1).
        num_resamples: How many.
        seed: Of the resampling.

    Returns:
        The ends of the interval.
    """
    distinct, rows_of = np.unique(pictures, return_inverse=True)
    counts = resample_counts(len(distinct), num_resamples, seed)
    one, other = (
        resampled_macro_f1(counts, rows_of, labels, predicted, num_classes)
        for predicted in (first, second)
    )
    low, high = np.quantile(one - other, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def resample_counts(num_pictures: int, num_resamples: int, seed: int) -> npt.NDArray[np.int32]:
    """Return how often each picture is drawn, `(num_resamples, num_pictures)`."""
    generator = np.random.default_rng(seed)
    even = np.full(num_pictures, 1 / num_pictures)
    return generator.multinomial(num_pictures, even, size=num_resamples).astype(np.int32)


def resampled_macro_f1(
    counts: npt.NDArray[np.int32],
    rows_of: npt.NDArray[np.intp],
    labels: Classes,
    predicted: Classes,
    num_classes: int,
) -> npt.NDArray[np.float64]:
    """Return macro F1 of every resample, over the classes that are present in it.

    Args:
        counts: From `resample_counts`.
        rows_of: For each row, the number of its picture.
        labels: True class of each row.
        predicted: Predicted class of each row.
        num_classes: How many there are.

    Returns:
        Shape `(num_resamples,)`.
    """
    actual, claimed, hits = (np.zeros((counts.shape[1], num_classes)) for _ in range(3))
    right = labels == predicted
    np.add.at(actual, (rows_of, labels), 1)
    np.add.at(claimed, (rows_of, predicted), 1)
    np.add.at(hits, (rows_of[right], labels[right]), 1)
    scores = []
    for start in range(0, len(counts), _CHUNK):
        weights = counts[start : start + _CHUNK].astype(np.float64)
        there, said, found = weights @ actual, weights @ claimed, weights @ hits
        f1 = np.full(there.shape, np.nan)
        np.divide(2 * found, there + said, out=f1, where=there > 0)
        scores.append(np.nanmean(f1, axis=1))
    return np.concatenate(scores)
