"""The chooser as a scikit-learn classifier, whose features are members' probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from ensembles.blend import Blend, apply_blend
from ensembles.chooser import DEFAULT_RULES, Choice, choose_blend


class BlendClassifier(ClassifierMixin, BaseEstimator):
    """Classifies examples by a blend that `ensembles.chooser.choose_blend` chooses.

    It can be cloned, cross-validated and searched as any classifier of scikit-learn. The first
    axis of `X` is that of the examples, as there, so a stack of members is passed as
    `stack.transpose(1, 0, 2)`.

    Args:
        classes: Labels in the order of the last axis of `X`, which need not be sorted; None for 0,
            1, 2 and so on.
        num_new: As for `choose_blend`, like all that follow.
        min_images_per_class: Labelled examples to a class below which nothing is fitted.
        rules: What to compare.
        num_repeats: How often the examples are dealt to folds.
        num_folds: Folds.
        seed: Of the folds.

    Attributes:
        choice_: The `Choice`, with honest scores; set by `fit`.
        classes_: Labels in the order of the columns of `predict_proba`, sorted, as scikit-learn's
            scorers take for granted; shape `(num_classes,)`.

    Example:
        >>> y = np.array(["daisy", "iris"] * 20)
        >>> good = np.where(y[:, None] == ["daisy", "iris"], 0.9, 0.1)
        >>> X = np.stack([good, np.full((40, 2), 0.5)], axis=1)
        >>> model = BlendClassifier(classes=("daisy", "iris")).fit(X, y)
        >>> model.predict(X[:3])
        array(['daisy', 'iris', 'daisy'], dtype='<U5')
    """

    def __init__(
        self,
        classes: Sequence[Any] | None = None,
        *,
        num_new: int | None = None,
        min_images_per_class: int = 10,
        rules: Sequence[str] = DEFAULT_RULES,
        num_repeats: int = 3,
        num_folds: int = 5,
        seed: int = 0,
    ) -> None:
        self.classes = classes
        self.num_new = num_new
        self.min_images_per_class = min_images_per_class
        self.rules = rules
        self.num_repeats = num_repeats
        self.num_folds = num_folds
        self.seed = seed

    @property
    def blend_(self) -> Blend:
        """The blend that was chosen."""
        check_is_fitted(self, "choice_")
        return self.choice_.blend

    def fit(self, X: np.ndarray, y: np.ndarray) -> BlendClassifier:  # noqa: N803
        """Choose a blend.

        Args:
            X: Members' probabilities on examples that trained none of them, float, shape
                `(num_examples, num_models, num_classes)`; each row sums to 1.
            y: Labels, all of `classes`, shape `(num_examples,)`.

        Returns:
            The classifier itself.

        Raises:
            ValueError: If shapes disagree, a row of `X` is no distribution, a label is none of
                `classes`, or an option is wrong.
        """
        stack = _as_members(X)
        classes = np.arange(stack.shape[2]) if self.classes is None else np.asarray(self.classes)
        choice: Choice = choose_blend(
            _indices(np.asarray(y), classes, stack.shape[2]),
            stack,
            num_new=self.num_new,
            min_images_per_class=self.min_images_per_class,
            rules=self.rules,
            num_repeats=self.num_repeats,
            num_folds=self.num_folds,
            seed=self.seed,
        )
        self._order = np.argsort(classes)
        self.choice_, self.classes_ = choice, classes[self._order]
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return blended probabilities.

        Args:
            X: As for `fit`, of the same members in the same order.

        Returns:
            Float64, shape `(num_examples, num_classes)`, in the order of `classes_`; each row sums
            to 1.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: If there are not as many members or classes as in `fit`, or a row is no
                distribution.
        """
        check_is_fitted(self, "choice_")
        stack = _as_members(X)
        if stack.shape[2] != len(self.classes_):
            raise ValueError(
                f"`X` must have the {len(self.classes_)} classes that were fitted, got "
                f"{stack.shape[2]}. Pass shape (num_examples, num_models, num_classes)."
            )
        return apply_blend(self.blend_, stack)[:, self._order]

    def predict(self, X: np.ndarray) -> np.ndarray:  # noqa: N803
        """Return the most probable label of each example, shape `(num_examples,)`.

        Args:
            X: As for `predict_proba`.

        Raises:
            NotFittedError: Before `fit`.
            ValueError: As `predict_proba`.
        """
        predicted = self.predict_proba(X).argmax(axis=-1)
        return np.asarray(self.classes_[predicted])


def _as_members(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features)
    if features.ndim != 3:
        raise ValueError(
            "`X` must have shape (num_examples, num_models, num_classes), got shape "
            f"{features.shape}. For members stacked first, pass `stack.transpose(1, 0, 2)`."
        )
    return features.transpose(1, 0, 2)


def _indices(labels: np.ndarray, classes: np.ndarray, num_classes: int) -> np.ndarray:
    """Return the place of each label among the classes."""
    if classes.shape != (num_classes,) or len(np.unique(classes)) < num_classes:
        raise ValueError(
            f"`classes` must be {num_classes} different labels, one for each class of `X`, got "
            f"{classes.tolist()}."
        )
    if labels.ndim != 1:
        raise ValueError(f"`y` must have shape (num_examples,), got shape {labels.shape}.")
    unknown = np.setdiff1d(labels, classes)
    if len(unknown):
        raise ValueError(
            f"`y` must hold labels of {classes.tolist()}, got {len(unknown)} others, the first "
            f"{unknown[0]!r}. Name them in `classes`, in the order of the last axis of `X`."
        )
    order = np.argsort(classes)
    return np.asarray(order[np.searchsorted(classes[order], labels)])
