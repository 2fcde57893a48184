"""Trains many small trials that take turns on a few programs, and prints the memory after each.

    python tests/modeling/memory_of_trials.py [NUM_TRIALS]

One JSON list of megabytes of resident memory, Linux only. Run by `test_memory_of_trials.py`.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from reuse_on_backend import RECIPE, register_small_net, small_architecture, train

from automl_flowers.modeling.program import Program, ProgramCache
from automl_flowers.tuning.cost import PROGRAMS_ALIVE

ARCHITECTURES = 5
"""More than a cache keeps, so that programs are dropped and built again."""

TRIALS_IN_A_ROW = 4
"""On one architecture, as a search has them."""


def resident_megabytes() -> float:
    """Return the memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(num_trials: int) -> None:
    """Train, and print what memory each trial left in use."""
    register_small_net()
    programs = ProgramCache(Program, PROGRAMS_ALIVE)
    megabytes = []
    for trial in range(num_trials):
        turn = trial // TRIALS_IN_A_ROW % ARCHITECTURES
        program = programs.get(replace(small_architecture(), num_steps=16 << turn))
        train(program, replace(RECIPE, dropout=trial / num_trials), last_epoch=1, seed=trial)
        megabytes.append(round(resident_megabytes(), 1))
    json.dump(megabytes, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
