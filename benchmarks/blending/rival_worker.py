"""Run one rival on saved predictions and print its weights, score and seconds as JSON.

    python rival_worker.py NAME FILE.npz

Runs in the rivals' own environment and imports nothing of this project.
"""

import json
import logging
import sys
import time

import numpy as np
from sklearn.metrics import f1_score


def autogluon_greedy(stack, labels):
    """Greedy selection as AutoGluon's, 40 picks, ties by log loss."""
    from autogluon.core.metrics import get_metric
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    selection = EnsembleSelection(
        ensemble_size=40,
        problem_type="multiclass",
        metric=get_metric("f1_macro", "multiclass"),
        tie_breaker="second_metric",
    )
    selection.fit(list(stack), labels)
    return selection.weights_, 1.0 - selection.train_score_


def phem_greedy(stack, labels):
    """Greedy selection as auto-sklearn's, 40 picks, ties at random."""
    from phem.methods.ensemble_selection import EnsembleSelection

    return _fit_phem(
        EnsembleSelection([None] * len(stack), 40, _phem_metric(), n_jobs=1, random_state=0),
        stack,
        labels,
    )


def phem_cma(stack, labels):
    """CMA-ES as phem's, 50 evaluations a member; not in every release of phem."""
    from phem.methods.ensemble_weighting import CMAES

    solver = CMAES([None] * len(stack), _phem_metric(), 50, random_state=0, n_jobs=1)
    return _fit_phem(solver, stack, labels)


def published_cma(stack, labels):
    """CMA-ES as published: from the best member, step 0.2, weights of any sign."""
    import cma

    def loss(weights):
        return 1.0 - score(np.tensordot(weights, stack, axes=1).argmax(axis=1), labels)

    singles = np.eye(len(stack))
    start = min(singles, key=loss)
    evaluations = (50 - 1) * len(stack)
    options = {"seed": 1, "maxfevals": evaluations, "verbose": -9}
    search = cma.CMAEvolutionStrategy(start, 0.2, options)
    while not search.stop():
        proposals = search.ask()
        search.tell(proposals, [loss(weights) for weights in proposals])
    best = min(search.result.xbest, start, key=loss)
    return best, 1.0 - loss(best)


def score(said, true):
    """Return macro F1."""
    return f1_score(true, said, average="macro", zero_division=0)


def _phem_metric():
    from phem.base_utils.metrics import make_metric

    return make_metric(
        lambda true, said: score(said, true),
        "f1_macro",
        maximize=True,
        classification=True,
        always_transform_conf_to_pred=True,
        optimum_value=1,
    )


def _fit_phem(ensemble, stack, labels):
    ensemble.ensemble_fit(list(stack), labels)
    return ensemble.weights_, 1.0 - ensemble.validation_loss_


RIVALS = {
    "AutoGluon greedy": autogluon_greedy,
    "phem greedy": phem_greedy,
    "phem CMA-ES": phem_cma,
    "published CMA-ES": published_cma,
}


def main():
    """Read, fit, print."""
    logging.disable(logging.WARNING)
    with np.load(sys.argv[2], allow_pickle=False) as saved:
        stack, labels = saved["stack"].astype(np.float64), saved["labels"]
    started = time.perf_counter()
    weights, reported = RIVALS[sys.argv[1]](stack, labels)
    seconds = time.perf_counter() - started
    print()
    print(
        json.dumps(
            {"weights": list(map(float, weights)), "reported": float(reported), "seconds": seconds}
        )
    )


if __name__ == "__main__":
    main()
