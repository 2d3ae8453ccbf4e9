"""What an image keeps from its first export on: its number, its split and its name.

They are per folder that the job is exported to. What an export assigns is noted beside the journal
first, and taken over when its files are moved into place.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from florence_annotate.journal.database import Database

_BATCH = 1024


class Assigned(NamedTuple):
    number: int
    """Its id in COCO, from 1."""
    split: str
    """Empty where an export split the images anew and left this one out."""
    name: str
    """Relative to the split's folder of images, with `/`."""


class Assignments:
    """The table `exported_images` of a journal, for one target."""

    def __init__(self, database: Database, target: int) -> None:
        self._database = database
        self._target = target
        self._noted: list[tuple[object, ...]] = []
        self._is_split_anew = False

    def begin(self, *, is_split_anew: bool = False) -> None:
        """Forget what was noted of an export that did not come to its end.

        Where images are split anew, those that are not noted have no split any more: it would be
        that of a rule that holds no longer.
        """
        self._noted.clear()
        self._is_split_anew = is_split_anew
        with self._database.transaction("DEFERRED"):
            connection = self._database.connection
            connection.execute("DROP TABLE IF EXISTS temp.assigned")
            connection.execute(
                "CREATE TEMP TABLE assigned "
                "(image INTEGER PRIMARY KEY, number INTEGER, split TEXT, name TEXT)"
            )

    def of(self, key: str) -> Assigned | None:
        """What an image has kept; None before its first export."""
        rows = self._database.tuples(
            "SELECT number, split, name FROM exported_images JOIN images ON images.id = image "
            "WHERE target = ? AND key = ?",
            (self._target, key),
        )
        return Assigned(*rows[0]) if rows else None

    def each(self) -> Iterator[tuple[str, Assigned]]:
        """Key and what is kept of every image, also of those that are no part of the job now, in
        the order of keys."""
        for key, *assigned in self._database.paged(
            "SELECT key, number, split, name FROM images JOIN exported_images "
            "ON image = images.id AND target = :target "
            "WHERE key > :after ORDER BY key LIMIT :page",
            target=self._target,
        ):
            yield key, Assigned(*assigned)

    def by_rising_key(self) -> Callable[[str], Assigned | None]:
        """What `of` says, much faster, for keys of which each comes after the one before."""
        kept = self.each()
        ahead = next(kept, None)

        def find(key: str) -> Assigned | None:
            nonlocal ahead
            while ahead is not None and ahead[0] < key:
                ahead = next(kept, None)
            return ahead[1] if ahead is not None and ahead[0] == key else None

        return find

    def last_number(self) -> int:
        row = self._database.one(
            "SELECT max(number) AS n FROM exported_images WHERE target = ?", (self._target,)
        )
        return (row["n"] if row else None) or 0

    def note(self, key: str, assigned: Assigned) -> None:
        """An image of the export that is under way."""
        self._noted.append((*assigned, key))
        if len(self._noted) >= _BATCH:
            with self._database.transaction("DEFERRED"):  # of the temporary table
                self._flush()

    def _flush(self) -> None:
        self._database.connection.executemany(
            "INSERT INTO assigned SELECT id, ?, ?, ? FROM images WHERE key = ?", self._noted
        )
        self._noted.clear()

    def take_over(self) -> None:
        """Keep what was noted, in the transaction that is open."""
        self._flush()
        connection = self._database.connection
        if self._is_split_anew:
            connection.execute(
                "UPDATE exported_images SET split = '' WHERE target = ?", (self._target,)
            )
        connection.execute(
            "INSERT OR REPLACE INTO exported_images (target, image, number, split, name) "
            "SELECT ?, image, number, split, name FROM assigned",
            (self._target,),
        )
