"""The comparison with Keras Tuner: division, figures, and going on where it stopped."""

import json
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl_flowers.data.sources import open_data
from automl_flowers.errors import DataError, RunError
from automl_flowers.files import write_text
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord
from automl_flowers.run_folder import RunFolder
from benchmarks.search_vs_keras_tuner import (
    command,
    compare,
    contestants,
    measure,
    ours,
    outcomes,
    plot,
    splits,
)
from benchmarks.search_vs_keras_tuner.contestants import CONTESTANTS
from benchmarks.search_vs_keras_tuner.job import Job, read_job, write_job
from benchmarks.search_vs_keras_tuner.outcomes import Outcome
from benchmarks.search_vs_keras_tuner.settings import Settings
from ensembles.metrics import macro_f1_of_classes
from tests.benchmarks.conftest import PER_CLASS
from tests.data.conftest import serialise_example, write_tfrecord_file

KEYS = (
    "peer.seconds",
    "peer.test_macro_f1",
    "one_epoch.test_macro_f1",
    "ours_tenth.test_macro_f1",
    "ours_tenth.seconds",
    "ours_equal.test_macro_f1",
    "ours_equal.seconds",
    "ours_blend.test_macro_f1",
    "difference.equal.interval_90",
    "difference.tenth.interval_90",
    "ratio.disk",
    "ratio.peak_memory",
)


def look_up(result, key):
    for part in key.split("."):
        result = result[part]
    return result


# Dividing


def test_every_picture_is_in_exactly_one_split(pool):
    rows = splits.divide(pool, seed=0)

    assert len(rows) == 3 * PER_CLASS + 1
    assert rows["id"].is_unique
    assert set(rows["split"]) == {"train", "val", "test"}


@pytest.mark.parametrize("seed", range(3))
def test_every_class_has_its_share_of_every_split(pool, seed):
    counts = splits.divide(pool, seed).groupby(["label", "split"]).size()

    for label in range(3):
        for split, share in splits.SHARES.items():
            assert abs(counts[label, split] - share * PER_CLASS) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_copies_stay_together(pool, seed):
    rows = splits.divide(pool, seed).set_index("id")

    assert rows.loc["train/rose/03.png", "split"] == rows.loc["test/rose/copy.png", "split"]


def test_another_seed_divides_otherwise(pool):
    first, second = (list(splits.divide(pool, seed)["split"]) for seed in (0, 1))

    assert first != second
    assert first == list(splits.divide(pool, 0)["split"])


def test_test_pictures_are_linked_and_in_nothing_that_is_searched_with(repeats):
    folder = repeats[0].folder

    links = sorted((folder / splits.TEST_FOLDER).iterdir())
    tests = splits.test_rows(folder)
    searched = open_data(str(folder / splits.SEARCH_FILE))

    assert [str(link.readlink()) for link in links] == list(tests["path"])
    assert set(searched.rows["split"]) == {"train", "val"}
    assert not set(searched.rows["path"]) & set(tests["path"])
    assert len(searched.rows) + len(tests) == len(splits.read(folder))
    labels = [int(searched.class_names[label]) for label in searched.rows["label"]]
    by_id = splits.read(folder).set_index("id")["label"]
    assert labels == list(by_id[searched.rows["id"]])


def test_pictures_without_a_label_are_left_out(pictures, pool, tmp_path):
    file = tmp_path / "some.csv"
    lines = [f"{path},{label},train" for path, label in zip(*listed(pool), strict=True)]
    lines[0] = lines[0].split(",")[0] + ",,test"
    file.write_text("\n".join(["path,label,split", *lines]))

    assert len(splits.pool_pictures(str(file), 32, tmp_path).rows) == len(pool.rows) - 1


def listed(pool):
    return pool.rows["path"], pool.rows["label"]


def test_tfrecords_are_refused(tmp_path):
    examples = [serialise_example(label=label, id_=str(label).encode()) for label in range(2)]
    write_tfrecord_file(tmp_path / "train" / "00-2.tfrec", examples)
    (tmp_path / "classes.txt").write_text("daisy\nrose\n")

    with pytest.raises(DataError, match="TFRecords") as caught:
        splits.pool_pictures(str(tmp_path), 32, tmp_path / "cache")

    assert "folder" in caught.value.hint


def test_too_few_pictures_are_refused(pool):
    few = splits.Pool(pool.rows.iloc[:2], pool.groups[:2], pool.class_names)

    with pytest.raises(DataError, match="too few"):
        splits.divide(few, seed=0)


# Figures


def brute_force(counts, pictures, labels, predicted, num_classes):
    scores = []
    for drawn in counts:
        rows = [
            row
            for picture, times in enumerate(drawn)
            for _ in range(times)
            for row in np.flatnonzero(pictures == picture)
        ]
        scores.append(macro_f1_of_classes(labels[rows], predicted[rows], num_classes))
    return np.array(scores)


@given(seed=st.integers(0, 2**32 - 1), repeats=st.integers(1, 3))
def test_resampled_scores_are_those_of_the_resampled_rows(seed, repeats):
    generator = np.random.default_rng(seed)
    pictures = np.tile(np.arange(9), repeats)
    labels, predicted = generator.integers(0, 4, (2, len(pictures)))
    counts = compare.resample_counts(9, 5, seed)

    fast = compare.resampled_macro_f1(counts, pictures, labels, predicted, 4)

    assert (counts.sum(axis=1) == 9).all()
    np.testing.assert_allclose(fast, brute_force(counts, pictures, labels, predicted, 4))


def test_interval_holds_the_named_share_of_paired_differences():
    generator = np.random.default_rng(0)
    labels, first, second = generator.integers(0, 3, (3, 40))
    pictures = np.array([f"{n:02d}" for n in range(20)] * 2)

    low, high = compare.paired_interval(pictures, labels, first, second, 3, num_resamples=200)

    counts = compare.resample_counts(20, 200, 0)
    numbers = np.tile(np.arange(20), 2)
    differences = brute_force(counts, numbers, labels, first, 3) - brute_force(
        counts, numbers, labels, second, 3
    )
    assert np.mean((differences >= low) & (differences <= high)) == pytest.approx(0.9, abs=0.01)


def test_equal_predictions_differ_by_nothing():
    labels = np.arange(12) % 3
    predicted = np.roll(labels, 4)

    assert compare.paired_interval(np.arange(12), labels, predicted, predicted, 3) == (0.0, 0.0)


def make_outcome(repeat, share_right, seconds):
    """Return an outcome that is right for a share of the test pictures, in another order."""
    rows = splits.test_rows(repeat.folder)
    labels = rows["label"].to_numpy(np.int64)
    wrong = np.arange(len(labels)) >= share_right * len(labels)
    return Outcome(
        ids=rows["id"].to_numpy(str)[::-1],
        predicted=np.where(wrong, (labels + 1) % 3, labels)[::-1],
        parts={"search": seconds, "predict": 1.0},
        disk_bytes=int(1000 * seconds),
        peak_memory_bytes=5000,
        curve=np.array([[1.0, 0.2], [2.0, 0.1], [3.0, np.nan], [4.0, 0.5]]),
        notes={"epochs": 4},
    )


@pytest.fixture
def finished(repeats):
    """Two repeats in which everybody has ended."""
    rights = dict(zip(CONTESTANTS, (0.5, 0.6, 0.7, 0.8, 1.0), strict=True))
    for repeat in repeats:
        for number, (name, share) in enumerate(rights.items()):
            outcome = make_outcome(repeat, share, 10.0 + number)
            outcomes.save(repeat.outcome_file(name), outcome)
    return repeats


def test_figures_have_the_names_that_scripts_rely_on(finished, tmp_path):
    command.write_results(finished, tmp_path / "out.json")

    result = json.loads((tmp_path / "out.json").read_text())
    for key in KEYS:
        assert look_up(result, key) is not None, key
    assert result["peer"]["seconds"] == 11.0
    assert result["ours_blend"]["test_macro_f1"] == 1.0
    assert result["ratio"]["disk"] == pytest.approx(13 / 10)
    assert result["data"]["classes"] == 3
    assert len(result["ours_equal"]["repeats"]) == 2
    mean = np.mean([each["test_macro_f1"] for each in result["ours_equal"]["repeats"]])
    assert result["ours_equal"]["test_macro_f1"] == pytest.approx(mean, abs=1e-4)


def test_difference_is_ours_minus_the_peers(finished):
    result = command.collect(finished)

    assert result["difference"]["equal"]["macro_f1"] > 0
    low, high = result["difference"]["equal"]["interval_90"]
    assert 0 < low < result["difference"]["equal"]["macro_f1"] < high < 1
    assert (
        result["difference"]["tenth"]["macro_f1"]
        < result["difference"]["equal"]["macro_f1"]
        < result["difference"]["blend"]["macro_f1"]
    )


def test_what_has_not_ended_is_left_out(finished):
    finished[1].outcome_file("ours_equal").unlink()
    for repeat in finished:
        repeat.outcome_file("one_epoch").unlink()

    result = command.collect(finished)

    assert "one_epoch" not in result
    assert len(result["ours_equal"]["repeats"]) == 1
    assert len(result["difference"]["equal"]["repeats"]) == 1
    assert len(result["difference"]["tenth"]["repeats"]) == 2


def test_nothing_measured_yet_is_said(repeats, tmp_path):
    result = command.write_results(repeats, tmp_path / "out.json")

    assert result["difference"]["equal"] is None
    assert "not measured yet" in (tmp_path / "out.svg").read_text()


def test_other_pictures_than_the_test_split_are_refused(finished):
    outcome = outcomes.load(finished[0].outcome_file("peer"))
    outcome.ids[0] = "another"
    outcomes.save(finished[0].outcome_file("peer"), outcome)

    with pytest.raises(ValueError, match="other pictures"):
        command.collect(finished)


def test_plot_has_a_line_a_repeat_and_search(finished, tmp_path):
    command.write_results(finished, tmp_path / "out.json")

    root = ET.fromstring((tmp_path / "out.svg").read_text())  # noqa: S314 - our own drawing
    lines = [e for e in root.iter("{http://www.w3.org/2000/svg}path") if e.get("class") == "curve"]
    assert len(lines) == 2 * 4
    assert all("nan" not in line.get("d") for line in lines)


@given(
    st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1)), min_size=1, max_size=5),
    st.floats(0, 1e5),
)
def test_any_curve_can_be_drawn(points, end):
    rising = outcomes.incumbent(np.array(sorted(points))).tolist()

    svg = plot.draw({"<a>": [rising, []]}, {"<a>": [end, end]})

    assert ET.fromstring(svg) is not None  # noqa: S314 - our own drawing
    assert "nan" not in svg


def test_only_a_better_score_is_a_new_incumbent():
    curve = np.array([[1, 0.2], [2, 0.1], [3, np.nan], [4, 0.2], [5, 0.3]])

    assert outcomes.incumbent(curve).tolist() == [[1, 0.2], [5, 0.3]]
    assert outcomes.incumbent(np.empty((0, 2))).shape == (0, 2)


# Going on


def contest(name, calls, stop_at=None):
    def run(repeat):
        calls.append(f"{repeat.folder.name} {name}")
        if calls[-1] == stop_at:
            raise KeyboardInterrupt
        return make_outcome(repeat, 0.5, 1.0)

    return run


def test_a_stopped_benchmark_goes_on_with_who_had_not_ended(repeats):
    names = ("peer", "ours_equal")
    first, second = [], []
    stopping = {name: contest(name, first, stop_at="repeat-0 ours_equal") for name in names}

    with pytest.raises(KeyboardInterrupt):
        list(command.run_missing(repeats[0], stopping))
    for repeat in repeats:
        list(command.run_missing(repeat, {name: contest(name, second) for name in names}))

    assert first == ["repeat-0 peer", "repeat-0 ours_equal"]
    assert second == ["repeat-0 ours_equal", "repeat-1 peer", "repeat-1 ours_equal"]


def test_more_repeats_leave_the_first_ones_as_they_are(settings, repeats):
    before = (repeats[0].folder / splits.SPLIT_FILE).read_bytes()

    more = command.prepare(settings, 3, repeats[0].folder.parent)

    assert [r.folder.name for r in more] == ["repeat-0", "repeat-1", "repeat-2"]
    assert (repeats[0].folder / splits.SPLIT_FILE).read_bytes() == before


def test_a_work_folder_of_other_settings_is_refused(repeats, pictures):
    other = Settings(data=str(pictures), image_size=48, max_epochs=2, smoke=True)

    with pytest.raises(RunError, match="`image_size` was 32, now 48"):
        command.prepare(other, 2, repeats[0].folder.parent)


def test_the_run_folder_stays_until_the_blend_has_used_it(repeats):
    repeat = repeats[0]
    for name in ("peer", "ours_equal"):
        (repeat.folder / name).mkdir()
        outcomes.save(repeat.outcome_file(name), make_outcome(repeat, 0.5, 1.0))

    contestants.tidy(repeat)
    assert not (repeat.folder / "peer").exists()
    assert (repeat.folder / "ours_equal").exists()

    outcomes.save(repeat.outcome_file("ours_blend"), make_outcome(repeat, 0.5, 1.0))
    contestants.tidy(repeat)
    assert not (repeat.folder / "ours_equal").exists()


def test_an_outcome_is_read_as_it_was_written(repeats, tmp_path):
    before = make_outcome(repeats[0], 0.5, 1.5)

    outcomes.save(tmp_path / "one.npz", before)
    after = outcomes.load(tmp_path / "one.npz")

    for name in ("ids", "predicted", "curve"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.seconds == 2.5
    assert (after.parts, after.notes) == (before.parts, before.notes)


def test_mistakes_end_with_a_sentence(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["--data", str(tmp_path / "no"), "--out", "x.json", "--work", str(tmp_path)])

    assert stopped.value.code == 2
    assert "There is nothing at" in capsys.readouterr().err


# Measuring


def test_a_command_is_measured_with_its_memory_and_not_ours(tmp_path):
    ballast = bytearray(400_000_000)
    code = "import time; x = bytearray(100_000_000); time.sleep(0.05); print('done')"

    measured = measure.run(
        [sys.executable, "-c", code], log=tmp_path / "log", stdout=tmp_path / "out"
    )

    assert len(ballast) > measured.peak_memory_bytes > 100_000_000
    assert measured.seconds > 0.05
    assert (tmp_path / "out").read_text() == "done\n"


def test_a_command_that_fails_shows_the_end_of_its_log(tmp_path):
    code = "import sys; print('the reason', file=sys.stderr); sys.exit(3)"

    with pytest.raises(measure.CommandError, match=r"(?s)ended with 3.*the reason"):
        measure.run([sys.executable, "-c", code], log=tmp_path / "log")


def test_links_weigh_nothing_of_what_they_lead_to(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "large").write_bytes(bytes(100_000))
    (tmp_path / "a" / "b" / "file").write_bytes(bytes(1000))
    (tmp_path / "a" / "link").symlink_to(tmp_path / "large")

    assert 1000 <= measure.disk_bytes(tmp_path / "a") < 2000


def make_job(folder, **changes):
    values = {
        "repeat": folder,
        "project": folder / "run",
        "space_file": folder / "space.yaml",
        "num_classes": 3,
        "max_epochs": 9,
        "factor": 3,
        "seed": 1,
        "started": 1000.0,
        "budget_seconds": 100.0,
    }
    return Job(**{**values, **changes})


@pytest.mark.parametrize(("now", "left"), [(1002.0, 67.0), (1068.5, 1.0), (2000.0, 1.0)])
def test_our_search_leaves_time_for_final_fits_and_to_hand_over(tmp_path, now, left):
    assert ours.seconds_for_search(make_job(tmp_path), now) == left


def test_a_job_is_read_as_it_was_written(tmp_path):
    job = make_job(tmp_path, top=3)

    write_job(job, tmp_path / "job.json")

    assert read_job(tmp_path / "job.json") == job


def trial(number, identity, started):
    return TrialRecord(
        trial_id=f"{number:04d}",
        number=number,
        identity=identity,
        recipe=RECIPE,
        bracket=0,
        round=0,
        parent=None,
        first_epoch=0,
        last_epoch=2,
        started=started,
    )


RECIPE = {
    "backbone": "efficientnet_lite0",
    "image_size": 32,
    "trainable_blocks": 1,
    "dropout": 0.0,
    "l2": 0.0,
    "label_smoothing": 0.0,
    "class_weighting": "none",
    "augmentation": "none",
    "optimizer": "adam",
    "batch_size": 8,
    "schedule": {"kind": "constant", "peak_learning_rate": 0.1, "parameters": {}},
}


def test_our_curve_and_recipes_come_from_the_ledger(tmp_path):
    epochs = {"0000": [(4.0, 0.3), (2.0, 0.5)], "0001": [(1.0, 0.4)]}
    with Ledger(RunFolder(tmp_path).ledger, writable=True) as ledger:
        for number, identity in enumerate(("a", "b")):
            name = f"{number:04d}"
            ledger.start_trial(trial(number, identity, started=1010.0 + 10 * number))
            for epoch, (seconds, score) in enumerate(epochs[name]):
                record = EpochRecord(epoch, 0.1, 1.0, score, score, 1.0, seconds)
                ledger.record_epoch(name, record, None)
        ledger.end_trial("0000", "completed", score=0.5)

    assert ours.read_curve(tmp_path, 1000.0).tolist() == [[14, 0.3], [16, 0.5], [21, 0.4]]
    assert ours.count_recipes(tmp_path) == 1


@pytest.mark.parametrize(
    ("budget", "fits"),
    [
        (1000.0, 3),  # the fourth was cut short
        (6 + 89 / 0.95, 3),  # 4 epochs of 4 s on 10 / 6 of the images, twice 4 s to choose
        (6 + 87 / 0.95, 2),
        (6 + 27 / 0.95, 1),
        (6 + 26 / 0.95, 0),
        (1.0, 0),
    ],
)
def test_as_many_recipes_go_on_as_there_is_time_for(tmp_path, budget, fits):
    job = make_job(tmp_path, project=tmp_path, budget_seconds=budget)
    rows = [f"{k}.jpg,0,{split},{k}" for k, split in enumerate(["train"] * 6 + ["val"] * 4)]
    (tmp_path / splits.SPLIT_FILE).write_text("\n".join(["path,label,split,id", *rows]))
    epochs = [10, 10, 10, 3]
    with Ledger(RunFolder(job.project).ledger, writable=True) as ledger:
        for number, num_epochs in enumerate(epochs):
            name = f"{number:04d}"
            started = trial(number, f"recipe {number}", started=1000.0)
            ledger.start_trial(replace(started, last_epoch=num_epochs))
            for epoch in range(num_epochs):
                record = EpochRecord(epoch, 0.1, 1.0, 0.5, 0.5, 1.0, 4.0)
                ledger.record_epoch(name, record, None)
            ledger.end_trial(name, "completed", score=0.9 - number / 10)
    write_text(RunFolder(job.project).config, "max_epochs: 10\n")

    assert ours.count_final_fits(job, now=1000.0) == fits
