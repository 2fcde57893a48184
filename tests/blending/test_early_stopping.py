"""Trainings that a callback ends before their time: what was scored is what is kept."""

from dataclasses import replace

import keras
import pytest

from automl_flowers.blending.fits import TrainingSet, fit, load_weights, read_progress
from automl_flowers.blending.retrain import retrain
from automl_flowers.ledger import Ledger
from automl_flowers.tuning.checkpoints import CheckpointFolder
from ensembles import metrics
from tests.blending.test_retrain import (
    NUM_EPOCHS,
    OURS,
    Learner,
    make_images,
    make_progress,
    make_trial,
)


class Stop(keras.callbacks.Callback):
    """Ends a training after its second epoch."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            self.model.stop_training = True


def test_a_fit_that_a_callback_ends_has_the_weights_that_were_scored(
    make_trainer, ours, recipe, tmp_path
):
    trainer = make_trainer(ours, num_epochs=4, callbacks=[Stop])
    train, val = (
        replace(make_images(split, 1), at=lambda size, split=split: trainer.examples(split, size))
        for split in ("train", "val")
    )

    ended = fit(trainer, recipe, TrainingSet(train, val), tmp_path)

    assert [record.epoch for record in ended.epochs] == [0, 1]
    shown = val.at(recipe.image_size)
    said = trainer.predict(recipe, load_weights(tmp_path, ended.name), shown)
    scored = ended.epochs[-1].log_loss
    assert metrics.log_loss(shown.labels, said) == pytest.approx(scored, abs=1e-5)


def test_what_the_search_has_trained_until_a_callback_ended_it_is_taken_over(recipe, tmp_path):
    learner = Learner()
    progress = replace(make_progress(NUM_EPOCHS - 1), planned=NUM_EPOCHS)

    member = retrain(learner, recipe, tmp_path, OURS, progress=progress)

    assert learner.trained == []
    assert len(member.all_fits[0].epochs) == NUM_EPOCHS - 1
    assert load_weights(tmp_path, member.name)["model/0000"].tolist() == [7, 7]


@pytest.mark.parametrize(("status", "planned"), [("completed", 3), ("running", 2)])
def test_only_a_trial_that_has_completed_was_ended_by_a_callback(recipe, tmp_path, status, planned):
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    whole = make_trial(recipe, "0", 0, 3)
    with Ledger(tmp_path / "ledger.sqlite", writable=True) as ledger:
        ledger.start_trial(replace(whole, status=status))
        for epoch in whole.epochs[:2]:
            file = checkpoints.save("0", epoch.epoch + 1, {"model/0000": epoch.loss})
            ledger.record_epoch("0", epoch, file)

        progress = read_progress(ledger.trials(), recipe.identity, ledger, checkpoints)

    assert (len(progress.epochs), progress.planned) == (2, planned)
