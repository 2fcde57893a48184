"""What a person sees while a command runs: to stderr, live in a terminal, plain lines elsewhere.

Results go to stdout and are not this module's business.
"""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from automl_flowers.durations import say_seconds
from automl_flowers.ledger import EpochRecord, TrialRecord
from automl_flowers.tuning.probe_rule import Probe
from automl_flowers.tuning.search import Listener, Task

_LINE_EVERY_SECONDS = 10.0


class Reporter(Listener):
    """Shows progress on stderr.

    Args:
        quiet: Show nothing.
        console: Where to; by default stderr.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._quiet = quiet
        self._progress: Progress | None = None
        self._bars: dict[str, Any] = {}
        self._last_line = 0.0
        self._epochs_planned = 0
        self._epochs_done = 0
        self._seconds_planned = 0.0
        self._started = time.monotonic()
        self._training_since: float | None = None
        self._epochs_trained = 0

    def say(self, text: str) -> None:
        """Show one line."""
        if not self._quiet:
            self._console.print(escape(text))

    def counting(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` are done: a bar in a terminal, else a line now and then."""
        if self._quiet:
            return
        if self._console.is_terminal:
            self._advance_bar(what, done, total)
        elif done == total or time.monotonic() - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{what}: {done} of {total}")

    def so_far(self, what: str, done: int) -> None:
        """Show now and then how many are done where nobody knows how many there are."""
        if time.monotonic() - self._last_line > _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self.say(f"{what}: {done}")

    def _advance_bar(self, what: str, done: int, total: int) -> None:
        if self._progress is None:
            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=self._console,
                transient=True,
            )
            self._progress.start()
        if what not in self._bars:
            self._bars[what] = self._progress.add_task(escape(what), total=total)
        self._progress.update(self._bars[what], completed=done)
        if done >= total:
            self._progress.remove_task(self._bars.pop(what))
        if not self._bars:
            self.close()

    def close(self) -> None:
        """Take the bars away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None
            self._bars.clear()

    def probed(self, made: Probe) -> None:
        """Show what a linear head on frozen features scores."""
        self.say(
            f"probe {made.backbone} {made.image_size} px: val macro F1 {made.macro_f1:.4f} on "
            f"frozen features, {made.seconds:.0f} s"
        )

    def plan(self, epochs: int = 0, *, seconds: float | None = None) -> None:
        """Hear how many epochs the search will train if nothing fails, or how long it may take."""
        self._epochs_planned, self._seconds_planned = epochs, seconds or 0.0

    def trial_started(self, task: Task, *, resumed_from: int) -> None:
        """Show what a trial is about to train."""
        self._epochs_done += resumed_from - task.first_epoch
        if self._training_since is None:
            self._training_since = time.monotonic()
        recipe = task.recipe
        how = f"continues {task.parent}" if task.parent else "new"
        if resumed_from not in (0, task.first_epoch):
            how = f"goes on after epoch {resumed_from}"
        elif resumed_from < task.first_epoch:
            how = f"begins like {task.parent}, whose state is gone"
        self.say(
            f"trial {task.trial_id} ({how}): {recipe.backbone} {recipe.image_size} px, "
            f"{recipe.trainable_blocks} blocks train, {recipe.optimizer} "
            f"{recipe.schedule.peak_learning_rate:.2g} {recipe.schedule.kind}, "
            f"augmentation {recipe.augmentation}, epochs {resumed_from + 1} to {task.last_epoch}"
        )

    def epoch_ended(self, task: Task, record: EpochRecord) -> None:
        """Show what an epoch brought, and how far the search is."""
        self._epochs_done += 1
        self._epochs_trained += 1
        self.say(_epoch_line(record))
        if not self._console.is_terminal:
            return
        if self._epochs_planned:
            self.counting("epochs of the search", self._epochs_done, self._epochs_planned)
        elif self._seconds_planned:
            spent = min(time.monotonic() - self._started, self._seconds_planned - 1)
            self.counting("seconds of the search", int(spent), int(self._seconds_planned))

    def trial_ended(self, task: Task, record: TrialRecord) -> None:
        """Show how a trial ended, and how long the search will go on."""
        missing = task.last_epoch - max(
            (e.epoch + 1 for e in record.epochs), default=task.first_epoch
        )
        self._epochs_done += missing  # if it failed
        how = f": {record.score:.4f}" if record.status == "completed" else f": {record.reason}"
        left = self._seconds_left()
        more = "" if left is None else f"; about {say_seconds(left)} left"
        self.say(f"trial {record.trial_id} {record.status}{how}{more}")

    def _seconds_left(self) -> float | None:
        """Return what the rest of the search takes at its pace so far; None if nobody knows."""
        now = time.monotonic()
        if self._seconds_planned:
            return max(self._seconds_planned - (now - self._started), 0.0)
        if not self._epochs_planned or not self._epochs_trained or self._training_since is None:
            return None
        seconds_per_epoch = (now - self._training_since) / self._epochs_trained
        return max(self._epochs_planned - self._epochs_done, 0) * seconds_per_epoch

    def trial_known(self, record: TrialRecord) -> None:
        """Count the epochs of a trial that an earlier command ended."""
        self._epochs_done += record.last_epoch - record.first_epoch

    def member_epoch(self, name: str, record: EpochRecord) -> None:
        """Show an epoch of a retraining."""
        self.say(f"{name}{_epoch_line(record)}")


def progress_bars(*, quiet: bool = False) -> Reporter:
    """Return what shows bars in a terminal and nothing elsewhere, for commands of a few minutes."""
    return Reporter(quiet=quiet or not sys.stderr.isatty())


def _epoch_line(record: EpochRecord) -> str:
    is_scored = not math.isnan(record.macro_f1)
    score = f"val macro F1 {record.macro_f1:.4f}, " if is_scored else ""
    return (
        f"  epoch {record.epoch + 1}: loss {record.loss:.3f}, {score}"
        f"learning rate {record.learning_rate:.2e}, {record.seconds:.1f} s"
    )
