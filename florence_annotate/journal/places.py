"""Where the folders lie that a job is exported to, beside its own.

By that a copy of one is told from one that was moved.
"""

import os
from pathlib import Path

from florence_annotate.journal.schema import OWN
from florence_annotate.journal.values import Values

NAME = "places"
"""The value of a job that holds them: by a folder's name, its path's bytes in hexadecimal. It
outlives a restart, as the folders do."""


class Places:
    def __init__(self, values: Values) -> None:
        self._values = values

    def of(self, name: str) -> Path | None:
        """Where the folder that bears a name lay when it was exported to; None: not known."""
        place = self._all().get(name)
        with self._values.reading("where a folder lay"):
            return None if place is None else Path(os.fsdecode(bytes.fromhex(place)))

    def half_written(self) -> list[Path]:
        """Folders whose latest export was not finished, by where they lay."""
        rows = self._values.tuples(
            "SELECT name FROM exports JOIN targets ON targets.id = target WHERE targets.id != ? "
            "AND is_finished = 0 AND number IN (SELECT max(number) FROM exports GROUP BY target)",
            (OWN,),
        )
        places = (self.of(name) for (name,) in rows)
        return sorted(place for place in places if place is not None)

    def note(self, name: str, folder: Path) -> None:
        """Keep where the folder lies that bears a name."""
        if self.of(name) != folder:
            self._values.set_value(NAME, self._all() | {name: os.fsencode(folder).hex()})

    def forget(self, name: str) -> None:
        """Forget a folder to which nothing was exported."""
        self._values.set_value(NAME, {n: place for n, place in self._all().items() if n != name})

    def _all(self) -> dict[str, str]:
        with self._values.reading("where folders lay"):
            return dict(self._values.value(NAME) or {})
