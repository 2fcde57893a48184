"""From another data set's class names to ours.

Names that are equal, or equal in their normal form, are a proposal; everything else needs a
person's word in a YAML file. A proposal can be wrong, since one word means different flowers in
different places, so a probe that was trained on our images looks at the external ones and says
which of our classes it sees there.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from automl_flowers.errors import ConfigError, DataError
from search_spaces.parameters import unknown_name

LabelMap = Mapping[str, str | Mapping[str, str | None] | None]
"""A person's word on external class names: ours, or None to leave a class out. What stands below
the name of a data set concerns that one only, and wins there."""

MIN_AGREEMENT = 0.3
"""Share of an external class's images that the probe must give to the mapped class.

On noisy pictures from the web a probe agrees with 0.44 (daisy) and 0.53 (sunflower) of the images
of classes that are the same flower (docs/benchmarks/oxford17.md), and with 0.11 of one that only
shares its name (tulip); by chance it would agree with 0.06 of 17 classes.
"""

_APOSTROPHES = str.maketrans("", "", "'`\N{RIGHT SINGLE QUOTATION MARK}")


@dataclass(frozen=True)
class ClassDecision:
    """How one external class is used.

    Attributes:
        external: Its name there.
        ours: Our class, or None: its images are not used.
        num_images: How many it has.
        agreement: Share of them that the probe gives to `ours`, in [0, 1]; None if not probed.
        is_used: Whether its images join the training set.
        reason: One sentence.
    """

    external: str
    ours: str | None
    num_images: int
    agreement: float | None
    is_used: bool
    reason: str


def normal_form(name: str) -> str:
    """Return a name without case, punctuation, leading numbers and plural endings.

    It is for comparing only: of a few words it also takes a singular's last `e`. A name that is
    nothing but a number keeps it.

    Example:
        >>> normal_form("12_Tiger-Lilies") == normal_form("tiger lily")
        True
    """
    text = unicodedata.normalize("NFKC", name).casefold().translate(_APOSTROPHES)
    words = "".join(" " if _is_punctuation(letter) else letter for letter in text).split()
    while len(words) > 1 and words[0].isdigit():
        words.pop(0)
    return " ".join(_singular(word) for word in words)


def _is_punctuation(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "PSZC"


def _singular(word: str) -> str:
    if word.endswith("ies") and len(word) > len("ties"):
        return word[:-3] + "y"
    hissing = re.fullmatch(r"(.*[iu]s|.*ss)(?:es?)?", word)  # iris, irises; lotus; grass
    if hissing:
        return hissing[1]
    return word[:-1] if word.endswith("s") and len(word) > 1 else word


def map_for(label_map: LabelMap, source: str) -> dict[str, str | None]:
    """Return what a label map says about the classes of one data set.

    Example:
        >>> map_for({"rose": None, "web": {"rose": "red rose"}}, "web")
        {'rose': 'red rose'}
        >>> map_for({"rose": None, "web": {"rose": "red rose"}}, "garden")
        {'rose': None}
    """
    own = label_map.get(source)
    return {**_flat(label_map), **(own if isinstance(own, Mapping) else {})}


def _flat(label_map: LabelMap) -> dict[str, str | None]:
    return {name: ours for name, ours in label_map.items() if not isinstance(ours, Mapping)}


def check_label_map(
    label_map: LabelMap, external_names: Mapping[str, Sequence[str]], our_names: Sequence[str]
) -> None:
    """Check what a person wrote: external name to ours, or to nothing.

    Args:
        label_map: For all data sets, or for some by their names; of one, nothing may be said yet.
        external_names: The classes of each data set, by its name.
        our_names: Our classes.

    Raises:
        ConfigError: If a name exists on neither side; the nearest that does is named.
    """
    every = list(dict.fromkeys(name for names in external_names.values() for name in names))
    said = {n: o for n, o in _flat(label_map).items() if o is not None or n not in external_names}
    _check_flat(said, "external class in `label_map`:", every, our_names)
    for source, own in label_map.items():
        if not isinstance(own, Mapping):
            continue
        if source not in external_names:
            raise ConfigError(unknown_name("data set in `label_map`:", source, external_names))
        what = f"class of {source!r} in `label_map`:"
        _check_flat(own, what, external_names[source], our_names)


def _check_flat(
    label_map: Mapping[str, str | None],
    what: str,
    external_names: Sequence[str],
    our_names: Sequence[str],
) -> None:
    for external, ours in label_map.items():
        if external not in external_names:
            raise ConfigError(unknown_name(what, str(external), external_names))
        if ours is not None and ours not in our_names:
            raise ConfigError(unknown_name("class in `label_map`:", ours, our_names))


def propose(external_names: Sequence[str], our_names: Sequence[str]) -> dict[str, str]:
    """Return the external names whose normal form is that of exactly one of ours."""
    forms: dict[str, list[str]] = {}
    for name in our_names:
        forms.setdefault(normal_form(name), []).append(name)
    proposals = {}
    for external in external_names:
        exact = [name for name in our_names if name == external]
        candidates = exact or forms.get(normal_form(external), [])
        if len(candidates) == 1:
            proposals[external] = candidates[0]
    return proposals


def decide(
    external_names: Sequence[str],
    our_names: Sequence[str],
    external_labels: npt.NDArray[np.int64],
    *,
    label_map: Mapping[str, str | None],
    seen_as: npt.NDArray[np.int64] | None,
) -> list[ClassDecision]:
    """Decide for each external class whether its images are used, and as what.

    Args:
        external_names: Class names there.
        our_names: Class names here.
        external_labels: Of the external images, `(num_images,)`.
        label_map: A person's word, which is not overruled.
        seen_as: Our class that the probe sees in each external image, `(num_images,)`; None
            without a probe.
    """
    proposals = propose(external_names, our_names)
    decisions = []
    for label, external in enumerate(external_names):
        here = external_labels == label
        ours = label_map.get(external, proposals.get(external))
        agreement = None
        if ours is not None and seen_as is not None and here.any():
            agreement = float(np.mean(seen_as[here] == our_names.index(ours)))
        is_used, reason = _verdict(ours, agreement, is_given=external in label_map)
        decisions.append(ClassDecision(external, ours, int(here.sum()), agreement, is_used, reason))
    return decisions


def _verdict(ours: str | None, agreement: float | None, *, is_given: bool) -> tuple[bool, str]:
    if ours is None:
        unnamed = "none of our classes has its name, or more than one"
        return False, "left out by the label map" if is_given else unnamed
    seen = "" if agreement is None else f"; the probe sees {ours} in {agreement:.0%} of them"
    if is_given:
        return True, f"mapped by the label map{seen}"
    if agreement is not None and agreement < MIN_AGREEMENT:
        return False, (
            f"left out: it has the name of our {ours}, but the probe sees {ours} in only "
            f"{agreement:.0%} of its images, so these seem to be other flowers; to use it all the "
            "same, name it in `--label-map`"
        )
    return True, f"has the name of our {ours}{seen}"


def require_any_used(decisions: Sequence[ClassDecision], source: str) -> None:
    """Refuse external data none of which can be used.

    Raises:
        DataError: If no class is used.
    """
    if not any(decision.is_used for decision in decisions):
        names = ", ".join(decision.external for decision in decisions[:5])
        raise DataError(
            f"None of the {len(decisions)} classes of `{source}` can be used ({names}, ...).",
            hint="map them to ours with `--label-map FILE`, one `their name: our name` a line",
        )
