"""What happened in a job, in tables: its settings, its runs, its images, attempts and exports."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from operator import itemgetter
from typing import Any

from florence_annotate.errors import JobError
from florence_annotate.journal import places
from florence_annotate.journal.exports import Exports, forget_all
from florence_annotate.journal.packing import (
    COLUMNS,
    DamagedAnswerError,
    pack_answer,
    unpack_answer,
)
from florence_annotate.journal.places import Places
from florence_annotate.journal.roots import Roots
from florence_annotate.journal.runs import Runs
from florence_annotate.journal.selection import LATEST_ATTEMPT, Selected, Selection
from florence_annotate.journal.values import Values
from florence_annotate.types import Answer, Failure, ImageRef, Record

_LATEST = f"FROM images JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} WHERE images.selected > 0"

_IS_TRIED = "EXISTS (SELECT 1 FROM attempts WHERE attempts.image = images.id)"

_REF = "key, attempts.path, attempts.size_bytes, attempts.mtime_ns, attempts.inode"
"""Of an `ImageRef`, as the attempt saw it."""

_RECORD = f"""
SELECT {_REF}, sha, width, height, seq, image,
       (SELECT min(seq) FROM attempts WHERE attempts.image = images.id)
"""
_RECORDS = f"""
{_RECORD} {_LATEST} AND sha IS NOT NULL AND key > :after ORDER BY key LIMIT :page
"""
_RECORDS_UNTIL = _RECORDS.replace("images.id)", "images.id AND seq <= :until)")
"""The same of an earlier time, when this attempt was the last one."""
_OF_A_JOB = ("answers", "attempts", "asked_with", "runs", "images", "roots")
"""Tables that a restart empties, those that refer to others first."""
_PAGE = 64
"""Records that are read at once: their answers may be long."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Images that the latest run's sources name, by what became of them."""

    images: int
    annotated: int
    failed: int
    beyond_limit: int = 0
    """Others that the sources name, and of which nothing is known."""

    @property
    def pending(self) -> int:
        return self.images - self.annotated - self.failed


class Journal(Values):
    """The journal of one job."""

    @cached_property
    def selection(self) -> Selection:
        """Which images are the job's."""
        return Selection(self)

    @cached_property
    def runs(self) -> Runs:
        """The runs of the job."""
        return Runs(self)

    @cached_property
    def roots(self) -> Roots:
        """What the keys of its images are counted from."""
        return Roots(self)

    @cached_property
    def exports(self) -> Exports:
        """What was exported of the job to the folder that is in use: its own, unless another was
        chosen by `export_to`."""
        return Exports(self)

    def export_to(self, name: str | None) -> None:
        """Let `exports` be those to the folder that bears a name; without one, to a new folder,
        which begins with what the job's own folder has settled once it is established.

        Raises JobError for a name that the job never gave.
        """
        if name is None:
            self.exports = self.exports.to_new_target()
        else:
            self.exports = self.exports.to_target(name)

    @cached_property
    def places(self) -> Places:
        """Where the folders lie that it was exported to."""
        return Places(self)

    def restart(self, *, keeps_classes: bool = False) -> None:
        """Forget everything but what lies in the folders, and what people made of it; see
        `forget_all`.

        Until it is closed, the journal knows where the originals of exported images were read.
        """
        for sha, path in self.tuples(
            "SELECT DISTINCT sha, path FROM attempts "
            "WHERE sha IN (SELECT coalesce(source, content) FROM files)"
        ):
            self._forgotten.setdefault(sha, []).append(path)
        with self.transaction():
            forget_all(self.connection, keeps_classes=keeps_classes)
            for table in _OF_A_JOB:
                self.connection.execute(f"DELETE FROM {table}")
            self.connection.execute("DELETE FROM job WHERE name != ?", (places.NAME,))

    @cached_property
    def _forgotten(self) -> dict[str, list[bytes]]:
        """SHA-256 → where images were read that a restart has forgotten."""
        return {}

    # images

    def counts(self) -> Counts:
        # most images have one attempt: to count is quicker than to look up the latest of each
        row = self.one(
            "SELECT (SELECT count(*) FROM images WHERE selected > 0) AS listed, "
            f"(SELECT count(*) FROM images WHERE selected = {Selected.BEYOND_LIMIT} "
            f"AND NOT {_IS_TRIED}) AS beyond, "
            "(SELECT count(DISTINCT image) FROM attempts) - "
            f"(SELECT count(*) FROM images WHERE selected <= 0 AND {_IS_TRIED}) AS tried, "
            # a cross join begins at the failures, of which there are few
            "(SELECT count(*) FROM attempts CROSS JOIN images ON images.id = attempts.image "
            f"WHERE kind IS NOT NULL AND selected > 0 AND seq = {LATEST_ATTEMPT}) AS failed"
        )
        if row is None:
            return Counts(0, 0, 0)
        images, annotated = row["listed"] - row["beyond"], row["tried"] - row["failed"]
        return Counts(images, annotated, row["failed"], row["beyond"])

    def count_annotated_until(self, run: int) -> int:
        """How many selected images have their latest record from this run or an earlier one."""
        row = self.one(
            f"SELECT count(*) AS n {_LATEST} AND sha IS NOT NULL AND attempts.run <= ?", (run,)
        )
        return int(row["n"]) if row else 0

    # attempts

    def append(self, run: int, outcomes: Sequence[Record | Failure]) -> None:
        """Commit a batch of records and failures in one transaction.

        Raises LookupError for an image that was never selected, and OutputError.
        """
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
            f"INSERT INTO answers (attempt, place, {COLUMNS}) "
            f"VALUES (?, ?{', ?' * len(COLUMNS.split(','))})",
            ((attempt, index, *pack_answer(answer)) for index, answer in enumerate(record.answers)),
        )

    def _append_attempt(self, run: int, ref: ImageRef, **values: object) -> int | None:
        columns = ("sha", "width", "height", "stage", "kind", "message")
        cursor = self.connection.execute(
            "INSERT INTO attempts (image, run, path, size_bytes, mtime_ns, inode, "
            f"{', '.join(columns)}) "
            "SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM images WHERE key = ?",
            (
                *(run, ref.path, ref.size_bytes, ref.mtime_ns, ref.inode),
                *map(values.get, columns),
                ref.key,
            ),
        )
        if not cursor.rowcount:
            raise LookupError(f"the job has no image {ref.key!r}")
        return cursor.lastrowid

    def records(self, until: int | None = None) -> Iterator[Record]:
        """The latest record of each selected image that has one, in key order; of those `until` an
        attempt, where one is named.

        With it come the answers of earlier attempts at the same bytes.
        """
        if until is None:
            rows = self.paged(_RECORDS, _PAGE)
        else:
            rows = self.paged(_RECORDS_UNTIL, _PAGE, until=until)
        while page := list(islice(rows, _PAGE)):
            yield from self._with_answers(page)

    def record_of(self, key: str) -> Record | None:
        """The same of one image, whether or not it is selected; None where it has none."""
        rows = self.tuples(
            f"{_RECORD} FROM images JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} "
            "WHERE key = ? AND sha IS NOT NULL",
            (key,),
        )
        return next(self._with_answers(rows), None)

    def _with_answers(self, rows: Sequence[tuple[Any, ...]]) -> Iterator[Record]:
        """The records of some rows of `_RECORD`."""
        answers = self.answers_of([seq for *_, seq, _, _ in rows])
        for *ref, sha, width, height, seq, image, first in rows:
            earlier = () if first == seq else self._earlier_answers(image, seq, sha)
            own = answers.get(seq, ())
            yield Record(ImageRef(*ref), sha, width, height, own, earlier)

    def answers_of(self, attempts: Sequence[int]) -> dict[int, tuple[Answer, ...]]:
        """The answers of each of these attempts, in their order; those without any are left out."""
        query = (
            f"SELECT attempt, {COLUMNS} FROM answers WHERE attempt IN "
            f"({', '.join('?' * len(attempts))}) ORDER BY attempt, place"
        )
        return {
            attempt: self._unpacked(rows)
            for attempt, rows in groupby(self.tuples(query, attempts), key=itemgetter(0))
        }

    def _unpacked(self, rows: Iterable[Sequence[Any]]) -> tuple[Answer, ...]:
        try:
            return tuple([unpack_answer(row[1:]) for row in rows])
        except DamagedAnswerError as error:
            raise JobError.damaged(self.path, f"an answer: {error}") from error

    def _earlier_answers(self, image: int, seq: int, sha: str) -> tuple[tuple[Answer, ...], ...]:
        """The answers of each attempt at an image before another one that read the same bytes."""
        rows = self.tuples(
            "SELECT seq FROM attempts WHERE image = ? AND seq < ? AND sha = ? ORDER BY seq",
            (image, seq, sha),
        )
        earlier = [attempt for (attempt,) in rows]
        answers = self.answers_of(earlier)
        return tuple(answers.get(attempt, ()) for attempt in earlier)

    def last_attempt(self) -> int:
        """The number of the latest attempt; 0 before the first one."""
        row = self.one("SELECT coalesce(max(seq), 0) AS seq FROM attempts")
        return int(row["seq"]) if row else 0

    def attempts(self) -> Iterator[tuple[str, int]]:
        """Key and number of the latest record of each selected image that has one, in key order.
        What an attempt found never changes."""
        yield from self.paged(
            f"SELECT key, seq {_LATEST} AND sha IS NOT NULL AND key > :after "
            "ORDER BY key LIMIT :page"
        )

    def annotated(self) -> Iterator[ImageRef]:
        """Each selected image with a record, as its latest attempt saw it, in key order."""
        for ref in self.paged(
            f"SELECT {_REF} {_LATEST} AND sha IS NOT NULL AND key > :after ORDER BY key LIMIT :page"
        ):
            yield ImageRef(*ref)

    def failures(self) -> Iterator[Failure]:
        """Selected images whose latest attempt failed, in key order."""
        for *ref, stage, kind, message in self.paged(
            f"SELECT {_REF}, stage, kind, message {_LATEST} AND kind IS NOT NULL "
            "AND key > :after ORDER BY key LIMIT :page"
        ):
            yield Failure(ImageRef(*ref), stage, kind, message)

    def annotated_keys(self) -> Iterator[str]:
        """The key of each selected image with a record, in their order."""
        for (key,) in self.paged(
            f"SELECT key {_LATEST} AND sha IS NOT NULL AND key > :after ORDER BY key LIMIT :page"
        ):
            yield key

    def originals_of(self, sha: str) -> list[bytes]:
        """Where images with these bytes were read."""
        rows = self.all("SELECT DISTINCT path FROM attempts WHERE sha = ?", (sha,))
        return [row["path"] for row in rows] + self._forgotten.get(sha, [])
