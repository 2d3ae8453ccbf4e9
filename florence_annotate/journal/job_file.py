"""The file of a journal, before it is opened: whether a folder holds one, and whether it may be
opened as it lies there."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from florence_annotate.errors import JobError

FILE_NAME = "job.db"
_MAGIC = b"SQLite format 3\0"
"""What every file of SQLite begins with."""
_VERSION_AT = 60
"""Where such a file has its `user_version`, in four bytes: 0 where nobody set it."""
_MODE_AT, _WRITE_AHEAD = 18, b"\2"
"""Where such a file says how it is written, and what it says there of a write-ahead log:
https://sqlite.org/fileformat.html#file_format_version_numbers"""


def exists(folder: Path) -> bool:
    """Whether a folder holds a journal. One that was killed before its first commit is none."""
    path = folder / FILE_NAME
    if not path.is_file() or path.stat().st_size == 0:
        return False
    try:
        with closing(sqlite3.connect(address(path), uri=True)) as connection:
            return has_tables(connection)
    except sqlite3.DatabaseError:
        return True  # what is wrong with it is said when it is opened


def holds_journal(folder: bytes) -> bool:
    """Whether a folder holds a journal of any version.

    Known by its first bytes: to open it as a database might change what is another's.
    """
    path = os.path.join(folder, os.fsencode(FILE_NAME))
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(_VERSION_AT + 4)
    except OSError:
        return False
    return head.startswith(_MAGIC) and head[_VERSION_AT:] > bytes(4)


def has_tables(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def refuse_missing(folder: Path) -> Path:
    path = folder / FILE_NAME
    if not exists(folder):
        raise missing(folder)
    return path


def unreadable(path: Path, why: str | None) -> JobError:
    return JobError(
        f"can't read {path}: {why}. Nothing in it was changed: see that you may read it and that "
        "its disk is there, then give the same command again"
    )


def missing(folder: Path) -> JobError:
    return JobError(
        f"{folder} holds no job: there is no {FILE_NAME} in it, or nothing in that. "
        "Begin one with 'florence-annotate run'"
    )


def refuse_write_ahead(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(_MODE_AT + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise missing(path.parent) from error
    except OSError as error:
        raise unreadable(path, error.strerror) from error
    if head[_MODE_AT:] == _WRITE_AHEAD:
        raise JobError(
            f"{path} was switched by another program to a mode in which reading it writes beside "
            f"it (a write-ahead log): sqlite3 {path} 'PRAGMA journal_mode=DELETE' switches it back"
        )


def refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise JobError(
            f"{path} is a link, and what it leads to would be written to: put the file itself "
            "there, or choose another output with -o"
        )


def address(path: Path, mode: str = "") -> str:
    # also to read: where a writer was killed, who comes next has to take its half back
    mode = mode or ("rw" if os.access(path, os.W_OK) else "ro")
    return f"{path.absolute().as_uri()}?mode={mode}"
