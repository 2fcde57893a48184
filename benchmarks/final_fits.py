"""What a final fit on all images should start from: what was trained on some, or nothing.

    python benchmarks/final_fits.py --data DIR [DIR ...] [--image-size 128] [--epochs 10] \
        [--seeds 3] [--divisions 3] --out FILE.json

Trains one recipe with several seeds on train, goes on from each for four tenths of the epochs on
train and val (`Trainer.train_further`), and trains as many anew on train and val. Writes macro F1
and log loss on test (60 % train, 20 % val, 20 % test, copies together) of one fit, as the mean over
seeds, and of the model soup of all, with the seconds that the fits took. What is in the file
already is not run again.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

from divisions import run_missing
from portfolio import Division, train_to_end

from automl_flowers.blending.soup import mean_state
from automl_flowers.data.pipeline import Examples
from automl_flowers.ledger import EpochRecord
from automl_flowers.modeling.program import model_part
from automl_flowers.tuning.checkpoints import State
from automl_flowers.tuning.trainer import Trainer, TrainingImages
from ensembles import metrics
from search_spaces.recipe import Recipe

WAYS = ("on train", "on from there, on all", "anew, on all")


def run(division: Division, recipe: Recipe, num_epochs: int, num_seeds: int) -> dict[str, Any]:
    """Return the figures of every way."""
    trainer = division.make_trainer(num_epochs)
    train, seeds = division.parts["train"], range(num_seeds)
    everything = train.join(division.parts["val"])
    train_further(trainer, recipe, train_to_end(trainer, recipe, 1, train), train, 0)  # is traced

    def fit(train_one: Callable[[int], State]) -> tuple[dict[str, float], list[State]]:
        started = time.perf_counter()
        states = [train_one(number) for number in seeds]
        seconds = round(time.perf_counter() - started, 1)
        return {
            **score(trainer, recipe, states, division.parts["test"]),
            "seconds": seconds,
        }, states

    first, states = fit(lambda number: train_to_end(trainer, recipe, num_epochs, train, number))
    further, _ = fit(
        lambda number: train_further(trainer, recipe, states[number], everything, number)
    )
    anew, _ = fit(lambda number: train_to_end(trainer, recipe, num_epochs, everything, number))
    return dict(zip(WAYS, (first, further, anew), strict=True))


def train_further(
    trainer: Trainer, recipe: Recipe, weights: State, examples: Examples, seed_number: int
) -> State:
    """Return what predicts after a final fit."""
    last: State = {}

    def keep(record: EpochRecord, get_state: Callable[[], State]) -> None:
        if record.epoch == trainer.num_further_epochs - 1:
            last.update(model_part(get_state()))

    images = TrainingImages(train=examples, val=None)
    trainer.train_further(
        recipe, weights, keep, images=images, name="further", seed_number=seed_number
    )
    return last


def score(
    trainer: Trainer, recipe: Recipe, states: Sequence[State], shown: Examples
) -> dict[str, float]:
    """Return the mean scores of several fits, and those of their soup."""
    each = [trainer.predict(recipe, state, shown) for state in states]
    soup = trainer.predict(recipe, mean_state(states), shown)
    scored = {"macro_f1": metrics.macro_f1, "log_loss": metrics.log_loss}
    return {
        **{
            name: round(statistics.mean(metric(shown.labels, p) for p in each), 4)
            for name, metric in scored.items()
        },
        **{f"soup_{name}": round(metric(shown.labels, soup), 4) for name, metric in scored.items()},
    }


def main() -> None:
    """Compare the ways on every division."""
    run_missing(__doc__.splitlines()[0], run, WAYS, epochs=10)


if __name__ == "__main__":
    main()
