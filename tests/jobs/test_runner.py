"""From an engine to the journal: only what is committed is reported."""

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from written_answers import select

from florence_annotate.jobs import runner
from florence_annotate.jobs.runner import RunReport
from florence_annotate.journal import Journal
from florence_annotate.types import Failure, ImageRef, Record

REFS = [ImageRef(f"{number}.jpg", b"/", number, 0) for number in range(5)]


@dataclass
class Engine:
    """Two outcomes at a time; every third image fails. `between` runs before each batch."""

    between: Callable[[], None] = lambda: None
    seconds_waiting: float = 0.25
    taken: list[str] = field(default_factory=list)

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        outcomes: list[Record | Failure] = []
        for ref in refs:
            self.taken.append(ref.key)
            failed = Failure(ref, "decode", "corrupt", "it is broken")
            outcomes.append(failed if ref.size_bytes % 3 == 2 else Record(ref, "aa", 8, 8, ()))
            if len(outcomes) == 2:
                self.between()
                yield outcomes
                outcomes = []
        yield outcomes


@dataclass
class Progress:
    """Notes how much was committed whenever it is told of outcomes."""

    journal: Journal
    committed: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def advance(self, outcomes: list[Record | Failure]) -> None:
        counts = self.journal.counts()
        self.committed.append(counts.annotated + counts.failed)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal.create(tmp_path) as journal:
        select(journal, REFS)
        yield journal


def run(engine: Engine, journal: Journal) -> tuple[RunReport, Progress]:
    progress = Progress(journal)
    number = journal.runs.begin("{}")
    pending = journal.selection.pending(retry_failed=False)
    return runner.run(engine, pending, journal, number, progress), progress


def test_a_batch_is_committed_before_it_is_reported(journal: Journal) -> None:
    report, progress = run(Engine(), journal)
    assert progress.committed == [2, 4, 5]
    assert (report.annotated, report.failed, report.interrupted) == (4, 1, False)
    assert report.seconds_waiting == 0.25
    assert [failure.ref.key for failure in journal.failures()] == ["2.jpg"]


def test_the_first_signal_ends_the_run_after_the_batch_in_flight(journal: Journal) -> None:
    previous = signal.getsignal(signal.SIGINT)
    engine = Engine(between=lambda: os.kill(os.getpid(), signal.SIGINT))
    report, progress = run(engine, journal)
    assert report.interrupted
    assert progress.committed == [2]
    assert engine.taken == ["0.jpg", "1.jpg"]
    assert "once more" in progress.notes[0]
    signal.signal(signal.SIGINT, previous)  # a run that is stopped leaves signals ignored
    report, progress = run(Engine(), journal)
    assert (report.annotated + report.failed, progress.committed[-1]) == (3, 5)


def test_signals_are_as_before_after_a_whole_run(journal: Journal) -> None:
    previous = signal.getsignal(signal.SIGTERM)
    run(Engine(), journal)
    assert signal.getsignal(signal.SIGTERM) is previous


def test_an_error_of_the_engine_keeps_what_was_committed(journal: Journal) -> None:
    def fail() -> None:
        if journal.counts().annotated:
            raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run(Engine(between=fail), journal)
    assert journal.counts().annotated == 2


def test_it_runs_outside_of_the_main_thread(tmp_path: Path) -> None:
    reports = []

    def work() -> None:
        with Journal.create(tmp_path) as journal:
            select(journal, REFS)
            reports.append(run(Engine(), journal)[0])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reports[0].annotated == 4


def test_a_report_has_a_rate_only_once_time_has_passed() -> None:
    assert RunReport().images_per_second == 0
    assert RunReport(annotated=3, failed=1, seconds=2.0).images_per_second == 2
