"""Every oracle by its name: Hyperband and PASHA, and Keras Tuner's own that train whole trials.

Random, Bayesian and grid search draw their recipes as Keras Tuner does. What the ledger, the
replay and the promises of `oracle.py` need is the same for all.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import keras_tuner
import numpy as np
from sklearn.exceptions import ConvergenceWarning

from automl_flowers.config import RunConfig
from automl_flowers.tuning.hyperband import Bracket
from automl_flowers.tuning.oracle import HyperbandOracle, LedgerOracle, PashaOracle
from search_spaces.hyperparameters import Value
from search_spaces.portfolio import fit_into
from search_spaces.spaces import Space

_FEWEST_RANDOM = 3
"""Completed trials that a model of the scores needs at least."""

_NUM_CANDIDATES = 100
"""Recipes from anywhere, and as many near good ones, of which the most promising is tried."""

_NUM_RESTARTS = 3
"""Further starts of the fit of a process, which has one length to find; Keras Tuner takes 20."""


class RandomOracle(LedgerOracle, keras_tuner.oracles.RandomSearchOracle):
    """Draws recipes from anywhere in the space, without repetition."""

    def _draw(self, number: int) -> Mapping[str, Any] | None:
        return self._anywhere()


class BayesianOracle(LedgerOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """Draws the recipe that a Gaussian process of the scores so far finds most promising.

    Process and measure (the lower confidence bound) are Keras Tuner's. It searches the unit cube
    for the best point, which can take many seconds, for every recorded trial again when a search
    goes on, and can end at a recipe that was tried before. Here the best of many recipes that
    were not tried is taken, half of them near good ones. A third of a search's recipes are
    random, to begin with: Keras Tuner's three for each hyperparameter are more than most have.
    """

    def __init__(self, space: Space, plan: Sequence[Bracket], **options: Any) -> None:
        points = max(_FEWEST_RANDOM, plan[0][0].size // 3)
        super().__init__(space, plan, num_initial_points=points, **options)
        self.gpr.n_restarts_optimizer = _NUM_RESTARTS

    def _draw(self, number: int) -> Mapping[str, Any] | None:
        done = [trial for trial in self.trials.values() if trial.status == "COMPLETED"]
        if len(done) < self.num_initial_points:
            return self._anywhere()
        generator = self._generator(number)
        drawn = [self._anywhere() for _ in range(_NUM_CANDIDATES)]
        drawn += [self._near_the_best(generator) for _ in range(_NUM_CANDIDATES)]
        candidates = [values for values in drawn if values is not None]
        return self._most_promising(candidates, done) if candidates else None

    def _most_promising(
        self, candidates: Sequence[dict[str, Any]], done: Sequence[Any]
    ) -> dict[str, Any]:
        sign = -1 if self.maximise else 1
        points = np.array([self._point(trial.hyperparameters.values) for trial in done])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a poorer guess, no fault
            self.gpr.fit(points, np.array([sign * trial.score for trial in done]))
        mean, deviation = self.gpr.predict(
            np.array([self._point(values) for values in candidates]), return_std=True
        )
        return candidates[int(np.argmin(mean - self.beta * deviation))]

    def _point(self, values: Mapping[str, Any]) -> list[float]:
        """Return values as a point of the unit cube.

        Recipes that someone wants tried need not be in the space; the nearest one stands for them.
        """
        near = fit_into(self.space, values)
        return [
            hp.value_to_prob(near.get(hp.name, hp.default)) for hp in self.hyperparameters.space
        ]


class GridOracle(LedgerOracle, keras_tuner.oracles.GridSearchOracle):
    """Goes through all combinations in order, the last hyperparameter first.

    A range without a step stands for its lower end and ten values in it, as in Keras Tuner.
    """

    _last: dict[str, Any] | None = None

    def _draw(self, number: int) -> Mapping[str, Any] | None:
        values = self._defaults() if self._last is None else self._get_next_combination(self._last)
        while values is not None and self._duplicate(values):
            values = self._get_next_combination(values)
        self._last = values
        return values

    def _defaults(self) -> dict[str, Any]:
        hps = self.get_space()
        return {hp.name: hp.default for hp in hps.space if hps.is_active(hp)}


_WHOLE_TRIALS = {"random": RandomOracle, "bayesian": BayesianOracle, "grid": GridOracle}


def upstream_of(name: str) -> Any:
    """Return the oracle of Keras Tuner that draws for one of ours, which trains whole trials."""
    return _WHOLE_TRIALS[name].__bases__[-1]


def make_oracle(
    config: RunConfig,
    space: Space,
    plan: Sequence[Bracket],
    first: Sequence[Mapping[str, Value]] = (),
) -> LedgerOracle:
    """Return the oracle that the settings name, fresh.

    Args:
        config: Its `oracle`, `objective`, `seed` and `factor`.
        space: What may be chosen.
        plan: From `plans.make_plan`.
        first: Values of the recipes to begin with.
    """
    options: dict[str, Any] = {
        "objective": config.objective,
        "maximise": config.maximise,
        "seed": config.seed,
        "first": first,
    }
    if config.oracle == "hyperband":
        return HyperbandOracle(space, plan, **options)
    if config.oracle == "pasha":
        return PashaOracle(space, plan, factor=config.factor, **options)
    return _WHOLE_TRIALS[config.oracle](space, plan, **options)
