"""Hyperband, PASHA and random search on a learner that is cheap: what their epochs are worth.

    python benchmarks/oracles.py --data DIR [--seeds 20] --out FILE.json

The learner is softmax regression by gradient descent on frozen features, so a whole search takes
seconds and many can be compared. Everything else is the application's: oracles, loop, ledger and
schedules. Every seed divides the pictures anew. What each search picks is trained to the end and
scored on test pictures. What was found: docs/benchmarks/oracles.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from automl_flowers.blending.pick import pick_members
from automl_flowers.config import parse_config
from automl_flowers.data import copies, splits
from automl_flowers.data.prepare import prepare
from automl_flowers.environment import describe_environment
from automl_flowers.files import write_json
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.modeling import features
from automl_flowers.tuning import pasha
from automl_flowers.tuning.checkpoints import CheckpointFolder, State
from automl_flowers.tuning.hyperband import count_epochs, plan_brackets
from automl_flowers.tuning.oracles import make_oracle
from automl_flowers.tuning.plans import make_plan
from automl_flowers.tuning.search import OnEpoch, Pace, Task, run_search
from ensembles import metrics
from search_spaces.recipe import Recipe
from search_spaces.schedules import learning_rate_table
from search_spaces.spaces import parse_space

BACKBONE = "efficientnet_lite0"
NUM_FOLDS = 5
NUM_COMPONENTS = 128
NUM_MEMBERS = 3
MOMENTUM = 0.9

SPACE = parse_space(
    "frozen features",
    {
        "learning_rate": {"min": 1e-4, "max": 1.0, "sampling": "log"},
        "dropout": {"min": 0.0, "max": 0.8, "step": 0.1},
        "l2": {"min": 1e-6, "max": 1e-1, "sampling": "log"},
        "label_smoothing": [0.0, 0.1, 0.3],
        "batch_size": [16, 64],
        "schedule": {"cosine": {"warmup": [0.0, 0.2]}, "one_cycle": {}, "constant": {}},
    },
)


@dataclass(frozen=True)
class Examples:
    """Principal components of features, with a column of ones, and their labels."""

    features: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]


class Learner:
    """Softmax regression; everything random is a function of the recipe and the epoch."""

    def __init__(self, train: Examples, val: Examples, num_epochs: int) -> None:
        self._train, self._val, self._num_epochs = train, val, num_epochs
        self._num_classes = int(train.labels.max()) + 1
        self.epochs_trained = 0

    def __call__(
        self,
        recipe: Recipe,
        first_epoch: int,
        last_epoch: int,
        state: State | None,
        on_epoch: OnEpoch,
    ) -> dict[str, int]:
        """Train, as `automl_flowers.tuning.search.Train` says."""
        inputs, labels = self._train.features, self._train.labels
        seed = int(recipe.identity[:8], 16)
        num_steps = -(-len(labels) // recipe.batch_size)
        rates = learning_rate_table(
            recipe.schedule, steps_per_epoch=num_steps, num_epochs=self._num_epochs
        )
        smooth = recipe.label_smoothing
        targets = np.eye(self._num_classes)[labels] * (1 - smooth) + smooth / self._num_classes
        shape = (inputs.shape[1], self._num_classes)
        weights = np.zeros(shape) if state is None else state["weights"].copy()
        velocity = np.zeros(shape) if state is None else state["velocity"].copy()
        for epoch in range(first_epoch, last_epoch):
            rng = np.random.default_rng([seed, epoch])
            for step, batch in enumerate(np.array_split(rng.permutation(len(labels)), num_steps)):
                kept = rng.random(inputs[batch].shape) >= recipe.dropout
                shown = inputs[batch] * kept / (1 - recipe.dropout)
                error = _softmax(shown @ weights) - targets[batch]
                gradient = shown.T @ error / len(batch) + recipe.l2 * weights
                velocity = MOMENTUM * velocity - rates[epoch * num_steps + step] * gradient
                weights = weights + velocity
            self.epochs_trained += 1
            record = self._score(weights, epoch, float(rates[(epoch + 1) * num_steps - 1]))
            on_epoch(record, functools.partial(dict, weights=weights, velocity=velocity))
        return {"layers": 1, "parameters": weights.size}

    def _score(self, weights: npt.NDArray[np.float64], epoch: int, rate: float) -> EpochRecord:
        probabilities, labels = predict(weights, self._val), self._val.labels
        loss = metrics.log_loss(labels, probabilities)
        return EpochRecord(
            epoch=epoch,
            learning_rate=rate,
            loss=loss,
            macro_f1=metrics.macro_f1(labels, probabilities),
            accuracy=metrics.accuracy(labels, probabilities),
            log_loss=loss,
            seconds=0.0,
        )


def predict(weights: npt.NDArray[np.float64], examples: Examples) -> npt.NDArray[np.float64]:
    """Return class probabilities."""
    return _softmax(examples.features @ weights)


def _softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


class EpochBudget(Pace):
    """Stops a search so that its best recipe can still be trained to the end within a budget."""

    def __init__(self, num_epochs: int, budget: int, spent: Callable[[], int]) -> None:
        self._num_epochs, self._budget, self._spent = num_epochs, budget, spent

    def allows(self, task: Task, trials: Sequence[TrialRecord]) -> bool:
        """Say whether a trial still fits."""
        longest = max((trial.last_epoch for trial in trials), default=0)
        reserve = self._num_epochs - max(longest, task.last_epoch)
        return self._spent() + task.last_epoch - task.first_epoch + reserve <= self._budget


@dataclass(frozen=True)
class Outcome:
    """What a search led to.

    Attributes:
        epochs: That the search trained.
        recipes: Distinct ones that were tried.
        epochs_of_one: All epochs until the picked recipe is trained to the end.
        epochs_of_three: All epochs until the first three that an ensemble takes are.
        test_macro_f1: Of the picked recipe.
        test_macro_f1_of_three: Of the mean of the three.
    """

    epochs: int
    recipes: int
    epochs_of_one: int
    epochs_of_three: int
    test_macro_f1: float
    test_macro_f1_of_three: float


def search(
    oracle: str,
    parts: dict[str, Examples],
    *,
    num_epochs: int,
    seed: int,
    budget: int | None = None,
) -> Outcome:
    """Search, train what was picked to the end, and score it.

    Args:
        oracle: Its name.
        parts: `train`, `val` and `test`.
        num_epochs: Full horizon.
        seed: Of the oracle.
        budget: Epochs in all, for PASHA; None for the oracle's own plan.
    """
    config = parse_config({"oracle": oracle, "max_epochs": num_epochs, "seed": seed})
    endless = pasha.plan_rounds(num_epochs, endless=True)
    plan = make_plan(config) if budget is None else endless
    learner = Learner(parts["train"], parts["val"], num_epochs)
    pace = budget and EpochBudget(num_epochs, budget, lambda: learner.epochs_trained)
    with (
        tempfile.TemporaryDirectory() as folder,
        Ledger(Path(folder) / "ledger.sqlite", writable=True) as ledger,
    ):
        states, best = (CheckpointFolder(Path(folder) / name) for name in ("states", "best"))
        made = make_oracle(config, SPACE, plan)
        trials = run_search(made, learner, ledger, states, best, pace=pace or None)
    picked = pick_members(trials, NUM_MEMBERS, config.objective)
    test, finish = parts["test"], Learner(parts["train"], parts["val"], num_epochs)
    predicted = []
    for one in picked:
        found: dict[str, Any] = {}
        finish(one.recipe, 0, num_epochs, None, lambda _, state, kept=found: kept.update(state()))
        predicted.append(predict(found["weights"], test))
    left = [num_epochs - one.epochs for one in picked]
    return Outcome(
        epochs=learner.epochs_trained,
        recipes=len({trial.identity for trial in trials}),
        epochs_of_one=learner.epochs_trained + left[0],
        epochs_of_three=learner.epochs_trained + sum(left),
        test_macro_f1=metrics.macro_f1(test.labels, predicted[0]),
        test_macro_f1_of_three=metrics.macro_f1(test.labels, np.mean(predicted, axis=0)),
    )


def divide(address: str, image_size: int, seeds: int, cache: Path) -> list[dict[str, Examples]]:
    """Return features of the pictures, divided anew for each seed, copies together."""
    data = prepare(address, seed=0, image_size=image_size, cache=cache, leaks="keep")
    rows = data.manifest.rows[data.manifest.rows["label"] >= 0].reset_index(drop=True)
    examples = data.examples_of(rows, image_size)
    shown = features.extract(features.build_encoder(BACKBONE, image_size), examples)
    pairs = copies.find_copies_within(data.fingerprints().of(rows["id"]))
    groups = copies.group_copies(pairs, len(rows))
    divided = []
    for seed in range(seeds):
        fold = splits.deal_folds(rows, groups, NUM_FOLDS, seed=seed)
        chosen = {"test": fold == 0, "val": fold == 1, "train": fold > 1}
        reduce = PCA(NUM_COMPONENTS, random_state=seed).fit(shown[chosen["train"]])
        reduced = reduce.transform(shown) / np.sqrt(reduce.explained_variance_.mean())
        standard = np.hstack([reduced, np.ones((len(shown), 1))])
        divided.append(
            {name: Examples(standard[at], examples.labels[at]) for name, at in chosen.items()}
        )
    return divided


def compare(divided: Sequence[dict[str, Examples]], num_epochs: int) -> dict[str, Any]:
    """Return what each oracle does by its own plan, and with as many epochs as Hyperband's."""
    found: dict[str, list[Outcome]] = {}
    sweep = count_epochs(plan_brackets(num_epochs, 3))
    for seed, parts in enumerate(divided):
        options: dict[str, Any] = {"num_epochs": num_epochs, "seed": seed}
        for name in ("hyperband", "pasha", "random"):
            found.setdefault(name, []).append(search(name, parts, **options))
        budgeted = search("pasha", parts, budget=sweep, **options)
        found.setdefault("pasha_equal_epochs", []).append(budgeted)
        print(f"seed {seed}: { ({name: made[-1] for name, made in found.items()}) }", flush=True)
    result: dict[str, Any] = {"sweep_epochs": sweep}
    for name, made in found.items():
        digits = {field.name: 4 if "f1" in field.name else 1 for field in fields(Outcome)}
        result[name] = {
            **{
                key: round(statistics.mean(getattr(one, key) for one in made), number)
                for key, number in digits.items()
            },
            "minus_hyperband": {
                key: _interval(made, found["hyperband"], key) for key in digits if "f1" in key
            },
            "each": [vars(one) for one in made],
        }
    return result


def _interval(made: Sequence[Outcome], other: Sequence[Outcome], key: str) -> dict[str, float]:
    """Return the mean and the 90 % bootstrap interval of differences, paired by seed."""
    pairs = zip(made, other, strict=True)
    values = np.array([getattr(one, key) - getattr(two, key) for one, two in pairs])
    drawn = np.random.default_rng(0).integers(len(values), size=(10_000, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.05, 0.95])
    return {"mean": round(float(values.mean()), 4), "low": round(low, 4), "high": round(high, 4)}


def main() -> None:
    """Run the benchmark and write its JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--image-size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        divided = divide(given.data, given.image_size, given.seeds, Path(cache))
    result = {
        "environment": describe_environment(),
        "data": Path(given.data).name,
        "max_epochs": given.epochs,
        **compare(divided, given.epochs),
    }
    write_json(given.out, result)
    print(json.dumps({k: v for k, v in result.items() if k != "environment"}, indent=2))


if __name__ == "__main__":
    main()
