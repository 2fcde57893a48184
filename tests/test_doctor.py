"""What is wrong with a machine: from facts to findings as a table, and this machine for real."""

import json
import os
import re
import subprocess
import sys
import time
import venv
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from automl_flowers import doctor, machine
from automl_flowers.cli import app
from automl_flowers.doctor import CHECKS, GIBIBYTE, examine, has_problem
from automl_flowers.machine import Folder, Gpu, MachineFacts, TensorFlow
from automl_flowers.tpu_probe import TpuProbe
from search_spaces.backbones import BACKBONES

ROOT = Path(__file__).parents[1]
FINE = MachineFacts(
    python=(3, 12, 1),
    packages={"automl-flowers": "0.1.0", "tensorflow-cpu": "2.21.0", "keras": "3.15.1"},
    tensorflow=TensorFlow(seconds=4.0),
    num_cpus=4,
    instructions="avx2",
    memory_total=16 * GIBIBYTE,
    memory_free=12 * GIBIBYTE,
    folders=tuple(
        Folder(purpose, f"/home/me/{purpose}", 50 * GIBIBYTE, is_writable=True)
        for purpose in ("runs", "drawn flowers", "downloaded weights", "temporary files")
    ),
    weights={"efficientnet_lite0": True, "densenet201": True},
    has_network=True,
)
T4 = Gpu("Tesla T4", 15 * GIBIBYTE, 14 * GIBIBYTE)
ABORTED = TensorFlow(
    error="The process ended by SIGABRT at the step `import tensorflow`: F0000\n"
    "ConfigureDistributedTpuOp_DoWork not available in this library."
)
UNTRIED = {"tpu_hints": ("/dev/accel0",)}


def packages(**versions):
    return {"packages": {name.replace("_", "-"): version for name, version in versions.items()}}


def folders(purpose, **changes):
    return {
        "folders": tuple(
            replace(folder, **changes) if folder.purpose == purpose else folder
            for folder in FINE.folders
        )
    }


def test_nothing_is_wrong_with_a_machine_that_is_fine():
    findings = examine(FINE)

    assert {name: finding.level for name, finding in findings.items()} == dict.fromkeys(
        CHECKS, "ok"
    )
    assert not has_problem(findings)
    assert all(finding.text and finding.remedy is None for finding in findings.values())


@pytest.mark.parametrize(
    ("check", "change", "level", "said", "remedy"),
    [
        ("python", {"python": (3, 10, 4)}, "problem", r"3\.10\.4, and 3\.11", "Python 3.11"),
        ("python", {"python": (3, 14, 0)}, "problem", r"3\.14\.0", "Python 3.11"),
        ("packages", {"unmet": ("a needs b, which is missing",)}, "problem", "missing", "pip"),
        ("packages", {"unmet": ("a needs b<2, and 3 is installed",)}, "warning", "b<2", "pip"),
        (
            "wheels",
            packages(tensorflow="2.21.0", tensorflow_cpu="2.21.0"),
            *(
                "warning",
                "tensorflow and tensorflow-cpu",
                "pip uninstall tensorflow tensorflow-cpu",
            ),
        ),
        (
            "wheels",
            packages(tensorflow_tpu="2.20.0", libtpu="0.0.52"),
            *("warning", r"libtpu 0\.0\.52", "libtpu==0.0.21.1"),
        ),
        ("wheels", packages(tensorflow_tpu="2.20.0"), "warning", "libtpu none", "0.0.21.1"),
        ("wheels", packages(tensorflow_tpu="2.20.0", libtpu="0.0.21.1"), "ok", "no packages", None),
        (
            "wheels",
            packages(keras="3.15.1", tensorflow_addons="0.23.0"),
            *("warning", "tensorflow-addons", "pip uninstall tensorflow-addons"),
        ),
        (
            "tensorflow",
            {**packages(keras="3.15.1"), "tensorflow": TensorFlow(error="No module")},
            *("problem", "not installed", "automl-flowers[cpu]"),
        ),
        ("tensorflow", {"tensorflow": ABORTED}, "problem", "by SIGABRT", "libtpu==0.0.21.1"),
        (
            "tensorflow",
            {"tensorflow": TensorFlow(error="ImportError: libfoo.so")},
            *("problem", r"cannot be imported: ImportError: libfoo\.so", "fresh environment"),
        ),
        (
            "tensorflow",
            {"tensorflow": TensorFlow(keras_backend="jax")},
            *("warning", "Keras runs on jax", "KERAS_BACKEND"),
        ),
        ("devices", {"num_cpus": 1}, "ok", "CPU, 1 core; no GPU", None),
        (
            "devices",
            {"tensorflow": TensorFlow(num_gpus=2), "gpus": (T4, T4)},
            *("ok", r"2 GPUs \(Tesla T4, 14\.0 GiB of 15\.0 GiB free; Tesla", None),
        ),
        ("devices", {"gpus": (T4,)}, "warning", "does not see the GPU", "automl-flowers[gpu]"),
        (
            "devices",
            {"gpus": (T4,), "variables": {"CUDA_VISIBLE_DEVICES": "-1"}},
            *("ok", "no GPU", None),
        ),
        ("devices", {"tensorflow": ABORTED}, "warning", "GPUs unknown", "`tensorflow`"),
        ("tpu", UNTRIED, "warning", "/dev/accel0, not tried", "`tensorflow`"),
        ("tpu", {**UNTRIED, "tpu": TpuProbe("local", 8)}, "ok", "'local' answered with 8", None),
        (
            "tpu",
            {**UNTRIED, "tpu": TpuProbe("local", error="tpu_node_interfaces.cc")},
            *("warning", "'local' cannot be used: tpu_node", "finds no chip"),
        ),
        (
            "tpu",
            {**UNTRIED, "tpu": TpuProbe("local", error="something new")},
            *("warning", "something new", "next best device"),
        ),
        ("memory", {"memory_free": 2 * GIBIBYTE}, "warning", r"2\.0 GiB of 16", "--batch-size"),
        ("memory", {"memory_free": GIBIBYTE // 2}, "problem", r"0\.5 GiB", "--batch-size"),
        ("memory", {"memory_limit": 2 * GIBIBYTE}, "warning", r"may use 2\.0 GiB", "--batch-size"),
        ("memory", {"memory_free": None}, "ok", r"16\.0 GiB of 16\.0 GiB", None),
        ("memory", {"memory_total": None}, "ok", "not known", None),
        ("disk", folders("runs", free=GIBIBYTE), "warning", r"1\.0 GiB free for runs", "--run"),
        ("disk", folders("drawn flowers", free=10), "problem", "for drawn flowers", "make room"),
        ("folders", folders("runs", is_writable=False), "problem", "runs", "`--run`"),
        ("folders", folders("temporary files", is_writable=False), "problem", "temp", "TMPDIR"),
        (
            "folders",
            folders("downloaded weights", is_writable=False),
            *("warning", "downloaded weights", "KERAS_HOME"),
        ),
        (
            "weights",
            {"weights": {"a": True, "b": False}},
            *("ok", "here: a; to be downloaded: b", None),
        ),
        (
            "weights",
            {"weights": {"a": True, "b": False}, "has_network": False},
            *("warning", "to be downloaded: b", "connect once"),
        ),
        (
            "weights",
            {"weights": {"a": False}, "has_network": False},
            *("problem", "here: none", "--weights none"),
        ),
        (
            "network",
            {"has_network": False},
            "warning",
            "does not answer within 3 s",
            "connect once",
        ),
        (
            "numbers",
            {"variables": {"TF_ENABLE_ONEDNN_OPTS": "0"}},
            *("ok", r"tensorflow-cpu 2\.21\.0, avx2, 4 threads, TF_ENABLE_ONEDNN_OPTS=0", None),
        ),
    ],
)
def test_finding_follows_from_the_facts(check, change, level, said, remedy):
    finding = CHECKS[check](replace(FINE, **change))

    assert finding.level == level
    assert re.search(said, finding.text)
    assert (finding.remedy is None) == (remedy is None)
    assert remedy is None or remedy in finding.remedy


def test_every_check_can_judge_a_machine_of_which_nothing_is_known():
    findings = examine(MachineFacts())

    assert list(findings) == list(CHECKS)
    assert all(finding.level in ("ok", "warning", "problem") for finding in findings.values())


# Gathering


def test_requirements_that_are_not_met_are_named():
    unmet = machine.unmet_of(
        "some",
        [
            *("numpy>=1", "numpy<1", "not-to-be-found>=3"),
            *("absent; extra == 'gpu'", "absent; python_version < '3'"),
        ],
    )

    assert unmet[0].startswith("some needs numpy<1, and ")
    assert unmet[1:] == ["some needs not-to-be-found, which is missing"]


def test_tensorflow_that_an_extra_would_not_have_brought_is_named():
    build = next(name for name in machine.TENSORFLOW_BUILDS if machine.installed_versions([name]))

    unmet = machine.unmet_of("ours", [f"{build}>=99; extra == 'cpu'", f"{build}>=99; extra == 'x'"])

    assert len(unmet) == 1
    assert unmet[0].startswith(f"ours needs {build}>=99, and ")


def test_gpus_are_read_as_the_driver_prints_them():
    text = "Tesla T4, 15360, 14910\nNVIDIA GeForce, 1, [N/A]\nNo devices were found\n"

    assert machine.parse_gpus(text) == (Gpu("Tesla T4", 15360 * 2**20, 14910 * 2**20),)


def test_folder_that_cannot_be_written_is_seen(tmp_path):
    file = tmp_path / "file"
    file.touch()

    assert machine._look_at("runs", tmp_path / "not" / "yet").is_writable
    assert not machine._look_at("runs", file / "below").is_writable


def test_weights_are_looked_for_where_keras_keeps_them(tmp_path):
    environ = {"KERAS_HOME": str(tmp_path)}
    entry = next(b for b in BACKBONES.values() if b.weights_file)

    assert not machine._has_weights(entry.name, environ)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / entry.weights_file).touch()
    assert machine._has_weights(entry.name, environ)


@pytest.mark.parametrize(
    ("module", "said", "remedy"),
    [
        ("raise ImportError('libfoo.so')", "ImportError: libfoo.so", None),
        (
            "import os; os.write(2, b'ConfigureDistributedTpuOp_DoWork not available'); os.abort()",
            "ended by SIGABRT",
            "libtpu==0.0.21.1",
        ),
        ("import time; time.sleep(300)", "No answer within 2 s", None),
    ],
)
def test_import_that_fails_aborts_or_hangs_is_a_finding(
    tmp_path, monkeypatch, module, said, remedy
):
    (tmp_path / "tensorflow.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))

    found = machine.import_in_child({}, seconds=2 if "sleep" in module else 60)

    assert said in found.error
    finding = CHECKS["tensorflow"](replace(FINE, tensorflow=found))
    assert finding.level == "problem"
    assert remedy is None or remedy in finding.remedy


# The command


@pytest.fixture(scope="module")
def this_machine():
    began = time.monotonic()
    finished = subprocess.run(
        [sys.executable, "-m", "automl_flowers", "doctor", "--json"],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
        capture_output=True,
        text=True,
        timeout=180,
    )
    return finished, time.monotonic() - began


@pytest.mark.slow
def test_this_machine_is_examined_for_real(this_machine):
    finished, _ = this_machine

    findings = json.loads(finished.stdout)

    assert list(findings) == list(CHECKS)
    assert all(set(finding) == {"level", "text", "remedy"} for finding in findings.values())
    assert findings["tensorflow"]["level"] == "ok"
    assert "efficientnet_lite0" in findings["weights"]["text"]
    problems = [name for name, finding in findings.items() if finding["level"] == "problem"]
    assert finished.returncode == (1 if problems else 0)
    assert finished.stderr == ""


@pytest.fixture
def python_without_tensorflow(tmp_path):
    """Return an interpreter and the environment in which it finds all packages but TensorFlow."""
    venv.create(tmp_path / "venv", symlinks=True, with_pip=False)
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in Path(metadata.distribution("rich").locate_file("")).iterdir():
        if not entry.name.startswith(("tensorflow", "tf_nightly")) and entry.suffix != ".pth":
            (packages / entry.name).symlink_to(entry)
    path = os.pathsep.join(map(str, (ROOT, packages)))
    return str(tmp_path / "venv/bin/python"), {**os.environ, "PYTHONPATH": path}


def test_missing_tensorflow_is_the_finding(python_without_tensorflow):
    python, environ = python_without_tensorflow

    finished = subprocess.run(
        [python, "-m", "automl_flowers", "doctor"],
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )

    lines = {line.split()[1]: line for line in finished.stdout.splitlines()}
    assert finished.returncode == 1, finished.stderr
    assert list(lines) == list(CHECKS)
    assert lines["tensorflow"].startswith(
        "problem   tensorflow  TensorFlow is not installed; remedy: run `pip install 'automl-fl"
    )
    assert lines["python"].startswith("ok")


def test_a_check_is_one_line_without_colours_outside_a_terminal(capsys):
    doctor.show(examine(replace(FINE, has_network=False)))

    said = capsys.readouterr().out
    assert [line.split()[1] for line in said.splitlines()] == list(CHECKS)
    assert "warning   network     storage.googleapis.com does not answer within 3 s; " in said
    assert "\x1b" not in said


def test_log_is_explained_from_stdin_and_from_a_file(tmp_path):
    log = "trial 3 failed\nRESOURCE_EXHAUSTED: Ran out of memory on HBM, the total\n"
    (tmp_path / "log").write_text(log)

    from_stdin = CliRunner().invoke(app, ["doctor", "--explain", "-"], input=log)
    from_file = CliRunner().invoke(app, ["doctor", "--explain", str(tmp_path / "log")])

    assert from_stdin.exit_code == 0
    assert "smaller `--batch-size`" in from_stdin.stdout
    assert from_file.stdout == from_stdin.stdout


def test_log_without_a_known_error_is_answered_too():
    result = CliRunner().invoke(app, ["doctor", "--explain", "-"], input="all is well")

    assert (result.exit_code, result.stdout) == (0, "no error here is known\n")


def test_log_that_is_not_there_is_a_sentence(tmp_path):
    result = CliRunner().invoke(app, ["doctor", "--explain", str(tmp_path / "none")])

    assert result.exit_code == 2
    assert "cannot be read: No such file" in result.stderr


# The documentation


def test_documentation_names_the_checks_that_exist():
    text = (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    example = re.findall(r"^(?:ok|warning|problem) +(\w+)  ", text, re.MULTILINE)

    assert rows == list(CHECKS)
    assert example == list(CHECKS)


def test_requirements_of_the_checks_are_those_of_the_package():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")

    assert f"libtpu=={doctor.LIBTPU}" in setup
    assert 'python_requires=">=3.11,<3.14"' in setup
    assert (doctor.PYTHON_FROM, doctor.PYTHON_BEFORE) == ((3, 11), (3, 14))
