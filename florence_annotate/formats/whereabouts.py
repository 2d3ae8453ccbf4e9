"""Where the originals of a job's images lie, as an export asks: is one still there, or is it the
dataset's own file by now?"""

import os
from functools import lru_cache
from pathlib import Path

from florence_annotate.formats.staging import name_of_content
from florence_annotate.journal import Journal

_REMEMBERED = 4096
"""Originals, and folders, of which it is remembered what was found."""


class Whereabouts:
    """Looks for originals outside of one output folder: what leads into that is none
    (tools that remove duplicates put a link to one file in the place of the other)."""

    def __init__(self, out: Path, journal: Journal) -> None:
        self._journal = journal
        self._inside = os.path.join(os.path.realpath(os.fsencode(out)), b"")
        self._real_folder = lru_cache(_REMEMBERED)(os.path.realpath)
        self._found = lru_cache(_REMEMBERED)(self._find)
        self._inodes = lru_cache(_REMEMBERED)(self._find_inodes)
        self.is_there = lru_cache(_REMEMBERED)(self._is_there)

    def is_inside(self, path: bytes) -> bool:
        """Whether a path leads into the output folder, links resolved."""
        return self._real(path).startswith(self._inside)

    def _is_there(self, source: str) -> bool:
        """Whether a file with the bytes of an original, by their SHA-256, is where one was read."""
        return any(_holds(path, source) for path in self._found(source))

    def has_as_link(self, target: Path, source: str) -> bool:
        """Whether a file of the dataset is one with an original, under another name. Raises
        OSError where the former can't be looked at."""
        status = os.lstat(target)
        return (status.st_dev, status.st_ino) in self._inodes(source)

    def _find_inodes(self, source: str) -> frozenset[tuple[int, int]]:
        return frozenset(filter(None, map(_inode, self._found(source))))

    def _find(self, source: str) -> tuple[bytes, ...]:
        """Where originals were read, links resolved."""
        paths = map(self._real, self._journal.originals_of(source))
        return tuple(path for path in paths if not path.startswith(self._inside))

    def _real(self, path: bytes) -> bytes:
        folder, name = os.path.split(path)
        real = os.path.join(self._real_folder(folder), name)
        return os.path.realpath(real) if os.path.islink(real) else real


def _holds(path: bytes, source: str) -> bool:
    try:
        return name_of_content(os.fsdecode(path)) == source
    except OSError:
        return False


def _inode(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
