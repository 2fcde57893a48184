"""Tests for reading what a run predicts with."""

import json

import numpy as np
import pytest

from automl_flowers.blending.fits import Fit, save_fit
from automl_flowers.blending.read_ensemble import blended, read_ensemble
from automl_flowers.blending.soup_records import digits
from automl_flowers.errors import RunError
from automl_flowers.ledger import Ledger
from automl_flowers.run_folder import RunFolder
from ensembles.blend import Blend, apply_blend


@pytest.fixture
def run(tmp_path, recipe):
    """Write a `blend.json` of two members, changed as a test wants it."""

    def run(**changes):
        entry = {"name": "one", "weight": 0.25, "recipe": recipe.to_dict()}
        second = {**entry, "name": "two", "weight": 0.75, "final_fits": ["two", "two.seed1"]}
        blend = {"class_names": ["daisy", "rose"], "members": [entry, second], **changes}
        (tmp_path / "blend.json").write_text(json.dumps(blend))
        return RunFolder(tmp_path)

    return run


def test_members_are_those_of_the_blend_with_the_files_of_their_final_fits(run, recipe, tmp_path):
    ensemble = read_ensemble(run())

    assert [member.name for member in ensemble.members] == ["one", "two"]
    assert ensemble.members[0].files == (tmp_path / "members/one.npz",)
    assert [file.name for file in ensemble.members[1].files] == ["two.npz", "two.seed1.npz"]
    assert ensemble.members[0].recipe == recipe
    assert ensemble.blend.weights == (0.25, 0.75)
    assert ensemble.class_names == ("daisy", "rose")
    assert ensemble.image_sizes == (recipe.image_size,)


def test_a_member_predicts_in_the_batches_that_fitted(run, recipe):
    entry = {"name": "one", "weight": 1.0, "recipe": recipe.to_dict()}

    [member] = read_ensemble(run(members=[{**entry, "size": {"fitting_batch_size": 4}}])).members

    assert member.batch_size == 4


def test_a_blend_with_temperatures_and_prior_is_applied_as_it_is(run):
    blend = Blend("geometric", (0.5, 0.5), (2.0, 0.5), 1.5, 0.5, (0.75, 0.25))
    stack = np.random.default_rng(0).dirichlet([1, 1], (2, 5))

    ensemble = read_ensemble(run(blend=blend.to_dict()))

    assert ensemble.blend == blend
    np.testing.assert_array_equal(blended(ensemble, stack), apply_blend(blend, stack))


def test_members_that_count_for_nothing_are_left_out(run):
    blend = Blend("arithmetic", (0.0, 1.0), (2.0, 0.5))

    ensemble = read_ensemble(run(blend=blend.to_dict()))

    assert [member.name for member in ensemble.members] == ["two"]
    assert ensemble.blend == Blend("arithmetic", (1.0,), (0.5,))


@pytest.fixture
def run_of_one(run, recipe, tmp_path):
    """Write a run whose one member was trained on some images, and then on these."""

    def run_of_one(then):
        entry = {"name": "one", "weight": 1.0, "recipe": recipe.to_dict(), "final_fits": ["one"]}
        weights = {"weight": np.ones(1, np.float32)}
        for trained_on in ("some images", then):
            save_fit(tmp_path / "members", Fit("one", trained_on, {}, ()), weights)
        return run(members=[{**entry, "trained_on": [digits("some images")]}])

    return run_of_one


def test_weights_that_the_blend_was_written_for_are_read(run_of_one):
    assert [member.name for member in read_ensemble(run_of_one("some images")).members] == ["one"]


def test_weights_that_were_trained_otherwise_since_are_refused(run_of_one):
    """As by a later ensemble that was stopped: its models would count as those before it did."""
    with pytest.raises(RunError, match=r"weights of one are not those that .*blend\.json") as error:
        read_ensemble(run_of_one("other images"))

    assert "automl-flowers ensemble --run" in error.value.hint


def test_weights_without_their_record_are_refused(run_of_one, tmp_path):
    """As where writing others in their place was stopped."""
    ready = run_of_one("some images")
    (tmp_path / "members/one.json").unlink()

    with pytest.raises(RunError, match="weights of one are not those that"):
        read_ensemble(ready)


@pytest.mark.parametrize(
    "changes",
    [
        {"members": [{"name": "one", "weight": 1.0}]},
        {"members": []},
        {"members": None},
        {"members": ["one"]},
        {"blend": {"kind": "arithmetic"}},
        {"blend": {**Blend("arithmetic", (1.0,), (1.0,)).to_dict(), "weights": [0.5]}},
        {"blend": Blend("arithmetic", (0.2, 0.3, 0.5), (1.0, 1.0, 1.0)).to_dict()},
        {"blend": Blend("arithmetic", (1.0,), (1.0,)).to_dict()},
    ],
)
def test_a_damaged_blend_is_answered(run, changes):
    with pytest.raises(RunError, match=r"blend\.json` is damaged") as error:
        read_ensemble(run(**changes))

    assert "automl-flowers ensemble --run" in error.value.hint


def test_a_best_model_of_another_search_is_named(tmp_path):
    run = RunFolder(tmp_path)
    run.best.mkdir(parents=True)
    (run.best / "0007.0002.npz").write_bytes(b"weights")
    Ledger(run.ledger, writable=True).close()

    with pytest.raises(RunError, match=r"is of trial 0007, which .* does not know"):
        read_ensemble(run)
