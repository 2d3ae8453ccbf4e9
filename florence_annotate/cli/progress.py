"""How a run looks while it goes: a live line on a terminal, plain lines in a log, or nothing.

All of it goes to standard error; standard output is for results.
"""

import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from florence_annotate.types import Failure

_LINE_SECONDS = 10.0


class ScreenReporter:
    """See `florence_annotate.jobs.runner.Reporter`."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: RunProgress | None = None

    def note(self, text: str) -> None:
        if self._progress is not None:  # a line of its own above a live one
            self._progress.note(text)
        elif not self._quiet:
            typer.echo(text, err=True)

    def progress(self, total: int, memory: Callable[[], str]) -> "RunProgress":
        self._progress = RunProgress(total, sys.stderr, quiet=self._quiet, memory=memory)
        return self._progress


class RunProgress:
    """Counts images and shows the rate, the time left, failures and the device's memory."""

    def __init__(
        self,
        total: int,
        stream: TextIO,
        *,
        quiet: bool = False,
        memory: Callable[[], str] = lambda: "",
    ) -> None:
        """`memory` names the device's memory in use, or nothing."""
        self._total = total
        self._memory = memory
        self._quiet = quiet
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._done = 0
        self._failed = 0
        self._begun = time.monotonic()
        self._last_line = self._begun
        self._bar: Bar | None = None
        if self._console.is_terminal and not quiet:
            self._bar = Bar(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                console=self._console,
            )
            self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar:
            self._bar.stop()

    def advance(self, outcomes: Sequence[object]) -> None:
        """Further images are done: of each what it came to, a `Failure` among others."""
        self._done += len(outcomes)
        self._failed += sum(isinstance(outcome, Failure) for outcome in outcomes)
        if self._bar:
            self._bar.update(self._task, completed=self._done, description=self._describe())
            return
        now = time.monotonic()
        is_due = now - self._last_line >= _LINE_SECONDS or self._done >= self._total
        if is_due and not self._quiet:
            self._last_line = now
            self._console.print(f"{self._done}/{self._total} images, {self._describe()}")

    def note(self, text: str) -> None:
        """A line that stays on the screen."""
        if not self._quiet:
            self._console.print(text, markup=False)

    def _describe(self) -> str:
        rate = self._done / max(time.monotonic() - self._begun, 1e-9)
        left = round((self._total - self._done) / max(rate, 1e-9))
        parts = [f"{rate:.2f} images/s", f"{left // 3600}:{left // 60 % 60:02}:{left % 60:02} left"]
        if self._failed:
            parts.append(f"{self._failed} failed")
        if memory := self._memory():
            parts.append(memory)
        return ", ".join(parts)
