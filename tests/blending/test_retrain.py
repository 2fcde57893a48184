"""Tests for retraining a recipe, over a learner that takes no time."""

import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from automl_flowers.blending import fits as fits_module
from automl_flowers.blending.fits import (
    ImageSet,
    Progress,
    load_weights,
    read_progress,
    read_record,
    remove_weights,
    weights_path,
)
from automl_flowers.blending.material import Material, Part
from automl_flowers.blending.retrain import FAILURES, digits_of, retrain
from automl_flowers.blending.soup import ingredients_of, make_soup
from automl_flowers.blending.soup_records import TriedSoup, note_tried
from automl_flowers.data.pipeline import Examples
from automl_flowers.errors import RunError
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.tuning.checkpoints import CheckpointFolder

NUM_EPOCHS = 3


class Learner:
    """Stands in for the trainer: its score on `val` is what it is told."""

    def __init__(
        self, *, score=0.5, with_external=0.5, start="imagenet", seed=7, num_epochs=NUM_EPOCHS
    ):
        self.score, self.with_external = score, with_external
        self.start, self.seed, self.num_epochs = start, seed, num_epochs
        self.num_further_epochs = 1
        self.trained = []
        self.gone_on_from = []
        self.ema = 0.0
        self.with_pseudo = 0.5

    def starting_point(self, _recipe):
        return self.start

    def seed_of(self, _recipe, number=0):
        return self.seed + number

    def train(self, recipe, first_epoch, last_epoch, state, on_epoch, *, images, name, seed_number):
        assert last_epoch == self.num_epochs
        assert (state is None) == (first_epoch == 0)
        return self._train(first_epoch, last_epoch, on_epoch, images, name, seed_number)

    def train_further(self, recipe, weights, on_epoch, *, images, name, seed_number):
        self.gone_on_from.append(weights["model/0000"].tolist())
        return self._train(0, self.num_further_epochs, on_epoch, images, name, seed_number)

    def _train(self, first_epoch, last_epoch, on_epoch, images, name, seed_number):
        self.trained.append((name, len(images.train), seed_number))
        self.first_epoch = first_epoch
        final = self.with_external if "+external" in name else self.score
        final = self.with_pseudo if "+pseudo" in name else final
        if isinstance(final, Exception):
            raise final
        for epoch in range(first_epoch, last_epoch):
            score = final if epoch == last_epoch - 1 else 0.99
            score = math.nan if images.val is None else score
            record = EpochRecord(epoch, 0.1, 1.0, score, score / 2, 0.7, 0.0)
            on_epoch(
                record,
                lambda: {
                    "model/0000": np.array([len(self.trained), len(images.train)]),
                    "optimizer/0000": np.ones(1),
                },
            )
        return {"layers": 5}


def make_images(content, count):
    """Return images of which only the number matters."""
    rows = np.arange(count)
    caches = (np.zeros((count, 4, 4, 3), np.uint8),)
    examples = Examples(caches, np.zeros(count, int), rows, rows % 2, rows.astype(str))
    return ImageSet(lambda image_size: examples, content, count)


OURS = Material((Part(make_images("ours", 10), make_images("val", 3)),))
OTHERS = Material((Part(make_images("others", 10), make_images("val", 3)),))
EXTERNAL = replace(OURS, external=make_images("theirs", 4))
FOLDS = Material(
    tuple(
        Part(make_images(f"all but {k}", 8 + k), make_images(f"fold {k}", 3), suffix=f".fold{k}of3")
        for k in (1, 2, 3)
    )
)
EVERYTHING = make_images("all of ours", 16)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "members"


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_member_is_the_last_epoch_not_the_best(recipe, folder):
    learner = Learner(score=0.5)

    member = retrain(learner, recipe, folder, OURS)

    assert member.name == recipe.name
    [fit] = member.all_fits
    assert [epoch.macro_f1 for epoch in fit.epochs] == [0.99, 0.99, 0.5]
    assert (member.score_without_external, member.score_with_external) == (0.5, None)
    assert member.size == {"layers": 5}
    assert names_in(folder) == [f"{recipe.name}.json", f"{recipe.name}.npz"]
    np.testing.assert_array_equal(load_weights(folder, member.name)["model/0000"], [1, 10])


def test_every_epoch_is_heard_with_the_members_name(recipe, folder):
    heard = []

    retrain(
        Learner(), recipe, folder, EXTERNAL, lambda name, record: heard.append((name, record.epoch))
    )

    assert heard == [
        (name, epoch) for name in (recipe.name, f"{recipe.name}+external") for epoch in range(3)
    ]


def make_progress(num_epochs):
    epochs = tuple(EpochRecord(n, 0.1, 1.0, 0.4, 0.2, 0.7, 0.0) for n in range(num_epochs))
    state = {"model/0000": np.array([7, 7]), "optimizer/0000": np.array([1])}
    return Progress(epochs, lambda: state, {"layers": 5}, planned=num_epochs)


def test_what_the_search_has_trained_is_not_trained_again(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, OURS, progress=make_progress(NUM_EPOCHS))

    assert learner.trained == []
    assert len(member.all_fits[0].epochs) == NUM_EPOCHS
    assert (member.score_without_external, member.size) == (0.4, {"layers": 5})
    state = load_weights(folder, member.name)
    assert list(state) == ["model/0000"]
    np.testing.assert_array_equal(state["model/0000"], [7, 7])


def test_what_the_search_has_begun_is_continued(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, OURS, progress=make_progress(1))

    assert learner.first_epoch == 1
    assert [epoch.epoch for epoch in member.all_fits[0].epochs] == [0, 1, 2]
    assert member.score_without_external == 0.5


def test_with_external_images_training_begins_anew(recipe, folder):
    learner = Learner()

    retrain(learner, recipe, folder, EXTERNAL, progress=make_progress(NUM_EPOCHS))

    assert learner.first_epoch == 0
    assert len(learner.trained) == 1


def make_trial(recipe, trial_id, first_epoch, last_epoch):
    epochs = range(first_epoch, last_epoch)
    return TrialRecord(
        trial_id, 0, recipe.identity, recipe.to_dict(), 0, 0, None, first_epoch, last_epoch,
        status="completed", score=0.5, size={"layers": 5},
        epochs=tuple(EpochRecord(n, 0.1, 1.0, 0.4, 0.2, 0.7, 0.0) for n in epochs),
    )  # fmt: skip


@pytest.fixture
def searched(recipe, tmp_path):
    """A ledger with a recipe's two trials, and the state after the second."""
    checkpoints = CheckpointFolder(tmp_path / "checkpoints")
    with Ledger(tmp_path / "ledger.sqlite", writable=True) as ledger:
        for trial in (make_trial(recipe, "0", 0, 1), make_trial(recipe, "1", 1, 3)):
            ledger.start_trial(trial)
            for epoch in trial.epochs:
                file = checkpoints.save(trial.trial_id, epoch.epoch + 1, {"a": np.zeros(1)})
                ledger.record_epoch(trial.trial_id, epoch, file)
        yield ledger, checkpoints


def test_progress_is_read_over_all_trials_of_a_recipe(recipe, searched):
    ledger, checkpoints = searched

    progress = read_progress(ledger.trials(), recipe.identity, ledger, checkpoints)

    assert [epoch.epoch for epoch in progress.epochs] == [0, 1, 2]
    assert list(progress.load()) == ["a"]


def test_progress_is_read_as_far_as_there_is_a_state(recipe, searched):
    ledger, checkpoints = searched
    checkpoints.keep_only(["0.0001.npz"])

    progress = read_progress(ledger.trials(), recipe.identity, ledger, checkpoints)

    assert [epoch.epoch for epoch in progress.epochs] == [0]


def test_there_is_no_progress_without_a_state_or_of_another_recipe(recipe, searched):
    ledger, checkpoints = searched

    assert read_progress(ledger.trials(), "another", ledger, checkpoints) is None
    checkpoints.keep_only([])
    assert read_progress(ledger.trials(), recipe.identity, ledger, checkpoints) is None


def test_a_second_call_trains_nothing_and_returns_the_same(recipe, folder):
    first = retrain(Learner(), recipe, folder, EXTERNAL)
    learner = Learner()

    assert retrain(learner, recipe, folder, EXTERNAL) == first
    assert learner.trained == []


@pytest.mark.parametrize(
    "change",
    [{"start": "0123abcd"}, {"seed": 8}, {"num_epochs": 4}],
    ids=["starting weights", "seed", "horizon"],
)
def test_other_images_weights_seeds_and_horizons_retrain(recipe, folder, change):
    first = retrain(Learner(), recipe, folder, OURS)
    learner = Learner(**change)

    second = retrain(learner, recipe, folder, OURS)

    assert len(learner.trained) == 1
    assert digits_of(second.all_fits) != digits_of(first.all_fits)


def test_other_images_retrain(recipe, folder):
    first = retrain(Learner(), recipe, folder, OURS)
    learner = Learner()

    second = retrain(learner, recipe, folder, OTHERS)

    assert len(learner.trained) == 1
    assert digits_of(second.all_fits) != digits_of(first.all_fits)


def test_other_external_images_retrain_only_the_member_with_them(recipe, folder):
    retrain(Learner(), recipe, folder, EXTERNAL)
    learner = Learner()

    retrain(learner, recipe, folder, replace(OURS, external=make_images("others of theirs", 5)))

    assert learner.trained == [(f"{recipe.name}+external", 15, 0)]


def test_another_recipe_is_another_member(recipe, other_recipe, folder):
    learner = Learner()

    names = {retrain(learner, one, folder, OURS).name for one in (recipe, other_recipe)}

    assert len(names) == len(learner.trained) == 2


@pytest.mark.parametrize(("with_external", "kept"), [(0.4999, False), (0.5, True), (0.6, True)])
def test_external_images_stay_in_only_where_val_does_not_drop(recipe, folder, with_external, kept):
    member = retrain(Learner(with_external=with_external), recipe, folder, EXTERNAL)

    assert member.name == recipe.name + ("+external" if kept else "")
    assert member.all_fits[0].macro_f1 == max(0.5, with_external)
    assert member.score_without_external == 0.5
    assert member.score_with_external == with_external
    state = load_weights(folder, member.name)
    np.testing.assert_array_equal(state["model/0000"], [2, 14] if kept else [1, 10])


def test_a_member_with_external_images_has_its_fit_on_ours_alone(recipe, folder):
    learner = Learner(with_external=0.6)
    learner.with_pseudo = 0.7

    member = retrain(learner, recipe, folder, EXTERNAL)

    assert member.uses_external
    assert member.fit_without_external.name == recipe.name
    assert member.fit_without_external.macro_f1 == 0.5
    unlike = [
        retrain(Learner(with_external=0.4), recipe, folder / "without", EXTERNAL),
        retrain(learner, recipe, folder / "seeds", EXTERNAL, num_seeds=2),
        retrain(learner, recipe, folder / "folds", replace(FOLDS, external=EXTERNAL.external)),
        retrain(learner, recipe, folder / "pseudo", with_pseudo_labels(EXTERNAL, 2)),
    ]
    assert [one.uses_external for one in unlike] == [False, True, True, True]
    assert [one.fit_without_external for one in unlike] == [None] * 4


@pytest.mark.parametrize("kind", FAILURES)
def test_a_training_with_external_images_that_fails_leaves_the_member_without(recipe, folder, kind):
    member = retrain(Learner(with_external=kind("too much of it")), recipe, folder, EXTERNAL)

    assert member.name == recipe.name
    assert member.score_with_external is None
    assert member.external_failure == "too much of it"
    assert names_in(folder) == [f"{recipe.name}.json", f"{recipe.name}.npz"]


@pytest.mark.parametrize("kind", FAILURES)
def test_a_training_without_external_images_that_fails_is_the_callers(recipe, folder, kind):
    with pytest.raises(kind, match="too much of it"):
        retrain(Learner(score=kind("too much of it")), recipe, folder, OURS)

    assert not folder.exists()


def test_no_external_image_is_no_training(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, replace(OURS, external=make_images("none", 0)))

    assert len(learner.trained) == 1
    assert member.score_with_external is None


def test_digits_tell_apart_what_members_were_trained_on(recipe, folder):
    without = retrain(Learner(), recipe, folder, OURS)
    joined = retrain(Learner(), recipe, folder, EXTERNAL)

    digits = digits_of(without.all_fits)
    assert digits != digits_of(joined.all_fits)
    assert len(digits) == 8
    assert int(digits, 16) >= 0


def test_weights_without_a_record_are_not_trusted(recipe, folder):
    retrain(Learner(), recipe, folder, OURS)
    (folder / f"{recipe.name}.json").unlink()
    learner = Learner()

    retrain(learner, recipe, folder, OURS)

    assert len(learner.trained) == 1


def test_a_record_without_weights_is_not_trusted(recipe, folder):
    retrain(Learner(), recipe, folder, OURS)
    weights_path(folder, recipe.name).unlink()
    learner = Learner()

    retrain(learner, recipe, folder, OURS)

    assert len(learner.trained) == 1


def test_a_kill_between_weights_and_record_leaves_no_record_of_other_weights(
    recipe, folder, monkeypatch
):
    retrain(Learner(), recipe, folder, OURS)

    def killed(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fits_module, "write_json", killed)
        with pytest.raises(KeyboardInterrupt):
            retrain(
                Learner(),
                recipe,
                folder,
                OTHERS,
            )
    learner = Learner()
    retrain(learner, recipe, folder, OURS)

    assert len(learner.trained) == 1


def test_the_record_holds_what_was_trained(recipe, folder):
    member = retrain(Learner(), recipe, folder, OURS)

    record = json.loads((folder / f"{recipe.name}.json").read_text())
    assert record["recipe"] == recipe.to_dict()
    assert record["epochs"] == [asdict(epoch) for epoch in member.all_fits[0].epochs]
    assert record["trained_on"] == member.all_fits[0].trained_on


@pytest.mark.parametrize("name", ["../elsewhere", "/elsewhere", "a/b", ""])
def test_no_name_in_a_record_leads_out_of_the_folder(folder, name):
    """Records of a run may come from somebody else."""
    for use in (load_weights, read_record, remove_weights):
        with pytest.raises(RunError, match="is not the name of a fit"):
            use(folder, name)


def test_damaged_weights_are_named(recipe, folder):
    retrain(Learner(), recipe, folder, OURS)
    weights_path(folder, recipe.name).write_bytes(b"words")

    with pytest.raises(RunError, match=r"\.npz` does not hold a readable model state"):
        load_weights(folder, recipe.name)


def test_several_seeds_are_several_fits_of_one_member(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, OURS, num_seeds=3)

    assert [number for *_, number in learner.trained] == [0, 1, 2]
    assert [fit.name for fit in member.all_fits] == [
        recipe.name, f"{recipe.name}.seed1", f"{recipe.name}.seed2"
    ]  # fmt: skip
    assert len({fit.trained_on for fit in member.all_fits}) == 3
    assert member.final_fits == member.all_fits
    one = retrain(learner, recipe, folder, OURS)
    assert one.all_fits == member.all_fits[:1]
    assert len(learner.trained) == 3  # fewer seeds train nothing


def test_external_images_are_judged_by_the_first_seed_alone(recipe, folder):
    learner = Learner(with_external=0.6)

    member = retrain(learner, recipe, folder, EXTERNAL, num_seeds=2)

    joined = f"{recipe.name}+external"
    assert learner.trained == [(recipe.name, 10, 0), (joined, 14, 0), (f"{joined}.seed1", 14, 1)]
    assert [fit.name for fit in member.all_fits] == [joined, f"{joined}.seed1"]


def test_a_final_fit_predicts_new_images_and_scores_nothing(recipe, folder):
    learner = Learner(with_external=0.6)

    member = retrain(learner, recipe, folder, replace(EXTERNAL, everything=EVERYTHING))

    final = f"{recipe.name}+external+evaluation"
    assert learner.trained[2:] == [(final, 20, 0)]
    assert [fit.name for fit in member.all_fits] == [f"{recipe.name}+external"]
    assert learner.gone_on_from == [[2, 14]]  # the second training, which was on 14 images
    assert len(member.final_fits[0].epochs) == learner.num_further_epochs
    assert [fit.name for fit in member.final_fits] == [final]
    assert member.all_fits[0].macro_f1 == 0.6
    assert all(math.isnan(epoch.macro_f1) for epoch in member.final_fits[0].epochs)
    again = retrain(learner, recipe, folder, replace(EXTERNAL, everything=EVERYTHING))
    assert len(learner.trained) == 3
    assert math.isnan(again.final_fits[0].macro_f1)
    assert digits_of(again.final_fits) == digits_of(member.final_fits)


def test_every_seed_has_a_final_fit_of_its_own(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, replace(OURS, everything=EVERYTHING), num_seeds=2)

    assert [fit.name for fit in member.final_fits] == [
        f"{recipe.name}+evaluation", f"{recipe.name}+evaluation.seed1"
    ]  # fmt: skip
    assert learner.gone_on_from == [[1, 10], [2, 10]]


def test_a_final_fit_of_other_weights_is_another(recipe, folder):
    material = replace(OURS, everything=EVERYTHING)
    first = retrain(Learner(), recipe, folder, material)

    learner = Learner(start="other weights")
    second = retrain(learner, recipe, folder, material)

    assert [name for name, *_ in learner.trained] == [recipe.name, f"{recipe.name}+evaluation"]
    assert digits_of(first.final_fits) != digits_of(second.final_fits)


GOOD = TriedSoup("val", probabilities={"log_loss": 0.5}, weights={"log_loss": 0.5})
"""What is seen where a soup is kept."""


def keep_soups(member, folder, *, everything=True):
    """Leave of a member's fits what is left once their soups are kept: these, and records."""
    parts = [ingredients_of(fits) for fits in member.fits]
    for fits in (*member.fits, *([member.final_fits] if everything else [])):
        make_soup(fits, folder)
    note_tried(folder, parts, GOOD)
    for fit in (*member.all_fits, *member.final_fits):
        remove_weights(folder, fit.name)


def trained_again(recipe, folder, material, **others):
    """Return the names of what a retraining trains, and check that what it makes can be read."""
    learner = Learner()
    member = retrain(learner, recipe, folder, material, **others)
    for fits in (*member.fits, member.final_fits):
        make_soup(fits, folder)  # reads their weights where it is not there
    return [name for name, *_ in learner.trained]


ALL_OF_OURS = replace(OURS, everything=EVERYTHING)


@pytest.mark.parametrize("material", [OURS, ALL_OF_OURS], ids=["scored", "with final fits"])
def test_weights_that_are_in_soups_are_not_made_again(recipe, folder, material):
    member = retrain(Learner(), recipe, folder, material, num_seeds=2)
    keep_soups(member, folder, everything=material.everything is not None)

    assert trained_again(recipe, folder, material, num_seeds=2) == []
    assert trained_again(recipe, folder, OURS, num_seeds=1) == [recipe.name]


def test_weights_are_made_again_for_what_is_not_there_yet(recipe, folder):
    """Final fits go on from weights that are in a soup."""
    keep_soups(retrain(Learner(), recipe, folder, OURS, num_seeds=2), folder, everything=False)

    assert trained_again(recipe, folder, ALL_OF_OURS, num_seeds=2) == [
        recipe.name, f"{recipe.name}.seed1", f"{recipe.name}+evaluation",
        f"{recipe.name}+evaluation.seed1",
    ]  # fmt: skip


def test_a_soup_that_was_not_judged_stands_for_nothing(recipe, folder):
    """As after a kill, and a run with more seeds that has removed the weights."""
    member = retrain(Learner(), recipe, folder, OURS, num_seeds=2)
    make_soup(member.fits[0], folder)
    keep_soups(retrain(Learner(), recipe, folder, OURS, num_seeds=3), folder, everything=False)

    assert trained_again(recipe, folder, OURS, num_seeds=2) == [
        recipe.name, f"{recipe.name}.seed1"
    ]  # fmt: skip


@pytest.mark.parametrize("between", ["folds", "an average", "external"])
def test_a_soup_of_other_fits_stands_for_nothing(recipe, folder, between):
    """One of the same name, of fits that other settings made."""
    learner = Learner(with_external=0.6)
    if between == "external":
        first, second = (
            replace(ALL_OF_OURS, external=make_images(name, 4)) for name in ("theirs", "others")
        )
    else:
        first, second = ALL_OF_OURS, replace(FOLDS, everything=EVERYTHING)
    keep_soups(retrain(learner, recipe, folder, first, num_seeds=2), folder)
    again = Learner(with_external=0.6)
    if between == "an average":
        second, again.ema = first, 0.9
    keep_soups(retrain(again, recipe, folder, second, num_seeds=2), folder)

    learner.trained.clear()
    member = retrain(learner, recipe, folder, first, num_seeds=2)

    make_soup(member.fits[0], folder)
    make_soup(member.final_fits, folder)
    assert len(learner.trained) >= 2


def test_an_average_of_weights_is_trained_anew(recipe, folder):
    plain, averaging = Learner(), Learner()
    averaging.ema = 0.9

    first = retrain(plain, recipe, folder, OURS, progress=make_progress(NUM_EPOCHS))
    second = retrain(averaging, recipe, folder, OURS, progress=make_progress(NUM_EPOCHS))

    assert (len(plain.trained), len(averaging.trained)) == (0, 1)
    assert digits_of(first.all_fits) != digits_of(second.all_fits)


def with_pseudo_labels(material, *counts):
    """Return material with so many labelled test images for each part."""
    parts = tuple(
        replace(part, pseudo=make_images(f"test by {number}", count) if count else None)
        for number, (part, count) in enumerate(zip(material.parts, counts, strict=True), 1)
    )
    return replace(material, parts=parts)


@pytest.mark.parametrize(("with_pseudo", "kept"), [(0.4, False), (0.7, True)])
def test_test_images_with_given_labels_stay_in_where_val_does_not_drop(
    recipe, folder, with_pseudo, kept
):
    learner = Learner(with_external=0.6)
    learner.with_pseudo = with_pseudo
    material = replace(with_pseudo_labels(EXTERNAL, 2), everything=EVERYTHING)

    member = retrain(learner, recipe, folder, material)

    joined = f"{recipe.name}+external+pseudo"
    assert learner.trained[2] == (joined, 16, 0)
    assert member.name == (joined if kept else f"{recipe.name}+external")
    assert member.score_with_pseudo_labels == with_pseudo
    assert learner.trained[3] == (f"{member.name}+evaluation", 22 if kept else 20, 0)


def test_a_training_on_given_labels_that_fails_leaves_the_member_as_it_was(recipe, folder):
    learner = Learner()
    learner.with_pseudo = FAILURES[0]("too much of it")

    member = retrain(learner, recipe, folder, with_pseudo_labels(OURS, 2))

    assert member.name == recipe.name
    assert member.score_with_pseudo_labels is None


def test_a_fold_is_joined_by_what_its_own_fits_have_labelled(recipe, folder):
    """Labels by the fits of other folds would tell of images that this fold holds out."""
    learner = Learner()
    learner.with_pseudo = 0.7
    material = replace(with_pseudo_labels(FOLDS, 2, 0, 4), everything=EVERYTHING)

    member = retrain(learner, recipe, folder, material)

    joined = f"{recipe.name}+pseudo"
    assert learner.trained == [
        (f"{recipe.name}.fold1of3", 9, 0),
        (f"{joined}.fold1of3", 9 + 2, 0),
        (f"{joined}.fold2of3", 10, 0),
        (f"{joined}.fold3of3", 11 + 4, 0),
        (f"{joined}+evaluation", 16 + 2, 0),
    ]
    contents = [one.trained_on.split(":")[1] for one in member.all_fits]
    assert contents == ["test by 1", "none", "test by 3"]


def test_folds_are_fits_of_one_member_and_take_nothing_over(recipe, folder):
    learner = Learner()

    member = retrain(learner, recipe, folder, FOLDS, progress=make_progress(NUM_EPOCHS))

    assert member.name == recipe.name
    assert [[one.name for one in fits] for fits in member.fits] == [
        [f"{recipe.name}.fold{k}of3"] for k in (1, 2, 3)
    ]
    assert member.final_fits == member.all_fits
    assert [count for _, count, _ in learner.trained] == [9, 10, 11]
    assert learner.first_epoch == 0


def test_what_joins_is_decided_on_the_first_fold(recipe, folder):
    learner = Learner(score=0.5, with_external=0.6)

    member = retrain(learner, recipe, folder, replace(FOLDS, external=make_images("theirs", 4)))

    assert member.name == f"{recipe.name}+external"
    names = [name for name, _, _ in learner.trained]
    assert names == [f"{recipe.name}.fold1of3"] + [
        f"{recipe.name}+external.fold{k}of3" for k in (1, 2, 3)
    ]
    assert [fits[0].name for fits in member.fits] == names[1:]


def test_folds_and_seeds_and_a_final_fit_go_together(recipe, folder):
    learner = Learner()
    material = replace(FOLDS, everything=EVERYTHING)

    member = retrain(learner, recipe, folder, material, num_seeds=2)

    assert [len(fits) for fits in member.fits] == [2, 2, 2]
    assert [one.name for one in member.final_fits] == [
        f"{recipe.name}+evaluation",
        f"{recipe.name}+evaluation.seed1",
    ]


def test_folds_go_on_after_a_kill(recipe, folder):
    class Dying(Learner):
        def train(self, *arguments, name, **others):
            if ".fold3" in name:
                raise KeyboardInterrupt
            return super().train(*arguments, name=name, **others)

    with pytest.raises(KeyboardInterrupt):
        retrain(Dying(), recipe, folder, FOLDS)
    learner = Learner()

    member = retrain(learner, recipe, folder, FOLDS)

    assert [name for name, _, _ in learner.trained] == [f"{recipe.name}.fold3of3"]
    assert len(member.all_fits) == 3


def test_fits_of_a_fold_start_from_heads_of_the_fold(recipe, folder):
    heads = [lambda backbone, size, k=k: k for k in range(3)]
    material = Material(
        tuple(replace(part, heads=head) for part, head in zip(FOLDS.parts, heads, strict=True))
    )
    got = []

    class Watched(Learner):
        def train(self, *arguments, images, **others):
            got.append(images.heads("any", 32))
            return super().train(*arguments, images=images, **others)

    retrain(Watched(), recipe, folder, material)

    assert got == [0, 1, 2]
