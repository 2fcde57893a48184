"""What the leak audit found, as plain data and as lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pandas as pd

from automl_flowers.data.audit import Audit
from automl_flowers.data.findings import KINDS, Leak, Outcome
from automl_flowers.data.leaks import share_warning

SENTENCES = {
    "leaks": "images to train on are copies of evaluation images, or external and copies of ours",
    "would_be_dropped": "of them would be dropped: they are copies of evaluation images",
    "may_be_dropped": "of them are copies of images that are not divided yet, and would be dropped "
    "where those become evaluation images",
    "would_be_kept": "of them are copies of training images only, which no score is taken on",
    "not_used": "of them belong to classes that are not used",
    "conflicts": "pairs of copies have two different classes",
    "within": "pairs of copies are in one split",
    "between_evaluation": "pairs of copies are in two evaluation splits",
    "repeated": "pairs of copies are in two external data sets",
    "skipped": "images cannot be read",
}
"""What each count means, after its number."""

_OUTCOMES: dict[str, Outcome] = {
    "would_be_dropped": "dropped",
    "may_be_dropped": "depends",
    "would_be_kept": "kept",
    "not_used": "not used",
}

_MOST_SHOWN = 10


def summary_of(audit: Audit) -> dict[str, Any]:
    """Return what `data check --json` prints, as plain data."""
    pairs = {name: [p.to_dict() for p in audit.of_kind(name)] for name in KINDS}
    leaks = audit.leaks
    outcomes = Counter(leak.outcome for leak in leaks)
    return {
        "images": dict(sorted(Counter(audit.rows["source"] + " " + audit.rows["split"]).items())),
        "counts": {
            "leaks": len(leaks),
            **{name: outcomes[outcome] for name, outcome in _OUTCOMES.items()},
            **{name: len(found) for name, found in pairs.items()},
            "skipped": len(audit.problems),
        },
        "warnings": _warnings(audit.rows, leaks),
        "leaks": [_leak_entry(leak) for leak in leaks],
        **pairs,
        "skipped": [vars(problem) for problem in audit.problems],
    }


def _warnings(rows: pd.DataFrame, leaks: Sequence[Leak]) -> list[str]:
    """Say of which data sets so much would be dropped that it may be no copies."""
    dropped = Counter(
        (leak.picture.data_set, leak.picture.split) for leak in leaks if leak.outcome == "dropped"
    )
    total = Counter(zip(rows["source"], rows["split"], strict=True))
    said = [
        share_warning(count, total[place], f"images of {' '.join(place)}")
        for place, count in sorted(dropped.items())
    ]
    return [warning for warning in said if warning]


def _leak_entry(leak: Leak) -> dict[str, Any]:
    surest = leak.pairs[0]
    return {
        **leak.picture.to_dict(),
        "kind": surest.kind,
        "mirrored": surest.mirrored,
        "under_drop": leak.outcome,
        "matches": [
            {
                **match.to_dict(),
                "agreement": pair.agreement,
                "kind": pair.kind,
                "mirrored": pair.mirrored,
            }
            for match, pair in zip(leak.matches, leak.pairs, strict=True)
        ],
    }


def lines(facts: dict[str, Any]) -> list[str]:
    """Return the same for people."""
    images = ", ".join(f"{count} {name}" for name, count in facts["images"].items())
    width = max(len(str(count)) for count in facts["counts"].values())
    shown = [f"images: {images}"]
    shown += [f"{facts['counts'][name]:>{width}} {text}" for name, text in SENTENCES.items()]
    shown += facts["warnings"]
    for leak in facts["leaks"][:_MOST_SHOWN]:
        match = leak["matches"][0]
        how = f"{leak['kind']}{', mirrored' if leak['mirrored'] else ''}"
        shown.append(
            f"  {leak['data_set']} {leak['file']}: {how}, {match['split']} {match['file']} "
            f"({match['agreement']:.2f})"
        )
    if len(facts["leaks"]) > _MOST_SHOWN:
        shown.append(f"  and {len(facts['leaks']) - _MOST_SHOWN} more")
    return [*shown, *(f"look at  {facts[name]}" for name in ("page",) if name in facts)]
