"""Run folders written through the real ledger and the real writers of predictions and blends."""

import json
import math
from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from automl_flowers.config import make_config, write_config
from automl_flowers.files import write_json
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.run_folder import RunFolder
from ensembles.predictions import Predictions, align, save_predictions
from search_spaces.recipe import Recipe
from search_spaces.schedules import Schedule

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(2)>",
    "quo\"te' & <b>bold</b> %{y} {{ 7 * 7 }} $x$",
    "dåisy 🌼",
)
"""Class names; all of what they hold must stay words."""

LABELS = (0, 0, 0, 1, 1, 2, 2, 3, 3)
TAKEN_FOR = {
    "lite0": (0, 0, 1, 1, 1, 2, 2, 3, 3),
    "lite1": (0, 0, 1, 1, 2, 2, 2, 3, 0),
}
"""What two members take the images for; with equal weights the first wins where they differ."""

SPACE = {
    "learning_rate": {"min": 1e-4, "max": 1e-2, "sampling": "log"},
    "dropout": {"min": 0.0, "max": 0.5, "step": 0.1, "sampling": "linear"},
    "schedule": {"cosine": {"warmup": [0.0, 0.1]}},
}


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


def make_epochs(scores, first=0):
    return [
        EpochRecord(first + offset, 1e-3 / (first + offset + 1), 0.5, score, score, 1 - score, 2.0)
        for offset, score in enumerate(scores)
    ]


def record_trial(ledger, number, recipe, scores, **place):
    """Record a trial as a search does; `place` may say status, reason, bracket, round, parent."""
    status, reason = place.pop("status", "completed"), place.pop("reason", None)
    first = place.get("first_epoch", 0)
    last = place.pop("last_epoch", first + max(len(scores), 1))
    trial_id = f"{number:04d}"
    ledger.start_trial(
        TrialRecord(
            trial_id=trial_id,
            number=number,
            identity=recipe.identity,
            recipe=recipe.to_dict(),
            started=1.7e9 + 60 * number,
            last_epoch=last,
            **{"bracket": 0, "round": 0, "parent": None, "first_epoch": 0, **place},
        )
    )
    for record in make_epochs(scores, first):
        ledger.record_epoch(trial_id, record, None)
    if status == "completed":
        size = {"layers": 100, "trainable_layers": 22, "parameters": 3_000_000}
        ledger.record_size(trial_id, {**size, "trainable_parameters": 1_500_000})
        ledger.end_trial(trial_id, "completed", score=scores[-1])
    elif status != "running":
        ledger.end_trial(trial_id, status, reason=reason)


def write_data(run, class_names=HOSTILE, **images):
    counts = {split: [2] * len(class_names) for split in ("train", "val", "blend", "test")}
    counts["blend"][1] = 0
    write_json(
        run.data,
        {
            "content": "0",
            "class_names": list(class_names),
            "images": {"test": 9, "train": 30, "blend": 9, "val": 9, **images},
            "images_per_class": counts,
            "problems": [{"path": "<img src=x>.jpg", "reason": "is <b>broken</b>"}],
        },
    )


@pytest.fixture(scope="session")
def build():
    """The functions that make a run, and what they make it of."""
    return SimpleNamespace(
        recipe=make_recipe,
        epochs=make_epochs,
        trial=record_trial,
        data=write_data,
        blend=write_blend,
        blend_by=blend_by,
        record_fit=record_fit,
        class_names=HOSTILE,
        labels=LABELS,
        taken_for=TAKEN_FOR,
    )


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
    """A run with a promotion, a failure and an infeasible trial, whose search goes on."""
    run = empty_run
    better = make_recipe(dropout=0.3, schedule=Schedule("constant", 2e-3))
    other = make_recipe(backbone="efficientnet_lite1", augmentation="none", l2=1e-3)
    place = {"round": 1, "parent": "0001", "first_epoch": 2}
    with Ledger(run.ledger, writable=True) as ledger:
        record_trial(ledger, 1, better, [0.5, 0.6])
        record_trial(ledger, 2, other, [0.4, 0.5])
        record_trial(
            *(ledger, 3, make_recipe(image_size=128), [math.nan]),
            status="failed",
            reason="DivergedError: <i>the loss is nan</i>",
        )
        record_trial(
            *(ledger, 4, make_recipe(image_size=512), []),
            status="infeasible",
            reason="needs more memory\x1b[31m than there is",
        )
        record_trial(ledger, 5, better, [0.7, 0.8], **place)
    run.space.write_text(yaml.safe_dump(SPACE))
    write_data(run)
    write_json(run.environment, {"python": "3", "tensorflow": None, "device": "cpu"})
    return run


def predict(member, split, labels=LABELS):
    chosen = np.eye(len(HOSTILE), dtype=np.float32)[list(TAKEN_FOR[member])]
    sureness = 0.9 if member == "lite0" else 0.8
    return Predictions(
        member=member,
        split=split,
        ids=np.array([f"id{i}" for i in range(len(labels))]),
        labels=np.array(labels, dtype=np.int64),
        probabilities=(sureness * chosen + (1 - sureness) / len(HOSTILE)).astype(np.float32),
        class_names=HOSTILE,
        data_hash="0",
    )


def write_blend(run, *, test_labels=LABELS, rule="uniform", class_reason="has <the> name"):
    """Write what an ensemble of two leaves behind, with the code that does so."""
    from automl_flowers.blending import blend as blending
    from automl_flowers.blending.retrain import Member
    from automl_flowers.data.label_mapping import ClassDecision

    labels = {"val": LABELS, "blend": LABELS, "test": test_labels}
    files = {name: {split: f"{name}.{split}.npz" for split in labels} for name in TAKEN_FOR}
    made = {s: [predict(name, s, known) for name in TAKEN_FOR] for s, known in labels.items()}
    for split, predictions in made.items():
        for one in predictions:
            save_predictions(run.predictions / files[one.member][split], one)
    members = [
        Member(n, make_recipe(), 0.8, 0.75, None, None, {"layers": 100}, (), ()) for n in files
    ]
    for name in (*files, "lite0+external", "stale"):
        record_fit(run, name)
    aligned = {split: align(predictions) for split, predictions in made.items()}
    decisions = [
        ClassDecision(HOSTILE[0], HOSTILE[0], 7, 0.75, True, class_reason),
        ClassDecision(HOSTILE[1], None, 5, None, False, "none of our classes has its name"),
    ]
    source = {"name": "other", "images_used": 7, "near_copies_dropped": ["a"]}
    summary = blending.summarise(
        members,
        aligned,
        blending.weigh(aligned, rule),
        files=list(files.values()),
        external=[{**source, "classes": [asdict(decision) for decision in decisions]}],
    )
    write_json(run.blend, summary)


def record_fit(run, name, **notes):
    """Write the record of a fit, with what its maker notes."""
    epochs = [asdict(epoch) for epoch in make_epochs([0.5, 0.7, 0.8, 0.9])]
    write_json(run.members / f"{name}.json", {"name": name, "epochs": epochs, **notes})


def blend_by(run, *fits, **changes):
    """Let the members of a blend have these fits."""
    content = json.loads(run.blend.read_text(encoding="utf-8"))
    for member, names in zip(content["members"], fits, strict=True):
        member["fits"] = names
    write_json(run.blend, {**content, **changes})


@pytest.fixture
def blended_run(searched_run):
    """A run with an ensemble of two, scored on test."""
    write_blend(searched_run)
    return searched_run


@pytest.fixture
def unlabelled_run(searched_run):
    """A run with an ensemble whose test images have no labels, as in the competition."""
    write_blend(searched_run, test_labels=(-1,) * len(LABELS))
    return searched_run


@pytest.fixture
def repeated_run(tmp_path):
    """A run without a search, whose ensemble was made again from its recipe file."""
    run = RunFolder(tmp_path / "again")
    run.path.mkdir()
    write_config(make_config({"space": "demo", "max_epochs": 4}), run.config)
    Ledger(run.ledger, writable=True).close()
    write_data(run)
    write_blend(run)
    return run
