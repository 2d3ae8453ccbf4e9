"""What the formats wrote: by it, corrections by hand are told from files of an earlier export."""

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from florence_annotate.journal.database import Database

_OUTCOME = "export"
"""The value of the job that is kept with its exported files."""


class Exported(NamedTuple):
    """A file that a format wrote: its content's name, and its size and time when it was written."""

    content: str
    """Its SHA-256, or the goal of a link."""
    size_bytes: int
    mtime_ns: int


class Exports:
    """The table `exports` of a journal.

    While an export is under way, a file may stand there twice: as it was, and as it is to be.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def each(self) -> Iterator[tuple[str, Exported]]:
        """Files that were written, with their paths in the output folder, in the order of those."""
        for path, content, size_bytes, mtime_ns in self._database.tuples(
            "SELECT path, content, size_bytes, mtime_ns FROM exports ORDER BY path"
        ):
            yield path, Exported(content, size_bytes, mtime_ns)

    def files(self) -> dict[str, list[Exported]]:
        """The same by path."""
        files: dict[str, list[Exported]] = {}
        for path, file in self.each():
            files.setdefault(path, []).append(file)
        return files

    def announce(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what is about to be written, before the first file is moved or removed.

        The outcome of the export before is forgotten with that.
        """
        with self._database.transaction():
            self._forget_outcome()
            self._insert(files)

    def settle(
        self,
        written: Iterable[tuple[str, Exported]],
        gone: Iterable[tuple[str, Exported]],
        outcome: Any = None,
    ) -> None:
        """Note what lies in the output folder now: what was `written` and not announced, without
        what is `gone` or replaced; and, as a JSON value, what the export came to."""
        with self._database.transaction():
            connection = self._database.connection
            connection.executemany(
                "DELETE FROM exports WHERE path = ? AND content = ?",
                ((path, file.content) for path, file in gone),
            )
            self._insert(written)
            self._forget_outcome()
            if outcome is not None:
                text = json.dumps(outcome, ensure_ascii=False)
                connection.execute("INSERT INTO job VALUES (?, ?)", (_OUTCOME, text))

    def outcome(self) -> Any:
        """What the export came to whose files lie in the output folder, as it was settled.

        None where an export is under way or was interrupted, and in journals that lack it.
        """
        row = self._database.one("SELECT value FROM job WHERE name = ?", (_OUTCOME,))
        return None if row is None else json.loads(row["value"])

    def _forget_outcome(self) -> None:
        self._database.connection.execute("DELETE FROM job WHERE name = ?", (_OUTCOME,))

    def _insert(self, files: Iterable[tuple[str, Exported]]) -> None:
        self._database.connection.executemany(
            "INSERT OR REPLACE INTO exports VALUES (?, ?, ?, ?)",
            ((path, *file) for path, file in files),
        )
