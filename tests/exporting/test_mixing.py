"""Tests for a blend in operations of Keras."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from automl_flowers.exporting.mixing import apply, arithmetic_mean, geometric_mean
from ensembles import averaging
from ensembles.blend import Blend, apply_blend

TEMPERATURES = st.floats(0.1, 10)


@given(
    kind=st.sampled_from(["arithmetic", "geometric"]),
    share=st.floats(0, 1),
    temperatures=st.tuples(TEMPERATURES, TEMPERATURES),
    last=TEMPERATURES,
    exponent=st.floats(-1, 1),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_what_the_blend_does_with_arrays(kind, share, temperatures, last, exponent, seed):
    generator = np.random.default_rng(seed)
    stack = generator.dirichlet(np.full(4, 0.3), (2, 5)).astype(np.float32)
    prior = tuple(generator.dirichlet(np.full(4, 2.0)).tolist())
    blend = Blend(kind, (share, 1 - share), temperatures, last, exponent, prior)

    made = ops.convert_to_numpy(apply(blend, [ops.convert_to_tensor(each) for each in stack]))

    np.testing.assert_allclose(made, apply_blend(blend, stack), atol=1e-4)


def test_means_are_those_of_arrays():
    stack = np.random.default_rng(0).dirichlet([1, 1, 1], (3, 5)).astype(np.float32)
    tensors = [ops.convert_to_tensor(each) for each in stack]

    np.testing.assert_allclose(arithmetic_mean(tensors), averaging.average(stack), atol=1e-6)
    np.testing.assert_allclose(geometric_mean(tensors), averaging.geometric_mean(stack), atol=1e-6)
    assert geometric_mean(tensors[:1]) is tensors[0]
