"""What the formats wrote to a folder: by it, corrections by hand are told from files of an earlier
export."""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from florence_annotate.journal.database import Database, behind
from florence_annotate.journal.planned import Change


class Placed(StrEnum):
    """As what an image lies in a dataset."""

    CLONE = "clone"
    """A file of its own, whose blocks are shared with the original's until one of them changes."""
    HARD_LINK = "hard link"
    SYMBOLIC_LINK = "symbolic link"
    COPY = "copy"
    """A file of its own with the original's bytes."""
    ENCODED = "encoded"
    """A file of its own with bytes of its own: turned upright, or of another kind."""


class Exported(NamedTuple):
    """A file that a format wrote: its content's name, and its size and time when it was written."""

    content: str
    """Its SHA-256, or the goal of a link."""
    size_bytes: int
    mtime_ns: int
    source: str | None = None
    """Of an image, the SHA-256 of the original that it was made of; None where that was not noted,
    as by older versions."""
    placed: str | None = None
    """Of an image, as what it was placed; None as `source`."""


_COLUMNS = "content, size_bytes, mtime_ns, source, placed"


class Files:
    """The table `files` of a journal, for one target; none for a folder that it does not know yet.

    While an export is under way, a file may stand there twice: as it was, and as it is to be.
    """

    def __init__(self, database: Database, target: int | None) -> None:
        self._database = database
        self._target = target

    def each(self, below: str = "") -> Iterator[tuple[str, Exported]]:
        """Path in the output folder and file, in the order of paths; those alone that begin so."""
        for path, *file in self._database.paged(
            # a second lower bound beside :after is the one that SQLite may seek by, each time anew
            f"SELECT path, {_COLUMNS} FROM files WHERE target = :target "
            "AND (path, content) > (:after, :after_second) AND path < :end "
            "ORDER BY path, content LIMIT :page",
            target=self._target,
            after=below,
            end=behind(below),
        ):
            yield path, Exported._make(file)

    def by_path(self, below: str = "") -> Iterator[tuple[str, list[Exported]]]:
        """The same, what was written at one path together."""
        for path, files in groupby(self.each(below), key=itemgetter(0)):
            yield path, [file for _, file in files]

    def at(self, path: str) -> list[Exported]:
        """What was written at a path."""
        rows = self._database.tuples(
            f"SELECT {_COLUMNS} FROM files WHERE target = ? AND path = ?", (self._target, path)
        )
        return list(map(Exported._make, rows))

    def made_of(self, source: str) -> list[str]:
        """Paths of the files that were made of an original, by its SHA-256, or that hold its bytes;
        as it was when that was asked first since the latest export."""
        table = self._made_of
        if not self._database.tuples("SELECT 1 FROM temp.sqlite_master WHERE name = ?", (table,)):
            with self._database.scratch():
                connection = self._database.connection
                connection.execute(
                    f"CREATE TEMP TABLE {table} AS SELECT coalesce(source, content) AS source, "
                    "path FROM files WHERE target = ? ORDER BY path",
                    (self._target,),
                )
                connection.execute(f"CREATE INDEX temp.{table}_by_source ON {table} (source)")
        rows = self._database.tuples(
            f"SELECT path FROM temp.{table} WHERE source = ? ORDER BY rowid", (source,)
        )
        return [path for (path,) in rows]

    # both in the transaction that is open, of an export whose `Planned` files are in their table

    def announce(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what is about to be written, and keep what was known of these files till it is
        settled."""
        connection = self._database.connection
        connection.execute("DROP TABLE IF EXISTS temp.overwritten")
        connection.execute(
            "CREATE TEMP TABLE overwritten AS SELECT files.* FROM files JOIN temp.planned "
            "USING (path, content) WHERE target = ? AND change = ?",
            (self._target, Change.WRITE),
        )
        connection.execute("CREATE INDEX temp.overwritten_by_path ON overwritten (path)")
        self._insert(files)

    def settle(
        self,
        noted: Iterable[tuple[str, Exported]],
        undone: Iterable[tuple[str, str]],
        kept: Iterable[str],
    ) -> None:
        """Forget what is not planned, but for what is known of the paths that are `kept`; and note
        anew what was `noted` as it lies there.

        What is `undone`, by path and content, was announced and was not written after all: it is
        known again as it was before.
        """
        connection, target = self._database.connection, self._target
        connection.execute("CREATE TEMP TABLE kept (path TEXT PRIMARY KEY) WITHOUT ROWID")
        connection.executemany("INSERT OR IGNORE INTO kept VALUES (?)", ((path,) for path in kept))
        for path, content in undone:
            connection.execute(
                "DELETE FROM files WHERE target = ? AND path = ? AND content = ?",
                (target, path, content),
            )
            connection.execute(
                "INSERT INTO files SELECT * FROM temp.overwritten WHERE path = ?", (path,)
            )
        connection.execute(
            "DELETE FROM files WHERE target = ? AND path NOT IN (SELECT path FROM temp.kept) "
            "AND NOT EXISTS (SELECT 1 FROM temp.planned WHERE planned.path = files.path "
            "AND planned.content = files.content)",
            (target,),
        )
        self._insert(noted)
        connection.execute(f"DROP TABLE IF EXISTS temp.{self._made_of}")
        connection.execute("DROP TABLE temp.kept")
        connection.execute("DROP TABLE IF EXISTS temp.overwritten")

    @property
    def _made_of(self) -> str:
        return f"made_of_{self._target}"

    def _insert(self, files: Iterable[tuple[str, Exported]]) -> None:
        self._database.connection.executemany(
            f"INSERT OR REPLACE INTO files (target, path, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            ((self._target, path, *file) for path, file in files),
        )
