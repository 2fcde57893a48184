"""Choosing and setting up a device.

The decision is a pure function and tested as a table. Everything that touches a device runs for
real, on the CPU of this machine. What the probe of a TPU does is tested in `test_tpu_probe`.
"""

import re
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from automl_flowers import accelerators, tpu_probe
from automl_flowers.accelerators import (
    PRECISIONS,
    STRATEGIES,
    Accelerator,
    DeviceFacts,
    decide,
    explain_other_replicas,
    set_up,
    split_cpu,
)
from automl_flowers.errors import ConfigError, UserError
from automl_flowers.tensorflow_import import import_tensorflow
from automl_flowers.tpu_probe import TpuProbe, find_hints

GOOD = TpuProbe("local", num_devices=8)
BAD = TpuProbe("local", error="NotFoundError: no chips\nmore", step="start the TPU")
LOCKED = TpuProbe("local", error="libtpu_lockfile", step="start the TPU")
AMPERE, TURING, PASCAL = (8, 0), (7, 5), (6, 0)


def gpus(*capabilities, **others):
    return DeviceFacts(gpu_capabilities=capabilities, **others)


def probes(*tried):
    return DeviceFacts(probes=tried)


@pytest.fixture
def cpu_only():
    """Skip where this machine has a better device than its CPU."""
    if find_hints({}) or import_tensorflow().config.get_visible_devices("GPU"):
        pytest.skip("this machine has an accelerator")


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Return the path of a module that child processes import as `tensorflow`."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "tensorflow.py"


# The decision


@pytest.mark.parametrize(
    ("strategy", "facts", "kind", "precision", "said"),
    [
        ("auto", DeviceFacts(), "cpu", "float32", "the CPU"),
        ("auto", probes(GOOD), "tpu", "mixed_bfloat16", "'local' answered with 8 devices"),
        ("auto", probes(BAD), "cpu", "float32", "the CPU"),
        ("auto", probes(BAD, GOOD), "tpu", "mixed_bfloat16", "8 devices"),
        ("auto", gpus(AMPERE), "gpu", "mixed_bfloat16", "one GPU"),
        ("auto", gpus(TURING), "gpu", "float32", "one GPU"),
        ("auto", gpus(None), "gpu", "float32", "one GPU"),
        ("auto", gpus(AMPERE, AMPERE), "mirrored", "mixed_bfloat16", "2 GPUs"),
        ("auto", gpus(AMPERE, TURING), "mirrored", "float32", "2 GPUs"),
        ("auto", gpus(AMPERE, None), "mirrored", "float32", "2 GPUs"),
        ("auto", DeviceFacts(num_cpus=2), "cpu", "float32", "the CPU"),
        ("tpu", probes(GOOD), "tpu", "mixed_bfloat16", "8 devices"),
        ("mirrored", gpus(*[AMPERE] * 4), "mirrored", "mixed_bfloat16", "4 GPUs"),
        ("mirrored", DeviceFacts(num_cpus=2), "mirrored", "float32", "2 logical CPU devices"),
        ("gpu", gpus(PASCAL), "gpu", "float32", "asked for"),
        ("gpu", gpus(AMPERE, AMPERE), "gpu", "mixed_bfloat16", "asked for"),
        ("cpu", gpus(AMPERE, num_cpus=2), "cpu", "float32", "asked for"),
    ],
)
def test_decision_follows_from_the_facts(strategy, facts, kind, precision, said):
    decision = decide(strategy, "auto", facts)

    assert (decision.kind, decision.precision) == (kind, precision)
    assert said in decision.reason
    assert decision.reason.endswith(".")


@pytest.mark.parametrize(
    ("strategy", "facts", "message", "hint"),
    [
        ("tpu", probes(BAD), "'local' cannot be used: NotFoundError: no chips", "`auto`"),
        ("tpu", probes(BAD, LOCKED), "no chips .*libtpu_lockfile", "stop the other process"),
        ("mirrored", DeviceFacts(), "0 GPUs and 1 CPU device", "split_cpu"),
        ("mirrored", gpus(AMPERE, num_cpus=2), "1 GPU and 2 CPU devices", "`gpu`"),
        ("gpu", DeviceFacts(), "TensorFlow sees none", "automl-flowers[gpu]"),
    ],
)
def test_device_asked_for_by_name_is_had_or_refused(strategy, facts, message, hint):
    with pytest.raises(UserError, match=message) as raised:
        decide(strategy, "auto", facts)

    assert hint in raised.value.hint


@pytest.mark.parametrize("precision", [name for name in PRECISIONS if name != "auto"])
@pytest.mark.parametrize("facts", [DeviceFacts(), probes(GOOD), gpus(TURING)])
def test_explicit_precision_is_taken_on_any_device(precision, facts):
    decision = decide("auto", precision, facts)

    assert decision.precision == precision
    assert not any(note.startswith("Precision") for note in decision.notes)


def test_mirrored_spans_all_devices_of_one_kind():
    assert decide("auto", "auto", gpus(AMPERE, AMPERE)).devices == ("/gpu:0", "/gpu:1")
    assert decide("mirrored", "auto", DeviceFacts(num_cpus=2)).devices == ("/cpu:0", "/cpu:1")


def test_every_step_down_is_a_note_with_its_reason():
    facts = DeviceFacts(("TPU_NAME", "/dev/accel0"), (replace(BAD, address="mine"), BAD))

    notes = decide("auto", "auto", facts).notes

    why = "(tried because of TPU_NAME, /dev/accel0) cannot be used: NotFoundError: no chips."
    assert notes == (
        f"TPU: 'mine' {why}",
        f"TPU: 'local' {why}",
        "GPU: TensorFlow sees none.",
    )


@pytest.mark.parametrize(
    ("strategy", "facts", "position", "said"),
    [
        ("auto", DeviceFacts(), 0, "nothing hints at one (none of TPU_NAME, "),
        ("auto", probes(replace(GOOD, num_devices=1)), 0, "one device answered"),
        ("auto", probes(BAD, GOOD), 0, "no chips"),
        ("auto", DeviceFacts(has_nvidia_device=True), -1, "automl-flowers[gpu]"),
        ("auto", gpus(TURING), -1, "the GPU has 7.5; `mixed_float16` may be faster"),
        ("gpu", gpus(*[AMPERE] * 3), 0, "2 further GPUs left unused"),
        ("cpu", gpus(*[AMPERE] * 3), 0, "3 GPUs left unused"),
    ],
)
def test_what_is_left_unused_is_noted(strategy, facts, position, said):
    assert said in decide(strategy, "auto", facts).notes[position]


# Names


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_parses_to_itself(strategy):
    assert accelerators._parse_strategy(strategy) == (strategy, None)


@pytest.mark.parametrize("name", ["local", "my-tpu", "grpc://10.0.0.2:8470"])
def test_tpu_may_carry_a_name(name):
    assert accelerators._parse_strategy(f"tpu:{name}") == ("tpu", name)


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
def test_unknown_strategy_is_answered_with_what_exists(strategy, message):
    with pytest.raises(ConfigError, match=message):
        set_up(strategy)


def test_unknown_precision_is_answered_with_a_suggestion():
    with pytest.raises(ConfigError, match="Did you mean 'mixed_bfloat16'"):
        set_up("cpu", "bfloat16")


def test_global_batch_counts_all_replicas():
    accelerator = Accelerator("tpu", None, 8, "mixed_bfloat16", "It answered.")

    assert accelerator.global_batch_size(16) == 128
    with pytest.raises(ConfigError, match="at least 1, got 0"):
        accelerator.global_batch_size(0)


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (
            8,
            1,
            "8 replicas and this device has 1: each step is 8 times smaller and an epoch has more",
        ),
        (
            1,
            8,
            "1 replica and this device has 8: each step is 8 times larger and an epoch has fewer",
        ),
        (4, 6, "each step is 1.5 times larger"),
    ],
)
def test_other_replicas_than_the_search_had_are_said_with_what_they_mean(before, now, said):
    sentence = explain_other_replicas(before, now)

    assert said in sentence
    assert "learning rates stay as they were chosen" in sentence


def test_same_replicas_are_not_worth_a_word():
    assert explain_other_replicas(8, 8) is None


@pytest.mark.parametrize("kind", ["mirrored", "gpu", "cpu"])
def test_only_a_tpu_takes_several_steps_by_itself(kind):
    assert Accelerator(kind, None, 2, "float32", "It is here.").max_steps_per_execution == 1
    assert Accelerator("tpu", None, 8, "float32", "It answered.").max_steps_per_execution > 1


# A TPU that does not answer


ABORT = """
import os
os.write(2, b"F0000 x] ConfigureDistributedTpuOp_DoWork not available")
os.abort()
"""


@pytest.mark.parametrize(
    ("module", "message", "hint"),
    [
        (
            ABORT,
            r"cannot be used here\. .* ended by SIGABRT .*: F0000",
            "libtpu==0.0.21.1",
        ),
        (
            "raise ModuleNotFoundError('No module', name='tensorflow')",
            r"TensorFlow is not installed\.",
            "pip install 'automl-flowers[cpu]'",
        ),
    ],
    ids=["abort", "missing"],
)
def test_import_that_ends_the_child_is_not_tried_in_this_process(stand_in, module, message, hint):
    stand_in.write_text(module)

    with pytest.raises(UserError, match=message) as raised:
        set_up("auto", environ={"TPU_NAME": "local"})

    assert hint in raised.value.hint


def test_hang_in_the_import_is_said_before_this_process_may_hang_too(stand_in, caplog):
    stand_in.write_text("import time; time.sleep(300)")

    probe = accelerators._probe("local", {}, 2)

    assert probe.timed_out
    assert probe.summary == "No answer within 2 s, at the step `import tensorflow`."
    assert probe.summary in caplog.text


@pytest.mark.usefixtures("cpu_only")
def test_probe_that_takes_too_long_is_noted():
    accelerator = set_up("auto", environ={"TPU_NAME": "local"}, probe_seconds=0.05)

    assert accelerator.kind == "cpu"
    assert "No answer within 0.05 s" in accelerator.notes[0]


@pytest.mark.slow
@pytest.mark.usefixtures("cpu_only")
def test_hint_without_a_tpu_is_probed_for_real_and_stepped_down_from():
    accelerator = set_up("auto", environ={"TPU_NAME": "local"})

    assert accelerator.kind == "cpu"
    assert accelerator.notes[0].startswith(
        "TPU: 'local' (tried because of TPU_NAME) cannot be used: NotFoundError: TPUs not found"
    )
    assert "this TensorFlow has no TPU support" in accelerator.notes[0]
    assert "\n" not in accelerator.notes[0]


@pytest.mark.slow
@pytest.mark.usefixtures("cpu_only")
@pytest.mark.parametrize(
    ("strategy", "message", "hint"),
    [
        ("tpu", "No OpKernel was registered", "automl-flowers[tpu]"),
        ("tpu:my-tpu", "my-tpu.* cannot be used", "outside Google Cloud|`auto`"),
        ("tpu:grpc://127.0.0.1:8470", "Nothing listens at grpc://127.0.0.1:8470", "address right"),
    ],
)
def test_tpu_asked_for_is_refused_with_its_real_error(strategy, message, hint):
    with pytest.raises(UserError, match=message) as raised:
        set_up(strategy, environ={})

    assert re.search(hint.replace("[tpu]", r"\[tpu\]"), raised.value.hint)


def test_tpu_held_by_this_process_is_used_again(monkeypatch):
    held = SimpleNamespace(num_replicas_in_sync=8)
    monkeypatch.setitem(tpu_probe._held, "local", held)

    accelerator = set_up("tpu", environ={})

    assert accelerator.strategy is held
    assert (accelerator.num_replicas, accelerator.precision) == (8, "mixed_bfloat16")


# Other devices


@pytest.mark.usefixtures("cpu_only")
def test_auto_gives_the_cpu_and_says_why():
    accelerator = set_up("auto", environ={})

    assert (accelerator.kind, accelerator.num_replicas) == ("cpu", 1)
    assert accelerator.precision == "float32"
    assert accelerator.strategy is import_tensorflow().distribute.get_strategy()
    assert accelerator.reason == "No TPU and no GPU can be used here, so training runs on the CPU."
    assert [note.partition(":")[0] for note in accelerator.notes] == ["TPU", "GPU"]


@pytest.mark.usefixtures("cpu_only")
def test_global_keras_policy_is_left_alone():
    import keras

    before = keras.config.dtype_policy().name

    accelerator = set_up("cpu", "mixed_bfloat16", environ={})

    assert accelerator.precision == "mixed_bfloat16"
    assert keras.config.dtype_policy().name == before


@pytest.mark.usefixtures("cpu_only")
@pytest.mark.parametrize("strategy", ["gpu", "mirrored"])
def test_gpus_that_are_not_here_are_refused(strategy):
    with pytest.raises(UserError, match="TensorFlow sees"):
        set_up(strategy)


MIRRORED = """
from automl_flowers.accelerators import set_up, split_cpu
from automl_flowers.tensorflow_import import import_tensorflow

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
"""


@pytest.mark.slow
def test_two_logical_cpus_are_mirrored_and_both_run(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")

    finished = subprocess.run(
        [sys.executable, "-c", MIRRORED], capture_output=True, text=True, timeout=120
    )

    assert finished.stdout.splitlines() == [
        "mirrored 2 float32 [0, 1]",
        "32 `mirrored` was asked for, over 2 logical CPU devices.",
        "UserError call `split_cpu` before anything else uses TensorFlow",
    ], finished.stderr


def test_cpu_is_split_into_one_device_or_more():
    with pytest.raises(ConfigError, match="got 0"):
        split_cpu(0)


def gpu_machine(num_gpus, *, running=False):
    """Return a stand-in for TensorFlow that sees GPUs."""
    visible = [f"GPU:{index}" for index in range(num_gpus)]

    def set_visible_devices(devices, kind):
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
def test_gpus_that_are_not_used_are_hidden(keep, left):
    tf = gpu_machine(2)

    accelerators._hide_gpus(tf, keep=keep)

    assert tf.config.get_visible_devices("GPU") == left


def test_hiding_gpus_too_late_is_refused():
    with pytest.raises(UserError, match="already runs on GPUs") as raised:
        accelerators._hide_gpus(gpu_machine(1, running=True), keep=0)

    assert "CUDA_VISIBLE_DEVICES=-1" in raised.value.hint
