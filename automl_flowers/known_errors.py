"""Errors of TPUs, GPUs and TensorFlow that are known by what they say, each with what mends it.

One table for every reader: the probe of a TPU, the import of TensorFlow, and
`automl-flowers doctor --explain`. Signatures are quoted from the libraries; where a version is
named, they were seen with it.
"""

from __future__ import annotations

_LIBTPU_TOO_NEW = "libtpu is too new for this TensorFlow; run `pip install libtpu==0.0.21.1`"

REMEDIES: tuple[tuple[str, str], ...] = (
    # tensorflow-tpu 2.20.0 beside libtpu 0.0.52 aborts the interpreter.
    ("ConfigureDistributedTpuOp_DoWork not available", _LIBTPU_TOO_NEW),
    ("No TPU platform found", _LIBTPU_TOO_NEW),
    (
        "No OpKernel was registered to support Op 'ConfigureDistributedTPU'",
        "this TensorFlow has no TPU support; uninstall it, then install `automl-flowers[tpu]`",
    ),
    (
        "tpu_node_interfaces",
        "TensorFlow supports TPUs but finds no chip; give this machine a TPU and start it again",
    ),
    (
        "libtpu_lockfile",
        "stop the other process that holds the TPU, or set ALLOW_MULTIPLE_LIBTPU_LOAD=1",
    ),
    ("Failed to fetch URL", "outside Google Cloud, set TPU_SKIP_MDS_QUERY=1"),
    ("Please provide a TPU Name", "name the TPU, as in `tpu:local`, or by TPU_NAME"),
    (
        "Name or service not known",
        "outside Google Cloud a TPU has no name; use `tpu:local` or `tpu:grpc://HOST:8470`",
    ),
    (
        "File system scheme '[local]' not implemented",
        "this TPU is on another host and cannot read local files; use gs:// paths",
    ),
    ("SIGSEGV", "TensorFlow 2.17 and 2.18 are known to crash so on TPU VMs; use 2.20"),
    ("No answer within", "check that the TPU is on and its address right"),
    ("Nothing listens at", "check that the TPU is on and its address right"),
    (
        "Ran out of memory on HBM",
        "the step does not fit on the TPU; choose a smaller `--batch-size` or `--image-size`",
    ),
    # keras 3.15 on TensorFlow 2.21, both under MirroredStrategy.
    (
        "You must feed a value for placeholder tensor",
        "under `mirrored`, compile your own models with `steps_per_execution=1`",
    ),
    (
        "Trying to access resource",
        "under `mirrored`, compile your own models with `jit_compile=False`",
    ),
    (
        "could not find registered transfer manager for platform Host",
        "this TensorFlow compiles for TPUs alone; without one, install `automl-flowers[cpu]`",
    ),
    (
        "No module named 'keras.src.engine'",
        "tensorflow-addons needs Keras 2, and nothing here needs it; uninstall it",
    ),
    (
        "No module named 'tensorboard'",
        "Keras Tuner imports tensorboard without asking for it; run `pip install tensorboard`",
    ),
)
"""Signatures, each with what mends it. Where one error holds several, the first counts."""


def find_remedy(error: str) -> str | None:
    """Return what mends a known error, or None for an unknown one."""
    return next((remedy for signature, remedy in REMEDIES if signature in error), None)


def find_all(log: str) -> list[tuple[str, str]]:
    """Return every signature that a log holds, with its remedy; each remedy once."""
    found = {remedy: signature for signature, remedy in reversed(REMEDIES) if signature in log}
    return [(signature, remedy) for remedy, signature in reversed(found.items())]
