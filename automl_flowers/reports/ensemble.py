"""What a run's ensemble left behind: `blend.json`, members' learning curves, confusions.

Everything here may be missing, of an ensemble that was interrupted, or of an older version; then
there is None and a sentence that says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from automl_flowers.blending.blend_file import blend_of
from automl_flowers.data.label_mapping import ClassDecision
from automl_flowers.ledger import EpochRecord
from automl_flowers.reports.reading import read_json
from automl_flowers.run_folder import RunFolder
from ensembles.blend import apply_blend
from ensembles.calibration import chance_calibration_error
from ensembles.metrics import confusion_matrix
from ensembles.predictions import align, load_predictions

SPLITS = ("val", "blend", "test")
EXTERNAL = "+external"
"""What `blending.retrain` adds to the name of a member that external images stayed in."""

PSEUDO = "+pseudo"
"""What it adds where images stayed in whose labels are those of an ensemble."""

_LABELLED = "train, val and blend"

Scores = Mapping[str, Mapping[str, float | None] | None]
"""For each split, its scores by metric, or None."""


@dataclass(frozen=True)
class MemberFacts:
    """A member of the blend.

    Attributes:
        name: Of the retrained model.
        weight: In [0, 1].
        gain: Macro F1 of the blend less that without this member, each on images that it was not
            fitted on; None with one member.
        disagreement: Share of images that it and another member put into different classes,
            mean over the others; None with one member.
        scores: For each split.
        without_external: Macro F1 on `BlendFacts.decided_on` without external images.
        with_external: The same with them; None if there were none.
        num_recipes: Whose weights are in those of the model.
        predictions: For each split, the name of its file.
        first_fit: Name of the fit whose learning curve stands for it.
    """

    name: str
    weight: float
    gain: float | None
    disagreement: float | None
    scores: Scores
    without_external: float | None
    with_external: float | None
    num_recipes: int
    predictions: Mapping[str, str]
    first_fit: str

    def score(self, split: str, metric: str = "macro_f1") -> float | None:
        """Return a score, None where the split has no labels."""
        return (self.scores.get(split) or {}).get(metric)


@dataclass(frozen=True)
class Measured:
    """A macro F1 with its 90 % interval; None where there is none."""

    macro_f1: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class ExternalData:
    """An external data set and what of it was used.

    Attributes:
        name: Of the data set.
        images_used: That could join the training set.
        copies: Ids left out as copies of evaluation images.
        copies_kept: How many such copies were trained on all the same.
        classes: One decision a class.
    """

    name: str
    images_used: int
    copies: tuple[str, ...]
    copies_kept: int
    classes: tuple[ClassDecision, ...]


@dataclass(frozen=True)
class BlendFacts:
    """The blend.

    Attributes:
        reason: Why it is blended like this.
        is_fitted: Whether the images of `blend` chose anything of how members are blended.
        members: In the order of `blend.json`.
        scores: Of the blend, for each split.
        naive: Macro F1 on `blend`, whose images may have chosen the blend.
        nested: Macro F1 on `blend`, each image with a blend that was fitted without it and picked
            by the scores of the others.
        expected: Macro F1 to expect on `num_new` new images, very many if that is None.
        disagreement: Share of images that two members put into different classes, mean over
            pairs; None with one member.
        both_wrong: Share of images that two members both put into a wrong class, likewise.
        num_folds: Folds whose held-out predictions stand for `blend`; None if `blend` is a split.
        images: For each split, how many were predicted; empty of older versions.
        external: Data sets that could join.
        without_external: Nested macro F1 on `blend` of the same members without external images;
            None where none stayed in or more than that would differ.
        content: `blend.json` as it is.
    """

    reason: str
    is_fitted: bool
    members: tuple[MemberFacts, ...]
    scores: Scores
    naive: Measured
    nested: Measured
    expected: Measured
    num_new: int | None
    disagreement: float | None
    both_wrong: float | None
    num_folds: int | None
    images: Mapping[str, int]
    external: tuple[ExternalData, ...]
    without_external: Measured | None
    content: dict[str, Any]

    def score(self, split: str, metric: str = "macro_f1") -> float | None:
        """Return a score, None where the split has no labels."""
        return (self.scores.get(split) or {}).get(metric)

    @property
    def chance_calibration_error(self) -> float | None:
        """What the calibration error on `blend` would be by chance; None if there is none."""
        accuracy, images = self.score("blend", "accuracy"), self.images.get("blend")
        if not images or accuracy is None or self.score("blend", "calibration_error") is None:
            return None
        return chance_calibration_error(accuracy, images)

    @property
    def decided_on(self) -> str:
        """Images that decided whether external ones stayed in."""
        return "fold 1" if self.num_folds else "val"

    @property
    def trained_on(self) -> str:
        """What its members were trained on, in words, and what did not help."""
        return f"{_ours(self)}{_with_external(self)}{_with_pseudo_labels(self)}"

    @property
    def sources(self) -> str:
        """What the models that are scored were trained on, in words."""
        return f"{_ours(self)}{_what_helped(self)}"

    @property
    def sources_of_test(self) -> str:
        """What the models that predict test images were trained on: final fits, if there are."""
        return f"{_LABELLED if self.about_final_fits else _ours(self)}{_what_helped(self)}"

    @property
    def about_final_fits(self) -> str | None:
        """What final fits predict, and that they are not what was scored; None without them."""
        if not self.content.get("settings", {}).get("final_fit"):
            return None
        return (
            "test and new images are predicted by final fits on all labelled images; the other "
            "scores, and what is expected, are of the models before them"
        )

    @property
    def about_recipes(self) -> str | None:
        """Which members are several recipes; None if there are none."""
        several = [
            f"the weights of {member.name} are the mean of those of {member.num_recipes} recipes"
            for member in self.members
            if member.num_recipes > 1
        ]
        return "; ".join(several) or None

    @property
    def about_temperature(self) -> str | None:
        """What is flattering on `blend`; None if no temperature was fitted there."""
        if self.content.get("temperature_fitted_on") is None:
            return None
        return (
            "the temperature of the blend was fitted on blend, so its log loss and calibration "
            "error there are flattering"
        )


def _ours(blend: BlendFacts) -> str:
    folds = blend.num_folds
    return f"{folds - 1} of {folds} folds of {_LABELLED}" if folds else "train"


def _what_helped(blend: BlendFacts) -> str:
    return "".join(
        [
            _with_external(blend) if _who(blend, EXTERNAL) else "",
            _with_pseudo_labels(blend) if _who(blend, PSEUDO) else "",
        ]
    )


def _with_external(blend: BlendFacts) -> str:
    used = [source for source in blend.external if source.images_used]
    names = ", ".join(f"{source.name} ({source.images_used:,})" for source in used)
    if not names:
        return ""
    if not (who := _who(blend, EXTERNAL)):
        return f"; no member was better with external images of {names}"
    return f", and {who} on external images of {names} too"


def _with_pseudo_labels(blend: BlendFacts) -> str:
    if blend.content.get("settings", {}).get("pseudo_labels") is None:
        return ""
    if not (who := _who(blend, PSEUDO)):
        return "; no member was better with test images labelled by an ensemble"
    return f", and {who} on test images labelled by an ensemble"


def _who(blend: BlendFacts, addition: str) -> str:
    """Return which members an addition stayed in, in words; nothing if in none."""
    number, of = sum(addition in member.name for member in blend.members), len(blend.members)
    if not number:
        return ""
    return f"{'all' if number == of else f'{number} of {of}'} members"


def parse_blend(content: dict[str, Any]) -> BlendFacts:
    """Return what `blend.json` says.

    Raises:
        KeyError: If something is missing, as in what another version wrote.
        TypeError: If something has another form.
        AttributeError: If something has another form.
    """
    on_blend, expected = content["scores"]["blend"], content.get("expected", {})
    diversity = content.get("diversity", {})
    return BlendFacts(
        reason=content["reason"],
        is_fitted=content.get("weights_fitted_on") is not None
        or bool(content.get("candidates")),  # the plain mean may be what was picked
        members=tuple(_member(entry) for entry in content["members"]),
        scores=content["scores"],
        naive=_measured(on_blend, "naive"),
        nested=_measured(on_blend, "nested"),
        expected=_measured(expected, "test"),
        num_new=expected.get("images"),
        disagreement=diversity.get("disagreement"),
        both_wrong=diversity.get("both_wrong"),
        num_folds=content.get("folds"),
        images=content.get("images", {}),
        external=tuple(_external(entry) for entry in content.get("external", ())),
        without_external=_measured(without, "nested")
        if (without := content.get("without_external"))
        else None,
        content=content,
    )


def _measured(scores: Mapping[str, Any], name: str) -> Measured:
    interval = scores.get(f"{name}_interval_90")
    return Measured(
        scores.get(f"{name}_macro_f1"), (interval[0], interval[1]) if interval else None
    )


def _member(entry: dict[str, Any]) -> MemberFacts:
    return MemberFacts(
        name=entry["name"],
        weight=entry["weight"],
        gain=entry.get("gain"),
        disagreement=entry.get("disagreement"),
        scores=entry["scores"],
        without_external=entry.get("val_macro_f1_without_external"),
        with_external=entry.get("val_macro_f1_with_external"),
        num_recipes=1 + len(entry.get("others") or ()),
        predictions=entry.get("predictions", {}),
        first_fit=(entry.get("fits") or [entry["name"]])[0],
    )


def _external(entry: dict[str, Any]) -> ExternalData:
    return ExternalData(
        name=entry["name"],
        images_used=entry["images_used"],
        copies=tuple(entry["near_copies_dropped"]),
        copies_kept=len(entry.get("leaks", {}).get("found", ()))
        - len(entry["near_copies_dropped"]),
        classes=tuple(ClassDecision(**decision) for decision in entry["classes"]),
    )


def read_blend(run: RunFolder) -> tuple[BlendFacts | None, str]:
    """Return a run's blend, or None and why there is none."""
    content = read_json(run.blend)
    if content is None:
        return None, "There is no ensemble yet."
    try:
        return parse_blend(content), ""
    except (KeyError, TypeError, AttributeError):
        return None, "blend.json was written by another version of automl-flowers."


@dataclass(frozen=True)
class MemberCurve:
    """The learning curve of a retrained model.

    Attributes:
        name: Of the model.
        epochs: In order, at least one.
        is_member: Whether the blend uses it.
        is_mean: Whether its weights are the mean of several fits; the curve is that of the first.
    """

    name: str
    epochs: tuple[EpochRecord, ...]
    is_member: bool
    is_mean: bool = False

    @property
    def scored_on(self) -> str:
        """What was predicted after every epoch: `val`, or the fold that it was not trained on."""
        fold = re.search(r"\.fold(\d+)of", self.name)
        return f"fold {fold[1]}" if fold else "val"


def read_curves(run: RunFolder, blend: BlendFacts | None) -> tuple[MemberCurve, ...]:
    """Return the learning curves of the blend's members and of what they were compared with.

    Members are trained with and without external images and one of both is blended; models of
    earlier ensembles are left out. Without a blend, all retrained models are returned.
    """
    names = [member.first_fit for member in blend.members] if blend else []
    curves = tuple(_recorded_curves(run.members, names))
    if not blend:
        return curves
    firsts, origins = [_first(name) for name in names], [_origin(name) for name in names]
    shown = [
        curve
        for curve in curves
        if curve.is_member
        or (not curve.is_mean and curve.name not in firsts and _origin(curve.name) in origins)
    ]
    return tuple(sorted(shown, key=lambda c: (origins.index(_origin(c.name)), c.name)))


def _first(name: str) -> str:
    """Return the name of the first fit that a mean of fits is made of; of one fit, its own."""
    return re.sub(r"\.(soup|recipes)\d.*", "", name)


def _origin(name: str) -> str:
    """Return the name of the fit without external images that one with them is compared with."""
    return _first(name).replace(EXTERNAL, "")


def _recorded_curves(folder: Path, members: Sequence[str]) -> Iterator[MemberCurve]:
    for path in sorted(folder.glob("*.json")):
        content = read_json(path) or {}
        try:
            epochs = tuple(EpochRecord(**epoch) for epoch in content["epochs"])
        except (KeyError, TypeError):
            continue  # of another version
        if epochs:
            yield MemberCurve(path.stem, epochs, path.stem in members, "made_of" in content)


@dataclass(frozen=True, eq=False)
class Confusion:
    """What was taken for what.

    Attributes:
        split: On which images.
        counts: `(num_classes, num_classes)`, rows are the true classes.
        class_names: Names in the order of rows and columns.
    """

    split: str
    counts: npt.NDArray[np.int64]
    class_names: tuple[str, ...]

    @property
    def num_wrong(self) -> int:
        """Images that were taken for another class."""
        return int(self.counts.sum() - np.trace(self.counts))

    def worst_pairs(self, most: int = 12) -> list[tuple[str, str, int, int]]:
        """Return the most frequent mistakes: true class, taken for, images, of how many."""
        wrong = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-wrong, axis=None, kind="stable")[:most]
        rows, columns = np.unravel_index(order, wrong.shape)
        totals = self.counts.sum(axis=1)
        return [
            (self.class_names[t], self.class_names[p], int(wrong[t, p]), int(totals[t]))
            for t, p in zip(rows, columns, strict=True)
            if wrong[t, p]
        ]

    def macro_scores(self) -> dict[str, float]:
        """Return F1, precision and recall, each the mean over the classes that are present."""
        hits, actual = np.diag(self.counts), self.counts.sum(axis=1)
        claimed, present = self.counts.sum(axis=0), actual > 0
        means = {
            "F1": 2 * hits / np.maximum(actual + claimed, 1),
            "precision": hits / np.maximum(claimed, 1),
            "recall": hits / np.maximum(actual, 1),
        }
        return {name: float(values[present].mean()) for name, values in means.items()}


def read_confusion(run: RunFolder, blend: BlendFacts) -> tuple[Confusion | None, str]:
    """Return the blend's confusion on `test` if it has labels, else on `blend`; or why not."""
    split = "blend" if blend.score("test") is None else "test"
    names = [member.predictions.get(split) for member in blend.members]
    files = [run.predictions / name for name in names if name]
    if len(files) < len(names) or not all(file.exists() for file in files):
        return None, "The members' predictions are no longer in the run folder."
    try:
        aligned = align([load_predictions(file) for file in files])
        blended = apply_blend(blend_of(blend.content), aligned.probabilities)
    except ValueError as error:
        return None, f"The members' predictions cannot be blended: {error}"
    known = aligned.labels >= 0
    counts = confusion_matrix(aligned.labels[known], blended[known])
    return Confusion(split, counts, aligned.class_names), ""
