"""The SQLite file under the journal: opening, transactions, errors in our own words."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal, Self

from florence_annotate.errors import JobError, OutputError
from florence_annotate.journal import job_file, schema, soundness

_OLDEST = 1
_IS_HALF_WRITTEN = "attempt to write a readonly database"
"""What SQLite says where it would have to take back what a killed writer left, and may not."""
_PAGE = 1024
_SIGNS_OF_DAMAGE = (
    *("not a database", "malformed", "no such table", "no such column", "decode to UTF-8"),
)
"""What SQLite says of a file that is damaged or no journal, and not of one that it can't reach."""


class Database:
    """One job's `job.db`. Open it with `create`, `open_to_write` or `open_existing`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, *, is_writer: bool) -> None:
        self.path = path
        self.connection = connection
        self._is_writer = is_writer
        self._has_sound_exports = False
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout=30000")
        if is_writer:
            connection.execute("PRAGMA journal_mode=TRUNCATE")
            connection.execute("PRAGMA synchronous=FULL")

    @classmethod
    def create(cls, folder: Path) -> Self:
        """The journal of a folder, made where there is none. Raises OutputError, JobError."""
        path = folder / job_file.FILE_NAME
        job_file.refuse_link(path)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError.at(path, error) from error
        with _explained(path):
            connection = sqlite3.connect(path, isolation_level=None)
            with _closed_on_error(connection):
                if job_file.has_tables(connection):
                    connection.close()
                    return cls.open_to_write(folder)
                database = cls(path, connection, is_writer=True)
                with database.transaction():
                    if not job_file.has_tables(connection):  # else another made them just now
                        schema.create(connection)
        return database

    @classmethod
    def open_to_write(cls, folder: Path, *, checks_images: bool = True) -> Self:
        """A journal of an older version becomes one of this. Who leaves the images unchecked calls
        `check_images` before going by them.

        Raises JobError where the folder holds no journal that this version reads, a damaged one, or
        a link in its place, OutputError.
        """
        path = job_file.refuse_missing(folder)
        job_file.refuse_link(path)
        with _explained(path):
            connection = sqlite3.connect(job_file.address(path), uri=True, isolation_level=None)
            with _closed_on_error(connection):
                _refuse_other_version(path, connection)
                database = cls(path, connection, is_writer=True)
                if not schema.is_current(connection):
                    with database.transaction():
                        # it may have been another's turn in between
                        _refuse_other_version(path, connection)
                        if not schema.is_current(connection):
                            schema.upgrade(connection)
                soundness.refuse_unsound(connection, path)
                soundness.refuse_gaps(connection, path)
                if checks_images:
                    database.check_images()
        return database

    @classmethod
    def open_existing(cls, folder: Path, *, checks_images: bool = True) -> Self:
        """To read: nothing in it can be changed, and one of an older version stays as it is. Who
        leaves the images unchecked goes by none of them.

        Raises JobError where the folder holds no journal that this version reads, or a damaged one.
        """
        path = job_file.refuse_missing(folder)
        with _explained(path, is_read=True):
            connection = sqlite3.connect(job_file.address(path), uri=True, isolation_level=None)
            with _closed_on_error(connection):
                version = _refuse_other_version(path, connection)
                return cls._to_read(path, connection, version, checks_images=checks_images)

    @classmethod
    def open_untouched(cls, folder: Path) -> Self:
        """To read, and leave no trace: the same, but what a killed writer left is not taken back.

        Raises JobError also where there is something to be taken back, and for a file that another
        program switched to a mode in which readers write beside it.
        """
        path = folder / job_file.FILE_NAME
        job_file.refuse_write_ahead(path)
        with _explained(path, is_read=True):
            connection = sqlite3.connect(
                job_file.address(path, "ro"), uri=True, isolation_level=None
            )
            with _closed_on_error(connection):
                try:
                    if not job_file.has_tables(connection):
                        raise job_file.missing(folder)
                    version = _refuse_other_version(path, connection)
                except sqlite3.OperationalError as error:
                    if _IS_HALF_WRITTEN not in str(error):
                        raise
                    raise JobError(
                        f"{path} is as a command left it that was killed while it wrote, and "
                        "nothing is changed here that is only read: 'florence-annotate status "
                        f"{folder}' puts it in order; then give the same command again"
                    ) from error
                return cls._to_read(path, connection, version, checks_images=True)

    @classmethod
    def _to_read(
        cls, path: Path, connection: sqlite3.Connection, version: int, *, checks_images: bool
    ) -> Self:
        database = cls(path, connection, is_writer=False)
        if version != schema.VERSION:
            schema.view_as_new(connection, version)
        soundness.refuse_unsound(connection, path)
        if checks_images:
            database.check_images()
        connection.execute("PRAGMA query_only=ON")
        return database

    def check_images(self) -> None:
        """Raise JobError where it holds something of an image that this program never wrote."""
        with _explained(self.path, is_read=True):
            soundness.refuse_unsound_images(self.connection, self.path)

    def check_exports(self) -> None:
        """Raise JobError where what exports left in it is not what this program writes; once."""
        if self._has_sound_exports:
            return
        with _explained(self.path, is_read=True):
            soundness.refuse_unsound_exports(self.connection, self.path)
            if self._is_writer:
                soundness.refuse_repeated(self.connection, self.path)
                soundness.refuse_outside(self.connection, self.path)
        self._has_sound_exports = True

    def check_paths(self) -> None:
        """The part of `check_exports` that takes little time: raise JobError for a path that leads
        out of the folder."""
        with _explained(self.path, is_read=True):
            soundness.refuse_outside(self.connection, self.path)

    def close(self) -> None:
        if self._is_writer:
            with suppress(sqlite3.OperationalError):  # somebody reads it
                self.connection.execute("PRAGMA journal_mode=DELETE")  # leaves no empty file behind
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, kind: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
        """All or nothing. One that is deferred is for temporary tables, and locks the file only
        when it touches a table of it.

        Raises OutputError where the file, or that of the temporary tables, can't be written.
        """
        is_temporary = kind == "DEFERRED"
        with _explained(self.path, is_temporary=is_temporary):
            self.connection.execute(f"BEGIN {kind}")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """For what is written to temporary tables, also by who only reads; locks no file."""
        with _explained(self.path):
            self.connection.execute("PRAGMA query_only=OFF")
            try:
                with self.transaction("DEFERRED"):
                    yield
            finally:
                self.connection.execute(f"PRAGMA query_only={not self._is_writer:d}")

    # reads raise JobError where the file can't be read

    def one(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        with _explained(self.path, is_read=True):
            row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
            return row

    def all(self, sql: str, parameters: Any = ()) -> list[sqlite3.Row]:
        with _explained(self.path, is_read=True):
            return self.connection.execute(sql, parameters).fetchall()

    def tuples(self, sql: str, parameters: Any = ()) -> list[tuple[Any, ...]]:
        """Rows as plain tuples, for many of them."""
        with _explained(self.path, is_read=True):
            cursor = self.connection.cursor()
            cursor.row_factory = None
            return cursor.execute(sql, parameters).fetchall()

    def paged(
        self, sql: str, page: int = _PAGE, after: str = "", **parameters: Any
    ) -> Iterator[tuple[Any, ...]]:
        """Rows whose first column is a text that rises from row to row and is never empty; those
        that come after one.

        Read a page at a time, so that no read lies open while the caller works: a writer waits for
        readers. Nor are all rows alive at once, which would set off full garbage collections.
        `sql` must take `:after`, the text after which it begins, and `:page`, how many rows at
        most. Where rows have the first column in common and rise by the second, it also takes
        `:after_second`.
        """
        after_second = ""
        while True:
            begin = {"after": after, "after_second": after_second, "page": page}
            rows = self.tuples(sql, parameters | begin)
            yield from rows
            if len(rows) < page:
                return
            after, after_second, *_ = *rows[-1], ""


def behind(beginning: str) -> str | bytes:
    """What SQLite orders behind every text that begins so, and before all others that are behind
    that beginning."""
    # a blob comes behind all texts
    return beginning[:-1] + chr(ord(beginning[-1]) + 1) if beginning else b""


def _refuse_other_version(path: Path, connection: sqlite3.Connection) -> int:
    version = schema.version_of(connection)
    if _OLDEST <= version <= schema.VERSION:
        return version
    raise JobError(
        f"{path} was written by another version of florence-annotate (schema {version}, this one "
        f"reads {_OLDEST} to {schema.VERSION}): use that version, or another output with -o"
    )


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        connection.close()
        raise


@contextmanager
def _explained(path: Path, *, is_read: bool = False, is_temporary: bool = False) -> Iterator[None]:
    """SQLite's errors as ours: an OutputError, or a JobError where the file is damaged, or where
    it was to be read."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if any(sign in text for sign in _SIGNS_OF_DAMAGE):
            raise JobError.damaged(path, text) from error
        if not isinstance(error, sqlite3.OperationalError):
            raise
        if is_temporary and "is full" in text:
            raise OutputError(
                f"no space is left for temporary files of {path}: free some where SQLITE_TMPDIR or "
                "TMPDIR lead, or else in /var/tmp, or let one of them lead elsewhere. Nothing "
                "that was committed is lost: give the same command again then"
            ) from error
        if is_read:
            raise job_file.unreadable(path, text) from error
        raise OutputError.at(path, OSError(text)) from error
