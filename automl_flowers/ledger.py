"""The ledger: what every trial of a run did, in one SQLite file.

One writer at a time (see `run_folder.py`), any number of readers at any time (WAL). A trial is
recorded when it starts, after every epoch and when it ends, each in one transaction, so a run
that is killed at any instant knows what it has done. SQLite keeps NaN as NULL; here it is NaN
again.
"""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from automl_flowers.errors import RunError
from automl_flowers.files import Artefact

Status = Literal["running", "completed", "failed", "infeasible"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    identity TEXT NOT NULL,
    recipe TEXT NOT NULL,
    bracket INTEGER NOT NULL,
    round INTEGER NOT NULL,
    parent TEXT,
    first_epoch INTEGER NOT NULL,
    last_epoch INTEGER NOT NULL,
    status TEXT NOT NULL,
    score REAL,
    reason TEXT,
    size TEXT,
    started REAL NOT NULL,
    ended REAL
);
CREATE TABLE IF NOT EXISTS epochs (
    trial_id TEXT NOT NULL REFERENCES trials (trial_id),
    epoch INTEGER NOT NULL,
    learning_rate REAL NOT NULL,
    loss REAL,
    macro_f1 REAL,
    accuracy REAL,
    log_loss REAL,
    seconds REAL NOT NULL,
    PRIMARY KEY (trial_id, epoch)
);
CREATE TABLE IF NOT EXISTS artefacts (
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    trial_id TEXT NOT NULL REFERENCES trials (trial_id),
    epochs INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    num_bytes INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
);
CREATE TABLE IF NOT EXISTS attempts (
    trial_id TEXT NOT NULL REFERENCES trials (trial_id),
    started REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    started REAL NOT NULL,
    last REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS events (
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL
);
"""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of a trial.

    Attributes:
        epoch: Counted from the start of the recipe, the first is 0.
        learning_rate: Of the epoch's last step.
        loss: Mean training loss.
        macro_f1: On the whole `val` split.
        accuracy: On the whole `val` split.
        log_loss: On the whole `val` split, in nats.
        seconds: Training and evaluation.
    """

    epoch: int
    learning_rate: float
    loss: float
    macro_f1: float
    accuracy: float
    log_loss: float
    seconds: float


@dataclass(frozen=True)
class TrialRecord:
    """One trial: what it was to do, and what came of it.

    Attributes:
        trial_id: The oracle's name for it.
        number: Order of the start, from 0.
        identity: Of the recipe.
        recipe: As `Recipe.to_dict` wrote it.
        bracket: Index of the bracket.
        round: Index of the round in the bracket.
        parent: The trial that it continues, or None.
        first_epoch: Epochs that its parent has trained.
        last_epoch: Epochs trained when it ends.
        status: `running` also after a kill.
        score: The objective after the last epoch, if completed.
        reason: Why it failed or is infeasible.
        size: Layers and parameters, all and trainable.
        started: Seconds since 1970.
        ended: Seconds since 1970, or None.
        epochs: What was recorded, in order.
    """

    trial_id: str
    number: int
    identity: str
    recipe: dict[str, Any]
    bracket: int
    round: int
    parent: str | None
    first_epoch: int
    last_epoch: int
    status: Status = "running"
    score: float | None = None
    reason: str | None = None
    size: dict[str, int] = field(default_factory=dict)
    started: float = 0.0
    ended: float | None = None
    epochs: tuple[EpochRecord, ...] = ()

    @property
    def epochs_trained(self) -> int:
        """Epochs that its recipe has had: fewer than `last_epoch` where it was ended before."""
        return self.epochs[-1].epoch + 1 if self.epochs else self.first_epoch


class Ledger:
    """Reads and writes a run's ledger.

    A method raises `RunError` where the file is damaged, and `OSError` where the disk is full.

    Args:
        path: The SQLite file.
        writable: Whether to create and change it; a reader needs the file to exist.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self, path: Path, *, writable: bool = False, clock: Callable[[], float] = time.time
    ) -> None:
        self.clock = clock
        self._path = path
        uri = f"{path.absolute().as_uri()}?mode=rwc" if writable else reading_uri(path)
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA busy_timeout = 10000")
        if writable:
            with _telling_whose_fault(path):
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _telling_whose_fault(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.rollback()
                raise

    def begin_session(self, started: float) -> None:
        """Record that a command works on the run since `started`, in seconds since 1970."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO sessions VALUES (?, ?)", (started, self.clock()))

    def end_session(self) -> None:
        """Record that the search has come to its end."""
        self.record_event("search ended", "")

    def has_ended(self) -> bool:
        """Say whether the search came to its end, and nobody began to extend it since."""
        row = self._connection.execute(
            "SELECT kind FROM events WHERE kind IN ('search ended', 'search extended') "
            "ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        return row is not None and row["kind"] == "search ended"

    def seconds_spent(self) -> float:
        """Return what all commands on this run took, each until it last recorded something."""
        row = self._connection.execute("SELECT sum(last - started) FROM sessions").fetchone()
        return float(row[0] or 0.0)

    def start_trial(self, record: TrialRecord) -> None:
        """Record that a trial starts, or starts again after a kill, which keeps its epochs.

        It has started when it started last: nobody worked on it in between.
        """
        row = {k: v for k, v in asdict(record).items() if k != "epochs"}
        row |= {"recipe": json.dumps(record.recipe), "size": json.dumps(record.size)}
        names = ", ".join(row)
        places = ", ".join(f":{name}" for name in row)
        with self._transaction() as connection:
            connection.execute(
                f"INSERT INTO trials ({names}) VALUES ({places}) "  # noqa: S608 - our own names
                "ON CONFLICT (trial_id) DO UPDATE SET status = 'running', started = :started",
                row,
            )
            connection.execute(
                "INSERT INTO attempts VALUES (?, ?)", (record.trial_id, self.clock())
            )

    def count_attempts(self, trial_id: str) -> int:
        """Return how often a trial was started since it last got through an epoch.

        What was more than one attempt ended with its process, unless it was forgotten.
        """
        found = self._connection.execute(
            "SELECT count(*) FROM attempts WHERE trial_id = ?", (trial_id,)
        )
        return int(found.fetchone()[0])

    def forget_attempts(self, trial_id: str) -> None:
        """Record that a trial was stopped by no fault of its own."""
        with self._transaction() as connection:
            _forget_attempts(connection, trial_id)

    def record_size(self, trial_id: str, size: dict[str, int]) -> None:
        """Record layers and parameters of a trial's model."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE trials SET size = ? WHERE trial_id = ?", (json.dumps(size), trial_id)
            )

    def record_epoch(
        self,
        trial_id: str,
        record: EpochRecord,
        state: Artefact | None,
        best: Artefact | None = None,
    ) -> None:
        """Record an epoch and the files that were written after it.

        Args:
            trial_id: Of its trial.
            record: What it brought.
            state: Checkpoint to go on from.
            best: Model, if this was the best epoch of the search so far.
        """
        row = {**asdict(record), "trial_id": trial_id}
        files = [("state", state), ("best", best)]
        names = ", ".join(row)
        places = ", ".join(f":{name}" for name in row)
        with self._transaction() as connection:
            connection.execute(
                f"INSERT OR REPLACE INTO epochs ({names}) VALUES ({places})",  # noqa: S608
                row,
            )
            connection.executemany(
                "INSERT OR REPLACE INTO artefacts VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (file.name, kind, trial_id, record.epoch + 1, file.sha256, file.num_bytes)
                    for kind, file in files
                    if file is not None
                ],
            )
            _forget_attempts(connection, trial_id)
            _touch_session(connection, self.clock())

    def end_trial(
        self,
        trial_id: str,
        status: Status,
        *,
        score: float | None = None,
        reason: str | None = None,
    ) -> None:
        """Record how a trial ended."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE trials SET status = ?, score = ?, reason = ?, ended = ? WHERE trial_id = ?",
                (status, score, reason, self.clock(), trial_id),
            )
            _forget_attempts(connection, trial_id)
            _touch_session(connection, self.clock())

    def record_event(self, kind: str, message: str) -> None:
        """Record something worth knowing later, such as a traceback."""
        with self._transaction() as connection:
            connection.execute("INSERT INTO events VALUES (?, ?, ?)", (self.clock(), kind, message))

    def trials(self) -> list[TrialRecord]:
        """Return all trials with their epochs, in the order in which they started.

        Raises:
            RunError: If the file is damaged.
        """
        with _telling_whose_fault(self._path):
            self._connection.execute("BEGIN")  # one snapshot, whatever the writer does meanwhile
            try:
                rows = self._connection.execute(
                    "SELECT * FROM trials ORDER BY number, rowid"
                ).fetchall()
                curves = self._connection.execute("SELECT * FROM epochs ORDER BY epoch").fetchall()
            finally:
                self._connection.rollback()
        epochs: dict[str, list[EpochRecord]] = {}
        for row in curves:
            epochs.setdefault(row["trial_id"], []).append(_epoch_record(row))
        return [_trial_record(row, tuple(epochs.get(row["trial_id"], ()))) for row in rows]

    def checkpoint_of(self, trial_id: str) -> tuple[int, Artefact] | None:
        """Return the epochs trained and the file of a trial's latest checkpoint, if any."""
        row = self._connection.execute(
            "SELECT epochs, name, sha256, num_bytes FROM artefacts "
            "WHERE kind = 'state' AND trial_id = ? ORDER BY epochs DESC LIMIT 1",
            (trial_id,),
        ).fetchone()
        return None if row is None else (row["epochs"], Artefact(*row[1:]))

    def artefacts(self) -> list[tuple[str, int, str, Artefact]]:
        """Return `(trial, epochs trained, kind, file)` of all that were written, also removed ones.

        The kind is `state`, from which a trial goes on, or `best`, which predicts.
        """
        rows = self._connection.execute(
            "SELECT trial_id, epochs, kind, name, sha256, num_bytes FROM artefacts "
            "ORDER BY trial_id, epochs, kind"
        )
        return [(*row[:3], Artefact(*row[3:])) for row in rows]

    def choose_final_fits(self, seconds: float, trial_ids: Sequence[str]) -> None:
        """Record that a search of so many seconds trains no more, but finishes these trials.

        Args:
            seconds: The whole budget; a longer one is another decision.
            trial_ids: The most important first.
        """
        message = json.dumps({"seconds": seconds, "trials": list(trial_ids)})
        self.record_event("final fits", message)

    def chosen_final_fits(self, seconds: float) -> list[str] | None:
        """Return the trials that `choose_final_fits` recorded for a budget, or None."""
        row = self._connection.execute(
            "SELECT message FROM events WHERE kind = 'final fits' ORDER BY rowid DESC LIMIT 1"
        ).fetchone()
        chosen = {} if row is None else json.loads(row["message"])
        return list(chosen["trials"]) if chosen.get("seconds") == seconds else None

    def events(self) -> list[tuple[float, str, str]]:
        """Return `(time, kind, message)` of all events, in order."""
        return [
            tuple(row) for row in self._connection.execute("SELECT * FROM events ORDER BY rowid")
        ]


def reading_uri(path: Path) -> str:
    """Return where SQLite reads a ledger from.

    Even to read one in WAL mode, it makes two files beside it. Where it cannot and there is no
    log that would have to be read too, nobody can change the ledger, and it is read as it is.
    """
    uri = f"{path.absolute().as_uri()}?mode=ro"
    has_log = path.with_name(f"{path.name}-wal").exists()
    return uri if has_log or os.access(path.absolute().parent, os.W_OK) else f"{uri}&immutable=1"


@contextlib.contextmanager
def _telling_whose_fault(path: Path) -> Iterator[None]:
    """Turn SQLite's word for a damaged file into a `RunError`, for the disk's into `OSError`."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise RunError(
                f"The ledger `{path}` is damaged: {error}.",
                hint="restore it from a copy, or start a new run with `--run`",
            ) from error
        if code == sqlite3.SQLITE_CANTOPEN:
            raise RunError(
                f"The ledger `{path}` cannot be opened: {error}.",
                hint="one that was not closed is read only where files can be made beside it; "
                "copy the run folder to such a place",
            ) from error
        if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR):
            raise OSError(errno.EIO, str(error), str(path)) from error
        raise


def _forget_attempts(connection: sqlite3.Connection, trial_id: str) -> None:
    connection.execute("DELETE FROM attempts WHERE trial_id = ?", (trial_id,))


def _touch_session(connection: sqlite3.Connection, now: float) -> None:
    connection.execute(
        "UPDATE sessions SET last = ? WHERE rowid = (SELECT max(rowid) FROM sessions)", (now,)
    )


def _epoch_record(row: sqlite3.Row) -> EpochRecord:
    values: dict[str, Any] = {f.name: row[f.name] for f in fields(EpochRecord)}
    values |= {name: math.nan for name, value in values.items() if value is None}
    return EpochRecord(**values)


def _trial_record(row: sqlite3.Row, epochs: tuple[EpochRecord, ...]) -> TrialRecord:
    values: dict[str, Any] = dict(row)
    values |= {"recipe": json.loads(row["recipe"]), "size": json.loads(row["size"] or "{}")}
    return TrialRecord(**values, epochs=epochs)
