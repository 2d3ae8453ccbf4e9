"""Which images of a journal are the job's: those that its sources name now.

Other images stay in the journal, but leave the exports.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import islice
from typing import NamedTuple

from florence_annotate.journal.database import Database
from florence_annotate.types import ImageRef

_PAGE = 1024
"""Images that are noted in one transaction."""
LATEST_ATTEMPT = "(SELECT max(seq) FROM attempts WHERE attempts.image = images.id)"


class Selected(IntEnum):
    """What a job's sources say of an image; the job's images are those above `NO`."""

    LEFT = -1
    """None of them names it any more, and no export has been finished since."""
    NO = 0
    """None of them names it."""
    YES = 1
    BEYOND_LIMIT = 2
    """Nothing is asked about it now; what is known of it stays in the dataset."""


class Noted(NamedTuple):
    """An image that was noted, and what is known of it."""

    ref: ImageRef
    is_beyond_limit: bool
    """Nothing is asked about it now, and nothing is known of it."""
    is_pending: bool
    """Whether a run would read it."""
    sha: str | None
    """Of the bytes that were annotated, where the latest attempt at it found some."""


def _looks_other(table: str) -> str:
    """The condition that an image's file, as it is in this table, looks another one than that of
    the attempt: the rule of `ImageRef.is_seen_in`, and another path."""
    stamps = ("path", "size_bytes", "mtime_ns")
    differ = (f"attempts.{name} != {table}.{name}" for name in stamps)
    # what is not known is null, and null is no difference
    return f"({' OR '.join(differ)} OR coalesce(attempts.inode != {table}.inode, 0))"


def _is_pending(table: str) -> str:
    """The condition that a run reads an image, as it is in this table; takes `:retry_failed`."""
    return (
        f"({table}.selected = {Selected.YES} AND (attempts.seq IS NULL OR {_looks_other(table)} "
        "OR (:retry_failed AND attempts.sha IS NULL)))"
    )


_IS_SAME = " AND ".join(
    f"listed.{name} IS images.{name}"
    for name in ("key", "path", "size_bytes", "mtime_ns", "inode", "selected")
)
"""The condition that an image was noted as it is known."""

_PENDING = (
    f"FROM images LEFT JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} "
    f"WHERE {_is_pending('images')}"
)


class Selection:
    """The table `images` of a journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, refs: Iterable[ImageRef], limit: int | None = None) -> None:
        """Note the images of the sources beside the journal, in the temporary table `listed`.

        Of those after the first `limit` none is to be annotated now.
        """
        self._list(_rows(refs, limit))

    def note_selected(self, images: Iterable[tuple[ImageRef, "Selected"]]) -> None:
        """The same of images that other journals have selected.

        Where one comes again, its first file stays; it is asked about where any journal asks.
        """
        rows = ((place, *ref, selected) for place, (ref, selected) in enumerate(images))
        again = "ON CONFLICT (key) DO UPDATE SET selected = min(selected, excluded.selected)"
        self._list(rows, again)

    def _list(self, rows: Iterable[tuple[object, ...]], again: str = "") -> None:
        connection = self._database.connection
        with self._database.scratch():
            connection.execute("DROP TABLE IF EXISTS temp.listed")
            connection.execute(
                "CREATE TEMP TABLE listed (place INTEGER, key TEXT PRIMARY KEY, path BLOB, "
                "size_bytes INTEGER, mtime_ns INTEGER, inode INTEGER, selected INTEGER) "
                "WITHOUT ROWID"
            )
            connection.executemany(f"INSERT INTO listed VALUES (?, ?, ?, ?, ?, ?, ?) {again}", rows)

    def noted(self, *, retry_failed: bool) -> Iterator[Noted]:
        """The images that were noted, by key."""
        for *ref, is_beyond_limit, is_pending, sha in self._database.paged(
            "SELECT listed.key, listed.path, listed.size_bytes, listed.mtime_ns, listed.inode, "
            f"listed.selected = {Selected.BEYOND_LIMIT} AND seq IS NULL, {_is_pending('listed')}, "
            "sha FROM listed LEFT JOIN images ON images.key = listed.key "
            f"LEFT JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} "
            "WHERE listed.key > :after ORDER BY listed.key LIMIT :page",
            retry_failed=retry_failed,
        ):
            yield Noted(ImageRef(*ref), bool(is_beyond_limit), bool(is_pending), sha)

    def is_news(self) -> bool:
        """Whether the images that were noted are not just those of the job, as they were before."""
        row = self._database.one(
            f"SELECT (SELECT count(*) FROM listed JOIN images ON {_IS_SAME}) AS same, "
            "(SELECT count(*) FROM listed) AS noted, "
            "(SELECT count(*) FROM images WHERE selected) AS selected"
        )
        return row is None or not row["same"] == row["noted"] == row["selected"]

    def leaving(self) -> Iterator[tuple[str, bytes]]:
        """Key and path of each annotated image that was the job's and was not noted, by key.

        That is, when the last export was finished: a run that was killed since has told nobody.
        """
        yield from self._database.paged(
            "SELECT key, images.path FROM images "
            f"JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} WHERE images.selected "
            "AND sha IS NOT NULL AND NOT EXISTS (SELECT 1 FROM listed WHERE key = images.key) "
            "AND key > :after ORDER BY key LIMIT :page"
        )

    def take_over(self, *, are_all: bool = True) -> None:
        """Make the images that were noted the job's: instead of what it has, or where they are not
        `all`, those that it has not seen beside it.

        In one short transaction, so that a copy of the file has the one selection or the other.
        """
        connection = self._database.connection
        with self._database.transaction():
            if are_all:
                connection.execute(
                    "UPDATE images SET path = listed.path, size_bytes = listed.size_bytes, "
                    "mtime_ns = listed.mtime_ns, inode = listed.inode, selected = listed.selected "
                    f"FROM listed WHERE listed.key = images.key AND NOT ({_IS_SAME})"
                )
                connection.execute(
                    f"UPDATE images SET selected = {Selected.LEFT} "
                    "WHERE selected > 0 AND key NOT IN (SELECT key FROM listed)"
                )
            connection.execute(
                "INSERT INTO images (key, path, size_bytes, mtime_ns, inode, selected) "
                "SELECT key, path, size_bytes, mtime_ns, inode, selected FROM listed "
                "WHERE key NOT IN (SELECT key FROM images) ORDER BY place"
            )
            connection.execute("DROP TABLE listed")

    def know(self, refs: Iterable[ImageRef]) -> None:
        """Have a place for attempts at images; those that the job has never seen are not its."""
        with self._database.transaction():
            self._database.connection.executemany(
                "INSERT OR IGNORE INTO images (key, path, size_bytes, mtime_ns, inode, selected) "
                f"VALUES (?, ?, ?, ?, ?, {Selected.NO})",
                refs,
            )

    def forget_left(self) -> None:
        """An export is finished that left out what has left."""
        with self._database.transaction():
            self._database.connection.execute(
                f"UPDATE images SET selected = {Selected.NO} WHERE selected = {Selected.LEFT}"
            )

    def refs(self) -> Iterator[ImageRef]:
        """The job's images, annotated or not, in key order."""
        for values in self._database.paged(
            "SELECT key, path, size_bytes, mtime_ns, inode FROM images WHERE selected > 0 "
            "AND key > :after ORDER BY key LIMIT :page"
        ):
            yield ImageRef(*values)

    def each(self) -> Iterator[tuple[ImageRef, "Selected"]]:
        """Every image that was ever the job's, in key order, and what the sources say of it."""
        for *values, selected in self._database.paged(
            "SELECT key, path, size_bytes, mtime_ns, inode, selected FROM images "
            "WHERE key > :after ORDER BY key LIMIT :page"
        ):
            yield ImageRef(*values), Selected(selected)

    def changed(self) -> Iterator[tuple[ImageRef, str]]:
        """Annotated images whose file looks another one now, with the hash they had, by key."""
        for key, path, size_bytes, mtime_ns, inode, sha in self._database.paged(
            "SELECT key, images.path, images.size_bytes, images.mtime_ns, images.inode, sha "
            f"FROM images JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} "
            f"WHERE images.selected > 0 AND sha IS NOT NULL AND {_looks_other('images')} "
            "AND key > :after ORDER BY key LIMIT :page"
        ):
            yield ImageRef(key, path, size_bytes, mtime_ns, inode), sha

    def note_same_content(self, refs: Iterable[ImageRef]) -> None:
        """Images whose files look other ones and hold the bytes that were annotated."""
        rest = iter(refs)
        while page := list(islice(rest, _PAGE)):
            with self._database.transaction():
                self._database.connection.executemany(
                    "UPDATE attempts SET path = ?, size_bytes = ?, mtime_ns = ?, inode = ? "
                    "WHERE seq = (SELECT max(seq) FROM attempts JOIN images ON images.id = image "
                    "WHERE key = ?)",
                    ((ref.path, ref.size_bytes, ref.mtime_ns, ref.inode, ref.key) for ref in page),
                )

    def count_pending(self, *, retry_failed: bool) -> int:
        """How many images `pending` has left."""
        row = self._database.one(f"SELECT count(*) AS n {_PENDING}", {"retry_failed": retry_failed})
        return int(row["n"]) if row else 0

    def pending(self, *, retry_failed: bool, page: int = 512) -> Iterator[ImageRef]:
        """Images that have no answer yet, in key order; failed ones only with `retry_failed`."""
        for values in self._database.paged(
            "SELECT key, images.path, images.size_bytes, images.mtime_ns, images.inode "
            f"{_PENDING} AND key > :after ORDER BY key LIMIT :page",
            page,
            retry_failed=retry_failed,
        ):
            yield ImageRef(*values)

    def has_below(self, name: str) -> bool:
        """Whether a key is this name, or begins with it and a `/`; also of images that left."""
        # "0" comes after "/"
        query = "SELECT 1 FROM images WHERE key = ? OR (key > ? AND key < ?) LIMIT 1"
        return self._database.one(query, (name, f"{name}/", f"{name}0")) is not None

    def latest(self, key: str) -> sqlite3.Row | None:
        """The latest attempt at an image, as a row of its table."""
        return self._database.one(
            "SELECT attempts.* FROM images JOIN attempts ON attempts.image = images.id "
            "WHERE images.key = ? ORDER BY seq DESC LIMIT 1",
            (key,),
        )


def _rows(refs: Iterable[ImageRef], limit: int | None) -> Iterator[tuple[object, ...]]:
    for place, ref in enumerate(refs):
        is_beyond = limit is not None and place >= limit
        yield place, *ref, Selected.BEYOND_LIMIT if is_beyond else Selected.YES
