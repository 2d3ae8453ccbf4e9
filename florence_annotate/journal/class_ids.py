"""Which class has which id in a folder that the job is exported to.

An id stays with its class, also once that has left the dataset: labels, and models that learned
from them, go on meaning it. So there may be more in the table than a dataset shows.
"""

from collections.abc import Sequence

from florence_annotate.journal.database import Database


def has_other_ids(given: Sequence[str], names: Sequence[str]) -> bool:
    """Whether names by id give an id to another class than the one that it was given to."""
    return any(old != new for old, new in zip(given, names, strict=False))


class ClassIds:
    """The table `exported_classes` of a journal, for one target."""

    def __init__(self, database: Database, target: int) -> None:
        self._database = database
        self._target = target

    def given(self) -> tuple[str, ...]:
        """By id, every class that has one; empty before the first export."""
        rows = self._database.tuples(
            "SELECT name FROM exported_classes WHERE target = ? ORDER BY id", (self._target,)
        )
        return tuple(name for (name,) in rows)

    def are_chosen(self) -> bool:
        """Whether a class list has ever given the ids, and not labels that became classes."""
        row = self._database.one(
            "SELECT 1 FROM policies WHERE id IN (SELECT policy FROM exports WHERE target = ?) "
            "AND json_extract(content, '$.classes') IS NOT NULL",
            (self._target,),
        )
        return row is not None

    def keep(self, names: Sequence[str], *, are_listed: bool) -> None:
        """Keep the ids of an export, in the transaction that is open.

        Classes that it has no more stay behind the others, but where the ids begin anew:
        renumbered, or by the first class list.
        """
        given = self.given()
        is_anew = has_other_ids(given, names) or (are_listed and not self.are_chosen())
        left = () if is_anew else given[len(names) :]
        connection = self._database.connection
        connection.execute("DELETE FROM exported_classes WHERE target = ?", (self._target,))
        connection.executemany(
            "INSERT INTO exported_classes VALUES (?, ?, ?)",
            ((self._target, *pair) for pair in enumerate([*names, *left])),
        )
