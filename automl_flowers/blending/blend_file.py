"""How members are blended, read from what `blend.json` says; without loading TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ensembles.blend import Blend, plain_blend


def blend_of(content: Mapping[str, Any]) -> Blend:
    """Return how members are blended; older runs know weights only.

    Args:
        content: As in `blend.json`.

    Raises:
        KeyError: If it does not say so.
        ValueError: If it says what cannot be.
    """
    if "blend" in content:
        return Blend.from_dict(content["blend"])
    return plain_blend([entry["weight"] for entry in content["members"]])
