"""Weights that Keras publishes: where they are kept, and whether they can be fetched.

A search and `doctor` ask the same questions and get the same answers. Nothing here needs Keras.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from pathlib import Path

from search_spaces.backbones import Backbone

WEIGHTS_HOST = "storage.googleapis.com"
"""Where Keras keeps the weights that it downloads."""

WEIGHTS_URL = f"https://{WEIGHTS_HOST}"
NETWORK_SECONDS = 3.0


def keras_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of all that Keras downloads."""
    return Path(environ.get("KERAS_HOME") or "~/.keras").expanduser()


def kept_file(backbone: Backbone, environ: Mapping[str, str] = os.environ) -> Path:
    """Return where a backbone's ImageNet weights are once they were downloaded."""
    return keras_home(environ) / "models" / str(backbone.weights_file)


def can_reach(url: str) -> bool:
    """Say whether the host of an address answers, each step of it within `NETWORK_SECONDS`.

    It is asked as a download asks it, by a proxy where one is set.
    """
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - our own address
    try:
        urllib.request.urlopen(request, timeout=NETWORK_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError as answer:
        answer.close()
    except (OSError, ValueError, HTTPException):
        return False
    return True
