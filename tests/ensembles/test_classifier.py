"""Tests for the chooser as a scikit-learn classifier."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, cross_val_score

from ensembles.blend import apply_blend
from ensembles.chooser import choose_blend
from ensembles.classifier import BlendClassifier
from ensembles.metrics import log_loss

NAMES = ("tulip", "iris", "daisy", "rose", "lily")


@pytest.fixture(scope="module")
def examples(simulate):
    labels, probabilities = simulate(seed=0, num_examples=120)
    return probabilities.transpose(1, 0, 2), labels


def test_it_blends_as_the_chooser_does(examples):
    features, labels = examples
    stack = features.transpose(1, 0, 2)

    model = BlendClassifier(num_repeats=1).fit(features, labels)

    choice = choose_blend(labels, stack, num_repeats=1)
    assert model.choice_ == choice
    assert model.blend_ == choice.blend
    np.testing.assert_array_equal(model.predict_proba(features), apply_blend(choice.blend, stack))
    np.testing.assert_array_equal(
        model.predict(features), model.predict_proba(features).argmax(axis=-1)
    )


def test_labels_may_be_names_in_any_order(examples):
    """scikit-learn's scorers take for granted that `classes_` are sorted."""
    features, labels = examples
    names = np.array(NAMES)[labels]

    model = BlendClassifier(NAMES, num_repeats=1).fit(features, names)

    np.testing.assert_array_equal(model.classes_, sorted(NAMES))
    blended = apply_blend(model.blend_, features.transpose(1, 0, 2))
    for number, name in enumerate(NAMES):
        column = model.predict_proba(features)[:, model.classes_.tolist().index(name)]
        np.testing.assert_array_equal(column, blended[:, number])
    found = get_scorer("neg_log_loss")(model, features, names)
    assert -found == pytest.approx(log_loss(labels, blended))
    np.testing.assert_array_equal(model.predict(features), np.array(NAMES)[blended.argmax(axis=-1)])
    assert model.score(features, names) > 0.6


def test_it_can_be_cloned_and_its_parameters_read_and_set():
    model = BlendClassifier(rules=("uniform",), seed=3)

    copy = clone(model).set_params(num_folds=3)

    assert copy.get_params() == model.get_params() | {"num_folds": 3}
    assert copy.get_params()["rules"] == ("uniform",)


def test_it_can_be_cross_validated_and_searched(examples):
    features, labels = examples

    scores = cross_val_score(BlendClassifier(num_repeats=1), features, labels, cv=3)
    search = GridSearchCV(
        BlendClassifier(num_repeats=1), {"rules": [("uniform",), ("single",)]}, cv=2
    ).fit(features, labels)

    assert min(scores) > 0.6
    assert search.best_params_["rules"] in {("uniform",), ("single",)}


@pytest.mark.parametrize("ask", ["predict", "predict_proba"])
def test_before_fit_it_says_so(examples, ask):
    with pytest.raises(NotFittedError):
        getattr(BlendClassifier(), ask)(examples[0])


def test_blend_before_fit_says_so():
    with pytest.raises(NotFittedError):
        BlendClassifier().blend_  # noqa: B018


def test_failed_fit_leaves_it_unfitted(examples):
    model = BlendClassifier(rules=("none",))

    with pytest.raises(ValueError, match="must be some of uniform"):
        model.fit(*examples)

    with pytest.raises(NotFittedError):
        model.predict(examples[0])


@pytest.mark.parametrize(
    ("classes", "change", "message"),
    [
        (None, lambda x, y: (x[0], y), "must have shape .num_examples, num_models, num_classes"),
        (None, lambda x, y: (x, y + 1), "got 1 others, the first np.int64.5."),
        (NAMES[:4], lambda x, y: (x, y), "must be 5 different labels"),
        (("a", "a", "b", "c", "d"), lambda x, y: (x, y), "must be 5 different labels"),
        (None, lambda x, y: (x, np.eye(5)[y]), "`y` must have shape"),
        (None, lambda x, y: (x * 2.0, y), "rows that do not"),
        (None, lambda x, y: (x, y[:-1]), "119 labels and 120 rows"),
    ],
)
def test_wrong_examples_are_answered(examples, classes, change, message):
    with pytest.raises(ValueError, match=message):
        BlendClassifier(classes).fit(*change(*examples))


def test_other_members_or_classes_than_fitted_are_refused(examples):
    features, labels = examples
    model = BlendClassifier(num_repeats=1).fit(features, labels)

    with pytest.raises(ValueError, match="blend is of 3 members, got probabilities of 2"):
        model.predict(features[:, :2])
    with pytest.raises(ValueError, match="the 5 classes that were fitted, got 2"):
        model.predict(np.full((4, 3, 2), 0.5))
