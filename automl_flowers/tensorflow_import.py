"""Import TensorFlow: say how to install it where it is missing, and keep its chatter to itself.

While it is imported, TensorFlow 2.21 writes to file descriptor 2 how it was compiled, once for
each of its two libraries, before any setting that could silence it is read. These lines are held
back; all others come through when the import is over.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from automl_flowers.errors import UserError
from automl_flowers.known_errors import find_remedy
from automl_flowers.tpu_probe import find_hints

INSTALL_HINT = (
    "run `pip install 'automl-flowers[cpu]'`, or `[gpu]` or `[tpu]` in place of `[cpu]` for a "
    "build that uses those"
)

_CHATTER = re.compile(
    rb"I\d{4} \d\d:\d\d:\d\d"  # absl, level I
    rb"|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: I "  # older TensorFlow, level I
    rb"|WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|To enable the following instructions:"
)


def import_tensorflow(*, quiet: bool = True) -> Any:
    """Import TensorFlow and return it.

    Args:
        quiet: Hold back what TensorFlow says about itself. Not done where something hints at a
            TPU, because there the last words of an import that aborts matter, nor where
            AUTOML_FLOWERS_DEBUG is set.

    Raises:
        UserError: If TensorFlow is not installed or cannot be imported; the hint holds the
            command that installs it.
    """
    is_first = "tensorflow" not in sys.modules  # reading records asks once each
    try:
        with _no_chatter() if is_first and quiet and not _matters() else contextlib.nullcontext():
            import tensorflow
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise _broken_tensorflow(str(error)) from error
        raise UserError("TensorFlow is not installed.", hint=INSTALL_HINT) from None
    except ImportError as error:
        raise _broken_tensorflow(str(error)) from error
    return tensorflow


def _matters() -> bool:
    """Say whether what TensorFlow says about itself is worth reading."""
    return bool(os.environ.get("AUTOML_FLOWERS_DEBUG") or find_hints(os.environ))


def _broken_tensorflow(error: str) -> UserError:
    return UserError(
        f"TensorFlow is installed but cannot be imported: {error}",
        hint=find_remedy(error) or INSTALL_HINT,
    )


@contextlib.contextmanager
def _no_chatter() -> Iterator[None]:
    """Hold back what the block writes to file descriptor 2; afterwards pass on what matters."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # closed, or nowhere to keep it: then let it talk
            real = os.dup(2)
            stack.callback(os.close, real)
            held = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_pass_on, held)
            stack.callback(os.dup2, real, 2)
            os.dup2(held.fileno(), 2)
        yield


def _pass_on(held: IO[bytes]) -> None:
    held.seek(0)
    lines = [line for line in held if not _CHATTER.match(line)]
    with contextlib.suppress(OSError), open(2, "wb", closefd=False) as stderr:
        stderr.writelines(lines)
