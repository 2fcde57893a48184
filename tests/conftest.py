"""Settings of all tests."""

from hypothesis import settings

# A busy machine is slow, which is no reason to fail.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
