"""Engine → journal: commits, signals, progress. No torch here."""

import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from florence_annotate.journal import Journal
from florence_annotate.types import Engine, Failure, ImageRef, Record


class Progress(Protocol):
    """Who is told what was committed, while a run goes on."""

    def advance(self, outcomes: list[Record | Failure]) -> None: ...

    def note(self, text: str) -> None: ...


class Reporter(Protocol):
    """Who is told how a job goes."""

    def note(self, text: str) -> None:
        """A line of its own."""

    def progress(self, total: int, memory: Callable[[], str]) -> AbstractContextManager[Progress]:
        """For a run over so many images; `memory` says the device's memory in use, or nothing."""


@dataclass(slots=True)
class RunReport:
    """One run, for the summary."""

    annotated: int = 0
    failed: int = 0
    interrupted: bool = False
    seconds: float = 0.0
    """From the first image asked for to the last one committed."""
    seconds_waiting: float = 0.0
    """Of these, how long the device waited for images to be read."""

    @property
    def images_per_second(self) -> float:
        return (self.annotated + self.failed) / self.seconds if self.seconds else 0.0


def run(
    engine: Engine, refs: Iterable[ImageRef], journal: Journal, run_id: int, progress: Progress
) -> RunReport:
    """Annotate the images; each batch is committed before it is reported.

    The first SIGINT or SIGTERM lets the batch in flight finish; a second one stops at once.
    """
    report = RunReport()
    begun = time.monotonic()
    with _stoppable(progress.note) as is_stopped:
        # held here, so that it is closed when signals can't disturb that any more
        running = engine.run(_until(refs, is_stopped))
        for outcomes in running:
            if outcomes:
                journal.append(run_id, outcomes)
            report.failed += sum(isinstance(outcome, Failure) for outcome in outcomes)
            report.annotated += sum(isinstance(outcome, Record) for outcome in outcomes)
            report.seconds = time.monotonic() - begun
            report.seconds_waiting = engine.seconds_waiting
            progress.advance(outcomes)
            if is_stopped():
                break
        report.interrupted = is_stopped()
    return report


def _until(refs: Iterable[ImageRef], is_stopped: Callable[[], bool]) -> Iterator[ImageRef]:
    for ref in refs:
        if is_stopped():
            return
        yield ref


@contextmanager
def _stoppable(note: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """Within, the first signal only sets a flag; signals go only to the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    stopped = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}

    def handle(number: int, frame: FrameType | None) -> None:
        if stopped.is_set():
            _ignore(numbers)
            raise KeyboardInterrupt
        stopped.set()
        note("stopping after the batch in flight; once more to stop at once")

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield stopped.is_set
    finally:
        if stopped.is_set():
            _ignore(numbers)  # one more must not disturb the closing of the journal
        else:
            for number, handler in previous.items():
                signal.signal(number, handler)


def _ignore(numbers: Iterable[int]) -> None:
    for number in numbers:
        signal.signal(number, signal.SIG_IGN)
