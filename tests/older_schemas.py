"""Journals as older versions wrote them: the tables of their schemas, with what a journal holds."""

import sqlite3
from pathlib import Path

_TABLES_OF_2 = """
CREATE TABLE job (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE images (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stem TEXT NOT NULL, path BLOB NOT NULL,
    size_bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, selected INTEGER NOT NULL
);
CREATE INDEX images_by_stem ON images (stem);
CREATE TABLE runs (id INTEGER PRIMARY KEY, settings TEXT NOT NULL, report TEXT);
CREATE TABLE attempts (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, image INTEGER NOT NULL REFERENCES images (id),
    run INTEGER NOT NULL REFERENCES runs (id), path BLOB NOT NULL, size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, sha TEXT, width INTEGER, height INTEGER, stage TEXT, kind TEXT,
    message TEXT
);
CREATE INDEX attempts_by_image ON attempts (image, seq);
CREATE TABLE answers (
    attempt INTEGER NOT NULL REFERENCES attempts (seq), place INTEGER NOT NULL, task TEXT NOT NULL,
    text TEXT, data BLOB NOT NULL, ends BLOB NOT NULL, kinds BLOB NOT NULL, logprobs BLOB NOT NULL,
    truncated INTEGER NOT NULL, region TEXT, label TEXT, view TEXT, PRIMARY KEY (attempt, place)
) WITHOUT ROWID;
CREATE TABLE exports (
    path TEXT NOT NULL, content TEXT NOT NULL, size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL, PRIMARY KEY (path, content)
) WITHOUT ROWID;
"""
_SINCE_2 = ("region", "label", "view")
"""Columns of `answers`."""


def forget_spreads(journal: Path) -> None:
    """Make a job what one was that was begun before it was kept how sure locations are."""
    connection = sqlite3.connect(journal)
    connection.execute("UPDATE answers SET spreads = NULL")
    connection.execute("UPDATE exports SET outcome = NULL")  # it is not as it was written
    connection.execute("DELETE FROM job WHERE name = 'score'")
    connection.commit()
    connection.close()


def rewrite(journal: Path, version: int) -> None:
    """Make a journal what version 1 or 2 of the schema would have held of its job."""
    newer = journal.rename(journal.with_suffix(".newer"))
    connection = sqlite3.connect(journal)
    connection.executescript(_TABLES_OF_2)
    connection.execute("ATTACH ? AS newer", (str(newer),))
    held = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in held:
        if table.startswith("sqlite_"):
            continue
        columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
        listed = ", ".join(columns)
        values = listed.replace("stem", "key AS stem")  # nobody reads it
        where = "newer.files" if table == "exports" else f"newer.{table}"
        connection.execute(f"INSERT INTO main.{table} ({listed}) SELECT {values} FROM {where}")
    connection.execute("DELETE FROM images WHERE selected = 2")  # --limit left them out
    for column in _SINCE_2 if version == 1 else ():
        connection.execute(f"ALTER TABLE answers DROP COLUMN {column}")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
    newer.unlink()
