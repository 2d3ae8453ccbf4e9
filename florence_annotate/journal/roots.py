"""The roots that keys of a job's images are counted from, each with its prefix.

They are kept as long as there is the job, so that a key is the same whatever other sources a run
has.
"""

from collections.abc import Sequence

from florence_annotate.journal.database import Database
from florence_annotate.types import Root


class Roots:
    """The table `roots` of a journal; empty in a job that was begun before there was one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self) -> list[Root]:
        """In the order in which they joined the job."""
        rows = self._database.tuples("SELECT folder, is_walked, prefix FROM roots ORDER BY id")
        return [Root(folder, bool(is_walked), prefix) for folder, is_walked, prefix in rows]

    def replace(self, roots: Sequence[Root]) -> None:
        """Make these the job's; nothing is written where they are so already."""
        if list(roots) == self.known():
            return
        with self._database.transaction():
            self._database.connection.execute("DELETE FROM roots")
            self._database.connection.executemany(
                "INSERT INTO roots (folder, is_walked, prefix) VALUES (?, ?, ?)",
                ((root.folder, root.is_walked, root.prefix) for root in roots),
            )
