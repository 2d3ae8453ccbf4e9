"""What an export is about to make of its folder: a row a file in a temporary table, beside the
journal, since memory is not for what there may be millions of."""

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from enum import IntEnum
from typing import Any, NamedTuple

from florence_annotate.journal.database import Database, behind

_BATCH = 1024
_ROW = "SELECT path, content, source, placed, change FROM planned"


class Change(IntEnum):
    """What happens to a file of the folder."""

    NONE = 0
    """It lies there as it is to be, and the journal knows it so."""
    NOTE = 1
    """It lies there as it is to be, and the journal does not know it as it lies there."""
    WRITE = 2
    REMOVE = 3
    HOLD = 4
    """It stays as it was found, whatever the export has in its place."""


class MadeOf(NamedTuple):
    """What an image of a dataset was made of, and how; both None of other files."""

    source: str | None = None
    """The SHA-256 of its original; of images that older versions placed it may be unknown."""
    placed: str | None = None
    """See `journal.files.Placed`."""


class PlannedFile(NamedTuple):
    """A file that the export has, or one that it has no more."""

    path: str
    """In the output folder, with `/`."""
    content: str | None
    """Its SHA-256, or the goal of a link; None of one that the export has no more."""
    made_of: MadeOf
    change: Change


class Planned:
    """The files of one export, and what happens to each; one export at a time of a journal that is
    open.

    Paths come in any order, and are read in their own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added: list[tuple[str, str, str | None, str | None]] = []
        self._changed: list[tuple[Change, str]] = []
        self._has_index = False
        with database.transaction("DEFERRED"):
            database.connection.execute("DROP TABLE IF EXISTS temp.planned")
            database.connection.execute(
                "CREATE TEMP TABLE planned (path TEXT PRIMARY KEY, content TEXT, source TEXT, "
                f"placed TEXT, change INTEGER NOT NULL DEFAULT {Change.NONE:d}) WITHOUT ROWID"
            )

    def add(self, path: str, content: str, made_of: MadeOf) -> None:
        """A file that the export has. Raises sqlite3.IntegrityError, sooner or later, for a path
        that comes twice."""
        self._added.append((path, content, *made_of))
        if len(self._added) >= _BATCH:
            self._flush()

    def set_change(self, path: str, change: Change) -> None:
        """Also of a file that the export has no more."""
        self._changed.append((change, path))
        if len(self._changed) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if not self._added and not self._changed:
            return
        connection = self._database.connection
        is_open = connection.in_transaction
        # of the temporary table alone
        with nullcontext() if is_open else self._database.transaction("DEFERRED"):
            connection.executemany(
                "INSERT INTO planned (path, content, source, placed) VALUES (?, ?, ?, ?)",
                self._added,
            )
            connection.executemany(
                "INSERT INTO planned (change, path) VALUES (?, ?) "
                "ON CONFLICT (path) DO UPDATE SET change = excluded.change",
                self._changed,
            )
        self._added.clear()
        self._changed.clear()

    def contents(self) -> Iterator[tuple[str, str]]:
        """Path and content of all that the export has, by path."""
        for file in self.each(*Change):
            if file.content is not None:
                yield file.path, file.content

    def each(self, *changes: Change, below: str = "") -> Iterator[PlannedFile]:
        """The files to which one of these happens, by path; those alone whose paths begin so."""
        self._flush()
        # a second lower bound beside :after is the one that SQLite may seek by, for each page anew
        for row in self._database.paged(
            f"{_ROW} WHERE {_is_one_of(changes)} AND path > :after AND path < :end "
            "ORDER BY path LIMIT :page",
            after=below,
            end=behind(below),
        ):
            yield _read(row)

    def has(self, *changes: Change, below: str = "") -> bool:
        """Whether there is any of those."""
        return next(self.each(*changes, below=below), None) is not None

    def at(self, path: str) -> PlannedFile | None:
        """What is planned for a path."""
        self._flush()
        rows = self._database.tuples(f"{_ROW} WHERE path = ?", (path,))
        return _read(rows[0]) if rows else None

    def has_image_of(self, source: str, *, but: Sequence[Change] = ()) -> bool:
        """Whether the export has an image that is made of an original, by its SHA-256, but for
        those to which one of these happens."""
        self._flush()
        if not self._has_index:
            with self._database.transaction("DEFERRED"):
                self._database.connection.execute(
                    "CREATE INDEX temp.planned_by_source ON planned (source)"
                )
            self._has_index = True
        row = self._database.one(
            "SELECT 1 FROM planned WHERE source = ? AND content IS NOT NULL "
            f"AND NOT ({_is_one_of(but)}) LIMIT 1",
            (source,),
        )
        return row is not None


def _is_one_of(changes: Sequence[Change]) -> str:
    return f"change IN ({', '.join(str(int(change)) for change in changes)})"


def _read(row: Sequence[Any]) -> PlannedFile:
    path, content, source, placed, change = row
    return PlannedFile(path, content, MadeOf(source, placed), Change(change))
