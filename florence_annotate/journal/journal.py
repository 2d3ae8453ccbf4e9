"""What happened in a job, in tables: its settings, its runs, its images, attempts and exports."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from operator import itemgetter
from typing import Any

from florence_annotate.journal.database import Database
from florence_annotate.journal.exports import Exports
from florence_annotate.journal.packing import COLUMNS, pack_answer, unpack_answer
from florence_annotate.types import Answer, Failure, ImageRef, Record

_LATEST_ATTEMPT = "(SELECT max(seq) FROM attempts WHERE attempts.image = images.id)"

_LATEST = f"""
SELECT images.key, images.path AS listed_path, images.size_bytes AS listed_size,
       images.mtime_ns AS listed_mtime, attempts.*
FROM images JOIN attempts ON attempts.seq = {_LATEST_ATTEMPT}
WHERE images.selected
"""

_RECORDS = f"""
SELECT attempts.seq, (SELECT min(seq) FROM attempts WHERE attempts.image = images.id), images.id,
       images.key, attempts.path, attempts.size_bytes, attempts.mtime_ns, sha, width, height,
       {COLUMNS}
FROM images JOIN attempts ON attempts.seq = {_LATEST_ATTEMPT}
LEFT JOIN answers ON answers.attempt = attempts.seq
WHERE images.selected AND attempts.sha IS NOT NULL ORDER BY images.key, answers.place
"""
_COLUMNS_OF_ATTEMPT = 10

_PENDING = f"""
FROM images LEFT JOIN attempts ON attempts.seq = {_LATEST_ATTEMPT}
WHERE images.selected AND (
    attempts.seq IS NULL
    OR attempts.path != images.path
    OR attempts.size_bytes != images.size_bytes OR attempts.mtime_ns != images.mtime_ns
    OR (:retry_failed AND attempts.sha IS NULL))
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Images that the latest run's sources name, by what became of them."""

    images: int
    annotated: int
    failed: int

    @property
    def pending(self) -> int:
        return self.images - self.annotated - self.failed


class Journal(Database):
    """The journal of one job."""

    @cached_property
    def exports(self) -> Exports:
        """What was exported of the job."""
        return Exports(self)

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

    def note_first_image(self, run: int) -> None:
        """Keep when a run, its model loaded, begins to ask."""
        self.set_value("asks_since", [run, time.time()])

    def images_per_second(self) -> float | None:
        """Of the latest run so far; None where it has asked of no image yet."""
        run, since = self.value("asks_since") or (0, 0.0)
        row = self.one("SELECT count(*) AS n FROM attempts WHERE run = ?", (run,))
        if row is None or not row["n"] or run != self.last_run():
            return None
        return float(row["n"] / max(time.time() - since, 1e-9))

    def has_ended(self) -> bool:
        """Whether the latest run came to its end, or was stopped in order."""
        row = self.one("SELECT report FROM runs ORDER BY id DESC LIMIT 1")
        return row is None or row["report"] is not None

    def end_run(self, run: int, report: dict[str, Any]) -> None:
        with self.transaction():
            self.connection.execute(
                "UPDATE runs SET report = ? WHERE id = ?", (json.dumps(report), run)
            )

    def last_run(self) -> int:
        """The id of the latest run; 0 before the first one."""
        row = self.one("SELECT max(id) AS id FROM runs")
        return (row["id"] if row else None) or 0

    def last_settings(self) -> str | None:
        """The settings of the latest run, as they were given to `begin_run`."""
        row = self.one("SELECT settings FROM runs ORDER BY id DESC LIMIT 1")
        return None if row is None else str(row["settings"])

    def last_report(self) -> dict[str, Any]:
        """The report of the latest run that ended; empty where none did."""
        row = self.one("SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1")
        report: dict[str, Any] = {} if row is None else json.loads(row["report"])
        return report

    # images

    def select(self, refs: Iterable[ImageRef]) -> None:
        """Make these the job's images; others stay in the journal, but leave the exports."""
        listed = bytearray()
        with self.transaction():
            for ref in refs:
                image = self._list(ref)
                if image >= len(listed):
                    listed.extend(bytes(image + 4096 - len(listed)))
                listed[image] = 1
            gone = [
                (image,)
                for (image,) in self.tuples("SELECT id FROM images WHERE selected")
                if image >= len(listed) or not listed[image]
            ]
            self.connection.executemany("UPDATE images SET selected = 0 WHERE id = ?", gone)

    def _list(self, ref: ImageRef) -> int:
        """Note where an image was found, if that is news; returns its id."""
        found = (ref.path, ref.size_bytes, ref.mtime_ns)
        known = self.connection.execute(
            "SELECT id, path, size_bytes, mtime_ns, selected FROM images WHERE key = ?", (ref.key,)
        ).fetchone()
        if known is None:
            return self.connection.execute(
                "INSERT INTO images (key, stem, path, size_bytes, mtime_ns, selected) "
                "VALUES (?, ?, ?, ?, ?, 1)",
                (ref.key, _stem(ref.key), *found),
            ).lastrowid  # type: ignore[return-value]
        if tuple(known)[1:] != (*found, 1):
            self.connection.execute(
                "UPDATE images SET path = ?, size_bytes = ?, mtime_ns = ?, selected = 1 "
                "WHERE id = ?",
                (*found, known["id"]),
            )
        return int(known["id"])

    def changed_stamps(self) -> Iterator[tuple[ImageRef, str]]:
        """Annotated images whose size or time differs now, with the hash they had."""
        for row in self.each(
            _LATEST + " AND attempts.sha IS NOT NULL AND (attempts.path != images.path OR "
            "attempts.size_bytes != images.size_bytes OR attempts.mtime_ns != images.mtime_ns) "
            "ORDER BY images.key"
        ):
            yield _listed_ref(row), row["sha"]

    def same_content(self, ref: ImageRef) -> None:
        """Append the latest attempt at an image again, under its new size and time."""
        with self.transaction():
            old = self.connection.execute(_LATEST + " AND images.key = ?", (ref.key,)).fetchone()
            cursor = self.connection.execute(
                "INSERT INTO attempts (image, run, path, size_bytes, mtime_ns, sha, width, height) "
                "SELECT image, run, ?, ?, ?, sha, width, height FROM attempts WHERE seq = ?",
                (ref.path, ref.size_bytes, ref.mtime_ns, old["seq"]),
            )
            self.connection.execute(
                f"INSERT INTO answers SELECT ?, place, {COLUMNS} FROM answers WHERE attempt = ?",
                (cursor.lastrowid, old["seq"]),
            )

    def count_pending(self, *, retry_failed: bool) -> int:
        """How many images `pending` has left."""
        row = self.one(f"SELECT count(*) AS n {_PENDING}", {"retry_failed": retry_failed})
        return int(row["n"]) if row else 0

    def pending(self, *, retry_failed: bool, page: int = 512) -> Iterator[ImageRef]:
        """Images that have no answer yet, in key order; failed ones only with `retry_failed`.

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
            f"ON attempts.seq = {_LATEST_ATTEMPT} WHERE images.selected"
        )
        return Counts(row["images"], row["annotated"], row["failed"]) if row else Counts(0, 0, 0)

    def count_annotated_until(self, run: int) -> int:
        """How many selected images have their latest record from this run or an earlier one."""
        row = self.one(
            f"SELECT count(*) AS n FROM ({_LATEST} AND sha IS NOT NULL AND run <= ?)", (run,)
        )
        return int(row["n"]) if row else 0

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
            ((attempt, index, *pack_answer(answer)) for index, answer in enumerate(record.answers)),
        )

    def _append_attempt(self, run: int, ref: ImageRef, **values: object) -> int | None:
        columns = ("sha", "width", "height", "stage", "kind", "message")
        return self.connection.execute(
            f"INSERT INTO attempts (image, run, path, size_bytes, mtime_ns, {', '.join(columns)}) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM images WHERE key = ?",
            (run, ref.path, ref.size_bytes, ref.mtime_ns, *map(values.get, columns), ref.key),
        ).lastrowid

    def records(self) -> Iterator[Record]:
        """The latest record of each selected image that has one, in key order.

        With it come the answers of earlier attempts at the same bytes.
        """
        for seq, rows in groupby(self.tuples(_RECORDS), key=itemgetter(0)):
            first = next(rows)
            _, first_seq, image, key, path, size_bytes, mtime_ns, sha, width, height = first[
                :_COLUMNS_OF_ATTEMPT
            ]
            answers: list[Answer] = []
            if first[_COLUMNS_OF_ATTEMPT] is not None:  # the join's row for no answer at all
                answers = [unpack_answer(row[_COLUMNS_OF_ATTEMPT:]) for row in (first, *rows)]
            ref = ImageRef(key, path, size_bytes, mtime_ns)
            earlier = () if first_seq == seq else self._earlier_answers(image, seq, sha)
            yield Record(ref, sha, width, height, tuple(answers), earlier)

    def _earlier_answers(self, image: int, seq: int, sha: str) -> tuple[tuple[Answer, ...], ...]:
        """The answers of each attempt at an image before another one that read the same bytes."""
        attempts = self.tuples(
            "SELECT seq FROM attempts WHERE image = ? AND seq < ? AND sha = ? ORDER BY seq",
            (image, seq, sha),
        )
        query = f"SELECT {COLUMNS} FROM answers WHERE attempt = ? ORDER BY place"
        return tuple(
            tuple(map(unpack_answer, self.tuples(query, attempt))) for attempt in list(attempts)
        )

    def attempts(self) -> Iterator[tuple[str, int, bytes, int, int]]:
        """(key, number of the attempt, path, size, time) of the latest record of each selected
        image that has one, in key order. What an attempt found never changes."""
        yield from self.tuples(
            f"SELECT key, seq, attempts.path, attempts.size_bytes, attempts.mtime_ns FROM images "
            f"JOIN attempts ON attempts.seq = {_LATEST_ATTEMPT} "
            "WHERE selected AND sha IS NOT NULL ORDER BY key"
        )

    def failures(self) -> Iterator[Failure]:
        """Selected images whose latest attempt failed, in key order."""
        for row in self.each(_LATEST + " AND attempts.kind IS NOT NULL ORDER BY images.key"):
            yield Failure(_attempt_ref(row), row["stage"], row["kind"], row["message"])

    def annotated_keys(self) -> Iterator[tuple[str, str]]:
        """(key, case-folded stem) of each selected image with a record, in key order."""
        for row in self.each(
            f"SELECT key, stem FROM images JOIN attempts ON attempts.seq = {_LATEST_ATTEMPT} "
            "WHERE selected AND sha IS NOT NULL ORDER BY key"
        ):
            yield row["key"], row["stem"]

    def is_pending(self, ref: ImageRef, *, retry_failed: bool) -> bool:
        """Whether a run over this image would read it."""
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
        """Where images with these bytes were read."""
        rows = self.all("SELECT DISTINCT path FROM attempts WHERE sha = ?", (sha,))
        return [row["path"] for row in rows]


def _stem(key: str) -> str:
    folder, slash, name = key.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return (folder + slash + stem).casefold()


def _listed_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["listed_path"], row["listed_size"], row["listed_mtime"])


def _attempt_ref(row: sqlite3.Row) -> ImageRef:
    return ImageRef(row["key"], row["path"], row["size_bytes"], row["mtime_ns"])
