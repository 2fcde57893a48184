"""Tests for the way from members to what `blend.json` says, with real training and without."""

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from automl_flowers.blending.blend import summarise, weigh
from automl_flowers.blending.external import join_sources, read_sources
from automl_flowers.blending.fits import Fit, TrainingSet, fit, load_weights
from automl_flowers.blending.material import collect
from automl_flowers.blending.predict_members import (
    predict_members,
    predictions_file,
    try_views,
)
from automl_flowers.blending.retrain import EXTERNAL, Member, TriedViews, digits_of, retrain
from automl_flowers.blending.without_external import (
    blend_without_external,
    members_without_external,
)
from automl_flowers.data.prepare import prepare
from automl_flowers.errors import RunError
from automl_flowers.files import write_json
from ensembles import metrics
from ensembles.averaging import average
from ensembles.blend import Blend, apply_blend
from ensembles.predictions import AlignedPredictions, load_predictions, save_predictions

NAMES = ("daisy", "rose", "tulip")


def predictions(count=30, *, split="blend", seed=0, labels=None, num_models=2):
    """Return what members of some skill predict on `count` images a class."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(3), count)
    scores = rng.random((num_models, 3 * count, 3)) + 0.8 * np.eye(3)[truth]
    return AlignedPredictions(
        members=tuple(f"member {k}" for k in range(num_models)),
        split=split,
        ids=np.array([f"{k:04d}" for k in range(3 * count)]),
        labels=truth if labels is None else labels,
        probabilities=scores / scores.sum(axis=-1, keepdims=True),
        class_names=NAMES,
        data_hash="digits",
    )


def describe_member(recipe, number):
    return Member(
        name=f"member {number}",
        recipe=recipe,
        score_without_external=0.5,
        score_with_external=None,
        external_failure=None,
        score_with_pseudo_labels=None,
        size={"layers": 5},
        fits=((Fit(f"member {number}", "digits", {}, ()),),),
        final_fits=(Fit(f"member {number}", "digits", {}, ()),),
    )


def summary_of(recipe, aligned, rule="uniform"):
    members = [describe_member(recipe, k) for k in range(len(aligned["blend"].members))]
    choice = weigh(aligned, rule)
    files = [{split: f"{member.name}.{split}.npz" for split in aligned} for member in members]
    return summarise(members, aligned, choice, files=files, external=[]), choice


def weigh_blend(aligned, rule):
    return weigh({"blend": aligned}, rule)


def test_uniform_weights_are_given_when_asked_for_and_say_so():
    aligned = predictions(num_models=4)

    choice = weigh_blend(aligned, "uniform")

    assert choice.blend.weights == (0.25,) * 4
    assert (choice.rule, choice.reason) == ("uniform", "As asked for, the 4 members count equally.")
    expected = metrics.macro_f1(aligned.labels, average(aligned.probabilities))
    assert choice.naive.score == choice.nested.score == pytest.approx(expected)


def test_auto_compares_blends_from_ten_images_a_class():
    assert "fewer than the 10" in weigh_blend(predictions(9), "auto").reason
    assert weigh_blend(predictions(9), "auto").ways == ()
    assert "on held-out images" in weigh_blend(predictions(10), "auto").reason


def test_optimized_makes_do_with_two_images_a_class():
    good_and_bad = predictions(5)
    good_and_bad.probabilities[0] = 0.4 * np.eye(3)[good_and_bad.labels] + 0.2
    good_and_bad.probabilities[1] = np.eye(3)[1 - good_and_bad.labels]

    choice = weigh_blend(good_and_bad, "optimized")

    assert choice.is_fitted
    assert choice.blend.weights[0] > 0.5
    assert not weigh_blend(predictions(1), "optimized").is_fitted


def test_score_is_forecast_for_as_many_images_as_there_are_to_predict():
    blend, test = predictions(), predictions(10, split="test")

    assert weigh({"blend": blend, "test": test}, "auto").num_new == 30
    assert weigh({"blend": blend}, "auto").num_new is None
    assert weigh({"blend": blend, "test": test}, "uniform").num_new == 30


@pytest.mark.parametrize("rule", ["auto", "optimized", "uniform"])
def test_one_member_gets_everything(rule):
    choice = weigh_blend(predictions(num_models=1), rule)

    assert (choice.rule, choice.blend.weights) == ("single", (1.0,))


@pytest.mark.parametrize("rule", ["auto", "optimized", "uniform"])
def test_images_without_a_label_are_weighed_without(rule):
    aligned = predictions()
    some = np.where(np.arange(90) % 2, aligned.labels, -1)

    choice = weigh_blend(predictions(labels=some), rule)

    assert sum(choice.blend.weights) == pytest.approx(1)
    assert 0 <= choice.naive.score <= 1


def test_a_summary_is_json_with_all_scores(recipe):
    aligned = {
        split: predictions(seed=seed, split=split)
        for seed, split in enumerate(("val", "blend", "test"))
    }

    summary, choice = summary_of(recipe, aligned, "auto")

    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["class_names"] == list(NAMES)
    assert (summary["rule"], summary["reason"]) == (choice.rule, choice.reason)
    assert summary["absent_classes"] == {"val": 0, "blend": 0, "test": 0}
    for number, member in enumerate(summary["members"]):
        assert member["name"] == f"member {number}"
        assert member["weight"] == choice.blend.weights[number]
        assert member["gain"] == choice.with_members - choice.without_members[number]
        assert member["disagreement"] == choice.diversity.of_members[number]
        assert member["predictions"]["val"] == f"member {number}.val.npz"
        assert member["scores"]["test"]["accuracy"] == metrics.accuracy(
            aligned["test"].labels, aligned["test"].probabilities[number]
        )
    for split, one in aligned.items():
        expected = metrics.macro_f1(one.labels, apply_blend(choice.blend, one.probabilities))
        assert summary["scores"][split]["macro_f1"] == expected
    assert Blend.from_dict(summary["blend"]) == choice.blend
    for name, interval in (("naive", choice.naive), ("nested", choice.nested)):
        assert summary["scores"]["blend"][f"{name}_macro_f1"] == interval.score
        assert summary["scores"]["blend"][f"{name}_interval_90"] == [interval.low, interval.high]
    assert summary["expected"] == {
        "images": 90,
        "test_macro_f1": choice.expected.score,
        "test_interval_90": [choice.expected.low, choice.expected.high],
    }
    assert len(summary["candidates"]) == 8
    assert summary["diversity"]["disagreement"] == choice.diversity.disagreement


@pytest.mark.parametrize("rule", ["uniform", "auto"])
def test_it_is_said_what_weights_were_fitted_on(recipe, rule):
    summary, choice = summary_of(recipe, {"blend": predictions(60)}, rule)

    expected = "blend" if choice.is_fitted else None
    assert summary["weights_fitted_on"] == expected


def test_it_is_said_what_the_temperature_was_fitted_on(recipe):
    """Of a plain mean, too, whose log loss on these images it moves."""
    summary, choice = summary_of(recipe, {"blend": predictions(60)}, "uniform")
    without, _ = summary_of(recipe, {"blend": predictions(5)}, "uniform")

    assert choice.blend.global_temperature != 1.0
    assert summary["weights_fitted_on"] is None
    assert summary["temperature_fitted_on"] == "blend"
    assert without["temperature_fitted_on"] is None


def test_test_scores_are_null_without_labels_and_without_a_test_split(recipe):
    unlabelled = predictions(split="test", labels=np.full(90, -1))

    for aligned in (
        {"blend": predictions(), "test": unlabelled},
        {"blend": predictions()},
    ):
        summary, _ = summary_of(recipe, aligned)

        assert set(summary["scores"]["test"].values()) == {None}
        assert summary["scores"]["test"]["macro_f1"] is None
        assert summary["scores"]["val"] is None
        assert summary["absent_classes"] == {"blend": 0}
    assert (
        summary_of(recipe, {"blend": predictions(), "test": unlabelled})[0]["members"][0]["scores"][
            "test"
        ]
        is None
    )


def test_a_score_is_that_of_the_labelled_images(recipe):
    known = predictions(split="test")
    some = np.where(known.labels == 2, -1, known.labels)

    summary, choice = summary_of(
        recipe, {"blend": predictions(), "test": predictions(split="test", labels=some)}
    )

    here = some >= 0
    blended = apply_blend(choice.blend, known.probabilities)[here]
    assert summary["scores"]["test"]["accuracy"] == metrics.accuracy(some[here], blended)
    assert summary["absent_classes"]["test"] == 1


# With real training: seconds, on random weights.


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Folders of a run, by name."""
    root = tmp_path_factory.mktemp("run")
    return {name: root / name for name in ("members", "predictions", "cache")}


@pytest.fixture(scope="module")
def source(ours, garden, run, tmp_path_factory, draw_pictures):
    """An external data set of two usable classes, one copy of a test image among them."""
    colours = {"Roses": (220, 40, 60), "tulips": (60, 60, 220)}
    root = draw_pictures(tmp_path_factory.mktemp("meadow") / "meadow", {"": 2}, colours, seed=5000)
    with Image.open(garden / "test/rose/0.png") as image:
        image.resize((40, 40), Image.Resampling.BICUBIC).save(root / "Roses/copy.jpg", quality=90)
    [source] = read_sources(
        [str(root)],
        ours,
        label_map={},
        probe_with=None,
        image_size=32,
        cache=run["cache"],
        on_progress=lambda what, done, total: None,
    )
    return source


@pytest.fixture(scope="module")
def material(ours, source):
    return collect(ours, 32, external=join_sources([source], 32))


@pytest.fixture(scope="module")
def members(trainer, recipe, other_recipe, run, material):
    return [retrain(trainer, one, run["members"], material) for one in (recipe, other_recipe)]


@pytest.fixture(scope="module")
def aligned(trainer, members, material, run):
    return predict_members(trainer, members, material, run["members"], run["predictions"])


def last_epoch_of(member):
    """Return the scores on `val` that its first fit ended with."""
    last = member.all_fits[0].epochs[-1]
    return {"macro_f1": last.macro_f1, "accuracy": last.accuracy, "log_loss": last.log_loss}


def test_a_member_keeps_external_images_where_they_do_not_lower_its_score(members, source):
    assert source.leaks.dropped == ("Roses/copy.jpg",)
    for member in members:
        kept = member.score_with_external >= member.score_without_external
        assert member.name == member.recipe.name + ("+external" if kept else "")
        assert last_epoch_of(member)["macro_f1"] == max(
            member.score_with_external, member.score_without_external
        )
        assert math.isfinite(last_epoch_of(member)["log_loss"])


def test_with_no_epoch_left_a_trainer_only_says_the_size(trainer, recipe):
    states = []
    size = trainer.train(recipe, 0, 1, None, lambda record, get_state: states.append(get_state()))
    heard = []

    again = trainer.train(recipe, 1, 1, states[0], lambda record, get_state: heard.append(record))

    assert again == size
    assert heard == []


def test_a_second_call_trains_nothing(trainer, members, recipe, run, material):
    heard = []

    again = retrain(trainer, recipe, run["members"], material, lambda *event: heard.append(event))

    assert again == members[0]
    assert heard == []


def test_predictions_are_those_of_the_members_by_id(trainer, members, aligned, ours, run):
    assert set(aligned) == {"val", "blend", "test"}
    for split, one in aligned.items():
        rows = ours.manifest.split(split)
        assert one.ids.tolist() == rows["id"].tolist()
        assert one.labels.tolist() == rows["label"].tolist()
        assert one.members == tuple(member.name for member in members)
        assert one.probabilities.shape == (2, len(rows), 3)
    for number, member in enumerate(members):
        val = aligned["val"]
        score = metrics.macro_f1(val.labels, val.probabilities[number])
        assert score == last_epoch_of(member)["macro_f1"]


def test_predictions_are_made_once(trainer, members, aligned, material, run):
    class Unwilling:
        data = trainer.data

        def __getattr__(self, name):
            raise AssertionError(f"asked for {name}")

    again = predict_members(Unwilling(), members, material, run["members"], run["predictions"])

    for split, one in aligned.items():
        np.testing.assert_array_equal(again[split].probabilities, one.probabilities)


def test_a_damaged_file_of_predictions_is_made_again(
    trainer, members, aligned, material, run, tmp_path
):
    folder = tmp_path / "predictions"
    shutil.copytree(run["predictions"], folder)
    file = folder / predictions_file(members[0], material, "val")
    file.write_bytes(file.read_bytes()[:100])

    again = predict_members(trainer, members, material, run["members"], folder)

    np.testing.assert_array_equal(again["val"].probabilities, aligned["val"].probabilities)


def without_a_row(found):
    return replace(
        found, ids=found.ids[1:], labels=found.labels[1:], probabilities=found.probabilities[1:]
    )


def with_another_class(found):
    return replace(found, class_names=("lily", *found.class_names[1:]))


def of_other_images(found):
    return replace(found, data_hash="0123")


def of_another_member(found):
    return replace(found, member="somebody")


@pytest.mark.parametrize(
    "changed", [without_a_row, with_another_class, of_other_images, of_another_member]
)
def test_a_file_of_predictions_of_something_else_is_made_again(
    trainer, members, aligned, material, run, tmp_path, changed
):
    folder = shutil.copytree(run["predictions"], tmp_path / "predictions")
    file = folder / predictions_file(members[0], material, "val")
    save_predictions(file, changed(load_predictions(file)))

    again = predict_members(trainer, members, material, run["members"], folder)

    np.testing.assert_array_equal(again["val"].probabilities, aligned["val"].probabilities)
    assert again["val"].class_names == NAMES


def test_a_file_with_classes_in_another_order_is_read_by_name(
    trainer, members, aligned, material, run, tmp_path
):
    folder = shutil.copytree(run["predictions"], tmp_path / "predictions")
    file = folder / predictions_file(members[1], material, "val")
    found = load_predictions(file)
    turned = replace(
        found,
        labels=np.where(found.labels < 0, -1, 2 - found.labels),
        probabilities=np.ascontiguousarray(found.probabilities[:, ::-1]),
        class_names=found.class_names[::-1],
    )
    save_predictions(file, turned)

    again = predict_members(trainer, members, material, run["members"], folder)

    np.testing.assert_array_equal(again["val"].probabilities, aligned["val"].probabilities)


def test_files_of_other_ids_are_an_error_that_says_what_to_do(
    trainer, members, aligned, material, run, tmp_path
):
    folder = shutil.copytree(run["predictions"], tmp_path / "predictions")
    file = folder / predictions_file(members[0], material, "val")
    found = load_predictions(file)
    save_predictions(file, replace(found, ids=np.array([f"x{name}" for name in found.ids])))

    with pytest.raises(
        RunError, match=r"do not fit together: .* must predict the same ex"
    ) as error:
        predict_members(trainer, members, material, run["members"], folder)

    assert error.value.hint == "remove that folder, and they are made again"


@pytest.fixture(scope="module")
def other_data(garden, tmp_path_factory):
    """The garden with another test image and another image that was trained on, in turn."""

    def other_data(*changed):
        root = tmp_path_factory.mktemp("changed") / "garden"
        shutil.copytree(garden, root)
        for name in changed:
            with Image.open(root / name) as image:
                image.transpose(Image.Transpose.ROTATE_90).save(root / name)
        cache = root.parent / "cache"
        return prepare(str(root), seed=0, image_size=32, cache=cache)

    return other_data


def test_predictions_are_not_reused_for_other_data(
    make_trainer, members, aligned, material, other_data, run, tmp_path
):
    folder = tmp_path / "predictions"
    shutil.copytree(run["predictions"], folder)
    data_now = other_data("test/rose/0.png")
    material_now = collect(data_now, 32)

    now = predict_members(make_trainer(data_now), members, material_now, run["members"], folder)

    def file_of(split, which):
        return predictions_file(members[0], which, split)

    assert file_of("test", material) != file_of("test", material_now)
    assert file_of("val", material) == file_of("val", material_now)
    np.testing.assert_array_equal(now["val"].probabilities, aligned["val"].probabilities)
    is_changed = now["test"].ids == "test/rose/0.png"
    difference = abs(now["test"].probabilities - aligned["test"].probabilities).max(axis=(0, 2))
    assert difference[is_changed].min() > 0
    assert difference[~is_changed].max() < 1e-6


def test_predictions_are_not_reused_for_a_member_trained_on_other_images(members, material):
    def retrained(member):
        fits = tuple(replace(fit, trained_on="other images") for fit in member.all_fits)
        return replace(member, fits=(fits,))

    for member in members:
        files = {predictions_file(one, material, "val") for one in (member, retrained(member))}
        assert len(files) == 2


def test_other_training_images_retrain(make_trainer, members, recipe, other_data, run, tmp_path):
    folder = tmp_path / "members"
    shutil.copytree(run["members"], folder)
    heard = []

    data = other_data("train/rose/0.png")
    changed = retrain(
        make_trainer(data),
        recipe,
        folder,
        collect(data, 32),
        lambda name, record: heard.append(name),
    )

    assert heard == [recipe.name]
    assert digits_of(changed.all_fits) != digits_of(members[0].all_fits)


def test_what_is_written_holds_what_was_done(members, aligned, material, tmp_path):
    choice = weigh(aligned, "auto")
    files = [
        {split: predictions_file(member, material, split) for split in aligned}
        for member in members
    ]

    write_json(
        tmp_path / "blend.json", summarise(members, aligned, choice, files=files, external=[])
    )

    blend = json.loads((tmp_path / "blend.json").read_text())
    assert [member["name"] for member in blend["members"]] == [m.name for m in members]
    assert sum(member["weight"] for member in blend["members"]) == pytest.approx(1)
    for entry, member in zip(blend["members"], members, strict=True):
        assert entry["recipe"] == member.recipe.to_dict()
        scores = dict(entry["scores"]["val"])
        assert 0 <= scores.pop("calibration_error") <= 1
        assert scores == pytest.approx(last_epoch_of(member))
        assert entry["val_macro_f1_with_external"] == member.score_with_external
        assert entry["val_macro_f1_without_external"] == member.score_without_external
        assert isinstance(entry["predictions"], Mapping)
        assert entry["size"]["trainable_layers"] > 0
    assert 0 <= blend["scores"]["blend"]["macro_f1"] <= 1
    assert 0 <= blend["scores"]["test"]["macro_f1"] <= 1


def test_the_blend_without_external_images_is_of_fits_on_ours_alone(
    trainer, recipe, other_recipe, material, run
):
    ours_alone = replace(material, external=None)
    joined = TrainingSet(material.parts[0].train, material.parts[0].val, material.external)
    folders = run["members"], run["predictions"]
    plain, other = (
        retrain(trainer, one, run["members"], ours_alone) for one in (recipe, other_recipe)
    )
    fit_with = fit(trainer, recipe, replace(joined, suffix=EXTERNAL), run["members"])
    kept = replace(
        plain,
        name=fit_with.name,
        fits=((fit_with,),),
        final_fits=(fit_with,),
        fit_without_external=plain.all_fits[0],
    )
    members = [kept, other]

    compared = blend_without_external(trainer, members, material, "uniform", *folders)
    expected = predict_members(trainer, [plain, other], ours_alone, *folders)["blend"]

    np.testing.assert_array_equal(compared[0].probabilities, expected.probabilities)
    aligned = predict_members(trainer, members, material, *folders)
    choice = weigh(aligned, "uniform")
    summary = summarise(
        members, aligned, choice, files=[{}, {}], external=[], without_external=compared
    )
    mean = expected.probabilities.mean(axis=0)
    without = summary["without_external"]
    assert without["macro_f1"] == pytest.approx(metrics.macro_f1(expected.labels, mean))
    assert without["nested_macro_f1"] is not None
    assert members_without_external([plain, other]) is None
    unlike = replace(kept, fit_without_external=None)  # several fits, or folds
    assert members_without_external([unlike, other]) is None


def test_test_images_without_labels_are_predicted_and_not_scored(
    make_trainer, members, garden, run, tmp_path
):
    root = tmp_path / "garden"
    shutil.copytree(garden, root)
    for path in list((root / "test").rglob("*.png")):
        path.rename(root / "test" / f"{path.parent.name}{path.name}")
    for name in NAMES:
        (root / "test" / name).rmdir()
    data = prepare(str(root), seed=0, image_size=32, cache=tmp_path / "cache")

    aligned = predict_members(
        make_trainer(data), members, collect(data, 32), run["members"], tmp_path / "predictions"
    )
    summary = summarise(members, aligned, weigh(aligned, "uniform"), files=[{}, {}], external=[])

    assert aligned["test"].probabilities.shape == (2, 6, 3)
    assert set(aligned["test"].labels) == {-1}
    assert summary["scores"]["test"]["macro_f1"] is None


def test_with_folds_every_image_is_predicted_by_models_that_have_not_seen_it(
    trainer, recipe, ours, run
):
    material = collect(ours, 32, num_folds=2)

    member = retrain(trainer, recipe, run["members"], material)
    aligned = predict_members(trainer, [member], material, run["members"], run["predictions"])

    assert set(aligned) == {"blend", "test"}
    labelled = ours.manifest.split("train", "val", "blend")
    assert aligned["blend"].ids.tolist() == labelled["id"].tolist()
    assert aligned["blend"].labels.tolist() == labelled["label"].tolist()
    for part, (one,) in zip(material.parts, member.fits, strict=True):
        examples = part.val.at(32)
        inside = np.isin(aligned["blend"].ids, examples.ids)
        held_out = aligned["blend"].probabilities[0, inside]
        assert one.macro_f1 == metrics.macro_f1(aligned["blend"].labels[inside], held_out)
    test = ours.examples("test", 32)
    weights = [load_weights(run["members"], one.name) for one in member.all_fits]
    of_test = np.mean([trainer.predict(recipe, each, test) for each in weights], axis=0)
    np.testing.assert_allclose(aligned["test"].probabilities[0], of_test, atol=1e-6)
    summary = summarise([member], aligned, weigh(aligned, "auto"), files=[{}], external=[])
    assert summary["scores"]["val"] is None
    assert summary["members"][0]["final_fits"] == [one.name for one in member.all_fits]


def test_views_are_kept_where_they_lower_the_log_loss(trainer, members, material, run, aligned):
    folders = (run["members"], run["predictions"])
    for member in members:
        tried = try_views(trainer, member, material, 4, *folders)

        kept = tried.tried_views
        assert (kept.num_views, kept.split) == (4, "val")
        assert kept.without["log_loss"] == pytest.approx(last_epoch_of(member)["log_loss"])
        is_better = kept.with_views["log_loss"] < kept.without["log_loss"]
        assert tried.num_views == (4 if is_better else 1)
        assert replace(tried, num_views=1, tried_views=None) == member


def test_views_are_averaged_in_log_space(trainer, members, material, run, tmp_path):
    member = replace(members[0], num_views=2)
    val = material.parts[0].val.at(32)
    mirrored = replace(val, caches=tuple(images[:, :, ::-1] for images in val.caches))
    weights = load_weights(run["members"], member.fits[0][0].name)
    logs = [np.log(trainer.predict(member.recipe, weights, each)) for each in (val, mirrored)]

    aligned = predict_members(trainer, [member], material, run["members"], tmp_path)

    expected = np.exp(np.mean(logs, axis=0))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(aligned["val"].probabilities[0], expected, atol=1e-5)
    assert predictions_file(member, material, "val") != predictions_file(
        members[0], material, "val"
    )


def test_no_views_are_tried_unasked(members, material):
    assert try_views(None, members[0], material, 1, None, None) is members[0]


def test_a_summary_says_what_views_did(recipe):
    better = {"macro_f1": 0.9, "log_loss": 0.4}
    tried = TriedViews(2, "val", without={"macro_f1": 0.8, "log_loss": 0.5}, with_views=better)
    member = replace(describe_member(recipe, 0), num_views=2, tried_views=tried)
    aligned = {"blend": predictions(num_models=1)}

    summary = summarise([member], aligned, weigh(aligned, "uniform"), files=[{}], external=[])

    [entry] = summary["members"]
    assert entry["views"] == 2
    assert entry["tried_views"]["with_views"] == better
