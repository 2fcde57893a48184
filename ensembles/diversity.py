"""How differently members err: a blend lives on mistakes that its members do not share.

Reference:
    Kuncheva & Whitaker, "Measures of Diversity in Classifier Ensembles", Machine Learning 51,
    2003, https://doi.org/10.1023/A:1022859003006
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ensembles._checks import as_labels, as_stack
from ensembles.selection import votes_of


@dataclass(frozen=True)
class Diversity:
    """How differently members decide.

    Attributes:
        disagreement: Share of examples that two members put into different classes, mean over
            pairs, in [0, 1]; None with one member.
        both_wrong: Share of examples that two members both put into a wrong class, mean over
            pairs, in [0, 1]; None with one member.
        of_members: For each member its disagreement with the others, mean over them; empty with
            one member.
    """

    disagreement: float | None
    both_wrong: float | None
    of_members: tuple[float, ...]


def measure_diversity(labels: np.ndarray, probabilities: np.ndarray) -> Diversity:
    """Return how differently members decide.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.

    Raises:
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes) or a row of `probabilities` is no distribution.

    Example:
        >>> labels = np.array([0, 0, 1, 1])
        >>> members = np.stack([np.eye(2)[[0, 0, 1, 0]], np.eye(2)[[0, 1, 1, 0]]])
        >>> diversity = measure_diversity(labels, members)
        >>> diversity.disagreement, diversity.both_wrong
        (0.25, 0.25)
    """
    probabilities = as_stack(probabilities)
    labels = as_labels(labels, *probabilities.shape[1:])
    return diversity_of_votes(labels, votes_of(probabilities))


def diversity_of_votes(labels: np.ndarray, votes: np.ndarray) -> Diversity:
    """Return what `measure_diversity` returns, of predicted classes. Nothing is checked.

    Args:
        labels: True class indices, shape `(num_examples,)`.
        votes: Predicted classes, shape `(num_models, num_examples)`.
    """
    num_models = len(votes)
    if num_models == 1:
        return Diversity(None, None, ())
    differ = np.stack([(votes != each).mean(axis=1) for each in votes])
    wrong = (votes != labels).astype(np.float64)
    both = wrong @ wrong.T / len(labels)
    num_pairs = num_models * (num_models - 1)
    return Diversity(
        disagreement=float(differ.sum() / num_pairs),
        both_wrong=float((both.sum() - np.trace(both)) / num_pairs),
        of_members=tuple(float(each) for each in differ.sum(axis=1) / (num_models - 1)),
    )
