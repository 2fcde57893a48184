"""Tests for what fits of a fold start from."""

import numpy as np

from automl_flowers.blending.fold_heads import make_heads_of_fold
from automl_flowers.blending.material import labelled_rows
from automl_flowers.modeling import features
from automl_flowers.starting_weights import IMAGENET

BACKBONE = "efficientnet_lite0"


def test_a_head_is_fitted_on_what_its_fold_trains_on(ours):
    rows = labelled_rows(ours, "keep")
    is_train = np.arange(len(rows)) % 3 != 0

    head = make_heads_of_fold(ours, IMAGENET, lambda name, size: True)(rows, is_train)(BACKBONE, 32)

    examples = ours.examples_of(rows[is_train].reset_index(drop=True), 32)
    shown = features.extract(features.build_encoder(BACKBONE, 32), examples)
    expected = features.fit_start(shown, examples.labels, 3)
    np.testing.assert_allclose(head.kernel, expected.kernel, atol=1e-4)
    np.testing.assert_allclose(head.bias, expected.bias, atol=1e-4)


def test_folds_start_from_noise_where_the_search_did(ours):
    rows = labelled_rows(ours, "keep")
    heads = make_heads_of_fold(ours, IMAGENET, lambda name, size: False)

    assert heads(rows, np.ones(len(rows), bool))(BACKBONE, 32) is None


def test_a_fold_that_trains_on_one_class_starts_from_noise(ours):
    rows = labelled_rows(ours, "keep")
    heads = make_heads_of_fold(ours, IMAGENET, lambda name, size: True)

    assert heads(rows, (rows["label"] == 0).to_numpy())(BACKBONE, 32) is None
