"""Images that cannot be used: how many are lost, and how many a command puts up with.

One broken file in a thousand is the ordinary state of a collection of photographs; one in ten is a
copy that went wrong, and a model trained on the rest would be a quiet disappointment. So bad images
are skipped, counted and named, up to a share of the data set; above it the command stops.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from automl_flowers.errors import DataError

if TYPE_CHECKING:
    from automl_flowers.data.losses import Loss

MOST_BAD = 0.01
"""Share of a data set's images that `skip` skips."""

HANDFUL = 5
"""Bad images that `skip` always skips, because a share of a small folder says little."""

_SHARES = {"skip": MOST_BAD, "fail": 0.0}
_PERCENT = re.compile(r"(\d+(?:\.\d+)?) ?%")


def parse_policy(value: object) -> str:
    """Return a policy as it is written: `skip`, `fail` or a percentage such as `5%`.

    Raises:
        ValueError: If it is none of these.

    Example:
        >>> parse_policy(" 5 % "), parse_policy("skip")
        ('5%', 'skip')
    """
    text = value.strip() if isinstance(value, str) else ""
    percent = _PERCENT.fullmatch(text)
    if percent and float(percent[1]) <= 100:
        return f"{float(percent[1]):g}%"
    if text not in _SHARES:
        raise ValueError("must be 'skip', 'fail', or the most that may be bad, such as '5%'")
    return text


def most_bad(policy: str, num_images: int) -> int:
    """Return how many of a data set's images may be bad.

    Args:
        policy: From `parse_policy`.
        num_images: Of the data set, bad ones included.

    Example:
        >>> most_bad("skip", 12_753), most_bad("skip", 50), most_bad("10%", 50)
        (127, 5, 5)
    """
    percent = _PERCENT.fullmatch(policy)
    share = float(percent[1]) / 100 if percent else _SHARES[policy]
    return max(math.floor(share * num_images), HANDFUL if policy == "skip" else 0)


def check_bad_images(policy: str, lost: Sequence[Loss], num_usable: int, address: str) -> None:
    """Refuse a data set of which too much is bad.

    Args:
        policy: From `parse_policy`.
        lost: What costs images.
        num_usable: Images that are left.
        address: Of the data set, as it is typed.

    Raises:
        DataError: With the number, an example, and how to go on.
    """
    num_bad = sum(loss.images for loss in lost)
    total = num_bad + num_usable
    if num_bad <= most_bad(policy, total):
        return
    allowed = "none may be" if policy == "fail" else f"at most {_allowed(policy)} may be"
    more = f"{math.ceil(100 * num_bad / total)}%"
    listed = f"`automl-flowers data describe {shlex.quote(address)}` lists them: copy them again"
    go_on = f"remove them, or go on without them with `--bad-images {more}`"
    raise DataError(
        f"{num_bad} of {total} images in `{address}` cannot be read, and {allowed}; for example "
        f"{lost[0].path!r}: {lost[0].reason}",
        hint=f"{listed}, {go_on}" if num_usable else f"{listed}, or give another address",
    )


def _allowed(policy: str) -> str:
    return f"{MOST_BAD:.0%} (or {HANDFUL} of a small data set)" if policy == "skip" else policy
