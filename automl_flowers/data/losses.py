"""Problems that cost images, and how many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from automl_flowers.data.manifest import Problem
from automl_flowers.errors import AccessError


@dataclass(frozen=True)
class Loss(Problem):
    """A problem that costs images; one that is no `Loss`, such as a text file, costs none.

    Attributes:
        images: How many. Of a TFRecord file that cannot be read to its end, as many as its name
            promises or as the records before suggest.
    """

    images: int = 1


@dataclass(frozen=True)
class Unread(Loss):
    """An image whose bytes could not be had, whatever they are: it is tried again next time."""


def why_lost(image: str, error: Exception) -> Loss:
    """Return what an image costs that could not be read or decoded.

    Args:
        image: Its id.
        error: What reading or decoding raised. The bytes are to blame unless it is an
            `AccessError` or an `OSError`.
    """
    is_access = isinstance(error, AccessError | OSError)
    return (Unread if is_access else Loss)(image, str(error))


def losses_among(problems: Iterable[Problem]) -> list[Loss]:
    """Return the problems that cost images."""
    return [problem for problem in problems if isinstance(problem, Loss)]
