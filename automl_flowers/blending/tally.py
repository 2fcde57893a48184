"""How many images could be read, and what is done about the others, while more are to come."""

from __future__ import annotations

from collections.abc import Sequence

from automl_flowers.data.bad_images import most_bad, parse_policy
from automl_flowers.data.manifest import Problem
from automl_flowers.data.sources.folders import EXTENSIONS
from automl_flowers.errors import ConfigError, DataError

_EXAMPLES = 3


class Tally:
    """Counts images as they are read.

    Args:
        policy: `skip`, whatever their number: an image that is not there spoils no other row.
            `fail` at the first. A percentage, such as `5%`, fails at the end if more are bad.

    Attributes:
        num_usable: Images that could be read.
        num_bad: Images that could not.

    Raises:
        ConfigError: If the policy is none of these.
    """

    def __init__(self, policy: str) -> None:
        try:
            self._policy = parse_policy(policy)
        except ValueError as error:
            raise ConfigError(f"`bad_images` {error}, got {policy!r}.") from None
        self.num_usable, self.num_bad = 0, 0
        self._examples: list[Problem] = []

    def add(self, num_usable: int, problems: Sequence[Problem]) -> None:
        """Count some more.

        Raises:
            DataError: If one is bad and none may be.
        """
        self.num_usable += num_usable
        self.num_bad += len(problems)
        self._examples += problems[: _EXAMPLES - len(self._examples)]
        if problems and self._policy == "fail":
            raise DataError(
                f"`{problems[0].path}` cannot be read: {problems[0].reason}",
                hint="mend or remove it, or go on without it with `--bad-images skip`",
            )

    def end(self) -> str | None:
        """Return a sentence on what was skipped, None if nothing was.

        Raises:
            DataError: If there were no images, none could be read, or more could not than may be.
        """
        total = self.num_usable + self.num_bad
        if not total:
            raise DataError(
                "There are no images at the paths given.",
                hint=f"images end in {', '.join(sorted(EXTENSIONS))}",
            )
        if not self.num_bad:
            return None
        first = self._examples[0]
        if not self.num_usable:
            raise DataError(
                f"None of the {total} files can be read, for example `{first.path}`: "
                f"{first.reason}",
                hint="check that these are image files and that the copy is complete",
            )
        if self._policy != "skip" and self.num_bad > most_bad(self._policy, total):
            raise DataError(
                f"{self.num_bad} of {total} images cannot be read, and at most {self._policy} may "
                f"be; for example `{first.path}`: {first.reason}",
                hint="copy them again, or go on without them with `--bad-images skip`",
            )
        shown = "; ".join(f"{problem.path}: {problem.reason}" for problem in self._examples)
        left = self.num_bad - len(self._examples)
        return f"skipped {self.num_bad} files: {shown}{f' and {left} more' if left else ''}"
