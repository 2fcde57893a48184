"""Tests for choosing and setting up a device.

The decision is a pure function and tested as a table. Everything that touches a device runs for
real, on the CPU of this machine: the TPU probe starts a real child process with the real
TensorFlow, which fails for its real reason. Where a child must crash, hang or succeed at once, a
module called `tensorflow` stands in its way.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from automl_flowers import accelerators
from automl_flowers.accelerators import (
    PRECISIONS,
    REMEDIES,
    STRATEGIES,
    Accelerator,
    Facts,
    Finished,
    Probe,
    decide,
    find_hints,
    find_remedy,
    import_tensorflow,
    parse_strategy,
    probe_tpu,
    read_probe,
    run_limited,
    set_up,
    split_cpu,
    tpu_addresses,
)
from automl_flowers.errors import ConfigError, UserError

ROOT = Path(__file__).parents[1]
GOOD = Probe("local", num_devices=8)
BAD = Probe("local", error="NotFoundError: no chips\nmore", step="start the TPU")
AMPERE, TURING, PASCAL = (8, 0), (7, 5), (6, 0)


def run_python(code: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=120,
    )


def is_running(pid: int) -> bool:
    """Tell whether a process still runs; one that is dead but not yet reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def ends_soon(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not is_running(pid)


@pytest.fixture
def cpu_only() -> None:
    """Skip where this machine has a better device than its CPU."""
    if find_hints({}) or import_tensorflow().config.get_visible_devices("GPU"):
        pytest.skip("this machine has an accelerator")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a module that child processes import as `tensorflow`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "tensorflow.py"


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Yield the address of a server that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield f"grpc://127.0.0.1:{server.getsockname()[1]}"


def test_importing_the_module_does_not_import_tensorflow() -> None:
    code = "import sys, automl_flowers.accelerators; print('tensorflow' in sys.modules)"

    assert run_python(code).stdout == "False\n"


# The decision


@pytest.mark.parametrize(
    ("strategy", "facts", "kind", "precision", "said"),
    [
        ("auto", Facts(), "cpu", "float32", "the CPU"),
        ("auto", Facts(probes=(GOOD,)), "tpu", "mixed_bfloat16", "'local' answered with 8 devices"),
        ("auto", Facts(probes=(BAD,)), "cpu", "float32", "the CPU"),
        ("auto", Facts(probes=(BAD, GOOD)), "tpu", "mixed_bfloat16", "8 devices"),
        ("auto", Facts(gpu_capabilities=(AMPERE,)), "gpu", "mixed_bfloat16", "one GPU"),
        ("auto", Facts(gpu_capabilities=(TURING,)), "gpu", "float32", "one GPU"),
        ("auto", Facts(gpu_capabilities=(None,)), "gpu", "float32", "one GPU"),
        ("auto", Facts(gpu_capabilities=(AMPERE,) * 2), "mirrored", "mixed_bfloat16", "2 GPUs"),
        ("auto", Facts(gpu_capabilities=(AMPERE, TURING)), "mirrored", "float32", "2 GPUs"),
        ("auto", Facts(gpu_capabilities=(AMPERE, None)), "mirrored", "float32", "2 GPUs"),
        ("auto", Facts(num_cpus=2), "cpu", "float32", "the CPU"),
        ("tpu", Facts(probes=(GOOD,)), "tpu", "mixed_bfloat16", "8 devices"),
        ("mirrored", Facts(gpu_capabilities=(AMPERE,) * 4), "mirrored", "mixed_bfloat16", "4 GPUs"),
        ("mirrored", Facts(num_cpus=2), "mirrored", "float32", "2 logical CPU devices"),
        ("gpu", Facts(gpu_capabilities=(PASCAL,)), "gpu", "float32", "asked for"),
        ("gpu", Facts(gpu_capabilities=(AMPERE,) * 2), "gpu", "mixed_bfloat16", "asked for"),
        ("cpu", Facts(gpu_capabilities=(AMPERE,), num_cpus=2), "cpu", "float32", "asked for"),
    ],
)
def test_decision_follows_from_the_facts(
    strategy: str, facts: Facts, kind: str, precision: str, said: str
) -> None:
    decision = decide(strategy, "auto", facts)

    assert (decision.kind, decision.precision) == (kind, precision)
    assert said in decision.reason
    assert decision.reason.endswith(".")


@pytest.mark.parametrize(
    ("strategy", "facts", "message", "hint"),
    [
        ("tpu", Facts(probes=(BAD,)), "'local' cannot be used: NotFoundError: no chips", "auto"),
        ("mirrored", Facts(), "0 GPUs and 1 CPU device", "split_cpu"),
        ("mirrored", Facts(gpu_capabilities=(AMPERE,), num_cpus=2), "1 GPU and 2 CPU", "`gpu`"),
        ("gpu", Facts(), "TensorFlow sees none", r"automl-flowers\[gpu\]"),
    ],
)
def test_device_asked_for_by_name_is_had_or_refused(
    strategy: str, facts: Facts, message: str, hint: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        decide(strategy, "auto", facts)

    assert raised.value.hint is not None
    assert hint.replace("\\", "") in raised.value.hint


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "auto"])
@pytest.mark.parametrize(
    "facts", [Facts(), Facts(probes=(GOOD,)), Facts(gpu_capabilities=(TURING,))]
)
def test_explicit_precision_is_taken_on_any_device(precision: str, facts: Facts) -> None:
    decision = decide("auto", precision, facts)

    assert decision.precision == precision
    assert not any(note.startswith("Precision") for note in decision.notes)


def test_every_step_down_is_a_note_with_its_reason() -> None:
    facts = Facts(("TPU_NAME", "/dev/accel0"), (replace(BAD, address="mine"), BAD))

    notes = decide("auto", "auto", facts).notes

    why = "(tried because of TPU_NAME, /dev/accel0) cannot be used: NotFoundError: no chips."
    assert notes == (
        f"TPU: 'mine' {why}",
        f"TPU: 'local' {why}",
        "GPU: TensorFlow sees none.",
    )


def test_untried_tpu_is_explained_by_the_hints_that_were_sought() -> None:
    assert "TPU_NAME" in decide("auto", "auto", Facts()).notes[0]


def test_gpu_that_tensorflow_does_not_see_is_pointed_out() -> None:
    notes = decide("auto", "auto", Facts(has_nvidia_device=True)).notes

    assert "automl-flowers[gpu]" in notes[-1]


def test_float32_on_a_gpu_with_fast_float16_is_pointed_out() -> None:
    notes = decide("auto", "auto", Facts(gpu_capabilities=(TURING,))).notes

    assert "7.5" in notes[-1]
    assert "mixed_float16" in notes[-1]


def test_devices_left_unused_by_request_are_noted() -> None:
    facts = Facts(gpu_capabilities=(AMPERE,) * 3)

    assert "2 further GPUs left unused" in decide("gpu", "auto", facts).notes[0]
    assert "3 GPUs left unused" in decide("cpu", "auto", facts).notes[0]


def test_single_tpu_device_is_noted() -> None:
    decision = decide("auto", "auto", Facts(probes=(replace(GOOD, num_devices=1),)))

    assert "answered with 1 device." in decision.reason
    assert "one device" in decision.notes[0]


# Names


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_parses_to_itself(strategy: str) -> None:
    assert parse_strategy(strategy) == (strategy, None)


@pytest.mark.parametrize("name", ["local", "my-tpu", "grpc://10.0.0.2:8470"])
def test_tpu_may_carry_a_name(name: str) -> None:
    assert parse_strategy(f"tpu:{name}") == ("tpu", name)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("miror", "Did you mean 'mirrored'"),
        ("TPU", "Did you mean 'tpu'"),
        ("quantum", "expected one of: auto, tpu, mirrored, gpu, cpu, tpu:NAME"),
        ("gpu:0", "a colon is for a TPU's name"),
        ("tpu:", "a colon is for a TPU's name"),
    ],
)
def test_unknown_strategy_is_answered_with_what_exists(strategy: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        set_up(strategy)


def test_unknown_precision_is_answered_with_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'mixed_bfloat16'"):
        set_up("cpu", "bfloat16")


def test_global_batch_counts_all_replicas() -> None:
    accelerator = Accelerator("tpu", None, 8, "mixed_bfloat16", "It answered.")

    assert accelerator.global_batch_size(16) == 128
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        accelerator.global_batch_size(0)


# Hints, addresses, remedies


def test_hints_are_variables_that_are_set_and_numbered_device_files(tmp_path: Path) -> None:
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
def test_named_tpu_is_tried_before_the_chips_of_this_machine(
    environ: dict[str, str], hints: tuple[str, ...], addresses: tuple[str, ...]
) -> None:
    assert tpu_addresses(environ, hints) == addresses


@pytest.mark.parametrize(("signature", "remedy"), REMEDIES, ids=[entry[0] for entry in REMEDIES])
def test_every_known_signature_adds_its_remedy(signature: str, remedy: str) -> None:
    probe = Probe("local", error=f"InternalError: it says {signature} here\nand more")

    assert find_remedy(probe.error) == remedy
    assert decide("auto", "auto", Facts(probes=(probe,))).notes[0].endswith(f"Remedy: {remedy}.")
    with pytest.raises(UserError) as raised:
        decide("tpu", "auto", Facts(probes=(probe,)))
    assert raised.value.hint == remedy


# The probe's child process


def test_child_killed_by_a_signal_is_explained_by_its_fatal_line() -> None:
    # As tensorflow-tpu 2.20 ends beside libtpu 0.0.52.
    fatal = "F0000 00:00:1 7 tpu_library_init_fns.inc:12] ConfigureDistributedTpuOp_DoWork not"
    child = Finished(
        exit_code=-signal.SIGABRT,
        stdout='noise\nautoml-flowers-probe {"step": "import tensorflow"}\n',
        stderr=f"I0000 hello\n{fatal} available in this library.\n*** stack trace ***\n",
    )

    probe = read_probe("local", child, 120)

    assert "by SIGABRT at the step `import tensorflow`: F0000" in probe.summary
    assert "libtpu==0.0.21.1" in (find_remedy(probe.error) or "")
    assert not probe.timed_out


def test_child_that_ends_without_a_word_is_explained() -> None:
    probe = read_probe("local", Finished(exit_code=3, stdout="", stderr=""), 120)

    assert "with exit status 3 at the step `starting Python`: it said nothing" in probe.summary


def test_answer_counts_even_if_the_child_then_hangs() -> None:
    answer = 'automl-flowers-probe {"num_devices": 8, "error": ""}\n'

    probe = read_probe("local", Finished(exit_code=None, stdout=answer, stderr=""), 120)

    assert (probe.num_devices, probe.error, probe.timed_out) == (8, "", False)


def test_hanging_child_is_killed_with_its_descendants(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"sleep 300 & echo $$ $! > {pids}; echo begun; wait"

    began = time.monotonic()
    child = run_limited(["/bin/sh", "-c", script], os.environ, seconds=0.5)

    assert (child.exit_code, child.stdout) == (None, "begun\n")
    assert time.monotonic() - began < 5
    assert all(ends_soon(int(pid)) for pid in pids.read_text(encoding="utf-8").split())


def test_descendant_that_outlives_the_child_does_not_hold_up_the_result(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    began = time.monotonic()
    child = run_limited(["/bin/sh", "-c", f"sleep 300 & echo $! > {pid}"], os.environ, seconds=60)

    assert child.exit_code == 0
    assert time.monotonic() - began < 5
    os.kill(int(pid.read_text(encoding="utf-8")), signal.SIGKILL)


def test_interrupted_wait_kills_the_child(tmp_path: Path) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    pid = tmp_path / "pid"
    previous = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_limited(["/bin/sh", "-c", f"echo $$ > {pid}; sleep 300"], os.environ, seconds=60)
    finally:
        signal.signal(signal.SIGALRM, previous)

    assert ends_soon(int(pid.read_text(encoding="utf-8")))


def test_orphaned_child_ends_by_itself(stand_in: Path) -> None:
    stand_in.write_text("import time; time.sleep(300)", encoding="utf-8")
    code = "from automl_flowers.accelerators import probe_main; probe_main('local', -4.5)"

    finished = run_python(code, PYTHONPATH=os.pathsep.join([str(stand_in.parent), str(ROOT)]))

    assert finished.returncode == -signal.SIGALRM


def test_hang_in_the_import_is_killed_and_said_at_once(
    stand_in: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pid = tmp_path / "pid"
    stand_in.write_text(
        f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); time.sleep(300)",
        encoding="utf-8",
    )

    probe = probe_tpu("local", environ={}, seconds=2)
    accelerators._check_import(probe)

    assert probe.timed_out
    assert probe.summary == "No answer within 2 s, at the step `import tensorflow`."
    assert ends_soon(int(pid.read_text(encoding="utf-8")))
    assert probe.summary in caplog.text


def test_crash_in_the_import_is_refused_before_this_process_dies_of_it(stand_in: Path) -> None:
    stand_in.write_text(
        "import os, sys\n"
        "sys.stderr.write('F0000 x] ConfigureDistributedTpuOp_DoWork not available\\n')\n"
        "sys.stderr.flush()\n"
        "os.abort()\n",
        encoding="utf-8",
    )

    with pytest.raises(UserError, match=r"ended by SIGABRT .*: F0000") as raised:
        set_up("auto", environ={"TPU_NAME": "local"})

    assert "libtpu==0.0.21.1" in (raised.value.hint or "")


def test_tpu_that_answers_is_counted(stand_in: Path) -> None:
    stand_in.write_text(
        "from types import SimpleNamespace as N\n"
        "resolver = N(TPUClusterResolver=lambda tpu: N(master=lambda: ''))\n"
        "distribute = N(cluster_resolver=resolver)\n"
        "tpu = N(experimental=N(initialize_tpu_system=lambda resolver: None))\n"
        "config = N(list_logical_devices=lambda kind: [kind] * 8)\n",
        encoding="utf-8",
    )

    probe = probe_tpu("local", environ={}, seconds=60)

    assert (probe.num_devices, probe.error, probe.step) == (8, "", "count the devices")


# Without TensorFlow

BLOCKER = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name == {blocked!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocker())
from automl_flowers.accelerators import set_up
from automl_flowers.errors import UserError
try:
    set_up({strategy!r}, environ={{}})
except UserError as error:
    print(error)
    print(error.hint)
"""


def test_missing_tensorflow_is_one_sentence_and_a_command() -> None:
    message, hint = run_python(BLOCKER.format(blocked="tensorflow", strategy="auto")).stdout.split(
        "\n", 1
    )

    assert message == "TensorFlow is not installed."
    assert "pip install 'automl-flowers[cpu]'" in hint


def test_broken_tensorflow_is_told_from_a_missing_one() -> None:
    finished = run_python(BLOCKER.format(blocked="numpy", strategy="cpu"))

    assert "installed but cannot be imported: No module named 'numpy'" in finished.stdout


def test_missing_tensorflow_in_the_probe_is_the_same_sentence(stand_in: Path) -> None:
    stand_in.write_text(
        "raise ModuleNotFoundError('No module', name='tensorflow')", encoding="utf-8"
    )

    with pytest.raises(UserError, match=r"TensorFlow is not installed\.") as raised:
        set_up("tpu")

    assert "pip install 'automl-flowers[cpu]'" in (raised.value.hint or "")


# Real devices


@pytest.mark.usefixtures("cpu_only")
def test_auto_gives_the_cpu_and_says_why() -> None:
    accelerator = set_up("auto", environ={})

    assert (accelerator.kind, accelerator.num_replicas, accelerator.precision) == (
        "cpu",
        1,
        "float32",
    )
    assert accelerator.strategy is import_tensorflow().distribute.get_strategy()
    assert accelerator.reason == (
        "No TPU and no GPU can be used here, so training runs on the CPU."
    )
    assert [note.partition(":")[0] for note in accelerator.notes] == ["TPU", "GPU"]


@pytest.mark.usefixtures("cpu_only")
def test_global_keras_policy_is_left_alone() -> None:
    import keras

    before = keras.config.dtype_policy().name

    accelerator = set_up("cpu", "mixed_bfloat16", environ={})

    assert accelerator.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before


@pytest.mark.usefixtures("cpu_only")
@pytest.mark.parametrize("strategy", ["gpu", "mirrored"])
def test_gpus_that_are_not_here_are_refused(strategy: str) -> None:
    with pytest.raises(UserError, match="TensorFlow sees"):
        set_up(strategy)


@pytest.mark.slow
@pytest.mark.usefixtures("cpu_only")
def test_hint_without_a_tpu_is_probed_for_real_and_stepped_down_from() -> None:
    accelerator = set_up("auto", environ={"TPU_NAME": "local"})

    assert accelerator.kind == "cpu"
    assert accelerator.notes[0].startswith(
        "TPU: 'local' (tried because of TPU_NAME) cannot be used: NotFoundError: TPUs not found"
    )
    assert "this TensorFlow has no TPU support" in accelerator.notes[0]
    assert "\n" not in accelerator.notes[0]


@pytest.mark.slow
@pytest.mark.usefixtures("cpu_only")
def test_tpu_asked_for_is_refused_with_its_real_error() -> None:
    with pytest.raises(UserError, match="No OpKernel was registered") as raised:
        set_up("tpu:local")

    assert "automl-flowers[tpu]" in (raised.value.hint or "")


@pytest.mark.usefixtures("cpu_only")
def test_probe_that_takes_too_long_is_noted() -> None:
    accelerator = set_up("auto", environ={"TPU_NAME": "local"}, probe_seconds=0.05)

    assert accelerator.kind == "cpu"
    assert "No answer within 0.05 s" in accelerator.notes[0]


@pytest.mark.slow
def test_tpu_that_accepts_but_never_answers_is_given_up(silent_server: str) -> None:
    probe = probe_tpu(silent_server, environ={"no_proxy": "127.0.0.1"}, seconds=20)

    assert probe.timed_out
    assert probe.summary == "No answer within 20 s, at the step `connect to the TPU`."


@pytest.mark.slow
def test_two_logical_cpus_are_mirrored_and_both_run() -> None:
    finished = run_python(
        """
from automl_flowers.accelerators import import_tensorflow, set_up, split_cpu

split_cpu(2)
accelerator = set_up("mirrored", environ={})
tf = import_tensorflow()
replica = lambda: tf.distribute.get_replica_context().replica_id_in_sync_group
per_replica = accelerator.strategy.run(tf.function(lambda: tf.identity(replica())))
seen = [int(value) for value in accelerator.strategy.experimental_local_results(per_replica)]
print(accelerator.kind, accelerator.num_replicas, accelerator.precision, seen)
print(accelerator.global_batch_size(16), accelerator.reason)
split_cpu(2)
try:
    split_cpu(3)
except Exception as error:
    print(type(error).__name__, error.hint)
""",
        CUDA_VISIBLE_DEVICES="-1",
    )

    assert finished.stdout.splitlines() == [
        "mirrored 2 float32 [0, 1]",
        "32 `mirrored` was asked for, over 2 logical CPU devices.",
        "UserError call `split_cpu` before anything else uses TensorFlow",
    ], finished.stderr


def test_cpu_is_split_into_one_device_or_more() -> None:
    with pytest.raises(ConfigError, match="got 0"):
        split_cpu(0)


# Devices that are not on the machines these tests run on


def gpu_machine(num_gpus: int, *, running: bool = False) -> Any:
    """Return a stand-in for TensorFlow that sees GPUs."""
    visible = [f"GPU:{index}" for index in range(num_gpus)]

    def set_visible_devices(devices: list[str], kind: str) -> None:
        assert kind == "GPU"
        if running:
            raise RuntimeError("Visible devices cannot be modified after being initialized")
        visible[:] = devices

    config = SimpleNamespace(
        get_visible_devices=lambda kind: list(visible),
        set_visible_devices=set_visible_devices,
    )
    return SimpleNamespace(config=config)


@pytest.mark.parametrize(("keep", "left"), [(0, []), (1, ["GPU:0"])])
def test_gpus_that_are_not_used_are_hidden(keep: int, left: list[str]) -> None:
    tf = gpu_machine(2)

    accelerators._hide_gpus(tf, keep=keep)

    assert tf.config.get_visible_devices("GPU") == left


def test_hiding_gpus_too_late_is_refused() -> None:
    with pytest.raises(UserError, match="already runs on GPUs") as raised:
        accelerators._hide_gpus(gpu_machine(1, running=True), keep=0)

    assert "CUDA_VISIBLE_DEVICES=-1" in (raised.value.hint or "")


@pytest.mark.parametrize(
    ("master", "steps"),
    [
        ("", ["find the TPU", "start the TPU"]),
        ("grpc://10.0.0.2:8470", ["find the TPU", "connect to the TPU", "start the TPU"]),
    ],
)
def test_only_a_tpu_on_another_host_is_connected_to(master: str, steps: list[str]) -> None:
    resolver = SimpleNamespace(master=lambda: master)
    tf = SimpleNamespace(
        distribute=SimpleNamespace(
            cluster_resolver=SimpleNamespace(TPUClusterResolver=lambda tpu: resolver)
        ),
        config=SimpleNamespace(experimental_connect_to_cluster=lambda resolver: None),
        tpu=SimpleNamespace(
            experimental=SimpleNamespace(initialize_tpu_system=lambda resolver: None)
        ),
    )
    announced: list[str] = []

    assert accelerators._connect_tpu(tf, "some", announced.append) is resolver
    assert announced == steps


def test_tpu_held_by_this_process_is_used_again_without_a_probe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held = SimpleNamespace(num_replicas_in_sync=8)
    monkeypatch.setitem(accelerators._tpu_strategies, "local", held)

    accelerator = set_up("tpu", environ={})

    assert accelerator.strategy is held
    assert (accelerator.num_replicas, accelerator.precision) == (8, "mixed_bfloat16")
