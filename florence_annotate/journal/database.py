"""The SQLite file under the journal: schema, opening, transactions, errors in our own words."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

from florence_annotate.errors import JobError, OutputError

FILE_NAME = "job.db"
_VERSION = 2

_SCHEMA = """
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    stem TEXT NOT NULL,               -- key without ending, case folded: what a label file is named
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    selected INTEGER NOT NULL         -- the latest run's sources name it
);
CREATE INDEX images_by_stem ON images (stem);
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    settings TEXT NOT NULL,
    report TEXT                       -- written when the run ends
);
CREATE TABLE attempts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    image INTEGER NOT NULL REFERENCES images (id),
    run INTEGER NOT NULL REFERENCES runs (id),
    path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    sha TEXT, width INTEGER, height INTEGER,   -- of a record
    stage TEXT, kind TEXT, message TEXT        -- of a failure
);
CREATE INDEX attempts_by_image ON attempts (image, seq);
CREATE TABLE answers (
    attempt INTEGER NOT NULL REFERENCES attempts (seq),
    place INTEGER NOT NULL,
    task TEXT NOT NULL,
    text TEXT,
    data BLOB NOT NULL,
    ends BLOB NOT NULL,               -- uint32, little-endian, one a token
    kinds BLOB NOT NULL,              -- uint8, one a token
    logprobs BLOB NOT NULL,           -- float32, little-endian, one a token
    truncated INTEGER NOT NULL,
    region TEXT,                      -- of a question about one: its box as JSON
    label TEXT,
    view TEXT,                        -- the tile that was asked about, as JSON
    PRIMARY KEY (attempt, place)
) WITHOUT ROWID;
CREATE TABLE exports (                -- what the formats wrote, to know corrections by hand from it
    path TEXT NOT NULL,
    content TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    PRIMARY KEY (path, content)
) WITHOUT ROWID;
"""


_SINCE_VERSION_1 = (
    "ALTER TABLE answers ADD COLUMN region TEXT",
    "ALTER TABLE answers ADD COLUMN label TEXT",
    "ALTER TABLE answers ADD COLUMN view TEXT",
    f"PRAGMA user_version={_VERSION}",
)


class Database:
    """One job's `job.db`. Open it with `create` or `open_existing`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=TRUNCATE")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=30000")

    @classmethod
    def create(cls, folder: Path) -> Self:
        """The journal of a folder, made where there is none. Raises OutputError, JobError."""
        path = folder / FILE_NAME
        if path.is_symlink():
            raise JobError(
                f"{path} is a link, and what it leads to would be written to: put the file itself "
                "there, or choose another output with -o"
            )
        with _explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None)
            is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not is_new:  # else it is fresh, or was killed before its first commit
                connection.close()
                return cls.open_existing(folder)
            database = cls(path, connection)
            with database.transaction():
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={_VERSION}")
        return database

    @classmethod
    def open_existing(cls, folder: Path) -> Self:
        """Raises JobError where the folder holds no journal that this version reads."""
        path = folder / FILE_NAME
        if not path.is_file() or path.stat().st_size == 0:
            raise JobError(
                f"{folder} holds no job: there is no {FILE_NAME} in it, or nothing in that. "
                "Begin one with 'florence-annotate run'"
            )
        with _explained(path):
            mode = "rw" if os.access(path, os.W_OK) else "ro"
            location = f"{path.absolute().as_uri()}?mode={mode}"
            connection = sqlite3.connect(location, uri=True, isolation_level=None)
            try:
                version = connection.execute("PRAGMA user_version").fetchone()[0]
                database = cls(path, connection)
                if version == 1:
                    with database.transaction():
                        for statement in _SINCE_VERSION_1:
                            connection.execute(statement)
                elif version != _VERSION:
                    raise JobError(
                        f"{path} was written by another version of florence-annotate (schema "
                        f"{version}, this one reads {_VERSION}): use that version, or another "
                        "output with -o"
                    )
                return database
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        with suppress(sqlite3.OperationalError):  # a reader, or a folder that is read-only
            self.connection.execute("PRAGMA journal_mode=DELETE")  # leaves no empty file behind
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with _explained(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def one(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        with _explained(self.path):
            row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
            return row

    def all(self, sql: str, parameters: Any = ()) -> list[sqlite3.Row]:
        with _explained(self.path):
            return self.connection.execute(sql, parameters).fetchall()

    def each(self, sql: str) -> Iterator[sqlite3.Row]:
        with _explained(self.path):
            yield from self.connection.execute(sql)

    def tuples(self, sql: str, parameters: Any = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as plain tuples, for many of them."""
        with _explained(self.path):
            cursor = self.connection.cursor()
            cursor.row_factory = None
            yield from cursor.execute(sql, parameters)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "not a database" in text or "malformed" in text:
            raise JobError(
                f"{path} is damaged or no journal ({text}): put a copy of it back, or choose "
                "another output with -o"
            ) from error
        if isinstance(error, sqlite3.OperationalError):
            raise OutputError.at(path, OSError(text)) from error
        raise
    except OSError as error:
        raise OutputError.at(path, error) from error
