"""TensorFlow is missing, broken, or says too much about itself."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from automl_flowers import tensorflow_import
from automl_flowers.tpu_probe import find_hints

needs_quiet = pytest.mark.skipif(bool(find_hints(os.environ)), reason="a TPU is hinted at")

CHATTER = [
    "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
    "I0000 00:00:1795514979.313650   31472 port.cc:153] oneDNN custom operations are on.",
    "2025-01-01 10:00:00.123456: I tensorflow/core/util/port.cc:153] oneDNN operations are on.",
    "To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow",
]
WARNINGS = [
    "W0000 00:00:1795514979.313650   31472 cuda.cc:1] no libraries",
    "E0000 00:00:1795514979.313650   31472 cuda.cc:1] no libraries",
    "F0000 00:00:1795514979.313650   31472 tpu.cc:12] ConfigureDistributedTpuOp_DoWork",
    "2025-01-01 10:00:00.123456: W tensorflow/core/util/port.cc:153] hm",
    "I0000: not one of theirs",
    "UserWarning: I0000 00:00:00 within a line",
    "",
    "the last line may end early: \xe9",
]


def run_python(code, *arguments, **environ):
    """Run code in a fresh interpreter, by default without a wish to see more."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "AUTOML_FLOWERS_DEBUG": "", **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


def write_chatter_and_warnings():
    mixed = [line for pair in zip(CHATTER, WARNINGS, strict=False) for line in pair]
    mixed += WARNINGS[len(CHATTER) :]
    os.write(2, "\n".join(mixed).encode())


# Chatter


def test_chatter_is_held_back_and_the_rest_comes_through_unchanged(capfd):
    before = open_files()

    with tensorflow_import._no_chatter():
        write_chatter_and_warnings()
        assert capfd.readouterr().err == ""

    assert capfd.readouterr().err == "\n".join(WARNINGS)
    assert open_files() == before


def test_block_that_fails_has_its_say(capfd):
    before = open_files()

    @tensorflow_import._no_chatter()
    def fail():
        write_chatter_and_warnings()
        raise ImportError("broken")

    with pytest.raises(ImportError, match="broken"):
        fail()
    os.write(2, b"\nafterwards")

    assert capfd.readouterr().err == "\n".join([*WARNINGS, "afterwards"])
    assert open_files() == before


def test_nowhere_to_hold_it_back_means_that_all_comes_through(capfd, monkeypatch):
    def refuse():
        raise FileNotFoundError("No usable temporary directory found")

    before = open_files()
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    with tensorflow_import._no_chatter():
        write_chatter_and_warnings()

    said = capfd.readouterr().err
    assert all(line in said for line in CHATTER + WARNINGS)
    assert open_files() == before


STAND_IN = f"""
import contextlib, os
with contextlib.suppress(OSError):
    os.write(2, {CHATTER[1].encode()} + b"\\n" + {WARNINGS[0].encode()})
"""
IMPORT = "from automl_flowers.tensorflow_import import import_tensorflow; import_tensorflow({})"


@pytest.fixture
def talkative(tmp_path):
    """Return the environment of a process in which TensorFlow does nothing but talk."""
    (tmp_path / "tensorflow.py").write_text(STAND_IN)
    return {"PYTHONPATH": str(tmp_path)}


@needs_quiet
def test_import_is_quiet(talkative):
    assert run_python(IMPORT.format(""), **talkative).stderr == WARNINGS[0]


@pytest.mark.parametrize(
    ("argument", "environ"),
    [
        ("quiet=False", {}),
        ("", {"AUTOML_FLOWERS_DEBUG": "1"}),
        ("", {"TPU_NAME": "local"}),
    ],
)
def test_import_speaks_where_its_last_words_may_matter(talkative, argument, environ):
    finished = run_python(IMPORT.format(argument), **talkative, **environ)

    assert finished.stderr == f"{CHATTER[1]}\n{WARNINGS[0]}"


def test_closed_stderr_is_no_obstacle(talkative):
    finished = run_python(f"import os; os.close(2); {IMPORT.format('')}; print(1)", **talkative)

    assert (finished.stdout, finished.returncode) == ("1\n", 0)


REAL = """
import os, sys
from automl_flowers.accelerators import set_up
from automl_flowers.tensorflow_import import import_tensorflow

class Witness:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow.python":
            os.write(2, b"W0000 a real warning\\n")

sys.meta_path.insert(0, Witness())
tf = import_tensorflow()
set_up("cpu")
tf.constant(1)
"""


@pytest.mark.slow
@needs_quiet
def test_real_tensorflow_starts_without_a_word_but_warnings_pass():
    finished = run_python(REAL, CUDA_VISIBLE_DEVICES="-1")

    assert (finished.returncode, finished.stderr) == (0, "W0000 a real warning\n")


# Missing or broken

BLOCK = """
import sys

blocked = sys.argv.pop(1)

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == blocked:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
"""
SET_UP = """
from automl_flowers.accelerators import set_up
from automl_flowers.errors import UserError
try:
    set_up("auto", environ={})
except UserError as error:
    print(error, error.hint, sep="\\n")
"""
COMMAND = """
from automl_flowers import cli
cli.main()
"""


@pytest.mark.parametrize("module", ["accelerators", "tensorflow_import", "tpu_probe"])
def test_importing_our_modules_does_not_import_tensorflow(module):
    finished = run_python(f"{BLOCK}\nimport automl_flowers.{module}", "tensorflow")

    assert (finished.returncode, finished.stderr) == (0, "")


def test_missing_tensorflow_is_one_sentence_and_a_command():
    message, hint = run_python(BLOCK + SET_UP, "tensorflow").stdout.splitlines()

    assert message == "TensorFlow is not installed."
    assert "pip install 'automl-flowers[cpu]'" in hint


def test_broken_tensorflow_is_told_from_a_missing_one():
    finished = run_python(BLOCK + SET_UP, "numpy")

    assert "installed but cannot be imported: No module named 'numpy'" in finished.stdout


@pytest.mark.parametrize("command", [["ensemble"], ["predict", "."]])
def test_commands_on_a_run_without_tensorflow_say_so_too(tmp_path, command):
    (tmp_path / "config.yaml").touch()

    finished = run_python(BLOCK + COMMAND, "tensorflow", *command, "--run", str(tmp_path))

    assert finished.returncode == 2
    assert finished.stderr.startswith("error: TensorFlow is not installed.\n")


def test_report_needs_no_tensorflow(tmp_path):
    finished = run_python(BLOCK + COMMAND, "tensorflow", "report", "--run", str(tmp_path))

    assert finished.returncode == 2
    assert "has no config.yaml, which `automl-flowers search` writes" in finished.stderr
