"""Blend weights by CMA-ES: a search that needs no gradient and is not caught in small maxima.

An option for people who want to compare: on 71 data sets, CMA-ES with weights on the simplex
scored what greedy selection scored. It needs the library `cma`, which
`pip install "automl-flowers[cma]"` brings.

Reference:
    Hansen, "The CMA Evolution Strategy: A Tutorial", https://arxiv.org/abs/1604.00772
    For blending: Purucker & Beel, "CMA-ES for Post Hoc Ensembling in AutoML", AutoML 2023,
    https://arxiv.org/abs/2307.00286
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ensembles._checks import as_labels, as_stack
from ensembles.averaging import softmax, uniform_weights
from ensembles.metrics import Metric, macro_f1, mean_log_likelihood
from ensembles.optimize import make_score

_EVALUATIONS_PER_MODEL = 200
_STEP = 0.5
_LIKELIHOOD_SHARE = 1e-3


def fit_evolved_weights(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    metric: Metric = macro_f1,
    seed: int = 0,
) -> np.ndarray:
    """Return the weights of the arithmetic mean that CMA-ES finds, from equal ones.

    The weights are the softmax of free numbers. A thousandth of the log likelihood is added to
    the score, which gives the search a slope where a score of classes is flat. The weights score
    no worse by that sum than equal ones.

    Cost is 200 evaluations a member, each a blend of the examples that members disagree on.

    Args:
        labels: True class indices, integer, shape `(num_examples,)`.
        probabilities: Distributions over classes, float, shape
            `(num_models, num_examples, num_classes)`.
        metric: Called as `metric(labels, blended_probabilities)`; higher is better.
        seed: Of the search.

    Returns:
        Weights, float64, shape `(num_models,)`, above 0, summing to 1.

    Raises:
        ImportError: If `cma` is not installed; the message says how to.
        ValueError: If shapes disagree, there are no examples, a label is outside
            [0, num_classes), a row of `probabilities` is no distribution, or `metric` is
            `log_loss`, of which less is better.
    """
    cma = _import_cma()
    probabilities = as_stack(probabilities)
    labels = as_labels(labels, *probabilities.shape[1:])
    score = make_score(labels, probabilities, metric)
    true_class = probabilities[:, np.arange(len(labels)), labels].astype(np.float64)

    def loss(free: np.ndarray) -> float:
        weights = softmax(np.asarray(free))
        likelihood = mean_log_likelihood(weights @ true_class)
        return -score(weights) - _LIKELIHOOD_SHARE * likelihood

    num_models = len(probabilities)
    if num_models == 1:  # cma wants two dimensions
        return uniform_weights(1)
    start = np.zeros(num_models)
    options = {
        "seed": seed + 1,  # to cma, 0 is the clock
        "maxfevals": _EVALUATIONS_PER_MODEL * num_models,
        "verbose": -9,
    }
    search = cma.CMAEvolutionStrategy(start, _STEP, options)
    while not search.stop():
        proposals = search.ask()
        search.tell(proposals, [loss(proposal) for proposal in proposals])
    found = np.asarray(search.result.xbest)
    return softmax(min(start, found, key=loss))


def _import_cma() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses matplotlib, which nobody needs here
            import cma
    except ImportError as error:
        raise ImportError(
            "CMA-ES needs the library `cma`, which is not installed. Install it with "
            '`pip install "automl-flowers[cma]"`, or take `ensembles.selection.select_greedily`.'
        ) from error
    return cma
