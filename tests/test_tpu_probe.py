"""Looking for a TPU, by a real child process that may crash, hang or answer.

The probe starts the real TensorFlow, which fails for its real reason. Where a child must crash,
hang or succeed at once, a module called `tensorflow` stands in its way.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from automl_flowers import tpu_probe
from automl_flowers.errors import UserError
from automl_flowers.known_errors import REMEDIES, find_remedy
from automl_flowers.tpu_probe import (
    Finished,
    TpuProbe,
    explain_failures,
    find_hints,
    probe_tpu,
    read_probe,
    run_limited,
    start_tpu,
    tpu_addresses,
)


def ends_soon(pid_file):
    """Tell whether the processes named in a file end; one that is not yet reaped has ended."""
    deadline = time.monotonic() + 5
    pids = pid_file.read_text().split()
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_running, pids))


def is_running(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return the path of a module that child processes import as `tensorflow`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "tensorflow.py"


# Hints, addresses, remedies


def test_hints_are_variables_that_are_set_and_numbered_device_files(tmp_path):
    for name in ("accel0", "accel/accel0", "vfio/vfio", "vfio/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()

    hints = find_hints({"TPU_NAME": "", "ISTPUVM": "1", "HOME": "/root"}, dev=tmp_path)

    assert hints == ("ISTPUVM", str(tmp_path / "accel0"), str(tmp_path / "vfio/3"))


@pytest.mark.parametrize(
    ("environ", "hints", "addresses"),
    [
        ({}, (), ("local",)),
        ({}, ("/dev/accel0",), ("local",)),
        ({"TPU_NAME": "local"}, ("TPU_NAME",), ("local",)),
        ({"TPU_NAME": "mine"}, ("TPU_NAME",), ("mine",)),
        ({"TPU_NAME": "mine"}, ("TPU_NAME", "TPU_WORKER_ID"), ("mine", "local")),
        ({"COLAB_TPU_ADDR": "10.0.0.2:8470"}, ("COLAB_TPU_ADDR",), ("grpc://10.0.0.2:8470",)),
    ],
)
def test_named_tpu_is_tried_before_the_chips_of_this_machine(environ, hints, addresses):
    assert tpu_addresses(environ, hints) == addresses


@pytest.mark.parametrize(("signature", "remedy"), REMEDIES, ids=[entry[0] for entry in REMEDIES])
def test_every_known_signature_adds_its_remedy(signature, remedy):
    probe = TpuProbe("local", error=f"InternalError: it says {signature} here\nand more")

    assert probe.remedy == remedy
    assert explain_failures([probe], ())[0].endswith(f"Remedy: {remedy}.")


def test_unknown_error_has_no_remedy():
    assert find_remedy("InternalError: the chip is tired") is None


# The child process


def test_child_killed_by_a_signal_is_explained_by_its_fatal_line():
    # As tensorflow-tpu 2.20 ends beside libtpu 0.0.52.
    fatal = "F0000 00:00:1 7 tpu_library_init_fns.inc:12] ConfigureDistributedTpuOp_DoWork not"
    child = Finished(
        exit_code=-signal.SIGABRT,
        stdout='noise\nautoml-flowers-probe {"step": "import tensorflow"}\n',
        stderr=f"I0000 hello\n{fatal} available in this library.\n*** stack trace ***\n",
    )

    probe = read_probe("local", child, 120)

    assert "by SIGABRT at the step `import tensorflow`: F0000" in probe.summary
    assert "libtpu==0.0.21.1" in probe.remedy
    assert not probe.timed_out


def test_child_that_ends_without_a_word_is_explained():
    probe = read_probe("local", Finished(exit_code=3, stdout="", stderr=""), 120)

    assert "with exit status 3 at the step `starting Python`: it said nothing" in probe.summary


def test_answer_counts_even_if_the_child_then_hangs():
    answer = 'automl-flowers-probe {"num_devices": 8, "error": ""}\n'

    probe = read_probe("local", Finished(exit_code=None, stdout=answer, stderr=""), 120)

    assert (probe.num_devices, probe.error, probe.timed_out) == (8, "", False)


def test_hanging_child_is_killed_with_its_descendants(tmp_path):
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {pids}; echo begun; wait"

    began = time.monotonic()
    child = run_limited(["/bin/sh", "-c", script], os.environ, seconds=0.5)

    assert (child.exit_code, child.stdout) == (None, "begun\n")
    assert time.monotonic() - began < 5
    assert ends_soon(pids)


def test_descendant_that_outlives_the_child_does_not_hold_up_the_result(tmp_path):
    pid = tmp_path / "pid"

    began = time.monotonic()
    child = run_limited(["/bin/sh", "-c", f"sleep 300 & echo $! > {pid}"], os.environ, seconds=60)

    assert child.exit_code == 0
    assert time.monotonic() - began < 5
    os.kill(int(pid.read_text()), signal.SIGKILL)


def test_interrupted_wait_kills_the_child(tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_limited(["/bin/sh", "-c", f"echo $$ > {pid}; sleep 300"], os.environ, seconds=60)
    finally:
        signal.signal(signal.SIGALRM, previous)

    assert ends_soon(pid)


def test_orphaned_child_ends_by_itself(stand_in):
    stand_in.write_text("import time; time.sleep(300)")
    code = "from automl_flowers.tpu_probe import probe_main; probe_main('local', -4.5)"

    finished = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(stand_in.parent)},
        capture_output=True,
        timeout=60,
    )

    assert finished.returncode == -signal.SIGALRM


def test_last_words_of_an_import_that_aborts_are_kept(stand_in):
    stand_in.write_text("import os; os.write(2, b'F0000 x] too new'); os.abort()")

    probe = probe_tpu("local", environ={}, seconds=60)

    assert probe.summary == (
        "The process ended by SIGABRT at the step `import tensorflow`: F0000 x] too new"
    )


def test_tpu_that_answers_is_counted(stand_in):
    stand_in.write_text(
        "from types import SimpleNamespace as N\n"
        "resolver = N(TPUClusterResolver=lambda tpu: N(master=lambda: ''))\n"
        "distribute = N(cluster_resolver=resolver)\n"
        "tpu = N(experimental=N(initialize_tpu_system=lambda resolver: None))\n"
        "config = N(list_logical_devices=lambda kind: [kind] * 8)\n"
    )

    probe = probe_tpu("local", environ={}, seconds=60)

    assert (probe.num_devices, probe.error, probe.step) == (8, "", "count the devices")


@pytest.mark.slow
def test_tpu_that_accepts_but_never_answers_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"grpc://127.0.0.1:{server.getsockname()[1]}"
        probe = probe_tpu(address, environ={"no_proxy": "127.0.0.1"}, seconds=20)

    assert probe.timed_out
    assert probe.summary == "No answer within 20 s, at the step `connect to the TPU`."


# Taking a TPU, which is not on the machines these tests run on


def tpu_machine(master="", steps=None):
    """Return a stand-in for TensorFlow that has a TPU and writes down what is done to it."""
    steps = [] if steps is None else steps
    resolver = SimpleNamespace(master=lambda: master)
    return SimpleNamespace(
        distribute=SimpleNamespace(
            cluster_resolver=SimpleNamespace(TPUClusterResolver=lambda tpu: resolver),
            TPUStrategy=lambda resolver: SimpleNamespace(num_replicas_in_sync=8),
        ),
        config=SimpleNamespace(
            experimental_connect_to_cluster=lambda resolver: steps.append("connect")
        ),
        tpu=SimpleNamespace(
            experimental=SimpleNamespace(
                initialize_tpu_system=lambda resolver: steps.append("start")
            )
        ),
    )


@pytest.fixture(autouse=True)
def nothing_held(monkeypatch):
    monkeypatch.setattr(tpu_probe, "_held", {})


@pytest.mark.parametrize("master", ["", "local"])
def test_tpu_of_this_machine_is_started_without_connecting(master):
    steps = []

    start_tpu(tpu_machine(master, steps), "some")

    assert steps == ["start"]


def test_tpu_on_another_host_is_connected_to_first():
    steps = []

    with socket.create_server(("127.0.0.1", 0)) as server:
        start_tpu(tpu_machine(f"grpc://127.0.0.1:{server.getsockname()[1]}", steps), "some")

    assert steps == ["connect", "start"]


def test_address_where_nothing_listens_is_not_waited_for():
    steps = []

    with pytest.raises(UserError, match=r"Nothing listens at grpc://127\.0\.0\.1:1\.") as raised:
        start_tpu(tpu_machine("grpc://127.0.0.1:1", steps), "some")

    assert steps == []
    assert "its address right" in raised.value.hint


def test_tpu_is_taken_once_and_then_answers_without_a_child():
    steps = []
    tf = tpu_machine(steps=steps)

    first = start_tpu(tf, "some")

    assert start_tpu(tf, "some") is first
    assert steps == ["start"]
    assert probe_tpu("some", environ={}, seconds=0) == TpuProbe("some", num_devices=8)


def test_tpu_that_fails_after_its_probe_is_explained():
    tf = tpu_machine()
    del tf.tpu

    with pytest.raises(UserError, match="answered its probe, but then failed") as raised:
        start_tpu(tf, "some")

    assert "start again" in raised.value.hint
