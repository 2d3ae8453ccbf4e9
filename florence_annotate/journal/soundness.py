"""What a journal holds is held to what this program writes there, as the journal is opened.

SQLite takes any value into any column, and a file may be damaged, edited by hand or somebody
else's. A condition on all rows is one query a table, which reads no long value. Answers, which are
long, are checked as they are unpacked (`journal/packing`), and what a JSON value says by who makes
something of it (`Journal.reading`).
"""

import json
import sqlite3
from pathlib import Path

from florence_annotate.errors import JobError
from florence_annotate.types import SPLITS


def _is(kind: str, *columns: str) -> str:
    return " AND ".join(f"typeof({column}) = '{kind}'" for column in columns)


def _is_or_null(kind: str, *columns: str) -> str:
    return " AND ".join(f"typeof({column}) IN ('{kind}', 'null')" for column in columns)


_STAMPS = f"{_is('blob', 'path')} AND {_is('integer', 'size_bytes', 'mtime_ns')}"
_SPLITS = ", ".join(f"'{name}'" for name in ("", *SPLITS))

_ROWS = {
    "roots": f"{_is('blob', 'folder')} AND {_is('text', 'prefix')} AND is_walked IN (0, 1)",
    "images": f"{_is('text', 'key')} AND key != '' AND {_STAMPS} AND selected BETWEEN -1 AND 2 "
    f"AND {_is_or_null('integer', 'inode')}",
    # a record has a size, and a failure its reason
    "attempts": f"{_STAMPS} AND {_is_or_null('integer', 'inode')} AND iif(sha IS NULL, "
    f"{_is('text', 'stage', 'kind', 'message')}, {_is('text', 'sha')} AND kind IS NULL AND "
    f"{_is('integer', 'width', 'height')} AND min(width, height) > 0 "
    "AND max(width, height) < 1 << 31)",
    "targets": _is("text", "name"),
    "exports": f"{_is('integer', 'last_attempt')} AND is_finished IN (0, 1) "
    "AND policy IN (SELECT id FROM policies)",
    "exported_classes": f"{_is('text', 'name')} AND {_is('integer', 'id')}",
    # an image may have lost its split; see `Assignments.begin`
    "exported_images": f"{_is('integer', 'number')} AND number BETWEEN 1 AND 1 << 53 "
    f"AND split IN ({_SPLITS}) AND {_is('text', 'name')} AND name != ''",
    "files": f"{_is('text', 'path', 'content')} AND {_is('integer', 'size_bytes', 'mtime_ns')} "
    f"AND {_is_or_null('text', 'source', 'placed')}",
}
"""Table → what holds for each of its rows."""

_TOGETHER = {
    "ids of classes that leave gaps": "SELECT 1 FROM exported_classes GROUP BY target "
    "HAVING min(id) != 0 OR max(id) != count(*) - 1",
    "images with the same number": "SELECT 1 FROM exported_images GROUP BY target, number "
    "HAVING count(*) > 1",
    "images with the same name": "SELECT 1 FROM exported_images GROUP BY target, name "
    "HAVING count(*) > 1",
}
"""What is wrong with the rows of a table together → a query that finds it."""

_JSON = {
    "job": ("value", None),
    "runs": ("report", dict),  # its settings have a reader of their own, `config.job_spec.load`
    "policies": ("content", dict),
    "exports": ("outcome", dict),
}
"""Table → a column of JSON, and what that holds where it is always the same."""


def refuse_unsound(connection: sqlite3.Connection, path: Path) -> None:
    """Raise JobError for a journal with a row that this program never wrote."""
    for table, holds in _ROWS.items():
        # what compares with null is null, and holds no more than what is wrong
        if connection.execute(f"SELECT 1 FROM {table} WHERE ({holds}) IS NOT 1 LIMIT 1").fetchone():
            raise JobError.damaged(path, f"its table {table} has a row that is none")
    for table, (column, kind) in _JSON.items():
        rows = connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        for (text,) in rows.fetchall():
            _refuse_no_json(text, kind, path, f"{column} of {table}")


def refuse_unsound_exports(connection: sqlite3.Connection, path: Path) -> None:
    """The same for what its exports go by together, which only who writes one has to know."""
    for what, query in _TOGETHER.items():
        if connection.execute(f"{query} LIMIT 1").fetchone():
            raise JobError.damaged(path, what)


def _refuse_no_json(text: object, kind: type | None, path: Path, what: str) -> None:
    try:
        value = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError) as error:
        raise JobError.damaged(path, f"{what}: {error}") from error
    if kind is not None and not isinstance(value, kind):
        raise JobError.damaged(path, f"{what}: {text!r:.40} is no object")
