"""The runs of a job: with which settings each was begun, and how it ended."""

import json
import time
from typing import Any

from florence_annotate.journal.values import Values

_UNWRITTEN = "unwritten_run"
"""The value of a job that names the run that asked all and has no dataset yet: one that ends by an
error then can write nothing more, least of all where the disk is full."""


class Runs:
    """The table `runs` of a journal."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def begin(self, settings: str) -> int:
        with self._values.transaction():
            cursor = self._values.connection.execute(
                "INSERT INTO runs (settings) VALUES (?)", (settings,)
            )
        return int(cursor.lastrowid or 0)

    def note_asking(self, run: int) -> None:
        """Keep when a run, its model loaded, begins to ask."""
        self._values.set_value("asks_since", [run, time.time()])

    def images_per_second(self) -> float | None:
        """Of the latest run so far; None where it has asked of no image yet."""
        with self._values.reading("since when a run asks"):
            run, since = map(float, self._values.value("asks_since") or (0, 0.0))
        row = self._values.one("SELECT count(*) AS n FROM attempts WHERE run = ?", (run,))
        if row is None or not row["n"] or run != self.last():
            return None
        return float(row["n"] / max(time.time() - since, 1e-9))

    def has_asked(self) -> bool:
        """Whether the latest run has asked all that it was to ask, or was stopped in order."""
        row = self._values.one("SELECT report FROM runs ORDER BY id DESC LIMIT 1")
        return row is not None and row["report"] is not None

    def has_ended(self) -> bool:
        """Whether the latest run came to its end, its dataset written, or was stopped in order."""
        return self.has_asked() and self._values.value(_UNWRITTEN) != self.last()

    def end(self, run: int, report: dict[str, Any], *, is_to_be_written: bool = False) -> None:
        """Keep the report of a run that asks no more; its dataset may still have to be written,
        see `note_written`."""
        with self._values.transaction():
            self._values.connection.execute(
                "UPDATE runs SET report = ? WHERE id = ?", (json.dumps(report), run)
            )
            if is_to_be_written:
                self._values.put_value(_UNWRITTEN, run)

    def note_written(self) -> None:
        """The dataset in the job's own folder is as the latest run, or an export since, left it."""
        if self._values.value(_UNWRITTEN) is not None:
            with self._values.transaction():
                self._values.connection.execute("DELETE FROM job WHERE name = ?", (_UNWRITTEN,))

    def last(self) -> int:
        """The id of the latest run; 0 before the first one."""
        row = self._values.one("SELECT max(id) AS id FROM runs")
        return (row["id"] if row else None) or 0

    def first_settings(self) -> str | None:
        """The settings of the first run, as they were given to `begin`."""
        row = self._values.one("SELECT settings FROM runs ORDER BY id LIMIT 1")
        return None if row is None else str(row["settings"])

    def last_settings(self) -> str | None:
        """The settings of the latest run, as they were given to `begin`."""
        row = self._values.one("SELECT settings FROM runs ORDER BY id DESC LIMIT 1")
        return None if row is None else str(row["settings"])

    def last_report(self) -> dict[str, Any]:
        """The report of the latest run that ended; empty where none did."""
        row = self._values.one(
            "SELECT report FROM runs WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1"
        )
        report: dict[str, Any] = {} if row is None else json.loads(row["report"])
        return report
