"""The dependency direction, and what may be loaded for what."""

import ast
import json
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import automl_flowers
import ensembles
import search_spaces

ROOT = Path(__file__).parents[1]
HEAVY = {"tensorflow", "keras", "keras_tuner", "automl_flowers"}
FORBIDDEN = {
    "search_spaces": HEAVY | {"ensembles"},
    "ensembles": HEAVY | {"search_spaces"},
}


def imported_packages(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def modules_of(package):
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [package.__name__, *(module.name for module in found)]


def loaded_by(code):
    """Run code in a fresh interpreter and return the modules that it loaded."""
    report = "import sys, json; print('\\n' + json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True
    )
    return set(json.loads(ran.stdout.splitlines()[-1]))


def run_cli(*arguments):
    return (
        "import sys\n"
        f"sys.argv = ['automl-flowers', *{arguments!r}]\n"
        "from automl_flowers import cli\n"
        "try:\n"
        "    cli.main()\n"
        "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
    )


@pytest.mark.parametrize("package", FORBIDDEN)
def test_library_packages_depend_on_nothing_above_them(package):
    paths = sorted((ROOT / package).rglob("*.py"))

    offences = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in imported_packages(path)
        if name in FORBIDDEN[package]
    ]

    assert len(paths) > 3
    assert offences == []


def test_nothing_that_is_installed_imports_tests_or_benchmarks():
    offences = [
        f"{path.relative_to(ROOT)} imports {name}"
        for package in ("automl_flowers", *FORBIDDEN)
        for path in sorted((ROOT / package).rglob("*.py"))
        for name in imported_packages(path)
        if name in {"tests", "benchmarks", "pytest", "hypothesis"}
    ]

    assert offences == []


@pytest.mark.parametrize("package", [search_spaces, ensembles], ids=lambda p: p.__name__)
def test_library_packages_load_nothing_above_them(package):
    loaded = loaded_by(f"import {', '.join(modules_of(package))}")

    assert package.__name__ in loaded
    assert not FORBIDDEN[package.__name__] & loaded


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import automl_flowers; automl_flowers.search; automl_flowers.SearchResult")

    assert not {"tensorflow", "keras", "keras_tuner"} & loaded


def test_importing_the_package_loads_nothing_but_itself():
    loaded = loaded_by(f"import {automl_flowers.__name__}")

    assert not {"tensorflow", "keras", "keras_tuner", "numpy", "pandas"} & loaded


def test_hyperband_ledger_and_run_folder_need_no_tensorflow():
    rooms = ("config", "errors", "files", "ledger", "run_folder")
    modules = [f"automl_flowers.{room}" for room in rooms]
    modules += ["automl_flowers.tuning.hyperband", "automl_flowers.tuning.checkpoints"]

    loaded = loaded_by(f"import {', '.join(modules)}")

    assert not {"tensorflow", "keras", "keras_tuner"} & loaded


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_answers_without_loading_anything_slow(argument):
    loaded = loaded_by(run_cli(argument))

    assert "automl_flowers.cli" in loaded
    assert not {"tensorflow", "keras", "pandas", "scipy", "sklearn", "pydantic"} & loaded


@pytest.mark.parametrize("command", ["search", "ensemble", "report", "predict", "export"])
def test_help_of_a_command_loads_nothing_slow_of_ours(command):
    loaded = loaded_by(run_cli(command, "--help"))

    assert "automl_flowers.cli" in loaded
    assert not {"tensorflow", "keras", "pandas", "scipy", "sklearn", "numpy"} & loaded
    assert not {"automl_flowers.config", "automl_flowers.workflows"} & loaded
