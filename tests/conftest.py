"""Settings of all tests, and what many of them share."""

import pytest
from hypothesis import settings

from search_spaces import backbones

# A busy machine is slow, which is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture
def registry():
    """The registry of backbones, which forgets afterwards what a test adds."""
    before = dict(backbones._ENTRIES)
    yield
    backbones._ENTRIES.clear()
    backbones._ENTRIES.update(before)
