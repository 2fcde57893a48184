"""Tests for the ledger."""

import math
import os
import resource
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from automl_flowers.errors import RunError
from automl_flowers.files import Artefact
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord, reading_uri

TRIAL = TrialRecord(
    trial_id="0000",
    number=0,
    identity="abcdef012345",
    recipe={"backbone": "vgg16", "dropout": 0.1},
    bracket=1,
    round=0,
    parent=None,
    first_epoch=0,
    last_epoch=2,
    started=1000.0,
)

START_AND_DIE = """
import os, signal, sys
from pathlib import Path
from automl_flowers.files import Artefact
from automl_flowers.ledger import EpochRecord, Ledger, TrialRecord

ledger = Ledger(Path(sys.argv[1]), writable=True)
ledger.start_trial(TrialRecord("0000", 0, "a", {}, 0, 0, None, 0, 2))
file = Artefact("0000.0001.npz", "ab", 7)
ledger.record_epoch("0000", EpochRecord(0, .1, .2, .3, .4, .5, .6), file)
with ledger._transaction() as connection:
    connection.execute("UPDATE trials SET status = 'completed'")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def artefact(name):
    return Artefact(name, sha256=name[::-1], num_bytes=len(name))


def epoch(number, **changes):
    record = EpochRecord(
        epoch=number,
        learning_rate=1e-3,
        loss=0.9 - 0.1 * number,
        macro_f1=0.5,
        accuracy=0.6,
        log_loss=0.7,
        seconds=1.5,
    )
    return replace(record, **changes)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    with Ledger(path, writable=True) as ledger:
        yield ledger


def test_a_trial_comes_back_as_it_was_recorded(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_size("0000", {"layers": 9, "parameters": 100})
    ledger.record_epoch("0000", epoch(0), artefact("0000.0001.npz"))
    ledger.record_epoch("0000", epoch(1), artefact("0000.0002.npz"))
    ledger.end_trial("0000", "completed", score=0.5)

    [record] = ledger.trials()

    assert record.ended is not None
    assert record == replace(
        TRIAL,
        status="completed",
        score=0.5,
        size={"layers": 9, "parameters": 100},
        epochs=(epoch(0), epoch(1)),
        ended=record.ended,
    )


def test_an_empty_ledger_has_no_trials(ledger):
    assert ledger.trials() == []
    assert ledger.events() == []
    assert ledger.checkpoint_of("0000") is None


def test_trials_come_in_the_order_of_their_start(ledger):
    for number, trial_id in enumerate(["b", "c", "a"]):
        ledger.start_trial(replace(TRIAL, trial_id=trial_id, number=number))

    assert [record.trial_id for record in ledger.trials()] == ["b", "c", "a"]


def test_epochs_come_in_order_and_with_their_trial(ledger):
    for trial_id in ("0000", "0001"):
        ledger.start_trial(replace(TRIAL, trial_id=trial_id, number=int(trial_id)))
    for number in (1, 0):
        ledger.record_epoch("0001", epoch(number), None)

    first, second = ledger.trials()

    assert first.epochs == ()
    assert [record.epoch for record in second.epochs] == [0, 1]


def test_a_trial_that_starts_again_keeps_its_epochs_and_starts_anew(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_epoch("0000", epoch(0), artefact("0000.0001.npz"))

    ledger.start_trial(replace(TRIAL, started=2000.0))

    assert ledger.trials() == [replace(TRIAL, started=2000.0, epochs=(epoch(0),))]


def test_an_epoch_that_is_trained_again_replaces_its_record(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_epoch("0000", epoch(0), artefact("old.npz"))

    ledger.record_epoch("0000", epoch(0, loss=0.1), artefact("new.npz"))

    assert ledger.trials()[0].epochs == (epoch(0, loss=0.1),)
    assert ledger.checkpoint_of("0000") == (1, artefact("new.npz"))


def test_the_latest_checkpoint_counts(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_epoch("0000", epoch(2), artefact("0000.0003.npz"))
    ledger.record_epoch("0000", epoch(1), artefact("0000.0002.npz"))
    ledger.record_epoch("0000", epoch(3), None)

    assert ledger.checkpoint_of("0000") == (3, artefact("0000.0003.npz"))
    assert ledger.checkpoint_of("0001") is None


def test_every_file_is_known_by_its_content(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_epoch("0000", epoch(0), artefact("0000.0001.npz"), artefact("0000.0001.npz"))
    ledger.record_epoch("0000", epoch(1), artefact("0000.0002.npz"))

    assert ledger.artefacts() == [
        ("0000", 1, "best", artefact("0000.0001.npz")),
        ("0000", 1, "state", artefact("0000.0001.npz")),
        ("0000", 2, "state", artefact("0000.0002.npz")),
    ]


def test_an_epoch_needs_its_trial(ledger):
    ledger.record_epoch("0000", epoch(0), None)

    assert ledger.trials() == []


@pytest.mark.parametrize("status", ["failed", "infeasible"])
def test_a_trial_that_did_not_complete_has_a_reason_and_no_score(ledger, status):
    ledger.start_trial(TRIAL)

    ledger.end_trial("0000", status, reason="ValueError: no")

    [record] = ledger.trials()
    assert (record.status, record.score, record.reason) == (status, None, "ValueError: no")


def test_nan_comes_back_as_nan(ledger):
    ledger.start_trial(TRIAL)
    ledger.record_epoch("0000", epoch(0, loss=math.nan, macro_f1=math.nan), None)

    [record] = ledger.trials()[0].epochs

    assert math.isnan(record.loss)
    assert math.isnan(record.macro_f1)
    assert record.accuracy == 0.6


def test_floats_come_back_bit_for_bit(ledger):
    ledger.start_trial(TRIAL)
    exact = epoch(0, loss=0.1 + 0.2, log_loss=1e-320, learning_rate=math.inf)

    ledger.record_epoch("0000", exact, None)

    assert ledger.trials()[0].epochs == (exact,)


def test_events_come_in_order(ledger):
    ledger.record_event("traceback", "first")
    ledger.record_event("note", "second")

    events = ledger.events()

    assert [event[1:] for event in events] == [("traceback", "first"), ("note", "second")]
    assert events[0][0] <= events[1][0]


def test_a_reader_sees_what_the_writer_has_written_so_far(ledger, path):
    ledger.start_trial(TRIAL)
    with Ledger(path) as reader:
        assert reader.trials() == [TRIAL]

        ledger.record_epoch("0000", epoch(0), None)

        assert reader.trials() == [replace(TRIAL, epochs=(epoch(0),))]


def test_a_reader_does_not_block_the_writer_nor_see_half_a_transaction(ledger, path):
    ledger.start_trial(TRIAL)

    with Ledger(path) as reader, ledger._transaction() as connection:
        connection.execute("UPDATE trials SET status = 'completed'")
        connection.execute("DELETE FROM epochs")

        assert reader.trials() == [TRIAL]


def test_a_reader_cannot_write(ledger, path):
    with Ledger(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.start_trial(TRIAL)


def test_a_reader_needs_the_file(path):
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        Ledger(path)

    assert not path.exists()


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(ledger):
    ledger.start_trial(TRIAL)

    with pytest.raises(sqlite3.IntegrityError):
        ledger.start_trial(replace(TRIAL, trial_id="0001", last_epoch=None))  # type: ignore[arg-type]

    ledger.record_epoch("0000", epoch(0), None)
    assert ledger.trials() == [replace(TRIAL, epochs=(epoch(0),))]


@pytest.mark.parametrize("writable", [False, True])
@pytest.mark.parametrize("content", [b"words" * 300, b"SQLite format 3\x00" + b"words" * 300])
def test_a_damaged_file_is_an_error_with_a_hint(path, content, writable):
    path.write_bytes(content)

    with pytest.raises(RunError, match=r"ledger `.*` is damaged: file is not a database") as caught:
        Ledger(path, writable=writable).trials()

    assert "--run" in caught.value.hint
    assert path.read_bytes() == content


def test_a_file_that_lost_its_end_is_an_error_too(ledger, path):
    for number in range(40):
        ledger.start_trial(replace(TRIAL, trial_id=f"{number:04d}", number=number))
    ledger.close()
    path.write_bytes(path.read_bytes()[:8192])

    with Ledger(path) as reader, pytest.raises(RunError, match="is damaged"):
        reader.trials()


def test_a_full_disk_is_the_disks_error(ledger, path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="disk I/O error") as caught:
            ledger.start_trial(TRIAL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert caught.value.filename == str(path)
    assert ledger.trials() == []


def test_a_kill_leaves_whole_transactions_only(path):
    died = subprocess.run([sys.executable, "-c", START_AND_DIE, str(path)], check=False)

    assert died.returncode == -9
    with Ledger(path) as reader:
        [record] = reader.trials()
        assert reader.checkpoint_of("0000") == (1, Artefact("0000.0001.npz", "ab", 7))
    assert record.status == "running"
    assert len(record.epochs) == 1


def test_odd_file_names_are_file_names(tmp_path):
    path = tmp_path / "what? a #1 run%20.sqlite"

    with Ledger(path, writable=True) as ledger:
        ledger.start_trial(TRIAL)

    assert path.is_file()
    with Ledger(path) as reader:
        assert reader.trials() == [TRIAL]


def beside(path):
    return sorted(file.name for file in path.parent.iterdir() if file != path)


@pytest.fixture
def closed(ledger, path):
    """The path of a ledger that holds a trial and is closed, so it has no log."""
    ledger.start_trial(TRIAL)
    ledger.close()
    assert beside(path) == []
    return path


def test_a_ledger_in_a_folder_that_cannot_be_written_to_is_read_as_it_is(closed, monkeypatch):
    assert reading_uri(closed).endswith("ledger.sqlite?mode=ro")
    monkeypatch.setattr(os, "access", lambda folder, mode: False)  # as root is always let in

    with Ledger(closed) as ledger:
        assert ledger.trials() == [TRIAL]
        assert beside(closed) == [], "nothing may be made there"
    assert reading_uri(closed).endswith("?mode=ro&immutable=1")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_the_right_to_write_is_such_a_folder(closed):
    closed.parent.chmod(0o555)
    try:
        with Ledger(closed) as ledger:
            assert ledger.trials() == [TRIAL]
    finally:
        closed.parent.chmod(0o755)


def test_a_log_is_always_read_too(ledger, path, monkeypatch):
    ledger.start_trial(TRIAL)
    monkeypatch.setattr(os, "access", lambda folder, mode: False)

    assert beside(path) == ["ledger.sqlite-shm", "ledger.sqlite-wal"]
    assert reading_uri(path).endswith("?mode=ro")
    with Ledger(path) as reader:
        assert reader.trials() == [TRIAL]


def test_a_log_that_cannot_be_read_is_answered(path, tmp_path):
    subprocess.run([sys.executable, "-c", START_AND_DIE, str(path)], check=False)
    index = path.with_name(f"{path.name}-shm")
    index.unlink()
    index.symlink_to("no/such/folder")  # which keeps root from making it, too

    with Ledger(path) as ledger, pytest.raises(RunError, match="cannot be opened") as error:
        ledger.trials()
    assert "copy the run folder" in error.value.hint


def test_times_are_those_of_the_clock(path):
    now = 50.0

    with Ledger(path, writable=True, clock=lambda: now) as ledger:
        ledger.begin_session(now)
        ledger.start_trial(TRIAL)
        now = 57.0
        ledger.record_epoch("0000", epoch(0), artefact("0000.0001.npz"))
        now = 60.0
        ledger.end_trial("0000", "completed", score=0.5)
        now = 99.0  # in which nothing was recorded
        assert ledger.seconds_spent() == 10.0
        assert ledger.trials()[0].ended == 60.0


def test_final_fits_are_chosen_for_one_budget(ledger):
    assert ledger.chosen_final_fits(60.0) is None

    ledger.choose_final_fits(60.0, ["0003", "0001"])
    assert ledger.chosen_final_fits(60.0) == ["0003", "0001"]
    assert ledger.chosen_final_fits(90.0) is None

    ledger.choose_final_fits(90.0, [])
    assert ledger.chosen_final_fits(90.0) == []
