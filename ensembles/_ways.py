"""The ways to blend that are compared, each fitted on some examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from ensembles._comparable import comparable_to
from ensembles._members import Members
from ensembles.averaging import uniform_weights
from ensembles.blend import Blend, plain_blend
from ensembles.evolution import fit_evolved_weights
from ensembles.intervals import count_classes
from ensembles.likelihood import most_likely_weights
from ensembles.metrics import mean_log_likelihood
from ensembles.optimize import fit_weights
from ensembles.prior import class_frequencies, fit_prior_exponent
from ensembles.selection import halves, macro_f1_of_counts, select

_NUM_BAGS = 5
_MOST_MEMBERS_ON_A_GRID = 3


@dataclass(frozen=True)
class Way:
    """A way to blend.

    Attributes:
        rule: Key of `RULES`.
        with_prior: Whether decisions are shifted between frequent and rare classes.
    """

    rule: str
    with_prior: bool = False

    @property
    def title(self) -> str:
        """Name for people."""
        return RULES[self.rule].title + (" shifted by the prior" if self.with_prior else "")


@dataclass(frozen=True)
class Rule:
    """How members' shares are found.

    Attributes:
        title: Name for people, as the subject of a sentence.
        fit: Called as `fit(members, rows)`, returns a blend without a prior.
        takes_prior: Whether the blend is also tried with a prior.
    """

    title: str
    fit: Callable[[Members, np.ndarray], Blend]
    takes_prior: bool


def ways_of(rules: Sequence[str]) -> tuple[Way, ...]:
    """Return the ways to blend by some rules, the one that learns least first."""
    plain = [Way(rule) for rule in RULES if rule in rules]
    shifted = [
        Way(rule, with_prior=True) for rule in RULES if rule in rules and RULES[rule].takes_prior
    ]
    return (*plain, *shifted)


def fit_ways(
    ways: Sequence[Way], members: Members, rows: np.ndarray
) -> Iterator[tuple[Way, Blend, np.ndarray]]:
    """Fit ways to blend on some examples.

    Args:
        ways: What to fit.
        members: Of all examples.
        rows: Those that may be learnt from.

    Yields:
        The way, its blend without a global temperature, and the classes that it predicts for
        all examples.
    """
    prior = class_frequencies(members.labels[rows], members.num_classes)
    for rule in dict.fromkeys(way.rule for way in ways):
        blend = RULES[rule].fit(members, rows)
        mixed = members.mixed(blend)
        for way in ways:
            if way == Way(rule):
                yield way, blend, mixed.argmax(axis=-1)
            elif way.rule == rule:
                exponent = fit_prior_exponent(members.labels[rows], mixed[rows], prior)
                shifted = replace(
                    blend, prior_exponent=exponent, prior=tuple(float(share) for share in prior)
                )
                yield way, shifted, (mixed * prior**-exponent).argmax(axis=-1)


def _fit_uniform(members: Members, rows: np.ndarray) -> Blend:
    return plain_blend(uniform_weights(len(members)))


def _fit_comparable(members: Members, rows: np.ndarray) -> Blend:
    kept = comparable_to(_best_of(members, rows), members.labels[rows], members.votes[:, rows])
    return plain_blend(kept / kept.sum())


def _fit_single(members: Members, rows: np.ndarray) -> Blend:
    return plain_blend(np.eye(len(members))[_best_of(members, rows)])


def _best_of(members: Members, rows: np.ndarray) -> int:
    """Return the member with the best macro F1 on some examples; of equals by log loss."""
    labels = members.labels[rows]
    true = members.true_class(members.probabilities)[:, rows]
    ranks = [
        (
            count_classes(labels, members.votes[m, rows], members.num_classes).macro_f1,
            mean_log_likelihood(true[m]),
            -m,
        )
        for m in range(len(members))
    ]
    return max(range(len(members)), key=ranks.__getitem__)


def _fit_geometric(members: Members, rows: np.ndarray) -> Blend:
    weights = uniform_weights(len(members))
    return _blend("geometric", weights, members.fit_temperatures(rows))


def _fit_greedy(members: Members, rows: np.ndarray) -> Blend:
    temperatures = members.fit_temperatures(rows)
    stack, labels = members.tempered(temperatures), members.labels
    bags = halves(labels, rows, _NUM_BAGS, seed=0)
    weights = [select(labels, stack, members.votes, bag, macro_f1_of_counts) for bag in bags]
    return _blend("arithmetic", np.mean(weights, axis=0), temperatures)


def _fit_weighted(members: Members, rows: np.ndarray) -> Blend:
    temperatures = members.fit_temperatures(rows)
    stack = members.tempered(temperatures)
    if len(members) <= _MOST_MEMBERS_ON_A_GRID:
        weights = fit_weights(members.labels[rows], stack[:, rows])
    else:
        weights = most_likely_weights(members.true_class(stack)[:, rows])
    return _blend("arithmetic", weights, temperatures)


def _fit_evolved(members: Members, rows: np.ndarray) -> Blend:
    temperatures = members.fit_temperatures(rows)
    stack = members.tempered(temperatures)
    weights = fit_evolved_weights(members.labels[rows], stack[:, rows])
    return _blend("arithmetic", weights, temperatures)


def _blend(kind: str, weights: np.ndarray, temperatures: np.ndarray) -> Blend:
    plain = plain_blend(weights, "geometric" if kind == "geometric" else "arithmetic")
    return replace(plain, temperatures=tuple(float(each) for each in temperatures))


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "uniform": Rule("the plain mean", _fit_uniform, takes_prior=False),
        "comparable": Rule("the mean of comparable members", _fit_comparable, takes_prior=False),
        "single": Rule("the best single member", _fit_single, takes_prior=False),
        "geometric": Rule("the geometric mean", _fit_geometric, takes_prior=True),
        "greedy": Rule("greedy selection", _fit_greedy, takes_prior=True),
        "weighted": Rule("the weighted mean", _fit_weighted, takes_prior=True),
        "cma": Rule("the mean weighted by CMA-ES", _fit_evolved, takes_prior=True),
    }
)
"""By name, ordered by how much is learnt from the labelled images: nothing, which members are
broken, which is the best, a temperature of each, and weights as well."""
