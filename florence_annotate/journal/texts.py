"""A set of texts that may be millions: in a temporary table, beside the journal."""

from florence_annotate.journal.database import Database

_BATCH = 1024
_BITS = 1 << 27
"""16 MiB of them."""


class Texts:
    """An empty set at first; one at a time of a journal that is open."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._added: set[str] = set()
        self._marks = bytearray(_BITS // 8)
        """For each text the bit is set that its hash names. So where the bit is not set, a text was
        never added, and no query need ask: with a million texts in the set that is so for 99 in 100
        others."""
        with database.transaction("DEFERRED"):
            database.connection.execute("DROP TABLE IF EXISTS temp.texts")
            database.connection.execute(
                "CREATE TEMP TABLE texts (text TEXT PRIMARY KEY) WITHOUT ROWID"
            )

    def add(self, text: str) -> None:
        mark = hash(text) % _BITS
        self._marks[mark >> 3] |= 1 << (mark & 7)
        self._added.add(text)
        if len(self._added) >= _BATCH:
            with self._database.transaction("DEFERRED"):  # of the temporary table
                self._database.connection.executemany(
                    "INSERT OR IGNORE INTO texts VALUES (?)", ((each,) for each in self._added)
                )
            self._added.clear()

    def __contains__(self, text: object) -> bool:
        mark = hash(text) % _BITS
        if not self._marks[mark >> 3] >> (mark & 7) & 1:
            return False
        if text in self._added:
            return True
        return bool(self._database.tuples("SELECT 1 FROM temp.texts WHERE text = ?", (text,)))
