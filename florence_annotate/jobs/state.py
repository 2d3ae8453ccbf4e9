"""Whether somebody works on a job, and how its last run ended, seen from outside."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from florence_annotate.errors import JobError
from florence_annotate.journal import Journal, exists, lock
from florence_annotate.journal.lock import Holder


class State(StrEnum):
    RUNNING = "running"
    """A process holds the folder: it annotates, or writes the dataset."""
    STOPPED = "stopped"
    """The last process was killed, or ended by an error."""
    INTERRUPTED = "interrupted"
    """The last run was stopped in order."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class JobState:
    state: State
    process: Holder | None
    """Who runs, or was killed; None where that is not known."""
    images_per_second: float | None
    """Of a run that goes on, from its first image to now."""


def look(out: Path, journal: Journal) -> JobState:
    """How the job stands; whoever runs it is not disturbed."""
    holder = lock.holder_of(out)
    has_asked, has_ended = journal.runs.has_asked(), journal.runs.has_ended()
    if holder is None or not holder.holds:
        holder = lock.holder_of(out)  # it may have begun since, and then its run has no end yet
    if holder is not None and holder.holds:
        return JobState(
            State.RUNNING, holder, None if has_asked else journal.runs.images_per_second()
        )
    if holder is not None or not has_ended:
        return JobState(State.STOPPED, holder, None)
    interrupted = journal.runs.last_report().get("interrupted", False)
    return JobState(State.INTERRUPTED if interrupted else State.ENDED, None, None)


def refuse_unbegun(out: Path) -> None:
    """Raise JobError where a process is only about to begin the job."""
    holder = lock.holder_of(out)
    if holder is not None and holder.holds and not exists(out):
        raise JobError(f"{out} holds no job yet: {holder}, is about to begin one; ask again soon")
