"""Which members are worth a place in a mean that learns nothing else.

With few labelled images it cannot be learnt which members are a little better, but a member that
is broken shows on a few dozen. A member is left out if it recognises so much less than the best
one, on the same images, that chance would hardly do it.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

_STANDARD_ERRORS = 2.0
_FALSE_ALARMS = 0.05


def comparable_to(best: int, labels: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Say of each member whether it may be as good as the best one.

    Compared is the mean over classes of the share of images that are recognised. If two members
    are equally good, an image on which they differ speaks for either of them with the same
    probability, which gives the standard error of their difference. Two of them are allowed; more
    if there are many members, because the best of many is partly the luckiest: with members that
    are all equally good, one is left out in 5 % of all cases at most.

    Args:
        best: Which member is the best.
        labels: True class indices, integer, shape `(num_examples,)`.
        votes: Predicted classes, integer, shape `(num_models, num_examples)`.

    Returns:
        Boolean, shape `(num_models,)`; true for `best`. With less than five images all are true.

    Reference:
        McNemar, "Note on the sampling error of the difference between correlated proportions or
        percentages", Psychometrika 12, 1947, of which this is the form with weights.
    """
    share_of_class = 1.0 / np.bincount(labels)[labels]
    right = (votes == labels).astype(np.float64)
    lead = (right[best] - right) * share_of_class
    error = np.sqrt(np.sum(lead**2, axis=1))
    return np.asarray(lead.sum(axis=1) <= _allowed(len(votes)) * error)


def _allowed(num_models: int) -> float:
    """Return how many standard errors a member may be below the best one."""
    pairs = max(num_models * (num_models - 1) // 2, 1)
    return max(_STANDARD_ERRORS, NormalDist().inv_cdf(1.0 - _FALSE_ALARMS / 2.0 / pairs))
