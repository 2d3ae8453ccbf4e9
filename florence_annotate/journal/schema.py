"""The tables of a journal, and how one of an older version becomes one, or is read as one."""

import secrets
import sqlite3

VERSION = 3
OWN = 1
"""The target that is the folder of the journal itself."""
LINK = "link:"
"""With it begins the content of a file that is a link: its goal."""

# Nothing writes these yet: they are room for what comes next, so that it needs no other schema.
# - `asked_with`: attempts with settings of generation of their own, beside the job's;
# - `corrections`: what people made of an image's annotations, read back from their tools.
# A table without row ids keeps no more than a quarter of a page of a row in its tree, and what is
# longer begins a page that is its own (https://sqlite.org/withoutrowid.html). Answers are: without
# row ids, as journals were before, half of the file would be empty. Both read alike.
_TABLES = {
    "job": "(name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "roots": """(
        id INTEGER PRIMARY KEY,
        folder BLOB NOT NULL,
        is_walked INTEGER NOT NULL,       -- 0: images of it were named one by one
        prefix TEXT NOT NULL,             -- what the keys of its images begin with
        UNIQUE (folder, is_walked)
    )""",
    "images": """(
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        path BLOB NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        selected INTEGER NOT NULL,        -- see `journal.selection.Selected`
        inode INTEGER                     -- unknown in what older versions wrote
    )""",
    "runs": """(
        id INTEGER PRIMARY KEY,
        settings TEXT NOT NULL,
        report TEXT                       -- written when the run ends
    )""",
    "asked_with": """(                    -- settings of generation of single attempts, as JSON
        id INTEGER PRIMARY KEY,
        settings TEXT NOT NULL UNIQUE
    )""",
    "attempts": """(
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        image INTEGER NOT NULL REFERENCES images (id),
        run INTEGER NOT NULL REFERENCES runs (id),
        path BLOB NOT NULL,               -- the file as it was seen last, with these bytes
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        sha TEXT, width INTEGER, height INTEGER,   -- of a record
        stage TEXT, kind TEXT, message TEXT,       -- of a failure
        inode INTEGER,
        asked_with INTEGER REFERENCES asked_with (id)   -- null: the job's own settings
    )""",
    "answers": """(
        attempt INTEGER NOT NULL REFERENCES attempts (seq),
        place INTEGER NOT NULL,
        task TEXT NOT NULL,
        text TEXT,
        data BLOB NOT NULL,
        ends BLOB NOT NULL,               -- uint32, little-endian, one a token
        kinds BLOB NOT NULL,              -- uint8, one a token
        logprobs BLOB NOT NULL,           -- float32, little-endian, one a token
        truncated INTEGER NOT NULL,
        region TEXT,                      -- of a question about one: its box as JSON
        label TEXT,
        view TEXT,                        -- the tile that was asked about, as JSON
        spreads BLOB,                     -- how sure each location was; null where that was not
                                          -- kept, as in jobs of before
        PRIMARY KEY (attempt, place)
    )""",
    "corrections": """(                   -- what people made of an image's annotations
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,                -- of the image, and no id: they outlive a restart
        sha TEXT NOT NULL,                -- of the bytes that they are about
        target INTEGER REFERENCES targets (id),
        origin TEXT NOT NULL,
        content TEXT NOT NULL
    )""",
    "targets": """(                       -- folders that the job is exported to
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE         -- random; a folder bears it
    )""",
    "policies": """(
        id INTEGER PRIMARY KEY,
        content TEXT NOT NULL UNIQUE      -- JSON
    )""",
    "exports": """(
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        target INTEGER NOT NULL REFERENCES targets (id),
        policy INTEGER NOT NULL REFERENCES policies (id),
        last_attempt INTEGER NOT NULL,    -- of all there were: tells a repeated export from a new;
                                          -- -1: a restart has forgotten the job of which it was
        outcome TEXT,                     -- JSON; kept of the latest export to a target alone
        is_finished INTEGER NOT NULL      -- 0: its files are being moved, or it was killed then
    )""",
    "exported_classes": """(
        target INTEGER NOT NULL REFERENCES targets (id),
        id INTEGER NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (target, id)
    ) WITHOUT ROWID""",
    "exported_images": """(               -- since an image's first export to a target
        target INTEGER NOT NULL REFERENCES targets (id),
        image INTEGER NOT NULL REFERENCES images (id),
        number INTEGER NOT NULL,          -- its id in COCO
        split TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (target, image)
    ) WITHOUT ROWID""",
    "files": """(                         -- what the formats wrote, to know corrections from it
        target INTEGER NOT NULL REFERENCES targets (id),
        path TEXT NOT NULL,
        content TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        mtime_ns INTEGER NOT NULL,
        source TEXT,                      -- of an image: the SHA-256 of the original it was made of
        placed TEXT,                      -- of an image: as what; see `journal.files.Placed`
        PRIMARY KEY (target, path, content)
    ) WITHOUT ROWID""",
}
_INDICES = (
    "CREATE INDEX attempts_by_image ON attempts (image, seq)",
    "CREATE INDEX attempts_by_sha ON attempts (sha)",
)


def create(connection: sqlite3.Connection) -> None:
    """Make the tables of a new journal, in the transaction that is open."""
    for name, columns in _TABLES.items():
        connection.execute(f"CREATE TABLE {name} {columns}")
    for index in _INDICES:
        connection.execute(index)
    _make_own_target(connection)
    connection.execute(f"PRAGMA user_version={VERSION}")


_COLUMNS_SINCE: dict[int, dict[str, tuple[str, ...]]] = {
    # version: table → columns that it has since
    2: {"answers": ("region TEXT", "label TEXT", "view TEXT")},
    3: {
        "images": ("inode INTEGER",),
        "attempts": ("inode INTEGER", "asked_with INTEGER REFERENCES asked_with (id)"),
        "answers": ("spreads BLOB",),
    },
}
_FILES_OF_VERSION_2 = "path, content, size_bytes, mtime_ns"
"""Columns of its table `exports`, which is `files` since, for the journal's own folder."""


_COLUMNS_UNTIL = {"images": "stem", "exports": "images"}
"""Table → a column that nobody reads any more; journals of older versions have it, and some that
were written before this version was published. Who writes drops it."""


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether a journal has the tables of this version, and no dead columns."""
    return version_of(connection) == VERSION and not _with_dead_columns(connection)


def upgrade(connection: sqlite3.Connection) -> None:
    """Make a journal that is not current, of this version or an older one, one of this, in the
    transaction that is open."""
    if (version := version_of(connection)) < VERSION:
        _upgrade_from(connection, version)
    _drop_dead_columns(connection)
    connection.execute(f"PRAGMA user_version={VERSION}")


def version_of(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _upgrade_from(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("ALTER TABLE exports RENAME TO exports_before")
    for table, columns in _columns_since(version).items():
        for column in columns:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
    for name, columns_of_table in _TABLES.items():
        connection.execute(f"CREATE TABLE IF NOT EXISTS {name} {columns_of_table}")
    for index in _INDICES:
        connection.execute(index.replace("INDEX", "INDEX IF NOT EXISTS"))
    _make_own_target(connection)
    connection.execute(
        f"INSERT INTO files (target, {_FILES_OF_VERSION_2}) "
        f"SELECT {OWN}, {_FILES_OF_VERSION_2} FROM exports_before"
    )
    connection.execute("DROP TABLE exports_before")


def view_as_new(connection: sqlite3.Connection, version: int) -> None:
    """Let a connection read a journal of an older version as one of this; the file stays as it is.

    Names of temporary tables and views come before those of the file.
    """
    connection.execute("PRAGMA temp_store=MEMORY")
    held = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    for name, columns in _TABLES.items():
        if name not in held - {"exports"}:
            connection.execute(f"CREATE TEMP TABLE {name} {columns}")
    for table, columns_since in _columns_since(version).items():
        missing = ", ".join(f"NULL AS {column.split()[0]}" for column in columns_since)
        connection.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {missing} FROM main.{table}")
    connection.execute("INSERT INTO temp.targets VALUES (?, '')", (OWN,))
    connection.execute("DROP TABLE temp.files")
    connection.execute(
        f"CREATE TEMP VIEW files AS SELECT {OWN} AS target, {_FILES_OF_VERSION_2}, "
        "NULL AS source, NULL AS placed FROM main.exports"
    )


def _drop_dead_columns(connection: sqlite3.Connection) -> None:
    for table in _with_dead_columns(connection):
        columns = ", ".join(_column_names(connection, table) - {_COLUMNS_UNTIL[table]})
        # older versions of SQLite can't drop a column
        connection.execute(f"CREATE TABLE rebuilt {_TABLES[table]}")
        connection.execute(f"INSERT INTO rebuilt ({columns}) SELECT {columns} FROM {table}")
        connection.execute(f"DROP TABLE {table}")  # and its indices
        connection.execute(f"ALTER TABLE rebuilt RENAME TO {table}")


def _with_dead_columns(connection: sqlite3.Connection) -> list[str]:
    return [
        table
        for table, column in _COLUMNS_UNTIL.items()
        if column in _column_names(connection, table)
    ]


def _column_names(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")}


def _columns_since(version: int) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for since, tables in _COLUMNS_SINCE.items():
        for table, columns in tables.items() if since > version else ():
            found[table] = found.get(table, ()) + columns
    return found


def _make_own_target(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO targets VALUES (?, ?)", (OWN, secrets.token_hex(8)))
