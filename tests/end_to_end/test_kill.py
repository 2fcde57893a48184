"""A search that is killed and started again ends like an undisturbed one."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
from automl_flowers.cli import main
main()
"""


def start(pictures, space, run):
    return subprocess.Popen(
        [
            *(sys.executable, "-c", PROGRAM, "search", "--json"),
            *("--data", str(pictures), "--space", str(space), "--run", str(run)),
            *("--max-epochs", "3", "--max-recipes", "4"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def count_epochs(run):
    try:
        with sqlite3.connect(f"file:{run}/ledger.sqlite?mode=ro", uri=True) as connection:
            return connection.execute("SELECT COUNT(*) FROM epochs").fetchone()[0]
    except sqlite3.OperationalError:
        return 0
    finally:
        if "connection" in locals():
            connection.close()


@pytest.mark.slow
def test_killed_three_times_and_started_again(pictures, space, what_happened, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    process = start(pictures, space, undisturbed)
    expected = json.loads(process.communicate(timeout=300)[0])

    kill, interrupt = signal.SIGKILL, signal.SIGINT
    for epochs, how in ((1, kill), (3, kill), (4, interrupt), (6, kill)):
        process = start(pictures, space, killed)
        deadline = time.monotonic() + 300
        while count_epochs(killed) < epochs and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(process.pid, how)
        _, told = process.communicate(timeout=60)
        if how == interrupt:
            assert process.returncode == 130
            assert "completed trials so far in " in told
            assert told.rstrip().endswith("stopped; the same command goes on from here")
            assert "Traceback" not in told
        assert count_epochs(killed) >= epochs
    result = json.loads(start(pictures, space, killed).communicate(timeout=300)[0])

    assert what_happened(killed) == what_happened(undisturbed)
    assert {**result, "run": None} == {**expected, "run": None}
