"""A reused program gives what a fresh process gives, on both backends, bit for bit.

`reuse_on_backend.py` trains in a process of its own, whose first training is a fresh one.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("reuse_on_backend.py")


@pytest.fixture(scope="module", params=["tensorflow", "jax"])
def facts(request):
    process = subprocess.run(
        [sys.executable, SCRIPT],
        env={**os.environ, "KERAS_BACKEND": request.param, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    facts = json.loads(process.stdout)
    assert facts["backend"] == request.param
    return facts


def test_a_reused_program_equals_a_fresh_process(facts):
    assert facts["reused"] == facts["fresh"]


def test_rounds_through_files_with_other_trials_between_equal_one_run(facts):
    assert facts["rounds"] == facts["fresh"]


@pytest.mark.parametrize("change", ["learning rate", "dropout", "l2", "seed"])
def test_nothing_that_a_recipe_says_is_frozen_into_the_program(facts, change):
    assert facts["changed"][change] != facts["fresh"]["curve"]


def test_later_trainings_trace_nothing(facts):
    assert facts["traces"]["first"] > 0
    assert facts["traces"]["later"] == 0


def test_predictions_are_those_that_were_scored(facts):
    probabilities = np.array(facts["probabilities"])
    labels = np.arange(len(probabilities)) % 3

    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    log_loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert log_loss == pytest.approx(facts["fresh"]["curve"][-1][1], rel=1e-5)


def test_a_dropped_program_leaves_nothing(facts):
    assert facts["leftovers"] == {"models": 0, "graphs": 0}
