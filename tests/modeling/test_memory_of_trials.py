"""A search of hundreds of trials needs no more memory than one of dozens."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("memory_of_trials.py")
NUM_TRIALS = 200
SETTLED = 40
"""Trials after which every architecture has been built twice."""

MOST_GROWTH = 30
"""Megabytes. A program whose graph stayed would add 3 each of the 40 times that one is dropped."""


@pytest.mark.exhaustive
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_flat_over_two_hundred_trials():
    process = subprocess.run(
        [sys.executable, SCRIPT, str(NUM_TRIALS)], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    megabytes = json.loads(process.stdout)

    assert len(megabytes) == NUM_TRIALS
    assert max(megabytes[SETTLED:]) - megabytes[SETTLED] < MOST_GROWTH, megabytes[::10]
