"""Problems that cost images, and how many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from automl_flowers.data.manifest import Problem


@dataclass(frozen=True)
class Loss(Problem):
    """A problem that costs images; one that is no `Loss`, such as a text file, costs none.

    Attributes:
        images: How many. Of a TFRecord file that cannot be read to its end, as many as its name
            promises or as the records before suggest.
    """

    images: int = 1


def losses_among(problems: Iterable[Problem]) -> list[Loss]:
    """Return the problems that cost images."""
    return [problem for problem in problems if isinstance(problem, Loss)]
