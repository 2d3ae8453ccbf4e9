"""The exports of a job: under which policy, of which attempts, and what each came to."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from florence_annotate.errors import JobError
from florence_annotate.journal.assignments import Assignments
from florence_annotate.journal.class_ids import ClassIds
from florence_annotate.journal.database import Database
from florence_annotate.journal.files import Exported, Files
from florence_annotate.journal.schema import OWN
from florence_annotate.journal.selection import LATEST_ATTEMPT
from florence_annotate.types import ImageRef


@dataclass(frozen=True, slots=True)
class Made:
    """What an export is made of."""

    policy: Mapping[str, Any]
    """JSON values."""
    class_names: Sequence[str]
    """By class id."""


_BEGUN_WITH = {"exported_images": "image, number, split, name", "exported_classes": "id, name"}
"""What a new folder begins with: table → columns."""


def forget_all(connection: sqlite3.Connection, *, keeps_classes: bool) -> None:
    """Forget the exports of a job that begins again, in the transaction that is open, but for what
    lies in the folders: the files, and by which policy the latest were written.

    The job's own folder begins its ids of classes anew, unless they are kept; of other folders
    nobody knows here whether labels were corrected.
    """
    connection.execute("DELETE FROM exported_images")
    if not keeps_classes:
        connection.execute("DELETE FROM exported_classes WHERE target = ?", (OWN,))
    connection.execute(
        "DELETE FROM exports WHERE number NOT IN (SELECT max(number) FROM exports GROUP BY target)"
    )
    connection.execute("UPDATE exports SET last_attempt = -1, outcome = NULL")
    connection.execute("DELETE FROM policies WHERE id NOT IN (SELECT policy FROM exports)")


class Earlier(NamedTuple):
    """An export that was."""

    place: int
    """Among all to its folder that the journal keeps, from 1."""
    policy: Any
    """JSON values."""
    last_attempt: int
    """The last one that it was made of."""


class Exports:
    """The exports of a job to one folder."""

    def __init__(
        self, database: Database, target: int | None = OWN, origin: "Exports | None" = None
    ) -> None:
        """`target` is None for a new folder, see `establish`; `origin` is the folder with whose
        numbers, splits, names and classes another one begins."""
        self._database = database
        self._target = target
        self._origin = origin
        self._is_under_way = False

    @property
    def is_new(self) -> bool:
        """Whether the journal does not know the folder yet."""
        return self._target is None

    @property
    def name(self) -> str:
        """By which the folder is known."""
        row = self._database.one("SELECT name FROM targets WHERE id = ?", (self._target,))
        return str(row["name"]) if row else ""

    def to_target(self, name: str) -> "Exports":
        """The exports to the folder that bears a name. Raises JobError where there is none."""
        row = self._database.one("SELECT id FROM targets WHERE name = ?", (name,))
        if row is None:
            raise JobError(
                f"{self._database.path} knows no folder {name!r}, which the policy.yaml there "
                "says that it is: it belongs to another job; choose another folder with -o"
            )
        return Exports(self._database, row["id"], self)

    def to_new_target(self) -> "Exports":
        """The exports to a new folder, which begins with the numbers, splits, names and classes
        that this one has."""
        return Exports(self._database, None, self)

    def establish(self) -> None:
        """Give a new folder a name, and a place in the journal."""
        assert self._origin is not None and self.is_new
        with self._database.transaction():
            connection = self._database.connection
            self._target = connection.execute(
                "INSERT INTO targets (name) VALUES (?)", (secrets.token_hex(8),)
            ).lastrowid
            both = self._target, self._origin._target
            for table, columns in _BEGUN_WITH.items():
                connection.execute(
                    f"INSERT INTO {table} SELECT ?, {columns} FROM {table} WHERE target = ?", both
                )

    def abandon(self) -> None:
        """Forget a folder to which nothing was exported."""
        with self._database.transaction():
            for table, column in (*((table, "target") for table in _BEGUN_WITH), ("targets", "id")):
                self._database.connection.execute(
                    f"DELETE FROM {table} WHERE {column} = ?", (self._target,)
                )

    @cached_property
    def assignments(self) -> Assignments:
        """What the images keep from export to export."""
        assert self._target is not None
        self._database.check_exports()
        return Assignments(self._database, self._target)

    @property
    def files(self) -> Files:
        """What was written."""
        self._database.check_exports()
        return self.unchecked_files

    @property
    def unchecked_files(self) -> Files:
        """The same as the rows say, which may be damaged: to compare with what lies there, and to
        list, but not to write, move or remove by."""
        return Files(self._database, self._target)

    def images(self) -> Iterator[tuple[ImageRef, tuple[str, str | None] | None]]:
        """Each selected image with a record, as its latest attempt saw it, in key order; with the
        path of its file in the folder, and as what it was placed, where there is one."""
        for *ref, path, placed in self._database.paged(
            "SELECT key, attempts.path, attempts.size_bytes, attempts.mtime_ns, attempts.inode, "
            f"files.path, placed FROM images JOIN attempts ON attempts.seq = {LATEST_ATTEMPT} "
            "LEFT JOIN exported_images AS kept ON kept.target = :target AND kept.image = images.id "
            "LEFT JOIN files ON files.target = :target "
            "AND files.path = 'images/' || kept.split || '/' || kept.name "
            "WHERE images.selected > 0 AND sha IS NOT NULL "
            "AND key > :after ORDER BY key LIMIT :page",
            target=self._target,
        ):
            yield ImageRef(*ref), None if path is None else (path, placed)

    @property
    def class_ids(self) -> ClassIds:
        """Those of the folder; of a new one, those that it begins with."""
        if self._target is None:
            assert self._origin is not None
            return self._origin.class_ids
        return ClassIds(self._database, self._target)

    def class_names(self) -> tuple[str, ...]:
        """By class id, the classes of the latest export: the first ones of those that have one."""
        listed = (self.policy_of_files() or {}).get("classes")
        if not isinstance(listed, list | None):
            raise JobError.damaged(self._database.path, "the classes of an export are no list")
        return self.class_ids.given()[: None if listed is None else len(listed)]

    def policy(self) -> Any:
        """The policy of the latest export, as JSON values; None where there was none."""
        return self._latest_policy("last_attempt >= 0")

    def policy_of_files(self) -> Any:
        """The same, also of an export before a restart: what lies in the folder goes by it until
        there is another one."""
        return self._latest_policy("TRUE")

    def _latest_policy(self, condition: str) -> Any:
        row = self._database.one(
            "SELECT content FROM exports JOIN policies ON policies.id = policy "
            f"WHERE target = ? AND {condition} ORDER BY number DESC",
            (self._target,),
        )
        return None if row is None else json.loads(row["content"])

    def last_attempt(self) -> int:
        """The number of the latest attempt that the latest export knew; 0 where there was none."""
        row = self._database.one(
            "SELECT last_attempt FROM exports WHERE target = ? ORDER BY number DESC",
            (self._target,),
        )
        return int(row["last_attempt"]) if row else 0

    def history(self) -> list[Earlier]:
        """Those since the job was begun, or begun again, the latest first."""
        rows = self._database.tuples(
            "SELECT content, last_attempt FROM exports JOIN policies ON policies.id = policy "
            "WHERE target = ? AND last_attempt >= 0 ORDER BY number",
            (self._target,),
        )
        kept = (Earlier(n, json.loads(content), last) for n, (content, last) in enumerate(rows, 1))
        return list(kept)[::-1]

    def policy_of_splits(self) -> Any:
        """The policy under which the images got their splits: that of the latest export, and before
        the first one to this folder, that of the folder it began with."""
        policy = self.policy()
        return self._origin.policy() if policy is None and self._origin else policy

    def announce(self, made: Made, files: Iterable[tuple[str, Exported]]) -> None:
        """Note what is about to be written, before the first file is moved or removed.

        Until it is settled, the export is unfinished.
        """
        with self._database.transaction():
            self._begin(made)
            self.files.announce(files)
        self._is_under_way = True

    def settle(
        self,
        made: Made,
        noted: Iterable[tuple[str, Exported]],
        undone: Iterable[tuple[str, str]],
        kept: Iterable[str],
        outcome: Any = None,
    ) -> None:
        """Note what lies in the output folder now, see `Files.settle`; and, as a JSON value, what
        the export came to."""
        with self._database.transaction():
            connection = self._database.connection
            self.files.settle(noted, undone, kept)
            if not self._is_under_way:
                self._begin(made)
                self._forget_repeated()
            connection.execute(
                "UPDATE exports SET outcome = NULL WHERE target = ? AND outcome IS NOT NULL",
                (self._target,),
            )
            text = None if outcome is None else json.dumps(outcome, ensure_ascii=False)
            connection.execute(
                "UPDATE exports SET is_finished = 1, outcome = ? WHERE number = "
                "(SELECT max(number) FROM exports WHERE target = ?)",
                (text, self._target),
            )
        self._is_under_way = False

    def is_finished(self) -> bool:
        """Whether the latest export, if there is one, was not interrupted as its files moved."""
        row = self._latest()
        return row is None or bool(row["is_finished"])

    def outcome(self) -> Any:
        """What the export came to whose files lie in the output folder, as it was settled.

        None where an export is under way or was interrupted, and in journals that lack it.
        """
        row = self._latest()
        return None if row is None or row["outcome"] is None else json.loads(row["outcome"])

    def _latest(self) -> Any:
        return self._database.one(
            "SELECT is_finished, outcome FROM exports WHERE target = ? ORDER BY number DESC",
            (self._target,),
        )

    def _begin(self, made: Made) -> None:
        """An export that is not finished; what it assigns is kept from now on."""
        connection = self._database.connection
        are_listed = made.policy.get("classes") is not None
        self.class_ids.keep(made.class_names, are_listed=are_listed)
        connection.execute(
            "DELETE FROM exports WHERE target = ? AND last_attempt < 0", (self._target,)
        )
        policy = json.dumps(made.policy, ensure_ascii=False, sort_keys=True)
        connection.execute("INSERT OR IGNORE INTO policies (content) VALUES (?)", (policy,))
        self.assignments.take_over()
        connection.execute(
            "INSERT INTO exports (target, policy, last_attempt, is_finished) "
            "SELECT ?, id, (SELECT coalesce(max(seq), 0) FROM attempts), 0 FROM policies "
            "WHERE content = ?",
            (self._target, policy),
        )

    def _forget_repeated(self) -> None:
        """Where an export moves no file and differs in nothing else from the one before, it takes
        its place: one that holds a file is made again each time."""
        latest = "SELECT number, policy, last_attempt FROM exports WHERE target = ? "
        self._database.connection.execute(
            "DELETE FROM exports WHERE is_finished = 1 AND (number, policy, last_attempt) = "
            "(SELECT before.number, latest.policy, latest.last_attempt FROM "
            f"({latest} ORDER BY number DESC LIMIT 1) AS latest, "
            f"({latest} ORDER BY number DESC LIMIT 1 OFFSET 1) AS before)",
            (self._target, self._target),
        )
