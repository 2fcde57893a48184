"""Promises every module of `ensembles` makes, present and future."""

import pkgutil
import subprocess
import sys

import pytest

import ensembles

FORBIDDEN = {"tensorflow", "keras", "keras_tuner", "automl_flowers", "search_spaces"}
MODULES = [f"ensembles.{module.name}" for module in pkgutil.iter_modules(ensembles.__path__)]


def test_there_are_modules_to_check():
    assert {"ensembles.metrics", "ensembles.optimize", "ensembles.validation"} <= set(MODULES)


@pytest.mark.parametrize("module", MODULES)
def test_module_loads_nothing_above_it(module):
    code = f"import sys, {module}; print(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert not FORBIDDEN & set(loaded)
