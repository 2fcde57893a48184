"""Lets go of what TensorFlow keeps of a traced graph for ever.

`tf.custom_gradient` registers, in a table of the process, how to differentiate what it was traced
in; the entry refers to the whole graph and to its variables, and is never removed (TensorFlow
2.21, `_graph_mode_decorator` in `tensorflow/python/ops/custom_gradient.py`). Swish is such a
function, and so is the sum of the gradients over replicas, even over a single one: each model
that was ever trained stays in memory. `keras.backend.clear_session` does not reach that table.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_PREFIX = "CustomGradient-"


@contextlib.contextmanager
def forget_gradients() -> Iterator[None]:
    """Remove what is registered inside the `with` block.

    For `fit` and `predict`: when they have traced a step, it has been differentiated, and nobody
    asks how to do it again. On the JAX backend nothing is registered.
    """
    from tensorflow.python.framework.ops import gradient_registry

    registered = gradient_registry._registry
    before = frozenset(registered)
    try:
        yield
    finally:
        for name in registered.keys() - before:
            if name.startswith(_PREFIX):
                del registered[name]
