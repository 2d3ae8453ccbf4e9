"""Why an image that a source named before is not found there now.

A file that somebody deleted is one thing; a disk that is not mounted is another, and its images
must not be taken for deleted.
"""

import errno
import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

GONE_ERRORS = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What the system says of a path where there is nothing; anything else says that it can't look."""


class Absence(StrEnum):
    """Why a source names an image no more. The values are stable names."""

    words: str
    """What is said of the images, or of a folder that failed."""
    is_failure: bool
    """Of the folder, which should have held images: nobody deleted or excluded them."""

    def __new__(cls, name: str, words: str, is_failure: bool = False) -> Self:
        absence = str.__new__(cls, name)
        absence._value_, absence.words, absence.is_failure = name, words, is_failure
        return absence

    GONE = "gone", "deleted or moved"
    EXCLUDED = "excluded", "left out by --include or --exclude"
    NOT_NAMED = "not-named", "named by no source of this run"
    MISSING = "missing", "is not there", True
    EMPTY = "empty", "is empty", True
    UNREADABLE = "unreadable", "can't be read", True
    DANGLING = "dangling", "is a link that leads nowhere", True
    NO_FOLDER = "no-folder", "is a file now", True


@dataclass(frozen=True, slots=True)
class Absent:
    """Why an image is not there, and the folder that failed, if one did."""

    why: Absence
    folder: bytes | None = None


def look_for(path: bytes, root: bytes) -> Absent | None:
    """Why there is no such file below the folder `root`; None where there is one."""
    found, failed = _nearest(path)
    if failed:
        return failed
    if found == path:
        return None
    if len(found) < len(root):
        return Absent(Absence.MISSING, root)
    try:
        if not stat.S_ISDIR(os.stat(found).st_mode):
            return Absent(Absence.NO_FOLDER, found)
        with os.scandir(found) as entries:
            is_empty = all(entry.name.startswith(b".") for entry in entries)
    except OSError:
        return Absent(Absence.UNREADABLE, found)
    return Absent(Absence.EMPTY, found) if is_empty else Absent(Absence.GONE)


def _nearest(path: bytes) -> tuple[bytes, Absent | None]:
    """The file, or the nearest folder above it that there is; and what failed on the way."""
    at = path
    while True:
        try:
            os.stat(at)
        except OSError as error:
            if error.errno not in GONE_ERRORS:
                folder = os.path.dirname(at) if at == path else at
                return at, Absent(Absence.UNREADABLE, folder)
            if at != path and os.path.islink(at):
                return at, Absent(Absence.DANGLING, at)
            at = os.path.dirname(at)
        else:
            return at, None
