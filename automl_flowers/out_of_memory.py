"""Whether an error says that memory does not suffice, whichever library raises it.

TensorFlow and Python have a type for it. TensorFlow's is raised for a full disk, too. JAX raises
one type for whatever goes wrong in XLA, and begins its message with the status code.
"""

from __future__ import annotations

import errno
import os
import sys

_DISK = (os.strerror(errno.ENOSPC).lower(), os.strerror(errno.EDQUOT).lower())


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory, of the host or of a device, does not suffice.

    Args:
        error: Of Python, NumPy, TensorFlow or JAX; a library that was not imported raised none.
    """
    if isinstance(error, MemoryError):
        return True
    tensorflow, jax = sys.modules.get("tensorflow"), sys.modules.get("jax.errors")
    text = str(error)
    if tensorflow is not None and isinstance(error, tensorflow.errors.ResourceExhaustedError):
        return not any(reason in text.lower() for reason in _DISK)
    if jax is not None and isinstance(error, jax.JaxRuntimeError):
        return text.startswith("RESOURCE_EXHAUSTED")
    return False
