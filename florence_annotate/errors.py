"""Every exception that a user may meet.

FlorenceAnnotateError           what happened, and what to do next
├── UsageError                  the request makes no sense as written (exit code 2)
├── SourceError                 no image found, a source that is gone, an output in the way
├── CheckpointError             a checkpoint that is absent, incomplete or no Florence-2
├── DeviceError                 a device or an attention kernel that this machine lacks
├── EngineError                 Ray that is absent or can't be used, or a machine of it that can't
├── JobError                    a journal that can't be opened, or belongs to another job
│   ├── FingerprintError        a resume with a setting that would change the answers
│   └── LockedError             another process is writing to the same output
├── ExportError                 a dataset that can't be written as asked
└── OutputError                 the disk is full, or the output can't be written to

An image that can't be annotated raises none of these: it becomes a `types.Failure`, a value.
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from textwrap import shorten


class FlorenceAnnotateError(Exception):
    """Base of all errors of this package; its text says what happened and what to do next."""

    exit_code = 1

    @property
    def kind(self) -> str:
        """What scripts tell errors apart by: `usage` of a UsageError."""
        return type(self).__name__.removesuffix("Error").lower()


class UsageError(FlorenceAnnotateError):
    exit_code = 2


class SourceError(FlorenceAnnotateError):
    pass


class CheckpointError(FlorenceAnnotateError):
    pass


class DeviceError(FlorenceAnnotateError):
    pass


class EngineError(FlorenceAnnotateError):
    pass


class JobError(FlorenceAnnotateError):
    @classmethod
    def damaged(cls, journal: Path | str, what: object) -> "JobError":
        """A journal that says what this program never wrote."""
        why = shorten(str(what), 120, placeholder=" …")
        return cls(
            f"{journal} is damaged ({why}): put a copy of it back, or choose another output with -o"
        )


class FingerprintError(JobError):
    pass


class LockedError(JobError):
    pass


class ExportError(FlorenceAnnotateError):
    pass


class OutputError(FlorenceAnnotateError):
    @classmethod
    def at(cls, path: Path, error: OSError) -> "OutputError":
        return cls(
            f"can't write {path}: {error.strerror or error}. Nothing that was committed is lost: "
            "free space, make the folder writable or move what is in the way, then give the same "
            "command again"
        )


def nearest(written: str, known: Iterable[str]) -> str:
    """For a message: `did you mean …?`, or nothing where nothing is near."""
    found = nearest_of(written, known)
    return f"did you mean {found}?" if found else ""


def nearest_of(written: str, known: Iterable[str]) -> str | None:
    """The one that is spelled nearly so; None where none is."""
    return next(iter(difflib.get_close_matches(written, list(known), n=1, cutoff=0.7)), None)
