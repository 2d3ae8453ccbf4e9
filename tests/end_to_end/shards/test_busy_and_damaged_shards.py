"""Shards that are written to, were left half-written, or are damaged, are named."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import command
from sharded_jobs import snapshot

from florence_annotate.journal import lock


def test_a_shard_that_is_annotated_now_is_not_merged(copied: list[Path], tmp_path: Path) -> None:
    with lock.held(copied[1]):
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.code == 1 and done.json["error"]["kind"] == "locked"
    assert f"{copied[1]} is being written by process {os.getpid()}" in done.err
    (tmp_path / "out").mkdir()
    with lock.held(tmp_path / "out"):
        done = command("merge", *copied, "-o", tmp_path / "out", "--json")
    assert done.json["error"]["kind"] == "locked"


def test_a_shard_that_was_killed_as_it_wrote_is_put_in_order_first(
    copied: list[Path], tmp_path: Path
) -> None:
    connection = sqlite3.connect(copied[1] / "job.db", isolation_level=None)
    connection.execute("PRAGMA cache_size=2")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE answers SET data = zeroblob(2000)")  # more than is cached
    torn = shutil.copytree(copied[1], tmp_path / "torn")
    connection.close()
    assert (torn / "job.db-journal").stat().st_size
    before = snapshot(torn)
    outs = (copied[0], torn, copied[2])
    done = command("merge", *outs, "-o", tmp_path / "out")
    assert done.code == 1 and f"'florence-annotate status {torn}' puts it in order" in done.err
    assert snapshot(torn) == before
    assert command("status", torn).code == 0
    assert command("merge", *outs, "-o", tmp_path / "out", "-q").code == 0


def test_a_journal_that_readers_would_write_beside_is_refused(
    copied: list[Path], tmp_path: Path
) -> None:
    connection = sqlite3.connect(copied[1] / "job.db")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    before = snapshot(copied[1])
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and "switched by another program" in done.err
    assert snapshot(copied[1]) == before


def spoil(statement: str) -> Callable[[Path], None]:
    def spoil(out: Path) -> None:
        connection = sqlite3.connect(out / "job.db")
        connection.execute(statement)
        connection.commit()
        connection.close()

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        spoil("UPDATE answers SET kinds = x'07'"),
        spoil("UPDATE images SET key = x'00' WHERE id = 1"),
        spoil("UPDATE job SET value = '[1]' WHERE name = 'shard'"),
        spoil("UPDATE job SET value = '7' WHERE name = 'asked'"),
        spoil("UPDATE runs SET report = '{\"skipped\": 1}'"),
        lambda out: (out / "job.db").write_bytes(b"SQLite format 3\0" + bytes(range(256))),
    ],
)
def test_a_damaged_journal_is_named(
    copied: list[Path], tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(copied[1])
    done = command("merge", *copied, "-o", tmp_path / "out")
    assert done.code == 1 and str(copied[1] / "job.db") in done.err, done.err
    assert len(done.err.splitlines()) <= 3 and "Traceback" not in done.err
