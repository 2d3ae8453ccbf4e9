"""What a journal holds is held to what this program writes there, before anything goes by it.

SQLite takes any value into any column, and a file may be damaged, edited by hand or somebody
else's. A condition on all rows is one query a table, which reads no long value. Rows that exports
left, one an image and a file, wait until a command uses them: an export in which nothing changed is
known by digests. All others are checked as the journal is opened. Answers, which are long, are
checked as they are unpacked (`journal/packing`), and what a JSON value says by who makes something
of it (`Journal.reading`).
"""

import json
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from florence_annotate.errors import JobError
from florence_annotate.journal.schema import LINK
from florence_annotate.types import SPLITS

# comparing is faster than asking for the type; SQLite orders values of all types: null, numbers,
# texts, blobs (https://sqlite.org/datatype3.html#sort_order)
_HOLDS = {"integer": "{0} | 0 = {0}", "text": "{0} >= '' AND {0} < x''", "blob": "{0} >= x''"}


def _is(kind: str, *columns: str) -> str:
    return " AND ".join(_HOLDS[kind].format(column) for column in columns)


def _is_or_null(kind: str, *columns: str) -> str:
    return " AND ".join(f"({column} IS NULL OR {_is(kind, column)})" for column in columns)


_HEX = "0123456789abcdef"
"""All that a hash may hold: files are named by hashes, which must not lead elsewhere."""
_MANY_HASHES = 4096


def _is_hash(column: str) -> str:
    return f"{column} NOT GLOB '*[^{_HEX}]*'"


def _is_path(column: str) -> str:
    """No path of a file holds a zero byte."""
    return f"{_is('blob', column)} AND instr({column}, x'00') = 0"


_STAMPS = f"{_is_path('path')} AND {_is('integer', 'size_bytes', 'mtime_ns')}"
# an image may have lost its split; see `Assignments.begin`
_SPLITS = ", ".join(f"'{name}'" for name in ("", *SPLITS))

_OF_TARGET = "target IN (SELECT id FROM targets)"

_FEW_ROWS = {
    "roots": f"{_is_path('folder')} AND {_is('text', 'prefix')} AND is_walked IN (0, 1)",
    "targets": _is("text", "name"),
    "exports": f"{_is('integer', 'last_attempt')} AND is_finished IN (0, 1) "
    f"AND policy IN (SELECT id FROM policies) AND {_OF_TARGET}",
    "exported_classes": f"{_is('text', 'name')} AND {_is('integer', 'id')} AND {_OF_TARGET}",
}
"""Table → what holds for each of its rows."""

_OF_IMAGES = {
    "images": f"{_is('text', 'key')} AND key != '' AND {_STAMPS} AND selected BETWEEN -1 AND 2 "
    f"AND {_is_or_null('integer', 'inode')}",
    # a record has a size, and a failure its reason
    "attempts": "image IN (SELECT id FROM images) AND run IN (SELECT id FROM runs) "
    "AND (asked_with IS NULL OR asked_with IN (SELECT id FROM asked_with)) "
    f"AND {_STAMPS} AND {_is_or_null('integer', 'inode')} AND iif(sha IS NULL, "
    f"{_is('text', 'stage', 'kind', 'message')}, {_is('text', 'sha')} AND "
    f"kind IS NULL AND {_is('integer', 'width', 'height')} AND width > 0 AND height > 0 "
    "AND width < 1 << 31 AND height < 1 << 31)",
    "answers": "attempt IN (SELECT seq FROM attempts)",
}
"""The same of tables with a row an image, or several."""

_OF_EXPORTS = {
    "exported_images": f"{_OF_TARGET} AND image IN (SELECT id FROM images) "
    f"AND {_is('integer', 'number')} AND number BETWEEN 1 AND 1 << 53 "
    f"AND split IN ({_SPLITS}) AND {_is('text', 'name')} AND name != ''",
    "files": f"{_OF_TARGET} AND {_is('text', 'path', 'content')} "
    f"AND {_is('integer', 'size_bytes', 'mtime_ns')} "
    f"AND {_is_or_null('text', 'source', 'placed')} "
    # of a link the content is its goal; see `journal.files.Exported`
    f"AND (source IS NULL OR {_is_hash('source')}) "
    f"AND ({_is_hash('content')} OR content GLOB '{LINK}*')",
}
"""The same of what exports left, with a row an image or a file."""

_GAPS = (
    "SELECT 1 FROM exported_classes GROUP BY target HAVING min(id) != 0 OR max(id) != count(*) - 1"
)
_OTHER_SPLITS = f"SELECT 1 FROM exported_images WHERE (split IN ({_SPLITS})) IS NOT 1"
_REPEATED = (
    "SELECT 1 FROM exported_images GROUP BY target "
    "HAVING min(count(DISTINCT number), count(DISTINCT name)) < count(*)"
)

_JSON = {
    "job": ("value", None),
    "runs": ("report", dict),  # its settings have a reader of their own, `config.job_spec.load`
    "policies": ("content", dict),
    "exports": ("outcome", dict),
}
"""Table → a column of JSON, and what that holds where it is always the same."""


_found_sound: dict[Path, tuple[int, ...]] = {}
"""Journals whose images this process found sound, as their files were then: a command opens its job
more than once."""


def refuse_unsound(connection: sqlite3.Connection, path: Path) -> None:
    """Raise JobError for a journal with a row that this program never wrote, of which there are
    few whatever the number of images."""
    _hold(_FEW_ROWS, connection, path)
    for table, (column, kind) in _JSON.items():
        rows = connection.execute(f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        for (text,) in rows.fetchall():
            _refuse_no_json(text, kind, path, f"{column} of {table}")


def refuse_unsound_images(connection: sqlite3.Connection, path: Path) -> None:
    """The same for what it holds of images and of attempts at them."""
    status = os.stat(path)
    stamp = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
    if _found_sound.get(path) != stamp:
        _hold(_OF_IMAGES, connection, path)
        _refuse_other_hashes(connection, path)
        _found_sound[path] = stamp


def refuse_gaps(connection: sqlite3.Connection, path: Path) -> None:
    """The same for the ids of classes, which only who exports goes by."""
    if connection.execute(_GAPS).fetchone():
        raise JobError.damaged(path, "ids of classes that leave gaps")


def refuse_unsound_exports(connection: sqlite3.Connection, path: Path) -> None:
    """The same for what exports left of images and files."""
    _hold(_OF_EXPORTS, connection, path)


def refuse_repeated(connection: sqlite3.Connection, path: Path) -> None:
    """The same for what its images were named and numbered, which only who exports goes by."""
    if connection.execute(_REPEATED).fetchone():
        raise JobError.damaged(path, "images with the same number or name")


def refuse_outside(connection: sqlite3.Connection, journal: Path) -> None:
    """Raise JobError for a journal that speaks of a path that leads out of its folder, or of a
    split that is none: it is a folder that is written to.

    It may come from somebody else, and what it names is written, moved and removed.
    """
    if connection.execute(_OTHER_SPLITS).fetchone():
        raise JobError.damaged(journal, "images in a split that is none")
    # asked of each column by itself: what they are joined to would be made anew for each question
    files = connection.execute(
        f"SELECT path FROM files WHERE {_looks_outside('path')} OR path GLOB '*:*'"
    )
    # only as the beginning of a path a `:` is no part of a name, and an image's has a folder first
    images = connection.execute(
        "SELECT 'images/' || iif(split = '', '', split || '/') || name FROM exported_images "
        f"WHERE {_looks_outside('name')}"
    )
    for (found,) in (*files, *images):
        parts = found.replace("\\", "/").split("/")
        if {"", ".", ".."} & set(parts) or ":" in parts[0]:
            raise JobError(
                f"{journal} speaks of a file outside of its dataset ({found!r}), which no "
                "export wrote: it is damaged, or made to do harm; don't use it"
            )


def _hold(conditions: Mapping[str, str], connection: sqlite3.Connection, path: Path) -> None:
    for table, holds in conditions.items():
        # what compares with null is null, and holds no more than what is wrong
        if connection.execute(f"SELECT 1 FROM {table} WHERE ({holds}) IS NOT 1 LIMIT 1").fetchone():
            raise JobError.damaged(path, f"its table {table} has a row that is none")


def _refuse_other_hashes(connection: sqlite3.Connection, path: Path) -> None:
    """Many hashes at once, since SQLite's patterns take three times as long."""
    cursor = connection.execute("SELECT sha FROM attempts WHERE sha IS NOT NULL")
    while page := cursor.fetchmany(_MANY_HASHES):
        if "".join([sha for (sha,) in page]).strip(_HEX):
            raise JobError.damaged(path, "its table attempts has a hash that is none")


def _refuse_no_json(text: object, kind: type | None, path: Path, what: str) -> None:
    try:
        value = json.loads(text)  # type: ignore[arg-type]
    except (ValueError, TypeError, RecursionError) as error:
        raise JobError.damaged(path, f"{what}: {error}") from error
    if kind is not None and not isinstance(value, kind):
        raise JobError.damaged(path, f"{what}: {text!r:.40} is no object")


def _looks_outside(column: str) -> str:
    """The condition that a path in a column may be no plain way down from a folder."""
    patterns = "*..*", "*//*", "/*", "*/", "*\\*", ""
    matches = " OR ".join(f"{column} GLOB '{pattern}'" for pattern in patterns)
    return f"({matches})"
