"""The job's own values: JSON by name, beside its tables."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from florence_annotate.errors import JobError
from florence_annotate.journal.database import Database


class Values(Database):
    """A journal with the values of its job."""

    def value(self, name: str) -> Any:
        """A JSON value of the job; None where it was never set."""
        row = self.one("SELECT value FROM job WHERE name = ?", (name,))
        return None if row is None else json.loads(row["value"])

    @contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """For who makes something of a value: that this is not possible is damage, a JobError."""
        try:
            yield
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            why = f"{what}: {type(error).__name__}: {error}"
            raise JobError.damaged(self.path, why) from error

    def set_value(self, name: str, value: Any) -> None:
        with self.transaction():
            self.put_value(name, value)

    def put_value(self, name: str, value: Any) -> None:
        """Set a value in the transaction that is open."""
        self.connection.execute(
            "INSERT OR REPLACE INTO job VALUES (?, ?)",
            (name, json.dumps(value, ensure_ascii=False, sort_keys=True)),
        )
