"""The folder of a report: thumbnails, which are kept from call to call, and the data of large jobs.

What is in it may be another's, since whole outputs are handed on: no link in it is followed, and
only what a report wrote is removed. Its mark tells it from folders of images (`is_of_report`).
"""

import os
import re
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from florence_annotate import user_files
from florence_annotate.errors import OutputError, UsageError

MARK = "florence-annotate-report.txt"
_ABOUT = """\
This folder belongs to a page that `florence-annotate report` wrote, and goes where the page goes.
Files that the page needs no more are removed by the next report.
"""
_OWN = re.compile(
    r"(chunk-\d{4,}-[0-9a-f]{16}\.js|thumbnails/[0-9a-f]{2}/[0-9a-f]{64}\.jpg)(\.part)?"
)
"""The names of what a report writes, and of what it leaves when it is killed."""
_PART = ".part"
_MOST = 1 << 20
"""Bytes that a thumbnail may have."""


def is_of_report(folder: bytes) -> bool:
    """Whether a folder holds the thumbnails of a report: they are no images to annotate."""
    return os.path.isfile(os.path.join(folder, os.fsencode(MARK)))


class Folder:
    """One that is there, and ours. All names are relative to it, with `/`."""

    def __init__(self, path: Path) -> None:
        """Make the folder, or go on in one of an earlier report.

        Raises UsageError for a folder that holds something else, OutputError for a link in its
        place, and where it can't be written.
        """
        self.path = path
        self._folders = {""}
        _refuse_link(path)
        try:
            path.mkdir(exist_ok=True)
            if not is_of_report(os.fsencode(path)):
                if set(_names(path)) - {MARK + _PART}:
                    raise UsageError(
                        f"{path} holds other files, and the images of the report would go there: "
                        "give the page another name with -o"
                    )
                self.write(MARK, _ABOUT.encode())
        except OSError as error:
            raise OutputError.at(path, error) from error

    def write(self, name: str, data: bytes) -> None:
        """A whole file, in one step. Raises OutputError."""
        with replacing(self._place(name)) as file:
            file.write(data)

    def has(self, name: str) -> bool:
        """Whether a file is there; an empty one, as machines leave that lose power, is none."""
        try:
            status = os.lstat(self._place(name))
            return stat.S_ISREG(status.st_mode) and status.st_size > 0
        except FileNotFoundError:
            return False

    def read(self, name: str) -> bytes | None:
        """A file of moderate size; None for anything else."""
        if not self.has(name):
            return None
        with suppress(user_files.UnreadableFileError):
            return user_files.read_bytes(self._place(name), _MOST)
        return None

    def remove_all_but(self, needed: Collection[str]) -> None:
        """Remove what reports wrote and this one does not need; the folder itself where nothing is
        needed or left."""
        folders = [self.path / "thumbnails" / name for name in _names(self.path / "thumbnails")]
        for folder in (self.path, *folders):
            start = "" if folder == self.path else f"thumbnails/{folder.name}/"
            for name in _names(folder):
                if _OWN.fullmatch(start + name) and start + name not in needed:
                    with suppress(OSError):  # it is in nobody's way
                        (folder / name).unlink()
            if folder != self.path:
                _remove_empty(folder)
        _remove_empty(self.path / "thumbnails")
        if not needed and set(_names(self.path)) == {MARK}:
            with suppress(OSError):
                (self.path / MARK).unlink()
            _remove_empty(self.path)

    def _place(self, name: str) -> Path:
        """Where a file lies; the folders on the way to it are made."""
        above = name.rpartition("/")[0]
        if above not in self._folders:
            folder = self._place(above)
            _refuse_link(folder)
            try:
                folder.mkdir(exist_ok=True)
            except OSError as error:
                raise OutputError.at(folder, error) from error
            self._folders.add(above)
        return self.path / name


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to be written, which takes the place of what is there once it is whole; of a link, not
    of what that leads to. Raises OutputError."""
    part = path.with_name(path.name + _PART)
    try:
        part.unlink(missing_ok=True)  # of a command that was killed
        with part.open("xb") as file:
            yield file
        os.replace(part, path)
    except OSError as error:
        raise OutputError.at(path, error) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise OutputError(
            f"{path} is a link, and what is written there would land elsewhere: put a folder in "
            "its place"
        )


def _names(folder: Path) -> list[str]:
    """What is in a folder; nothing where there is none, or a link in its place."""
    with suppress(OSError):
        if not folder.is_symlink():
            return os.listdir(folder)
    return []


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        if not folder.is_symlink():
            folder.rmdir()
