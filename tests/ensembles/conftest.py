"""Simulated members: a common difficulty per example, and noise of each member's own."""

import numpy as np
import pytest


def simulate_members(seed, num_models=3, num_examples=60, num_classes=5, skill=2.0):
    """Return labels and float32 probabilities of members that err differently."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(num_classes, size=num_examples)
    shared = rng.normal(size=(num_examples, num_classes)) + skill * np.eye(num_classes)[labels]
    logits = shared + rng.normal(size=(num_models, num_examples, num_classes))
    exponentials = np.exp(logits)
    probabilities = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return labels, probabilities.astype(np.float32)


@pytest.fixture(scope="session")
def simulate():
    return simulate_members
