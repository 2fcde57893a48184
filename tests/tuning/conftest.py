"""The toy search, loaded once, and a process that runs and kills it."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from automl_flowers.ledger import Ledger


@pytest.fixture(scope="session")
def toy():
    """The module `toy_search`: the real search loop over a learner that takes milliseconds."""
    path = Path(__file__).with_name("toy_search.py")
    spec = importlib.util.spec_from_file_location("toy_search", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def what_happened():
    """A function from trial records to what must not depend on kills: all but times."""

    def what_happened(records):
        return [
            replace(
                record,
                started=0.0,
                ended=None,
                epochs=tuple(replace(epoch, seconds=0.0) for epoch in record.epochs),
            )
            for record in records
        ]

    return what_happened


class Server:
    """Asks `toy_search.py`, which forks a process for every search."""

    def __init__(self, log):
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("toy_search.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )

    def __call__(self, run, **request):
        self._process.stdin.write(json.dumps({"run": str(run), **request}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with (tmp_path_factory.mktemp("server") / "stderr.txt").open("w") as log:
        server = Server(log)
        yield server
        server.close()


def trials_of(run):
    with Ledger(run / "ledger.sqlite") as ledger:
        return ledger.trials()


def files_of(run):
    """Return every file that a search wrote, with the digits of its content."""
    with Ledger(run / "ledger.sqlite") as ledger:
        return ledger.artefacts()
