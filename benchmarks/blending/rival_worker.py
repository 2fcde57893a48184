"""Run one rival on saved predictions and print its weights, score and seconds as JSON.

    python rival_worker.py NAME FILE.npz

Runs in the rivals' own environment and imports nothing of this project. A rival is a function that
imports and prepares what it needs and returns one that fits; the seconds are those of the fit.
"""

import json
import logging
import sys
import time

import numpy as np
from sklearn.metrics import f1_score


def autogluon_greedy(num_members):
    """Greedy selection as AutoGluon's, 40 picks, ties by log loss."""
    from autogluon.core.metrics import get_metric
    from autogluon.core.models.greedy_ensemble.ensemble_selection import EnsembleSelection

    selection = EnsembleSelection(
        ensemble_size=40,
        problem_type="multiclass",
        metric=get_metric("f1_macro", "multiclass"),
        tie_breaker="second_metric",
    )

    def fit(stack, labels):
        selection.fit(list(stack), labels)
        return selection.weights_, 1.0 - selection.train_score_

    return fit


def phem_greedy(num_members):
    """Greedy selection as auto-sklearn's, 40 picks, ties at random."""
    from phem.methods.ensemble_selection import EnsembleSelection

    selection = EnsembleSelection(
        [None] * num_members, 40, _phem_metric(), n_jobs=1, random_state=0
    )

    def fit(stack, labels):
        selection.ensemble_fit(list(stack), labels)
        return selection.weights_, 1.0 - selection.validation_loss_

    return fit


def published_cma(num_members):
    """CMA-ES as published, with `cma`: from the best member, step 0.2, weights of any sign.

    phem's authors published it; phem 0.0.0.2 does not have it (its README has it
    as a thing to add).
    """
    import cma

    options = {"seed": 1, "maxfevals": (50 - 1) * num_members, "verbose": -9}

    def fit(stack, labels):
        def loss(weights):
            return 1.0 - score(np.tensordot(weights, stack, axes=1).argmax(axis=1), labels)

        start = min(np.eye(num_members), key=loss)
        search = cma.CMAEvolutionStrategy(start, 0.2, options)
        while not search.stop():
            proposals = search.ask()
            search.tell(proposals, [loss(weights) for weights in proposals])
        best = min(search.result.xbest, start, key=loss)
        return best, 1.0 - loss(best)

    return fit


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


RIVALS = {
    "AutoGluon greedy": autogluon_greedy,
    "phem greedy": phem_greedy,
    "published CMA-ES": published_cma,
}


def main():
    """Read, prepare, fit, print."""
    logging.disable(logging.WARNING)
    with np.load(sys.argv[2], allow_pickle=False) as saved:
        stack, labels = saved["stack"].astype(np.float64), saved["labels"]
    fit = RIVALS[sys.argv[1]](len(stack))
    started = time.perf_counter()
    weights, reported = fit(stack, labels)
    seconds = time.perf_counter() - started
    print()
    print(
        json.dumps(
            {"weights": list(map(float, weights)), "reported": float(reported), "seconds": seconds}
        )
    )


if __name__ == "__main__":
    main()
