"""Run folders written through the real ledger and the real writers."""

import time

import numpy as np
import pytest

from automl_flowers.config import make_config, write_config
from automl_flowers.files import write_json
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.run_folder import RunFolder
from ensembles.predictions import Predictions, save_predictions
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

HOSTILE = ("<script>alert(1)</script>", 'quo"te & <b>bold</b>', "dåisy 🌼")


def make_recipe(**changes):
    fields = {
        "backbone": "efficientnet_lite0",
        "image_size": 96,
        "trainable_blocks": 4,
        "dropout": 0.1,
        "l2": 1e-5,
        "label_smoothing": 0.0,
        "class_weighting": "none",
        "augmentation": "light",
        "optimizer": "adam",
        "batch_size": 32,
        "schedule": Schedule("cosine", 1e-3, {"warmup": 0.1}),
    }
    return Recipe(**{**fields, **changes})


def record_trial(ledger, number, recipe, scores, *, parent=None, first=0, status="completed"):
    last = first + max(len(scores), 1)
    trial_id = f"{number:04d}"
    ledger.start_trial(
        TrialRecord(
            trial_id=trial_id,
            number=number,
            identity=recipe.identity,
            recipe=recipe.to_dict(),
            bracket=0,
            round=0 if parent is None else 1,
            parent=parent,
            first_epoch=first,
            last_epoch=last,
            started=time.time(),
        )
    )
    for offset, score in enumerate(scores):
        record = EpochRecord(first + offset, 1e-3, 0.5, score, score, 1 - score, 2.0)
        ledger.record_epoch(trial_id, record, None)
    if status == "completed":
        ledger.record_size(trial_id, {"layers": 100, "parameters": 3_000_000})
        ledger.end_trial(trial_id, "completed", score=scores[-1])
    elif status != "running":
        ledger.end_trial(trial_id, status, reason="<i>no memory</i>")


@pytest.fixture
def empty_run(tmp_path):
    """A run in which nothing has finished."""
    run = RunFolder(tmp_path / "run")
    run.path.mkdir()
    write_config(make_config({"space": "demo", "max_epochs": 4}), run.config)
    with Ledger(run.ledger, writable=True) as ledger:
        record_trial(ledger, 0, make_recipe(), [], status="running")
    return run


@pytest.fixture
def searched_run(empty_run):
    """A run with a promotion, a failure and an infeasible trial."""
    better = make_recipe(dropout=0.3)
    with Ledger(empty_run.ledger, writable=True) as ledger:
        record_trial(ledger, 1, better, [0.5, 0.6])
        record_trial(ledger, 2, make_recipe(augmentation="none", l2=1e-3), [0.4, 0.5])
        record_trial(ledger, 3, make_recipe(image_size=128), [], status="failed")
        record_trial(ledger, 4, make_recipe(image_size=512), [], status="infeasible")
        record_trial(ledger, 5, better, [0.7, 0.8], parent="0001", first=2)
    write_json(
        empty_run.data,
        {
            "class_names": list(HOSTILE),
            "images": {"train": 30, "val": 9},
            "problems": [{"path": "<img src=x>.jpg", "reason": "is <b>broken</b>"}],
        },
    )
    return empty_run


@pytest.fixture
def blended_run(searched_run):
    """A run with an ensemble of two, scored on test."""
    run = searched_run
    run.predictions.mkdir()
    labels = np.array([0, 0, 1, 1, 2, 2])
    members = []
    for number, predicted in enumerate(([0, 1, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0])):
        file = f"member{number}.test.npz"
        made = Predictions(
            member=f"member{number}",
            split="test",
            ids=np.array([f"id{i}" for i in range(6)]),
            labels=labels.astype(np.int64),
            probabilities=np.eye(3, dtype=np.float32)[predicted],
            class_names=HOSTILE,
            data_hash="0",
        )
        save_predictions(run.predictions / file, made)
        score = {"macro_f1": 0.8, "accuracy": 0.8, "log_loss": 0.4}
        members.append(
            {
                "name": f"member{number}",
                "weight": 0.75 if number == 0 else 0.25,
                "scores": {"val": score, "blend": score, "test": score},
                "val_macro_f1_without_external": 0.8,
                "val_macro_f1_with_external": None,
                "predictions": {"test": file},
            }
        )
    on_blend = {**score, "naive_macro_f1": 0.82, "cross_fitted_macro_f1": 0.79}
    write_json(
        run.blend,
        {
            "class_names": list(HOSTILE),
            "rule": "optimized",
            "reason": "Enough <images>.",
            "members": members,
            "scores": {
                "val": score,
                "blend": {**on_blend, "interval_90": [0.7, 0.9]},
                "test": score,
            },
            "absent_classes": {"val": 0, "blend": 1, "test": 0},
            "external": [
                {
                    "name": "other",
                    "images_used": 5,
                    "near_copies_dropped": ["a"],
                    "classes": [
                        {
                            "external": HOSTILE[0],
                            "ours": None,
                            "num_images": 7,
                            "agreement": 0.25,
                            "is_used": False,
                            "reason": "left <out>",
                        }
                    ],
                }
            ],
        },
    )
    return run
