"""The journal: what the model said about each picture, append-only, in one SQLite file.

`job.db` alone is always complete, also when it is copied while a job runs: the rollback journal is
truncated at each commit and every commit is flushed to the disk. Only what is committed is done.
Attempts are never changed; of several attempts at one picture the latest counts.
"""

import json
import os
import sqlite3
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence_annotate.errors import JobError, OutputError
from florence_annotate.types import Answer, Failure, ImageRef, Question, Record, TokenKind

FILE_NAME = "job.db"
_VERSION = 1

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

_LATEST = """
SELECT images.key, images.path, images.size_bytes AS listed_size, images.mtime_ns AS listed_mtime,
       attempts.*
FROM images JOIN attempts ON attempts.seq = (
    SELECT max(seq) FROM attempts WHERE attempts.image = images.id)
WHERE images.selected
"""

_PENDING = """
FROM images LEFT JOIN attempts ON attempts.seq = (
    SELECT max(seq) FROM attempts WHERE attempts.image = images.id)
WHERE images.selected AND (
    attempts.seq IS NULL
    OR attempts.size_bytes != images.size_bytes OR attempts.mtime_ns != images.mtime_ns
    OR (:retry_failed AND attempts.sha IS NULL))
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Pictures that the latest run's sources name, by what became of them."""

    images: int
    annotated: int
    failed: int

    @property
    def pending(self) -> int:
        return self.images - self.annotated - self.failed


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that a format wrote: its content's name, and its size and time when it was written."""

    content: str
    size_bytes: int
    mtime_ns: int


class Journal:
    """One job's `job.db`. Open it with `create` or `open_existing`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode=TRUNCATE")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=30000")

    @classmethod
    def create(cls, folder: Path) -> "Journal":
        """The journal of a folder, made where there is none. Raises OutputError, JobError."""
        path = folder / FILE_NAME
        with _explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None)
            is_new = not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            if not is_new:  # else it is fresh, or was killed before its first commit
                connection.close()
                return cls.open_existing(folder)
            journal = cls(path, connection)
            with journal._transaction():
                for statement in _SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={_VERSION}")
        return journal

    @classmethod
    def open_existing(cls, folder: Path) -> "Journal":
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
                if version != _VERSION:
                    raise JobError(
                        f"{path} was written by another version of florence-annotate (schema "
                        f"{version}, this one reads {_VERSION}): use that version, or another "
                        "output with -o"
                    )
                return cls(path, connection)
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        with suppress(sqlite3.OperationalError):  # a reader, or a folder that is read-only
            self._connection.execute("PRAGMA journal_mode=DELETE")  # leaves no empty file behind
        self._connection.close()

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # the job's own values

    def value(self, name: str) -> Any:
        """A JSON value of the job; None where it was never set."""
        row = self._one("SELECT value FROM job WHERE name = ?", (name,))
        return None if row is None else json.loads(row["value"])

    def set_value(self, name: str, value: Any) -> None:
        with self._transaction():
            self._connection.execute(
                "INSERT OR REPLACE INTO job VALUES (?, ?)",
                (name, json.dumps(value, ensure_ascii=False, sort_keys=True)),
            )

    def restart(self) -> None:
        """Forget everything but what was exported, so that corrections stay protected."""
        with self._transaction():
            for table in ("answers", "attempts", "runs", "images", "job"):
                self._connection.execute(f"DELETE FROM {table}")

    # runs

    def begin_run(self, settings: str) -> int:
        with self._transaction():
            cursor = self._connection.execute("INSERT INTO runs (settings) VALUES (?)", (settings,))
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, report: dict[str, Any]) -> None:
        with self._transaction():
            self._connection.execute(
                "UPDATE runs SET report = ? WHERE id = ?", (json.dumps(report), run)
            )

    def last_settings(self) -> str | None:
        """The settings of the latest run, as they were given to `begin_run`."""
        row = self._one("SELECT settings FROM runs ORDER BY id DESC LIMIT 1")
        return None if row is None else str(row["settings"])

    def last_report(self) -> dict[str, Any]:
        """The report of the latest run that ended; empty where none did."""
        row = self._one("SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1")
        report: dict[str, Any] = {} if row is None else json.loads(row["report"])
        return report

    # pictures

    def select(self, refs: Iterable[ImageRef]) -> None:
        """Make these the job's pictures; others stay in the journal, but leave the exports."""
        with self._transaction():
            self._connection.execute("UPDATE images SET selected = 0")
            self._connection.executemany(
                "INSERT INTO images (key, stem, path, size_bytes, mtime_ns, selected) "
                "VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET path = excluded.path, "
                "size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, selected = 1",
                ((ref.key, _stem(ref.key), ref.path, ref.size_bytes, ref.mtime_ns) for ref in refs),
            )

    def changed_stamps(self) -> Iterator[tuple[ImageRef, str]]:
        """Annotated pictures whose size or time differs now, with the hash they had."""
        for row in self._each(
            _LATEST + " AND attempts.sha IS NOT NULL AND (attempts.size_bytes != "
            "images.size_bytes OR attempts.mtime_ns != images.mtime_ns) ORDER BY images.key"
        ):
            yield _listed_ref(row), row["sha"]

    def same_content(self, ref: ImageRef) -> None:
        """Append the latest attempt at a picture again, under its new size and time."""
        with self._transaction():
            old = self._connection.execute(_LATEST + " AND images.key = ?", (ref.key,)).fetchone()
            cursor = self._connection.execute(
                "INSERT INTO attempts (image, run, size_bytes, mtime_ns, sha, width, height) "
                "SELECT image, run, ?, ?, sha, width, height FROM attempts WHERE seq = ?",
                (ref.size_bytes, ref.mtime_ns, old["seq"]),
            )
            self._connection.execute(
                "INSERT INTO answers SELECT ?, place, task, text, data, ends, kinds, logprobs, "
                "truncated FROM answers WHERE attempt = ?",
                (cursor.lastrowid, old["seq"]),
            )

    def count_pending(self, *, retry_failed: bool) -> int:
        """How many pictures `pending` has left."""
        row = self._one(f"SELECT count(*) AS n {_PENDING}", {"retry_failed": retry_failed})
        return int(row["n"]) if row else 0

    def pending(self, *, retry_failed: bool, page: int = 512) -> Iterator[ImageRef]:
        """Pictures that have no answer yet, in key order; failed ones only with `retry_failed`.

        Read a page at a time, so that no read lies open across commits.
        """
        after = ""
        while True:
            rows = self._all(
                f"SELECT images.* {_PENDING} AND images.key > :after "
                "ORDER BY images.key LIMIT :page",
                {"retry_failed": retry_failed, "after": after, "page": page},
            )
            for row in rows:
                yield ImageRef(row["key"], row["path"], row["size_bytes"], row["mtime_ns"])
            if len(rows) < page:
                return
            after = rows[-1]["key"]

    def counts(self) -> Counts:
        row = self._one(
            "SELECT count(*) AS images, coalesce(sum(sha IS NOT NULL), 0) AS annotated, "
            "coalesce(sum(kind IS NOT NULL), 0) AS failed FROM images LEFT JOIN attempts "
            "ON attempts.seq = (SELECT max(seq) FROM attempts WHERE attempts.image = images.id) "
            "WHERE images.selected"
        )
        return Counts(row["images"], row["annotated"], row["failed"]) if row else Counts(0, 0, 0)

    # attempts

    def append(self, run: int, outcomes: Sequence[Record | Failure]) -> None:
        """Commit a batch of records and failures in one transaction."""
        with self._transaction():
            for outcome in outcomes:
                if isinstance(outcome, Record):
                    self._append_record(run, outcome)
                else:
                    self._append_attempt(
                        run,
                        outcome.ref,
                        stage=outcome.stage,
                        kind=outcome.kind,
                        message=outcome.message,
                    )

    def _append_record(self, run: int, record: Record) -> None:
        attempt = self._append_attempt(
            run, record.ref, sha=record.sha, width=record.width, height=record.height
        )
        self._connection.executemany(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    attempt,
                    place,
                    answer.question.task,
                    answer.question.text,
                    answer.data,
                    _pack("I", answer.ends),
                    bytes(answer.kinds),
                    _pack("f", answer.logprobs),
                    answer.truncated,
                )
                for place, answer in enumerate(record.answers)
            ),
        )

    def _append_attempt(self, run: int, ref: ImageRef, **values: object) -> int | None:
        columns = ("sha", "width", "height", "stage", "kind", "message")
        return self._connection.execute(
            f"INSERT INTO attempts (image, run, size_bytes, mtime_ns, {', '.join(columns)}) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM images WHERE key = ?",
            (run, ref.size_bytes, ref.mtime_ns, *map(values.get, columns), ref.key),
        ).lastrowid

    def records(self) -> Iterator[Record]:
        """The latest record of each selected picture that has one, in key order."""
        for row in self._each(_LATEST + " AND attempts.sha IS NOT NULL ORDER BY images.key"):
            answers = self._all(
                "SELECT * FROM answers WHERE attempt = ? ORDER BY place", (row["seq"],)
            )
            yield Record(
                _attempt_ref(row),
                row["sha"],
                row["width"],
                row["height"],
                tuple(_read_answer(answer) for answer in answers),
            )

    def failures(self) -> Iterator[Failure]:
        """Selected pictures whose latest attempt failed, in key order."""
        for row in self._each(_LATEST + " AND attempts.kind IS NOT NULL ORDER BY images.key"):
            yield Failure(_attempt_ref(row), row["stage"], row["kind"], row["message"])

    def annotated_keys(self) -> Iterator[tuple[str, str]]:
        """(key, case-folded stem) of each selected picture with a record, in key order."""
        for row in self._each(
            "SELECT key, stem FROM images WHERE selected AND id IN "
            "(SELECT image FROM attempts WHERE sha IS NOT NULL) ORDER BY key"
        ):
            yield row["key"], row["stem"]

    # exports

    def exported(self) -> dict[str, list[Exported]]:
        """Files that were written, by path in the output folder."""
        files: dict[str, list[Exported]] = {}
        for row in self._each("SELECT * FROM exports"):
            exported = Exported(row["content"], row["size_bytes"], row["mtime_ns"])
            files.setdefault(row["path"], []).append(exported)
        return files

    def announce_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what is about to be written, before the first file is moved into its place."""
        with self._transaction():
            self._insert_exports(files)

    def settle_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what was written, in place of everything noted before."""
        with self._transaction():
            self._connection.execute("DELETE FROM exports")
            self._insert_exports(files)

    def _insert_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        self._connection.executemany(
            "INSERT OR REPLACE INTO exports VALUES (?, ?, ?, ?)",
            ((path, file.content, file.size_bytes, file.mtime_ns) for path, file in files),
        )

    # SQLite

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _explained(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _one(self, sql: str, parameters: Any = ()) -> sqlite3.Row | None:
        with _explained(self.path):
            row: sqlite3.Row | None = self._connection.execute(sql, parameters).fetchone()
            return row

    def _all(self, sql: str, parameters: Any = ()) -> list[sqlite3.Row]:
        with _explained(self.path):
            return self._connection.execute(sql, parameters).fetchall()

    def _each(self, sql: str) -> Iterator[sqlite3.Row]:
        with _explained(self.path):
            yield from self._connection.execute(sql)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """SQLite's and the system's errors as ours."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        text = str(error)
        if "not a database" in text or "malformed" in text:
            raise JobError(
                f"{path} is damaged or no journal ({text}): put a copy of it back, or move it away "
                "to begin again"
            ) from error
        if isinstance(error, sqlite3.OperationalError):
            raise OutputError.at(path, OSError(text)) from error
        raise
    except OSError as error:
        raise OutputError.at(path, error) from error


def _stem(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return (folder + slash + stem).casefold()


def _listed_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["path"], row["listed_size"], row["listed_mtime"])


def _attempt_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["path"], row["size_bytes"], row["mtime_ns"])


def _pack(code: str, values: Iterable[float]) -> bytes:
    packed = array(code, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _unpack(code: str, data: bytes) -> tuple[Any, ...]:
    unpacked = array(code)
    unpacked.frombytes(data)
    if sys.byteorder == "big":
        unpacked.byteswap()
    return tuple(unpacked)


def _read_answer(row: sqlite3.Row) -> Answer:
    return Answer(
        Question(row["task"], row["text"]),
        row["data"],
        _unpack("I", row["ends"]),
        tuple(TokenKind(kind) for kind in row["kinds"]),
        _unpack("f", row["logprobs"]),
        bool(row["truncated"]),
    )
