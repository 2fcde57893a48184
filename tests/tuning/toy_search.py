"""A whole search in a second: the real loop, oracle, ledger and checkpoints, a small learner.

The learner is softmax regression by gradient descent in NumPy. It really learns, its curve
depends on the recipe, and its state is a dict of arrays, as a Keras program's is.

Run as a script, it answers requests on standard input, one JSON object a line. Each request is
a search in a forked process (Keras Tuner is slow to import, so it is imported once) that may
be told to kill itself at a named point, or is killed after some seconds:

    {"run": "folder", "point": "epoch trained", "call": 3}
    {"run": "folder", "after": 0.2}

With `"budget"`, seconds of a clock that only the learner moves, time ends the search and the
best recipes are brought to their full length; a larger one extends it.

The answer is `{"code": ..., "seconds": ...}`: minus nine for a kill, zero for a search that
came to its end. The run's `trained.txt` has a line for every epoch trained, recorded or not.
"""

import functools
import json
import math
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np

from automl_flowers.blending.pick import in_order_of_picking
from automl_flowers.ledger import EpochRecord, Ledger
from automl_flowers.tuning.budget import Budget, TimedPace
from automl_flowers.tuning.checkpoints import CheckpointFolder
from automl_flowers.tuning.hyperband import Round, plan_brackets
from automl_flowers.tuning.oracle import HyperbandOracle
from automl_flowers.tuning.search import FINAL, run_search
from ensembles import metrics
from search_spaces.schedules import learning_rate_table
from search_spaces.spaces import parse_space

NUM_EPOCHS = 4
PLAN = plan_brackets(NUM_EPOCHS, 2)
ENDLESS_PLAN = plan_brackets(NUM_EPOCHS, 2, endless=True)

SPACE = parse_space(
    "toy",
    {
        "learning_rate": {"min": 0.01, "max": 1.0, "sampling": "log"},
        "dropout": {"min": 0.0, "max": 0.5, "step": 0.1},
        "l2": {"min": 1e-5, "max": 1e-1, "sampling": "log"},
        "label_smoothing": [0.0, 0.1],
        "optimizer": ["adam", "nadam"],
        "batch_size": [16, 32],
        "schedule": {"cosine": {"warmup": [0.0, 0.2]}, "one_cycle": {}, "cosine_restarts": {}},
    },
)

TIMED_PLAN = ((Round(40, 0, 2), Round(1, 2, NUM_EPOCHS)),)
"""Under a budget that is over before the first round is: only final fits are whole trainings."""

SECONDS = {16: 10, 32: 8}
"""What an epoch takes on the clock of a search under a budget, by batch size."""

TOP = 4
"""Recipes that are brought to their full length under a budget, as far as it allows."""

POINTS = (
    "trial starting",
    "trial started",
    "epoch trained",
    "half a checkpoint",
    "checkpoint written",
    "best model written",
    "epoch recorded",
    "pruning",
    "pruned",
    "all epochs trained",
    "size recorded",
    "trial ending",
    "trial ended",
)
"""Where a search can be told to die, in the order in which it passes them."""

BUDGET_POINTS = (
    "final fits chosen",
    *(f"final fit: {point}" for point in POINTS),
)
"""Where else a search under a budget can."""


def make_data(num_examples, seed, num_features=8, num_classes=3):
    """Return features and labels of classes that overlap a little."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_examples)
    centres = np.random.default_rng(7).normal(0, 1.2, (num_classes, num_features))
    features = centres[labels] + rng.normal(size=(num_examples, num_features))
    return np.hstack([features, np.ones((num_examples, 1))]), labels


TRAIN, VAL = make_data(160, seed=1), make_data(90, seed=2)


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def train(recipe, first_epoch, last_epoch, state, on_epoch, *, num_epochs=NUM_EPOCHS):
    """Train softmax regression; everything random is a function of the recipe and the epoch."""
    features, labels = TRAIN
    seed = int(recipe.identity[:8], 16)
    steps = math.ceil(len(labels) / recipe.batch_size)
    rates = learning_rate_table(recipe.schedule, steps_per_epoch=steps, num_epochs=num_epochs)
    targets = np.eye(3)[labels] * (1 - recipe.label_smoothing) + recipe.label_smoothing / 3
    if state is None:
        rng = np.random.default_rng(seed)
        state = {"weights": rng.normal(0, 0.5, (9, 3)), "velocity": np.zeros((9, 3))}
    weights, velocity = state["weights"].copy(), state["velocity"].copy()
    momentum = 0.9 if recipe.optimizer == "nadam" else 0.5
    for epoch in range(first_epoch, last_epoch):
        rng = np.random.default_rng([seed, epoch])
        losses = []
        for step, batch in enumerate(np.array_split(rng.permutation(len(labels)), steps)):
            kept = rng.random(features[batch].shape) >= recipe.dropout
            inputs = features[batch] * kept / (1 - recipe.dropout)
            probabilities = softmax(inputs @ weights)
            losses.append(-(targets[batch] * np.log(probabilities + 1e-12)).sum(axis=1).mean())
            gradient = inputs.T @ (probabilities - targets[batch]) / len(batch)
            velocity = momentum * velocity - rates[epoch * steps + step] * (
                gradient + recipe.l2 * weights
            )
            weights = weights + velocity
        on_epoch(
            evaluate(weights, epoch, float(np.mean(losses)), float(rates[(epoch + 1) * steps - 1])),
            functools.partial(dict, weights=weights, velocity=velocity),
        )
    return {"layers": 1, "parameters": weights.size}


def evaluate(weights, epoch, loss, learning_rate):
    features, labels = VAL
    probabilities = softmax(features @ weights)
    return EpochRecord(
        epoch=epoch,
        learning_rate=learning_rate,
        loss=loss,
        macro_f1=metrics.macro_f1(labels, probabilities),
        accuracy=metrics.accuracy(labels, probabilities),
        log_loss=metrics.log_loss(labels, probabilities),
        seconds=0.0,
    )


def make_oracle(*, plan=PLAN, space=SPACE, objective="log_loss", seed=0, first=()):
    return HyperbandOracle(
        space, plan, objective=objective, maximise=objective != "log_loss", seed=seed, first=first
    )


def search(
    run,
    train=train,
    *,
    oracle=None,
    ledger=Ledger,
    checkpoints=CheckpointFolder,
    best=CheckpointFolder,
    listener=None,
    worth_keeping=lambda trials: (),
    make_pace=lambda ledger: None,
):
    """Run a search, or go on with one, in a folder."""
    run.mkdir(parents=True, exist_ok=True)
    with ledger(run / "ledger.sqlite", writable=True) as opened:
        pace = make_pace(opened)
        opened.begin_session(opened.clock())
        return run_search(
            oracle or make_oracle(),
            train,
            opened,
            checkpoints(run / "checkpoints"),
            best(run / "best"),
            listener,
            worth_keeping=worth_keeping,
            pace=pace,
        )


class Clock:
    """Stands still but when it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def taking_time(train, clock):
    """Return a trainer that moves a clock by what its epochs take."""

    def timed_train(recipe, first_epoch, last_epoch, state, on_epoch):
        seconds = SECONDS[recipe.batch_size]

        def on_timed_epoch(record, get_state):
            clock.now += seconds
            on_epoch(replace(record, seconds=seconds), get_state)

        return train(recipe, first_epoch, last_epoch, state, on_timed_epoch)

    return timed_train


def pick(trials):
    """Return what an ensemble would take."""
    return in_order_of_picking(trials, "log_loss")[:TOP]


def make_pace(run, budget, ledger):
    """Return what ends a search after some seconds of all that worked on it."""
    checkpoints = CheckpointFolder(run / "checkpoints")

    def has_state(trial_id):
        found = ledger.checkpoint_of(trial_id)
        return found is not None and checkpoints.exists(found[1])

    seconds = Budget(budget, ledger.seconds_spent(), ledger.clock(), ledger.clock)
    return TimedPace(seconds, NUM_EPOCHS, {}, pick, has_state, ledger)


class Killer:
    """Kills this process when it passes a point for the `call`th time.

    Attributes:
        is_final_fit: Whether a final fit is being trained, whose points have names of their own.
    """

    def __init__(self, point, call):
        self._point, self._call, self._calls = point, call, 0
        self.is_final_fit = False

    def __call__(self, passed):
        is_there = self._point in (passed, f"final fit: {passed}" if self.is_final_fit else None)
        self._calls += is_there
        if is_there and self._calls == self._call:
            os.kill(os.getpid(), signal.SIGKILL)


def mortal_folders(reach):
    """Return the folders of states and of the best model, which reach points as they are used."""

    class Fatal:
        """An array that is reached in the middle of writing a checkpoint."""

        def __init__(self, array):
            self.array = array

        def __array__(self, dtype=None, copy=None):
            reach("half a checkpoint")
            return self.array

    class MortalFolder(CheckpointFolder):
        def save(self, trial_id, epochs, state):
            *first, last = state
            state = {**{name: state[name] for name in first}, last: Fatal(state[last])}
            file = super().save(trial_id, epochs, state)
            reach("checkpoint written")
            return file

        def keep_only(self, names):
            reach("pruning")
            super().keep_only(names)
            reach("pruned")

    class MortalBest(CheckpointFolder):
        def save(self, trial_id, epochs, state):
            file = super().save(trial_id, epochs, state)
            reach("best model written")
            return file

    return {"checkpoints": MortalFolder, "best": MortalBest}


def mortal_ledger(reach):
    """Return a ledger that reaches points as it is written."""

    class MortalLedger(Ledger):
        def start_trial(self, record):
            reach.is_final_fit = record.bracket == FINAL
            reach("trial starting")
            super().start_trial(record)
            reach("trial started")

        def record_epoch(self, trial_id, record, state, best=None):
            super().record_epoch(trial_id, record, state, best)
            reach("epoch recorded")

        def record_size(self, trial_id, size):
            super().record_size(trial_id, size)
            reach("size recorded")

        def end_trial(self, trial_id, status, **outcome):
            reach("trial ending")
            super().end_trial(trial_id, status, **outcome)
            reach("trial ended")

        def choose_final_fits(self, seconds, trial_ids):
            super().choose_final_fits(seconds, trial_ids)
            reach("final fits chosen")

    return MortalLedger


def mortal_train(run, reach):
    """Return a trainer that reaches points, and notes in the run which epochs it trains."""

    def mortal(recipe, first_epoch, last_epoch, state, on_epoch):
        def on_mortal_epoch(record, get_state):
            with (run / "trained.txt").open("a") as file:
                file.write(f"{recipe.identity} {record.epoch}\n")
            reach("epoch trained")
            on_epoch(record, get_state)

        size = train(recipe, first_epoch, last_epoch, state, on_mortal_epoch)
        reach("all epochs trained")
        return size

    return mortal


def search_and_die(run, point, call, budget=None):
    """Run a search that kills itself when it passes a point for the `call`th time."""
    clock, reach = Clock(), Killer(point, call)
    ledger, trainer, folders = mortal_ledger(reach), mortal_train(run, reach), mortal_folders(reach)
    if budget is None:
        search(run, trainer, ledger=ledger, **folders)
        return
    search(
        run,
        taking_time(trainer, clock),
        oracle=make_oracle(plan=TIMED_PLAN),
        ledger=functools.partial(ledger, clock=clock),
        make_pace=functools.partial(make_pace, run, budget),
        worth_keeping=lambda trials: [candidate.trial_id for candidate in pick(trials)],
        **folders,
    )


def answer(request):
    """Run one request in a forked process and say how that ended."""
    started = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            search_and_die(
                Path(request["run"]),
                request.get("point"),
                request.get("call"),
                request.get("budget"),
            )
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    if request.get("after") is not None:
        time.sleep(request["after"])
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"code": code, "seconds": time.perf_counter() - started}


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(answer(json.loads(line))) + "\n")
        sys.stdout.flush()
