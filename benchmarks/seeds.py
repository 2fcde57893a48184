"""What several trainings of one recipe are worth: as one model of mean weights, and otherwise.

    python benchmarks/seeds.py --data DIR [DIR ...] [--image-size 128] [--epochs 8] [--seeds 3] \
        [--divisions 3] --out FILE.json

Trains one recipe with several seeds on each division of a data set (60 % train, 40 % to score on,
copies together), and once for as many epochs as all of them together. Writes macro F1 and log loss
of each seed, of the mean of their probabilities, of the model soup whose weights are their mean,
and of the long training. What is in the file already is not run again.
"""

from __future__ import annotations

import statistics
from typing import Any

import numpy as np
from divisions import run_missing
from portfolio import Division, train_to_end

from automl_flowers.blending.soup import mean_state
from ensembles import metrics
from search_spaces.recipe import Recipe

WAYS = ("one seed", "mean of probabilities", "mean of weights", "one long training")


def run(division: Division, recipe: Recipe, num_epochs: int, num_seeds: int) -> dict[str, Any]:
    """Return the scores of every way on the images of val and test."""
    train = division.parts["train"]
    shown = division.parts["val"].join(division.parts["test"])
    trainer, longer = (division.make_trainer(n) for n in (num_epochs, num_epochs * num_seeds))
    states = [train_to_end(trainer, recipe, num_epochs, train, k) for k in range(num_seeds)]
    each = [trainer.predict(recipe, state, shown) for state in states]
    soup = trainer.predict(recipe, mean_state(states), shown)
    long_state = train_to_end(longer, recipe, num_epochs * num_seeds, train)
    found = [*each, np.mean(each, axis=0), soup, longer.predict(recipe, long_state, shown)]
    scores = [_score(shown.labels, probabilities) for probabilities in found]
    ones, others = scores[:num_seeds], scores[num_seeds:]
    mean = {key: round(statistics.mean(one[key] for one in ones), 4) for key in ones[0]}
    return {"seeds": ones, **dict(zip(WAYS, (mean, *others), strict=True))}


def _score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    return {
        "macro_f1": round(metrics.macro_f1(labels, probabilities), 4),
        "log_loss": round(metrics.log_loss(labels, probabilities), 4),
    }


def main() -> None:
    """Compare the ways on every division."""
    run_missing(__doc__.splitlines()[0], run, WAYS, epochs=8)


if __name__ == "__main__":
    main()
