"""What happened in a job, in tables: its settings, its runs, its pictures, attempts and exports."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from florence_annotate.journal.database import Database
from florence_annotate.journal.packing import answer_values, read_answer
from florence_annotate.types import Failure, ImageRef, Record

_LATEST = """
SELECT images.key, images.path AS listed_path, images.size_bytes AS listed_size,
       images.mtime_ns AS listed_mtime, attempts.*
FROM images JOIN attempts ON attempts.seq = (
    SELECT max(seq) FROM attempts WHERE attempts.image = images.id)
WHERE images.selected
"""

_PENDING = """
FROM images LEFT JOIN attempts ON attempts.seq = (
    SELECT max(seq) FROM attempts WHERE attempts.image = images.id)
WHERE images.selected AND (
    attempts.seq IS NULL
    OR attempts.path != images.path
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


class Journal(Database):
    """The journal of one job."""

    # the job's own values

    def value(self, name: str) -> Any:
        """A JSON value of the job; None where it was never set."""
        row = self.one("SELECT value FROM job WHERE name = ?", (name,))
        return None if row is None else json.loads(row["value"])

    def set_value(self, name: str, value: Any) -> None:
        with self.transaction():
            self.connection.execute(
                "INSERT OR REPLACE INTO job VALUES (?, ?)",
                (name, json.dumps(value, ensure_ascii=False, sort_keys=True)),
            )

    def restart(self) -> None:
        """Forget everything but what was exported, so that corrections stay protected."""
        with self.transaction():
            for table in ("answers", "attempts", "runs", "images", "job"):
                self.connection.execute(f"DELETE FROM {table}")

    # runs

    def begin_run(self, settings: str) -> int:
        with self.transaction():
            cursor = self.connection.execute("INSERT INTO runs (settings) VALUES (?)", (settings,))
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, report: dict[str, Any]) -> None:
        with self.transaction():
            self.connection.execute(
                "UPDATE runs SET report = ? WHERE id = ?", (json.dumps(report), run)
            )

    def last_settings(self) -> str | None:
        """The settings of the latest run, as they were given to `begin_run`."""
        row = self.one("SELECT settings FROM runs ORDER BY id DESC LIMIT 1")
        return None if row is None else str(row["settings"])

    def last_report(self) -> dict[str, Any]:
        """The report of the latest run that ended; empty where none did."""
        row = self.one("SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1")
        report: dict[str, Any] = {} if row is None else json.loads(row["report"])
        return report

    # pictures

    def select(self, refs: Iterable[ImageRef]) -> None:
        """Make these the job's pictures; others stay in the journal, but leave the exports."""
        with self.transaction():
            self.connection.execute("UPDATE images SET selected = 0")
            self.connection.executemany(
                "INSERT INTO images (key, stem, path, size_bytes, mtime_ns, selected) "
                "VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET path = excluded.path, "
                "size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, selected = 1",
                ((ref.key, _stem(ref.key), ref.path, ref.size_bytes, ref.mtime_ns) for ref in refs),
            )

    def changed_stamps(self) -> Iterator[tuple[ImageRef, str]]:
        """Annotated pictures whose size or time differs now, with the hash they had."""
        for row in self.each(
            _LATEST + " AND attempts.sha IS NOT NULL AND (attempts.path != images.path OR "
            "attempts.size_bytes != images.size_bytes OR attempts.mtime_ns != images.mtime_ns) "
            "ORDER BY images.key"
        ):
            yield _listed_ref(row), row["sha"]

    def same_content(self, ref: ImageRef) -> None:
        """Append the latest attempt at a picture again, under its new size and time."""
        with self.transaction():
            old = self.connection.execute(_LATEST + " AND images.key = ?", (ref.key,)).fetchone()
            cursor = self.connection.execute(
                "INSERT INTO attempts (image, run, path, size_bytes, mtime_ns, sha, width, height) "
                "SELECT image, run, ?, ?, ?, sha, width, height FROM attempts WHERE seq = ?",
                (ref.path, ref.size_bytes, ref.mtime_ns, old["seq"]),
            )
            self.connection.execute(
                "INSERT INTO answers SELECT ?, place, task, text, data, ends, kinds, logprobs, "
                "truncated, region, label, view FROM answers WHERE attempt = ?",
                (cursor.lastrowid, old["seq"]),
            )

    def count_pending(self, *, retry_failed: bool) -> int:
        """How many pictures `pending` has left."""
        row = self.one(f"SELECT count(*) AS n {_PENDING}", {"retry_failed": retry_failed})
        return int(row["n"]) if row else 0

    def pending(self, *, retry_failed: bool, page: int = 512) -> Iterator[ImageRef]:
        """Pictures that have no answer yet, in key order; failed ones only with `retry_failed`.

        Read a page at a time, so that no read lies open across commits.
        """
        after = ""
        while True:
            rows = self.all(
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
        row = self.one(
            "SELECT count(*) AS images, coalesce(sum(sha IS NOT NULL), 0) AS annotated, "
            "coalesce(sum(kind IS NOT NULL), 0) AS failed FROM images LEFT JOIN attempts "
            "ON attempts.seq = (SELECT max(seq) FROM attempts WHERE attempts.image = images.id) "
            "WHERE images.selected"
        )
        return Counts(row["images"], row["annotated"], row["failed"]) if row else Counts(0, 0, 0)

    # attempts

    def append(self, run: int, outcomes: Sequence[Record | Failure]) -> None:
        """Commit a batch of records and failures in one transaction."""
        with self.transaction():
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
        self.connection.executemany(
            "INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (attempt, place, *answer_values(answer))
                for place, answer in enumerate(record.answers)
            ),
        )

    def _append_attempt(self, run: int, ref: ImageRef, **values: object) -> int | None:
        columns = ("sha", "width", "height", "stage", "kind", "message")
        return self.connection.execute(
            f"INSERT INTO attempts (image, run, path, size_bytes, mtime_ns, {', '.join(columns)}) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM images WHERE key = ?",
            (run, ref.path, ref.size_bytes, ref.mtime_ns, *map(values.get, columns), ref.key),
        ).lastrowid

    def records(self) -> Iterator[Record]:
        """The latest record of each selected picture that has one, in key order."""
        for row in self.each(_LATEST + " AND attempts.sha IS NOT NULL ORDER BY images.key"):
            answers = self.all(
                "SELECT * FROM answers WHERE attempt = ? ORDER BY place", (row["seq"],)
            )
            yield Record(
                _attempt_ref(row),
                row["sha"],
                row["width"],
                row["height"],
                tuple(read_answer(answer) for answer in answers),
            )

    def failures(self) -> Iterator[Failure]:
        """Selected pictures whose latest attempt failed, in key order."""
        for row in self.each(_LATEST + " AND attempts.kind IS NOT NULL ORDER BY images.key"):
            yield Failure(_attempt_ref(row), row["stage"], row["kind"], row["message"])

    def annotated_keys(self) -> Iterator[tuple[str, str]]:
        """(key, case-folded stem) of each selected picture with a record, in key order."""
        for row in self.each(
            "SELECT key, stem FROM images JOIN attempts ON attempts.seq = (SELECT max(seq) FROM "
            "attempts WHERE attempts.image = images.id) WHERE selected AND sha IS NOT NULL "
            "ORDER BY key"
        ):
            yield row["key"], row["stem"]

    def is_pending(self, ref: ImageRef, *, retry_failed: bool) -> bool:
        """Whether a run over this picture would read it."""
        row = self.one(
            "SELECT attempts.* FROM images JOIN attempts ON attempts.image = images.id "
            "WHERE images.key = ? ORDER BY seq DESC LIMIT 1",
            (ref.key,),
        )
        if row is None or (retry_failed and row["sha"] is None):
            return True
        return (row["path"], row["size_bytes"], row["mtime_ns"]) != (
            ref.path,
            ref.size_bytes,
            ref.mtime_ns,
        )

    def originals_of(self, sha: str) -> list[bytes]:
        """Where pictures with these bytes were read."""
        rows = self.all("SELECT DISTINCT path FROM attempts WHERE sha = ?", (sha,))
        return [row["path"] for row in rows]

    # exports

    def exported(self) -> dict[str, list[Exported]]:
        """Files that were written, by path in the output folder."""
        files: dict[str, list[Exported]] = {}
        for row in self.each("SELECT * FROM exports"):
            exported = Exported(row["content"], row["size_bytes"], row["mtime_ns"])
            files.setdefault(row["path"], []).append(exported)
        return files

    def announce_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what is about to be written, before the first file is moved into its place."""
        with self.transaction():
            self._insert_exports(files)

    def settle_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what was written, in place of everything noted before."""
        with self.transaction():
            self.connection.execute("DELETE FROM exports")
            self._insert_exports(files)

    def _insert_exports(self, files: Iterable[tuple[str, Exported]]) -> None:
        self.connection.executemany(
            "INSERT OR REPLACE INTO exports VALUES (?, ?, ?, ?)",
            ((path, file.content, file.size_bytes, file.mtime_ns) for path, file in files),
        )


def _stem(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return (folder + slash + stem).casefold()


def _listed_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["listed_path"], row["listed_size"], row["listed_mtime"])


def _attempt_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["path"], row["size_bytes"], row["mtime_ns"])
